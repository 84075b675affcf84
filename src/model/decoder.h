/* The language model (modeling_deepseek.py): embedding rows -> hidden states -> logits. */
#ifndef MODEL_DECODER_H
#define MODEL_DECODER_H

#include "model/attention.h"
#include "model/moe.h"

#include <stdatomic.h>

/* What a tracer is told while a chunk goes through. Pointers are borrowed for the call. */
typedef struct decoder_observer {
    /* layer -1: the embedding rows; then each layer's output. rows [count, hidden] of positions
     * first.. */
    void (*layer)(void *user, int layer, const float *rows, size_t first, size_t count);
    /* After the gate of a layer with experts: ids and weights [count, k], scores [count,
     * experts]. */
    void (*router)(void *user, int layer, const int32_t *ids, const float *weights,
                   const float *scores, size_t first, size_t count);
    void *user;
} decoder_observer;

/* One sequence: the KV cache and the work space for chunks of up to `chunk` positions. */
typedef struct decoder {
    const language_config *config;
    const model_weights *weights;
    compute *compute; /* borrowed */
    size_t chunk, positions;
    rope_table rope;
    kvcache cache;
    attention_workspace attention;
    moe_workspace moe;
    float *norm;   /* [chunk, hidden] */
    float *vector; /* [hidden]: a norm's weight */
    void (*layer_done)(void *user, int layers); /* may be NULL: told how many layers are done */
    void *user;
} decoder;

vl2_status decoder_open(const language_config *config, const model_weights *weights,
                        compute *compute, size_t chunk, size_t positions, vl2_kv_type kv_type,
                        decoder *decoder, vl2_error *error);
void decoder_close(decoder *decoder);
size_t decoder_memory(const decoder *decoder); /* bytes, KV cache included */

/* Sends rows [count, hidden] (changed in place into the last layer's output) of positions first ..
 * first + count - 1 through all layers; first + count <= positions. More than a chunk goes through
 * each layer chunk by chunk, with the same results as one chunk after the other through all layers,
 * and reads each layer's weights once. Everything before `first` must be in the cache. `cancelled`
 * (may be NULL) is looked at before each layer: VL2_ERROR_CANCELLED leaves the cache right up to
 * `first`. `observer` may be NULL; with one, count <= chunk. */
vl2_status decoder_run(decoder *decoder, float *rows, size_t first, size_t count,
                       const atomic_int *cancelled, const decoder_observer *observer,
                       vl2_error *error);

/* The final norm of hidden rows [count, hidden], normed [count, hidden], and their logits [count,
 * vocabulary]. */
void decoder_logits(decoder *decoder, const float *rows, size_t count, float *normed,
                    float *logits);

/* The embedding row of a token, [hidden]. id must be inside the vocabulary. */
void decoder_embed(const decoder *decoder, int32_t id, float *row);

#endif
