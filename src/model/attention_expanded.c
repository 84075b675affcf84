/* Latent attention, expanded: ordinary attention with keys and values that are made from the
 * latents. A task is a head: it makes those of some blocks of positions in scratch, once for all
 * queries of the chunk, which see them part by part. Blocks and parts are as large as the second
 * cache holds together. With packed weights the latents take part in int8, like the inputs of all
 * products of many rows: they are quantized once for all heads. */
#include "model/attention.h"

#include <string.h>

#define PART_QUERIES 128
#define PART_BLOCKS  4 /* of ATTENTION_KEYS positions */

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
    size_t parts = (chunk + PART_QUERIES - 1) / PART_QUERIES;
    return head_rows * kv_stride(config) + PART_BLOCKS * ATTENTION_KEYS * (key + value) +
           kvcache_scratch(cache) + parts * attention_state_floats(PART_QUERIES, key, value);
}

/* One head, and the places of its parts in scratch. */
typedef struct expanded_head {
    const latent_job *job;
    size_t head, nope, rope, value, latent;
    bool packed; /* keys and values are [64, width] instead of [width, 64] */
    float *kv_b, *keys, *values, *latents, *states;
} expanded_head;

static expanded_head open_head(const latent_job *job, size_t head, float *scratch)
{
    const language_config *config = job->workspace->config;
    expanded_head h = {.job = job, .head = head, .nope = (size_t)config->nope_width,
                       .rope = (size_t)config->rope_width,
                       .value = (size_t)config->value_width,
                       .latent = (size_t)config->latent_rank,
                       .packed = attention_kv_is_packed(job), .kv_b = scratch};
    h.keys = h.kv_b + (h.nope + h.value) * kv_stride(config);
    h.values = h.keys + PART_BLOCKS * ATTENTION_KEYS * (h.nope + h.rope);
    h.latents = h.values + PART_BLOCKS * ATTENTION_KEYS * h.value;
    h.states = h.latents + kvcache_scratch(job->cache);
    return h;
}

/* ------------------------------------------------------------------------------ packed weights */

/* The latent of a position in int8, and at the end of its bytes the rotated key, in floats. */
static size_t latent_bytes(const language_config *config)
{
    return activation_size((size_t)config->latent_rank +
                           (size_t)config->rope_width * sizeof(float));
}

vl2_status attention_expanded_reserve(compute *compute, const kvcache *cache,
                                      const language_config *config, vl2_error *error)
{
    return compute_reserve_rows(compute, cache->blocks * ATTENTION_KEYS,
                                (size_t)config->latent_rank +
                                    (size_t)config->rope_width * sizeof(float),
                                error);
}

static uint8_t *latent_of(const latent_job *job, size_t position)
{
    return job->compute->quantized + position * latent_bytes(job->workspace->config);
}

static const uint8_t *rotated_of(const latent_job *job, size_t position)
{
    return latent_of(job, position + 1) -
           (size_t)job->workspace->config->rope_width * sizeof(float);
}

static void quantize_task(void *context, size_t block, int worker)
{
    const latent_job *job = context;
    const kernels *k = job->compute->kernels;
    const size_t latent = (size_t)job->workspace->config->latent_rank;
    const size_t rope = (size_t)job->workspace->config->rope_width;
    float *row = compute_scratch(job->compute, worker), *scratch = row + job->cache->depth;
    size_t first = block * ATTENTION_KEYS;
    size_t count = smaller(job->first + job->count - first, ATTENTION_KEYS);
    attention_tile tile, same;
    kvcache_read(job->cache, k, job->layer, 0, block, scratch, &tile, &same);
    for (size_t p = 0; p < count; p++) {
        for (size_t i = 0; i < latent + rope; i++) {
            row[i] = tile.data[i * ATTENTION_KEYS + p];
        }
        k->quantize_activations(row, latent, latent_of(job, first + p));
        memcpy((void *)rotated_of(job, first + p), row + latent, rope * sizeof(float));
    }
}

/* Keys [nope + rope] and values [value] of positions from `start` on. */
static void expand_packed(const expanded_head *h, size_t start, size_t count)
{
    const latent_job *job = h->job;
    const packed_matrix *kv_b = &job->weights->kv_b->packed;
    size_t row = h->head * (h->nope + h->value), key = h->nope + h->rope;
    size_t stride = latent_bytes(job->workspace->config);
    const uint8_t *latents = latent_of(job, start);
    job->compute->kernels->matmul_packed_many(kv_b, row, h->nope, latents, stride, count, h->keys,
                                              key);
    job->compute->kernels->matmul_packed_many(kv_b, row + h->nope, h->value, latents, stride,
                                              count, h->values, h->value);
    for (size_t p = 0; p < count; p++) {
        memcpy(h->keys + p * key + h->nope, rotated_of(job, start + p), h->rope * sizeof(float));
    }
}

/* ------------------------------------------------------------------------------- plain weights */

/* Keys [nope + rope, 64] and values [value, 64] of a block of positions, the place-th of those in
 * scratch. */
