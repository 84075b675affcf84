/* What attention remembers of each position, in float32. */
#ifndef MODEL_KVCACHE_H
#define MODEL_KVCACHE_H

#include "model/config.h"

#include <stddef.h>

/* Multi-head attention: rotated keys and values, head by head, [kv_heads, positions, head_width]
 * each. Latent attention: the normalized latent [positions, latent_rank] and the rotated key part
 * that all heads share [positions, rope_width]. The memory is reserved at once and taken when it is
 * first written. */
typedef struct kvcache {
    size_t positions;   /* capacity */
    int layers;
    float *memory;
    size_t layer_floats, first_floats; /* per layer in all; of these, in the first plane */
} kvcache;

vl2_status kvcache_open(const language_config *config, size_t positions, kvcache *cache,
                        vl2_error *error);
void kvcache_close(kvcache *cache);

/* The two planes of a layer: keys and values, or latents and shared keys. */
static inline float *kvcache_first(const kvcache *cache, int layer)
{
    return cache->memory + (size_t)layer * cache->layer_floats;
}

static inline float *kvcache_second(const kvcache *cache, int layer)
{
    return kvcache_first(cache, layer) + cache->first_floats;
}

/* Bytes per token over all layers. */
size_t kvcache_token_bytes(const language_config *config);
size_t kvcache_memory(const kvcache *cache);

#endif
