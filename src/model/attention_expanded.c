/* Latent attention, expanded: ordinary attention with keys and values that are made from the
 * latents. A task is a head: it makes those of a block of positions in scratch, once for all
 * queries of the chunk. */
#include "model/attention.h"

#include <string.h>

static size_t smaller(size_t a, size_t b)
{
    return a < b ? a : b;
}

/* Rows of kv_b stand this far apart: not a power of two, of which a cache could hold few. */
static size_t kv_stride(const language_config *config)
{
    return (size_t)config->latent_rank + 16;
}

size_t attention_expanded_scratch(const kvcache *cache, const language_config *config,
                                  size_t chunk)
{
    size_t key = (size_t)(config->nope_width + config->rope_width);
    size_t value = (size_t)config->value_width;
    size_t head_rows = (size_t)config->nope_width + value;
    return head_rows * kv_stride(config) + ATTENTION_KEYS * (key + value) +
           kvcache_scratch(cache) + 2 * attention_state_floats(chunk, key, value);
}

/* One head, and the places of its parts in scratch. */
typedef struct expanded_head {
    const latent_job *job;
    size_t head, nope, rope, value, latent;
    float *kv_b, *keys, *values, *latents;
} expanded_head;

/* Keys [nope + rope, 64] and values [value, 64] of a block of positions. */
static void expand_block(const expanded_head *h, size_t block)
{
    const kernels *k = h->job->compute->kernels;
    attention_tile tile, same;
    kvcache_read(h->job->cache, k, h->job->layer, 0, block, h->latents, &tile, &same);
    product_call call = {.a = h->kv_b, .a_row = kv_stride(h->job->workspace->config),
                         .a_column = 1, .b = tile.data, .b_stride = ATTENTION_KEYS,
                         .c = h->keys, .c_stride = ATTENTION_KEYS, .rows = h->nope,
                         .columns = ATTENTION_KEYS, .k = h->latent};
    k->product_f32(&call);
    memcpy(h->keys + h->nope * ATTENTION_KEYS, tile.data + h->latent * ATTENTION_KEYS,
           h->rope * ATTENTION_KEYS * sizeof(float));
    call.a += h->nope * call.a_row;
    call.c = h->values;
    call.rows = h->value;
    k->product_f32(&call);
}

/* From the first block on, or for another span with the queries that the state has. */
static void begin(const expanded_head *h, const attention_state *state, bool again)
{
    const latent_job *job = h->job;
    const language_config *config = job->workspace->config;
    size_t width = (size_t)config->heads * state->depth;
    attention_queries queries = {.q = job->workspace->query + h->head * state->depth,
                                 .rows = job->count, .heads = 1, .row_stride = width,
                                 .scale = config->score_scale};
    job->compute->kernels->attention_begin(state, again ? NULL : &queries);
}

static void run_span(const expanded_head *h, const attention_state *state, size_t span)
{
    const latent_job *job = h->job;
    size_t seen = job->first + job->count, limit = smaller(seen, (span + 1) * ATTENTION_SPAN);
    for (size_t start = span * ATTENTION_SPAN; start < limit; start += ATTENTION_KEYS) {
        attention_tile keys = {h->keys, 1, ATTENTION_KEYS};
        attention_tile values = {h->values, 1, ATTENTION_KEYS};
        expand_block(h, start / ATTENTION_KEYS);
        job->compute->kernels->attention_step(
            state, &keys, &values, smaller(seen - start, ATTENTION_KEYS),
            (ptrdiff_t)(job->first + 1) - (ptrdiff_t)start, 1);
    }
}

static void expanded_task(void *context, size_t head, int worker)
{
    const latent_job *job = context;
    const language_config *config = job->workspace->config;
    const kernels *k = job->compute->kernels;
    expanded_head h = {.job = job, .head = head, .nope = (size_t)config->nope_width,
                       .rope = (size_t)config->rope_width,
                       .value = (size_t)config->value_width,
                       .latent = (size_t)config->latent_rank};
    size_t rows = h.nope + h.value, key = h.nope + h.rope, heads = (size_t)config->heads;
    size_t floats = attention_state_floats(job->count, key, h.value);
    h.kv_b = compute_scratch(job->compute, worker);
    h.keys = h.kv_b + rows * kv_stride(config);
    h.values = h.keys + key * ATTENTION_KEYS;
    h.latents = h.values + h.value * ATTENTION_KEYS;
    attention_state total = {job->count, key, h.value, false,
                             h.latents + kvcache_scratch(job->cache)};
    attention_state next = total;
    next.memory += floats;
    attention_kv_rows(job, head * rows, rows, h.kv_b, kv_stride(config));
    begin(&h, &total, false);
    run_span(&h, &total, 0);
    for (size_t span = 1; span * ATTENTION_SPAN < job->first + job->count; span++) {
        begin(&h, &next, span > 1);
        run_span(&h, &next, span);
        k->attention_fold(&total, &next);
    }
    k->attention_end(&total, 1, job->workspace->heads_out + head * h.value, heads * h.value, 0);
}

void attention_run_expanded(latent_job *job)
{
    team_run(&job->compute->team, (size_t)job->workspace->config->heads, expanded_task, job);
}