static void expand_block(const expanded_head *h, size_t block, size_t place)
{
    const kernels *k = h->job->compute->kernels;
    float *keys = h->keys + place * ATTENTION_KEYS * (h->nope + h->rope);
    attention_tile tile, same;
    kvcache_read(h->job->cache, k, h->job->layer, 0, block, h->latents, &tile, &same);
    product_call call = {.a = h->kv_b, .a_row = kv_stride(h->job->workspace->config),
                         .a_column = 1, .b = tile.data, .b_stride = ATTENTION_KEYS, .c = keys,
                         .c_stride = ATTENTION_KEYS, .rows = h->nope, .columns = ATTENTION_KEYS,
                         .k = h->latent};
    k->product_f32(&call);
    memcpy(keys + h->nope * ATTENTION_KEYS, tile.data + h->latent * ATTENTION_KEYS,
           h->rope * ATTENTION_KEYS * sizeof(float));
    call.a += h->nope * call.a_row;
    call.c = h->values + place * ATTENTION_KEYS * h->value;
    call.rows = h->value;
    k->product_f32(&call);
}

/* ------------------------------------------------------------------------------------ the head */

/* The positions from `start` on, up to PART_BLOCKS blocks. */
static void expand(const expanded_head *h, size_t start)
{
    size_t count = smaller(h->job->first + h->job->count - start, PART_BLOCKS * ATTENTION_KEYS);
    if (h->packed) {
        expand_packed(h, start, count);
        return;
    }
    for (size_t p = 0; p < count; p += ATTENTION_KEYS) {
        expand_block(h, (start + p) / ATTENTION_KEYS, p / ATTENTION_KEYS);
    }
}

static attention_tile tile_of(const expanded_head *h, const float *tiles, size_t width,
                              size_t place)
{
    tiles += place * ATTENTION_KEYS * width;
    return h->packed ? (attention_tile){tiles, width, 1, NULL}
                     : (attention_tile){tiles, 1, ATTENTION_KEYS, NULL};
}

/* Queries from `row` on, up to PART_QUERIES, in a state of their own. */
static attention_state part_state(const expanded_head *h, size_t row)
{
    size_t key = h->nope + h->rope;
    return (attention_state){
        smaller(h->job->count - row, PART_QUERIES), key, h->value, false,
        h->states + row / PART_QUERIES * attention_state_floats(PART_QUERIES, key, h->value),
        h->packed};
}

static void begin_part(const expanded_head *h, size_t row)
{
    const latent_job *job = h->job;
    const language_config *config = job->workspace->config;
    attention_state state = part_state(h, row);
    size_t width = (size_t)config->heads * state.depth;
    attention_queries queries = {.q = job->workspace->query + row * width + h->head * state.depth,
                                 .rows = state.queries, .heads = 1, .row_stride = width,
                                 .scale = config->score_scale};
    job->compute->kernels->attention_begin(&state, &queries);
}

/* The queries of a part see the blocks from position `start` on that are in scratch. */
static void step_part(const expanded_head *h, size_t row, size_t start)
{
    const latent_job *job = h->job;
    attention_state state = part_state(h, row);
    size_t seen = job->first + row + state.queries;
    for (size_t place = 0; place < PART_BLOCKS && start < seen; place++, start += ATTENTION_KEYS) {
        attention_tile keys = tile_of(h, h->keys, h->nope + h->rope, place);
        attention_tile values = tile_of(h, h->values, h->value, place);
        job->compute->kernels->attention_step(
            &state, &keys, &values, smaller(seen - start, ATTENTION_KEYS),
            (ptrdiff_t)(job->first + row + 1) - (ptrdiff_t)start, 1);
    }
}

static void end_part(const expanded_head *h, size_t row)
{
    const latent_job *job = h->job;
    size_t width = (size_t)job->workspace->config->heads * h->value;
    attention_state state = part_state(h, row);
    job->compute->kernels->attention_end(
        &state, 1, job->workspace->heads_out + row * width + h->head * h->value, width, 0);
}

static void expanded_task(void *context, size_t head, int worker)
{
    const latent_job *job = context;
    expanded_head h = open_head(job, head, compute_scratch(job->compute, worker));
    size_t rows = h.nope + h.value, seen = job->first + job->count;
    if (!h.packed) {
        attention_kv_rows(job, head * rows, rows, h.kv_b, kv_stride(job->workspace->config));
    }
    for (size_t row = 0; row < job->count; row += PART_QUERIES) {
        begin_part(&h, row);
    }
    for (size_t start = 0; start < seen; start += PART_BLOCKS * ATTENTION_KEYS) {
        expand(&h, start);
        for (size_t row = 0; row < job->count; row += PART_QUERIES) {
            step_part(&h, row, start);
        }
    }
    for (size_t row = 0; row < job->count; row += PART_QUERIES) {
        end_part(&h, row);
    }
}

void attention_run_expanded(latent_job *job)
{
    const team *team = &job->compute->team;
    if (attention_kv_is_packed(job)) {
        size_t seen = job->first + job->count;
        team_run(team, (seen + ATTENTION_KEYS - 1) / ATTENTION_KEYS, quantize_task, job);
    }
    team_run(team, (size_t)job->workspace->config->heads, expanded_task, job);
}
