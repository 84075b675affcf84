/* Multi-head latent attention (DeepSeek-V2 paper, section 2.1; modeling_deepseek.py,
 * DeepseekV2Attention). The cache holds the normalized latent c and the rotated shared key part;
 * with kv_b = [K; V] per head, a score is (q_nope . K c) + (q_rope . k_rope) and the output V (sum
 * p c). */
#include "model/attention.h"

#include "model/linear.h"

#include <cblas.h>

#include <string.h>

/* Fixed by the reference, which does not pass the configuration's value to these two norms. */
#define LATENT_NORM_EPSILON 1e-6f

typedef struct latent_job {
    const compute *compute;
    const attention_workspace *workspace;
    const attention_weights *weights;
    const kvcache *cache;
    int layer;
    size_t first, count;
} latent_job;

/* One position: its latent and shared key into the cache, its queries rotated in place. */
static void store_task(void *context, size_t task, int worker)
{
    (void)worker;
    const latent_job *job = context;
    const attention_workspace *workspace = job->workspace;
    const language_config *config = workspace->config;
    const kernels *k = job->compute->kernels;
    size_t latent = (size_t)config->latent_rank, rope = (size_t)config->rope_width;
    size_t nope = (size_t)config->nope_width, position = job->first + task;
    const float *cosines = rope_cosines(workspace->rope, position);
    const float *sines = rope_sines(workspace->rope, position);
    const float *from = workspace->key + task * (latent + rope);
    k->rms_norm(from, workspace->norm_weight, LATENT_NORM_EPSILON, latent,
                kvcache_first(job->cache, job->layer) + position * latent);
    float *shared = kvcache_second(job->cache, job->layer) + position * rope;
    memcpy(shared, from + latent, rope * sizeof(float));
    k->rope_interleaved(shared, cosines, sines, rope);
    size_t heads = (size_t)config->heads;
    for (size_t head = 0; head < heads; head++) {
        float *query = workspace->query + (task * heads + head) * (nope + rope);
        k->rope_interleaved(query + nope, cosines, sines, rope);
    }
}

/* Widens kv_b of one head, [nope + value, latent], into `out`. */
static void widen_head(const latent_job *job, size_t head, float *out)
{
    const language_config *config = job->workspace->config;
    size_t count = (size_t)(config->nope_width + config->value_width) *
                   (size_t)config->latent_rank;
    weight_widen(job->compute->kernels, job->weights->kv_b, head * count, count, out);
}

/* One head, expanded: keys and values of all positions so far, then ordinary attention. */
static void expanded_task(void *context, size_t head, int worker)
{
    const latent_job *job = context;
    const language_config *config = job->workspace->config;
    size_t latent = (size_t)config->latent_rank, rope = (size_t)config->rope_width;
    size_t nope = (size_t)config->nope_width, value = (size_t)config->value_width;
    size_t heads = (size_t)config->heads, key = nope + rope, seen = job->first + job->count;
    const float *latents = kvcache_first(job->cache, job->layer);
    const float *shared = kvcache_second(job->cache, job->layer);
    float *kv_b = compute_scratch(job->compute, worker);
    float *keys = kv_b + (nope + value) * latent;
    float *values = keys + seen * key;
    float *scores = values + seen * value;
    widen_head(job, head, kv_b);
    cblas_sgemm(CblasRowMajor, CblasNoTrans, CblasTrans, (int)seen, (int)nope, (int)latent, 1.0f,
                latents, (int)latent, kv_b, (int)latent, 0.0f, keys, (int)key);
    for (size_t i = 0; i < seen; i++) {
        memcpy(keys + i * key + nope, shared + i * rope, rope * sizeof(float));
    }
    cblas_sgemm(CblasRowMajor, CblasNoTrans, CblasTrans, (int)seen, (int)value, (int)latent, 1.0f,
                latents, (int)latent, kv_b + nope * latent, (int)latent, 0.0f, values, (int)value);
    attention_head run = {
        .q = job->workspace->query + head * key, .q_stride = heads * key,
        .k = keys, .k_stride = key, .v = values, .v_stride = value,
        .out = job->workspace->heads_out + head * value, .out_stride = heads * value,
        .depth = key, .value_depth = value, .first = job->first, .rows = job->count,
        .scale = config->score_scale, .scores = scores};
    attention_head_run(job->compute->kernels, &run);
}

