/* Latent attention, absorbed: a query q of a head meets the latents themselves as K^T q, and what
 * is mixed of the latents goes through V. All heads share the latents as keys and as values, so
 * that one pass over the cache serves them all. */
#include "model/attention.h"

#include "model/linear.h"

#include <string.h>

#define KV_ROWS 32 /* of kv_b, widened at once: they stay in the nearest caches */

static size_t smaller(size_t a, size_t b)
{
    return a < b ? a : b;
}

size_t attention_absorbed_scratch(const language_config *config)
{
    size_t latent = (size_t)config->latent_rank;
    size_t widened = KV_ROWS * latent;
    size_t quantized = ATTENTION_PASS * activation_size(latent) / sizeof(float);
    return widened > quantized ? widened : quantized;
}

/* One head: its queries of the pass into the space of the latents. */
static void move_task(void *context, size_t head, int worker)
{
    const latent_job *job = context;
    const language_config *config = job->workspace->config;
    size_t latent = (size_t)config->latent_rank, rope = (size_t)config->rope_width;
    size_t nope = (size_t)config->nope_width, heads = (size_t)config->heads;
    size_t from_stride = heads * (nope + rope), to_stride = heads * (latent + rope);
    const float *from =
        job->workspace->query + job->start * from_stride + head * (nope + rope);
    float *to = job->workspace->absorbed + head * (latent + rope);
    float *kv_b = compute_scratch(job->compute, worker);
    for (size_t first = 0; first < nope; first += KV_ROWS) {
        size_t count = smaller(nope - first, KV_ROWS);
        attention_kv_rows(job, head * (nope + (size_t)config->value_width) + first, count, kv_b,
                          latent);
        job->compute->kernels->product_f32(
            &(product_call){.a = from + first, .a_row = from_stride, .a_column = 1, .b = kv_b,
                            .b_stride = latent, .c = to, .c_stride = to_stride,
                            .rows = job->rows, .columns = latent, .k = count, .add = first > 0});
    }
    for (size_t row = 0; row < job->rows; row++) {
        memcpy(to + row * to_stride + latent, from + row * from_stride + nope,
               rope * sizeof(float));
    }
}

/* One head of packed weights: results from what was mixed of the latents, in int8. Always by the
 * product of few rows, so that they do not depend on the pass. */
static void packed_result_task(void *context, size_t head, int worker)
{
    const latent_job *job = context;
    const language_config *config = job->workspace->config;
    const kernels *k = job->compute->kernels;
    size_t latent = (size_t)config->latent_rank, heads = (size_t)config->heads;
    size_t nope = (size_t)config->nope_width, value = (size_t)config->value_width;
    size_t bytes = activation_size(latent);
    uint8_t *quantized = (uint8_t *)compute_scratch(job->compute, worker);
    for (size_t row = 0; row < job->rows; row++) {
        k->quantize_activations(job->workspace->mixed + (row * heads + head) * latent, latent,
                                quantized + row * bytes);
    }
    k->matmul_packed(&job->weights->kv_b->packed, head * (nope + value) + nope, value, quantized,
                     bytes, job->rows,
                     job->workspace->heads_out + (job->start * heads + head) * value,
                     heads * value);
}

/* One head: results from what was mixed of the latents. */
static void result_task(void *context, size_t head, int worker)
{
    const latent_job *job = context;
    const language_config *config = job->workspace->config;
    size_t latent = (size_t)config->latent_rank, heads = (size_t)config->heads;
    size_t nope = (size_t)config->nope_width, value = (size_t)config->value_width;
    const float *mixed = job->workspace->mixed + head * latent;
    float *to = job->workspace->heads_out + (job->start * heads + head) * value;
    float *kv_b = compute_scratch(job->compute, worker);
    for (size_t first = 0; first < value; first += KV_ROWS) {
        size_t count = smaller(value - first, KV_ROWS);
        attention_kv_rows(job, head * (nope + value) + nope + first, count, kv_b, latent);
        job->compute->kernels->matmul_few_f32(kv_b, latent, count, latent, mixed, heads * latent,
                                              job->rows, to + first, heads * value);
    }
}

void attention_run_absorbed(latent_job *job)
{
    const attention_workspace *workspace = job->workspace;
    const language_config *config = workspace->config;
    size_t heads = (size_t)config->heads;
    for (job->start = 0; job->start < job->count; job->start += job->rows) {
        job->rows = smaller(job->count - job->start, smaller(ATTENTION_PASS, workspace->chunk));
        team_run(&job->compute->team, heads, move_task, job);
        attention_core_run(&(attention_core){
            .compute = job->compute, .cache = job->cache, .layer = job->layer,
            .query = workspace->absorbed, .out = workspace->mixed, .partial = workspace->partial,
            .kv_heads = 1, .group = heads, .depth = job->cache->depth,
            .value_depth = job->cache->latent, .first = job->first + job->start,
            .count = job->rows, .scale = config->score_scale});
        team_run(&job->compute->team, heads,
                 attention_kv_is_packed(job) ? packed_result_task : result_task, job);
    }
}
