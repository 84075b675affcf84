#include "model/kvcache.h"

#include "base/alloc.h"
#include "base/tensor.h"

#include <string.h>

static vl2_kv_type resolve(vl2_kv_type type)
{
    return type == VL2_KV_DEFAULT ? VL2_KV_F32 : type;
}

static size_t number_bytes(vl2_kv_type type)
{
    return type == VL2_KV_F32 ? 4 : type == VL2_KV_INT8 ? 1 : 2;
}

/* Scales of a key. */
static size_t key_runs(const kvcache *cache)
{
    return activation_runs(cache->latent) + activation_runs(cache->depth - cache->latent);
}

/* Bytes of one position of one head. */
static size_t position_bytes(const kvcache *cache)
{
    size_t scales = cache->type != VL2_KV_INT8
                        ? 0
                        : key_runs(cache) + activation_runs(cache->value_depth);
    return (cache->depth + cache->value_depth) * number_bytes(cache->type) +
           scales * sizeof(float);
}

/* All but the memory. */
static void shape_of(const language_config *config, vl2_kv_type type, kvcache *cache)
{
    *cache = (kvcache){.type = resolve(type), .layers = (size_t)config->layers};
    if (config->latent_attention) {
        cache->heads = 1;
        cache->latent = (size_t)config->latent_rank;
        cache->depth = cache->latent + (size_t)config->rope_width;
    } else {
        cache->heads = (size_t)config->kv_heads;
        cache->depth = cache->value_depth = (size_t)config->head_width;
    }
    cache->block_bytes = position_bytes(cache) * ATTENTION_KEYS;
}

size_t kvcache_token_bytes(const language_config *config, vl2_kv_type type)
{
    kvcache cache;
    shape_of(config, type, &cache);
    return position_bytes(&cache) * cache.heads * cache.layers;
}

vl2_status kvcache_open(const language_config *config, vl2_kv_type type, size_t positions,
                        kvcache *cache, vl2_error *error)
{
    shape_of(config, type, cache);
    cache->positions = positions;
    cache->blocks = (positions + ATTENTION_KEYS - 1) / ATTENTION_KEYS;
    size_t planes = cache->layers * cache->heads * cache->blocks;
    /* calloc of this size is a fresh mapping: pages cost memory when they are written. */
    cache->memory = base_calloc(planes, cache->block_bytes);
    if (cache->memory == NULL) {
        return vl2_fail_memory(error, "the KV cache", planes * cache->block_bytes);
    }
    return VL2_OK;
}

void kvcache_close(kvcache *cache)
{
    base_free(cache->memory);
    cache->memory = NULL;
}

size_t kvcache_memory(const kvcache *cache)
{
    return cache->layers * cache->heads * cache->blocks * cache->block_bytes;
}

size_t kvcache_scratch(const kvcache *cache)
{
    size_t row = activation_size(cache->depth) / sizeof(float) + 16;
    size_t tiles = ATTENTION_KEYS * (cache->depth + cache->value_depth);
    return tiles > row ? tiles : row;
}

static unsigned char *block_of(const kvcache *cache, int layer, size_t head, size_t block)
{
    size_t plane = ((size_t)layer * cache->heads + head) * cache->blocks + block;
    return cache->memory + plane * cache->block_bytes;
}

/* Where the parts of a block lie. */
typedef struct block_parts {
    unsigned char *keys, *values;
    float *key_scales, *value_scales;
} block_parts;

static block_parts parts_of(const kvcache *cache, unsigned char *block)
{
    size_t bytes = number_bytes(cache->type) * ATTENTION_KEYS;
    block_parts parts = {.keys = block, .values = block + cache->depth * bytes};
    parts.key_scales =
        (float *)(void *)(block + (cache->depth + cache->value_depth) * bytes);
    parts.value_scales = parts.key_scales + key_runs(cache) * ATTENTION_KEYS;
    return parts;
}

/* `count` numbers in int8: codes `stride` bytes apart, scales `scale_stride` floats. */
static void store_bytes(const kernels *kernels, const float *x, size_t count, void *row,
                        unsigned char *codes, size_t stride, float *scales, size_t scale_stride)
{
    kernels->quantize_activations(x, count, row);
    const int8_t *from = activation_codes(row);
    const float *from_scales = activation_scales(row, count);
    for (size_t i = 0; i < count; i++) {
        codes[i * stride] = (unsigned char)from[i];
    }
    for (size_t i = 0; i < activation_runs(count); i++) {
        scales[i * scale_stride] = from_scales[i];
    }
}

