/* Multi-head attention (grouped where kv_heads < heads), transformers 4.38.2 LlamaAttention. */
#include "model/attention.h"

#include "model/linear.h"

typedef struct multi_head_job {
    const compute *compute;
    const attention_workspace *workspace;
    const kvcache *cache;
    int layer;
    size_t first, count;
} multi_head_job;

/* Some positions: rotates their queries and keys in place, and stores keys and values. */
static void store_task(void *context, size_t task, int worker)
{
    const multi_head_job *job = context;
    const language_config *config = job->workspace->config;
    const kernels *k = job->compute->kernels;
    size_t depth = (size_t)config->head_width, heads = (size_t)config->heads;
    size_t kv_heads = (size_t)config->kv_heads, start = task * ATTENTION_STORE;
    size_t end = job->count - start < ATTENTION_STORE ? job->count : start + ATTENTION_STORE;
    for (size_t row = start; row < end; row++) {
        const float *cosines = rope_cosines(job->workspace->rope, job->first + row);
        const float *sines = rope_sines(job->workspace->rope, job->first + row);
        float *query = job->workspace->query + row * (size_t)config->hidden;
        for (size_t head = 0; head < heads; head++) {
            k->rope_half(query + head * depth, cosines, sines, depth);
        }
        for (size_t head = 0; head < kv_heads; head++) {
            float *key = job->workspace->key + (row * kv_heads + head) * depth;
            k->rope_half(key, cosines, sines, depth);
            kvcache_store(job->cache, k, job->layer, head, job->first + row, key,
                          job->workspace->value + (row * kv_heads + head) * depth,
                          compute_scratch(job->compute, worker));
        }
    }
}

/* Queries, keys and values of the chunk. */
static void project(const multi_head_job *job, const attention_weights *weights, const float *x)
{
    const attention_workspace *workspace = job->workspace;
    size_t hidden = (size_t)workspace->config->hidden;
    size_t kv_width =
        (size_t)workspace->config->kv_heads * (size_t)workspace->config->head_width;
    const linear_call calls[] = {
        {.w = weights->query, .bias = weights->query_bias, .x = x, .x_stride = hidden,
         .y = workspace->query, .y_stride = hidden, .rows = job->count},
        {.w = weights->key, .bias = weights->key_bias, .x = x, .x_stride = hidden,
         .y = workspace->key, .y_stride = kv_width, .rows = job->count},
        {.w = weights->value, .bias = weights->value_bias, .x = x, .x_stride = hidden,
         .y = workspace->value, .y_stride = kv_width, .rows = job->count},
    };
    linear_run_group(job->compute, calls, sizeof(calls) / sizeof(calls[0]));
}

void attention_run_multi_head(const compute *compute, attention_workspace *workspace,
                              const attention_weights *weights, const kvcache *cache, int layer,
                              const float *x, size_t first, size_t count)
{
    const language_config *config = workspace->config;
    size_t kv_heads = (size_t)config->kv_heads, depth = (size_t)config->head_width;
    multi_head_job job = {compute, workspace, cache, layer, first, count};
    project(&job, weights, x);
    stage_mark(compute->stages, STAGE_PROJECTIONS);
    team_run(&compute->team, attention_store_tasks(count), store_task, &job);
    attention_core_run(&(attention_core){
        .compute = compute, .cache = cache, .layer = layer, .query = workspace->query,
        .out = workspace->heads_out, .partial = workspace->partial, .kv_heads = kv_heads,
        .group = (size_t)config->heads / kv_heads, .depth = depth, .value_depth = depth,
        .first = first, .count = count, .scale = config->score_scale,
        .rounded = linear_is_packed(weights->key)});
    stage_mark(compute->stages, STAGE_ATTENTION);
}
