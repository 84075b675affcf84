#include "model/kvcache.h"

#include "base/alloc.h"

/* Floats per position in the two planes of one layer. */
static void plane_widths(const language_config *config, size_t *first, size_t *second)
{
    if (config->latent_attention) {
        *first = (size_t)config->latent_rank;
        *second = (size_t)config->rope_width;
    } else {
        *first = *second = (size_t)config->kv_heads * (size_t)config->head_width;
    }
}

size_t kvcache_token_bytes(const language_config *config)
{
    size_t first, second;
    plane_widths(config, &first, &second);
    return (first + second) * (size_t)config->layers * sizeof(float);
}

vl2_status kvcache_open(const language_config *config, size_t positions, kvcache *cache,
                        vl2_error *error)
{
    size_t first, second;
    plane_widths(config, &first, &second);
    *cache = (kvcache){.positions = positions, .layers = config->layers};
    cache->first_floats = positions * first;
    cache->layer_floats = positions * (first + second);
    /* calloc of this size is a fresh mapping: pages cost memory when they are written. */
    cache->memory = base_calloc(positions, kvcache_token_bytes(config));
    if (cache->memory == NULL) {
        return vl2_fail_memory(error, "the KV cache", positions * kvcache_token_bytes(config));
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
    return (size_t)cache->layers * cache->layer_floats * sizeof(float);
}
