/* Multi-head attention (grouped where kv_heads < heads), transformers 4.38.2 LlamaAttention. */
#include "model/attention.h"

#include "model/linear.h"

#include <string.h>

typedef struct multi_head_job {
    const compute *compute;
    const attention_workspace *workspace;
    const kvcache *cache;
    int layer;
    size_t first, count;
} multi_head_job;

/* One position: rotates its queries in place, and its keys on their way into the cache. */
static void rotate_task(void *context, size_t task, int worker)
{
    (void)worker;
    const multi_head_job *job = context;
    const language_config *config = job->workspace->config;
    const kernels *k = job->compute->kernels;
    size_t depth = (size_t)config->head_width, position = job->first + task;
    const float *cosines = rope_cosines(job->workspace->rope, position);
    const float *sines = rope_sines(job->workspace->rope, position);
    float *query = job->workspace->query + task * (size_t)config->hidden;
    for (size_t head = 0; head < (size_t)config->heads; head++) {
        k->rope_half(query + head * depth, cosines, sines, depth);
    }
    size_t kv_heads = (size_t)config->kv_heads;
    for (size_t head = 0; head < kv_heads; head++) {
        size_t from = (task * kv_heads + head) * depth;
        size_t to = (head * job->cache->positions + position) * depth;
        float *key = kvcache_first(job->cache, job->layer) + to;
        memcpy(key, job->workspace->key + from, depth * sizeof(float));
        k->rope_half(key, cosines, sines, depth);
        memcpy(kvcache_second(job->cache, job->layer) + to, job->workspace->value + from,
               depth * sizeof(float));
    }
}

static void head_task(void *context, size_t task, int worker)
{
    const multi_head_job *job = context;
    const language_config *config = job->workspace->config;
    size_t depth = (size_t)config->head_width, hidden = (size_t)config->hidden;
    size_t kv_head = task * (size_t)config->kv_heads / (size_t)config->heads;
    size_t plane = kv_head * job->cache->positions * depth;
    attention_head head = {
        .q = job->workspace->query + task * depth, .q_stride = hidden,
        .k = kvcache_first(job->cache, job->layer) + plane, .k_stride = depth,
        .v = kvcache_second(job->cache, job->layer) + plane, .v_stride = depth,
        .out = job->workspace->heads_out + task * depth, .out_stride = hidden,
        .depth = depth, .value_depth = depth, .first = job->first, .rows = job->count,
        .scale = config->score_scale, .scores = compute_scratch(job->compute, worker)};
    attention_head_run(job->compute->kernels, &head);
}

void attention_run_multi_head(const compute *compute, attention_workspace *workspace,
                              const attention_weights *weights, const kvcache *cache, int layer,
                              const float *x, size_t first, size_t count)
{
    const language_config *config = workspace->config;
    size_t hidden = (size_t)config->hidden;
    size_t kv_width = (size_t)config->kv_heads * (size_t)config->head_width;
    linear_run(compute, &(linear_call){.w = weights->query, .bias = weights->query_bias, .x = x,
                                       .x_stride = hidden, .y = workspace->query,
                                       .y_stride = hidden, .rows = count});
    linear_run(compute, &(linear_call){.w = weights->key, .bias = weights->key_bias, .x = x,
                                       .x_stride = hidden, .y = workspace->key,
                                       .y_stride = kv_width, .rows = count});
    linear_run(compute, &(linear_call){.w = weights->value, .bias = weights->value_bias, .x = x,
                                       .x_stride = hidden, .y = workspace->value,
                                       .y_stride = kv_width, .rows = count});
    stage_mark(compute->stages, STAGE_PROJECTIONS);
    multi_head_job job = {compute, workspace, cache, layer, first, count};
    team_run(&compute->team, count, rotate_task, &job);
    team_run(&compute->team, (size_t)config->heads, head_task, &job);
    stage_mark(compute->stages, STAGE_ATTENTION);
}