/* One head of one position, absorbed: the query goes to the latents instead. */
static void absorbed_row(const latent_job *job, size_t head, size_t row, const float *kv_b,
                         float *space)
{
    const language_config *config = job->workspace->config;
    const kernels *k = job->compute->kernels;
    size_t latent = (size_t)config->latent_rank, rope = (size_t)config->rope_width;
    size_t nope = (size_t)config->nope_width, value = (size_t)config->value_width;
    size_t heads = (size_t)config->heads, visible = job->first + row + 1;
    const float *latents = kvcache_first(job->cache, job->layer);
    const float *shared = kvcache_second(job->cache, job->layer);
    const float *query = job->workspace->query + (row * heads + head) * (nope + rope);
    float *moved = space, *mixed = moved + latent, *scores = mixed + latent;
    memset(moved, 0, latent * sizeof(float));
    for (size_t i = 0; i < nope; i++) {
        k->axpy_f32(query[i], kv_b + i * latent, moved, latent);
    }
    k->matmul_few_f32(latents, latent, visible, latent, moved, latent, 1, scores, visible);
    for (size_t i = 0; i < visible; i++) {
        scores[i] += k->dot_f32(shared + i * rope, query + nope, rope);
    }
    k->softmax(scores, visible, config->score_scale);
    memset(mixed, 0, latent * sizeof(float));
    for (size_t i = 0; i < visible; i++) {
        k->axpy_f32(scores[i], latents + i * latent, mixed, latent);
    }
    k->matmul_few_f32(kv_b + nope * latent, latent, value, latent, mixed, latent, 1,
                      job->workspace->heads_out + (row * heads + head) * value, value);
}

static void absorbed_task(void *context, size_t head, int worker)
{
    const latent_job *job = context;
    const language_config *config = job->workspace->config;
    float *kv_b = compute_scratch(job->compute, worker);
    float *space = kv_b + (size_t)(config->nope_width + config->value_width) *
                              (size_t)config->latent_rank;
    widen_head(job, head, kv_b);
    for (size_t row = 0; row < job->count; row++) {
        absorbed_row(job, head, row, kv_b, space);
    }
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

static void project_queries(const latent_job *job, const float *x)
{
    const attention_workspace *workspace = job->workspace;
    const language_config *config = workspace->config;
    const attention_weights *weights = job->weights;
    size_t hidden = (size_t)config->hidden, rank = (size_t)config->query_rank;
    size_t width = (size_t)config->heads * (size_t)(config->nope_width + config->rope_width);
    if (rank == 0) {
        linear_run(job->compute,
                   &(linear_call){.w = weights->query, .x = x, .x_stride = hidden,
                                  .y = workspace->query, .y_stride = width, .rows = job->count});
        return;
    }
    linear_run(job->compute,
               &(linear_call){.w = weights->query_a, .bias = weights->query_a_bias, .x = x,
                              .x_stride = hidden, .y = workspace->bottleneck, .y_stride = rank,
                              .rows = job->count});
    weight_widen(job->compute->kernels, weights->query_a_norm, 0, rank, workspace->norm_weight);
    team_run(&job->compute->team, job->count, norm_rows_task, (void *)job);
    linear_run(job->compute,
               &(linear_call){.w = weights->query_b, .x = workspace->bottleneck, .x_stride = rank,
                              .y = workspace->query, .y_stride = width, .rows = job->count});
}

void attention_run_latent(const compute *compute, attention_workspace *workspace,
                          const attention_weights *weights, const kvcache *cache, int layer,
                          const float *x, size_t first, size_t count)
{
    const language_config *config = workspace->config;
    latent_job job = {compute, workspace, weights, cache, layer, first, count};
    size_t latent = (size_t)config->latent_rank;
    project_queries(&job, x);
    linear_run(compute, &(linear_call){.w = weights->kv_a, .bias = weights->kv_a_bias, .x = x,
                                       .x_stride = (size_t)config->hidden, .y = workspace->key,
                                       .y_stride = latent + (size_t)config->rope_width,
                                       .rows = count});
    weight_widen(compute->kernels, weights->kv_a_norm, 0, latent, workspace->norm_weight);
    team_run(&compute->team, count, store_task, &job);
    stage_mark(compute->stages, STAGE_PROJECTIONS);
    compute_observe(compute, weights->kv_b, kvcache_first(cache, layer) + first * latent, latent,
                    count);
    team_run(&compute->team, (size_t)config->heads,
             count >= ATTENTION_EXPAND ? expanded_task : absorbed_task, &job);
    stage_mark(compute->stages, STAGE_ATTENTION);
}