static void store_int8(const kvcache *cache, const kernels *kernels, const block_parts *parts,
                       size_t slot, const float *key, const float *value, void *row)
{
    size_t latent = cache->latent, runs = activation_runs(latent);
    store_bytes(kernels, key, latent, row, parts->keys + slot, ATTENTION_KEYS,
                parts->key_scales + slot, ATTENTION_KEYS);
    store_bytes(kernels, key + latent, cache->depth - latent, row,
                parts->keys + latent * ATTENTION_KEYS + slot, ATTENTION_KEYS,
                parts->key_scales + runs * ATTENTION_KEYS + slot, ATTENTION_KEYS);
    if (cache->value_depth > 0) {
        store_bytes(kernels, value, cache->value_depth, row,
                    parts->values + slot * cache->value_depth, 1,
                    parts->value_scales + slot * activation_runs(cache->value_depth), 1);
    }
}

/* Keys of one position, from [depth] numbers of `size` bytes into a column of the block. */
static void scatter(const unsigned char *from, size_t count, size_t size, unsigned char *to)
{
    if (size == 4) {
        for (size_t i = 0; i < count; i++) {
            memcpy(to + i * 4 * ATTENTION_KEYS, from + 4 * i, 4);
        }
    } else {
        for (size_t i = 0; i < count; i++) {
            memcpy(to + i * 2 * ATTENTION_KEYS, from + 2 * i, 2);
        }
    }
}

void kvcache_store(const kvcache *cache, const kernels *kernels, int layer, size_t head,
                   size_t position, const float *key, const float *value, float *scratch)
{
    block_parts parts =
        parts_of(cache, block_of(cache, layer, head, position / ATTENTION_KEYS));
    size_t slot = position % ATTENTION_KEYS, size = number_bytes(cache->type);
    if (cache->type == VL2_KV_INT8) {
        store_int8(cache, kernels, &parts, slot, key, value, scratch);
        return;
    }
    data_type type = cache->type == VL2_KV_F32    ? DATA_F32
                     : cache->type == VL2_KV_BF16 ? DATA_BF16
                                                  : DATA_F16;
    numbers_narrow(key, cache->depth, type, scratch);
    scatter((const unsigned char *)scratch, cache->depth, size, parts.keys + slot * size);
    if (cache->value_depth > 0) {
        numbers_narrow(value, cache->value_depth, type,
                       parts.values + slot * cache->value_depth * size);
    }
}

static void widen_keys_int8(const kvcache *cache, const kernels *kernels,
                            const block_parts *parts, float *out)
{
    const float *scales = parts->key_scales;
    for (size_t first = 0; first < cache->depth; scales += ATTENTION_KEYS) {
        size_t limit = first < cache->latent ? cache->latent : cache->depth;
        size_t rows = limit - first < ACTIVATION_GROUP ? limit - first : ACTIVATION_GROUP;
        kernels->widen_int8((const int8_t *)parts->keys + first * ATTENTION_KEYS, scales, 0, 1,
                            rows, ATTENTION_KEYS, out + first * ATTENTION_KEYS);
        first += rows;
    }
}

static void widen_values_int8(const kvcache *cache, const kernels *kernels,
                              const block_parts *parts, float *out)
{
    size_t depth = cache->value_depth, runs = activation_runs(depth);
    const int8_t *codes = (const int8_t *)parts->values;
    if (runs == 1) {
        kernels->widen_int8(codes, parts->value_scales, 1, 0, ATTENTION_KEYS, depth, out);
        return;
    }
    for (size_t i = 0; i < ATTENTION_KEYS * runs; i++) {
        size_t first = i / runs * depth + i % runs * ACTIVATION_GROUP;
        size_t left = depth - i % runs * ACTIVATION_GROUP;
        kernels->widen_int8(codes + first, parts->value_scales + i, 0, 0, 1,
                            left < ACTIVATION_GROUP ? left : ACTIVATION_GROUP, out + first);
    }
}

void kvcache_read(const kvcache *cache, const kernels *kernels, int layer, size_t head,
                  size_t block, float *scratch, attention_tile *keys, attention_tile *values)
{
    block_parts parts = parts_of(cache, block_of(cache, layer, head, block));
    size_t depth = cache->depth, value_depth = cache->value_depth;
    const float *key_data = scratch, *value_data = scratch + depth * ATTENTION_KEYS;
    switch (cache->type) {
    case VL2_KV_BF16:
        kernels->widen_bf16(parts.keys, scratch, (depth + value_depth) * ATTENTION_KEYS);
        break;
    case VL2_KV_F16:
        kernels->widen_f16(parts.keys, scratch, (depth + value_depth) * ATTENTION_KEYS);
        break;
    case VL2_KV_INT8:
        widen_keys_int8(cache, kernels, &parts, scratch);
        if (value_depth > 0) {
            widen_values_int8(cache, kernels, &parts, scratch + depth * ATTENTION_KEYS);
        }
        break;
    default:
        key_data = (const float *)(const void *)parts.keys;
        value_data = (const float *)(const void *)parts.values;
        break;
    }
    *keys = (attention_tile){key_data, 1, ATTENTION_KEYS, NULL};
    *values = value_depth > 0 ? (attention_tile){value_data, value_depth, 1, NULL} : *keys;
}
