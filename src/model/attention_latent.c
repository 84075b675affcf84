/* Multi-head latent attention (DeepSeek-V2 paper, section 2.1; modeling_deepseek.py,
 * DeepseekV2Attention). The cache holds the normalized latent c and the rotated shared key part;
 * with kv_b = [K; V] per head, a score is (q_nope . K c) + (q_rope . k_rope) and the output V (sum
 * p c). */
#include "model/attention.h"

#include "model/linear.h"

/* Fixed by the reference, which does not pass the configuration's value to these two norms. */
#define LATENT_NORM_EPSILON 1e-6f

/* From this many positions in a chunk on the latents may be expanded to keys and values per head;
 * if that costs less than moving the queries into the latent space ("absorbed"). */
#define ATTENTION_EXPAND 8

void attention_kv_rows(const latent_job *job, size_t first, size_t count, float *out,
                       size_t stride)
{
    const kernels *k = job->compute->kernels;
    weight kv_b = job->weights->kv_b;
    size_t latent = (size_t)job->workspace->config->latent_rank;
    if (linear_is_packed(kv_b)) {
        k->packed_decode_rows(&kv_b->packed, first, count, out, stride);
    } else if (stride == latent) {
        weight_widen(k, kv_b, first * latent, count * latent, out);
    } else {
        for (size_t row = 0; row < count; row++) {
            weight_widen(k, kv_b, (first + row) * latent, latent, out + row * stride);
        }
    }
}

bool attention_kv_is_packed(const latent_job *job)
{
    const language_config *config = job->workspace->config;
    return linear_is_packed(job->weights->kv_b) &&
           (size_t)config->nope_width % LAYOUT_ROWS == 0 &&
           (size_t)config->value_width % LAYOUT_ROWS == 0;
}

/* Some positions: latents are normalized and shared keys and queries rotated in place; latents and
 * keys are stored. */
static void store_task(void *context, size_t task, int worker)
{
    const latent_job *job = context;
    const attention_workspace *workspace = job->workspace;
    const language_config *config = workspace->config;
    const kernels *k = job->compute->kernels;
    size_t latent = (size_t)config->latent_rank, rope = (size_t)config->rope_width;
    size_t nope = (size_t)config->nope_width, heads = (size_t)config->heads;
    size_t start = task * ATTENTION_STORE;
    size_t end = job->count - start < ATTENTION_STORE ? job->count : start + ATTENTION_STORE;
    for (size_t row = start; row < end; row++) {
        const float *cosines = rope_cosines(workspace->rope, job->first + row);
        const float *sines = rope_sines(workspace->rope, job->first + row);
        float *key = workspace->key + row * (latent + rope);
        k->rms_norm(key, workspace->norm_weight, LATENT_NORM_EPSILON, latent, key);
        k->rope_interleaved(key + latent, cosines, sines, rope);
        kvcache_store(job->cache, k, job->layer, 0, job->first + row, key, NULL,
                      compute_scratch(job->compute, worker));
        for (size_t head = 0; head < heads; head++) {
            float *query = workspace->query + (row * heads + head) * (nope + rope);
            k->rope_interleaved(query + nope, cosines, sines, rope);
        }
    }
}

/* Multiply-adds of one head in the two forms. Both run at the same rate, as measured. */
static bool expanding_pays(const latent_job *job)
{
    const language_config *config = job->workspace->config;
    double latent = config->latent_rank, rope = config->rope_width;
    double nope = config->nope_width, value = config->value_width;
    double count = (double)job->count, seen = (double)(job->first + job->count);
    double scores = count * (seen - count / 2);
    double absorbed = count * (nope + value) * latent + scores * (2 * latent + rope);
    double expanded = seen * (nope + value) * latent + scores * (nope + rope + value);
    return job->count >= ATTENTION_EXPAND && expanded < absorbed;
}

static void norm_rows_task(void *context, size_t task, int worker)
{
    (void)worker;
    const latent_job *job = context;
    size_t rank = (size_t)job->workspace->config->query_rank;
    float *row = job->workspace->bottleneck + task * rank;
    job->compute->kernels->rms_norm(row, job->workspace->norm_weight, LATENT_NORM_EPSILON, rank,
                                    row);
}

/* Queries, or what query_b makes them of, and latents: products of the same x. */
static void project(const latent_job *job, const float *x)
{
    const attention_workspace *workspace = job->workspace;
    const language_config *config = workspace->config;
    const attention_weights *weights = job->weights;
    size_t hidden = (size_t)config->hidden, rank = (size_t)config->query_rank;
    size_t width = (size_t)config->heads * (size_t)(config->nope_width + config->rope_width);
    linear_call calls[] = {
        {.w = weights->query, .x = x, .x_stride = hidden, .y = workspace->query,
         .y_stride = width, .rows = job->count},
        {.w = weights->kv_a, .bias = weights->kv_a_bias, .x = x, .x_stride = hidden,
         .y = workspace->key, .y_stride = (size_t)(config->latent_rank + config->rope_width),
         .rows = job->count},
    };
    if (rank > 0) {
        calls[0] = (linear_call){.w = weights->query_a, .bias = weights->query_a_bias, .x = x,
                                 .x_stride = hidden, .y = workspace->bottleneck, .y_stride = rank,
                                 .rows = job->count};
    }
    linear_run_group(job->compute, calls, sizeof(calls) / sizeof(calls[0]));
    if (rank > 0) {
        weight_widen(job->compute->kernels, weights->query_a_norm, 0, rank,
                     workspace->norm_weight);
        team_run(&job->compute->team, job->count, norm_rows_task, (void *)job);
        linear_run(job->compute, &(linear_call){.w = weights->query_b, .x = workspace->bottleneck,
                                                .x_stride = rank, .y = workspace->query,
                                                .y_stride = width, .rows = job->count});
    }
}

void attention_run_latent(const compute *compute, attention_workspace *workspace,
                          const attention_weights *weights, const kvcache *cache, int layer,
                          const float *x, size_t first, size_t count)
{
    latent_job job = {.compute = compute, .workspace = workspace, .weights = weights,
                      .cache = cache, .layer = layer, .first = first, .count = count};
    size_t latent = (size_t)workspace->config->latent_rank;
    project(&job, x);
    weight_widen(compute->kernels, weights->kv_a_norm, 0, latent, workspace->norm_weight);
    team_run(&compute->team, attention_store_tasks(count), store_task, &job);
    stage_mark(compute->stages, STAGE_PROJECTIONS);
    compute_observe(compute, weights->kv_b, workspace->key, cache->depth, count);
    if (expanding_pays(&job)) {
        attention_run_expanded(&job);
    } else {
        attention_run_absorbed(&job);
    }
    stage_mark(compute->stages, STAGE_ATTENTION);
}
