/* What attention remembers of each position. */
#ifndef MODEL_KVCACHE_H
#define MODEL_KVCACHE_H

#include "model/config.h"
#include "simd/kernels.h"
#include "vl2.h"

#include <stddef.h>

/* Positions stand in blocks of ATTENTION_KEYS, as the kernels take them: keys [depth, 64], so that
 * a register holds one number of many positions, then values [64, value_depth]. int8 has the scales
 * behind the codes: one for each run of ACTIVATION_GROUP numbers of a key [runs, 64] or value
 * [64, runs].
 *
 * Multi-head attention: rotated keys and values of kv_heads heads. Latent attention: one head,
 * whose keys are the normalized latent (latent_rank numbers) and the rotated part that all heads
 * share (rope_width), and whose values are the latents once more and not stored: value_depth is 0.
 * The memory is reserved at once and taken when it is first written. */
typedef struct kvcache {
    vl2_kv_type type; /* not VL2_KV_DEFAULT */
    size_t positions; /* capacity */
    size_t layers, heads;
    size_t depth, value_depth;
    size_t latent;    /* of depth; 0 for multi-head attention. Runs of int8 do not cross its end. */
    size_t block_bytes, blocks;
    unsigned char *memory; /* [layers, heads, blocks, block_bytes] */
} kvcache;

/* VL2_ERROR_MEMORY. */
vl2_status kvcache_open(const language_config *config, vl2_kv_type type, size_t positions,
                        kvcache *cache, vl2_error *error);
void kvcache_close(kvcache *cache);

/* Floats of scratch for the two functions below. */
size_t kvcache_scratch(const kvcache *cache);

/* Writes one position: key [depth], value [value_depth]. Different positions may be written at the
 * same time. */
void kvcache_store(const kvcache *cache, const kernels *kernels, int layer, size_t head,
                   size_t position, const float *key, const float *value, float *scratch);

/* Keys and values of the block of positions block * ATTENTION_KEYS and following, borrowed from the
 * cache or from scratch, where they are widened to. */
void kvcache_read(const kvcache *cache, const kernels *kernels, int layer, size_t head,
                  size_t block, float *scratch, attention_tile *keys, attention_tile *values);

/* Bytes per token over all layers. */
size_t kvcache_token_bytes(const language_config *config, vl2_kv_type type);
size_t kvcache_memory(const kvcache *cache);

#endif
