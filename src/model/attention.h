/* Self-attention of one decoder layer over a chunk of positions: multi-head as in Llama
 * (transformers' LlamaAttention: half-split rotation over the whole head), or multi-head latent
 * attention (modeling_deepseek.py, DeepseekV2Attention: interleaved rotation of the rope part).
 *
 * Scores exist for one block of positions at a time (simd/attention.h). Blocks begin at multiples
 * of ATTENTION_KEYS. Where few queries are to keep all threads busy (attention_core.c), the
 * positions of a sequence are cut into spans, each of which has a state of its own, and these are
 * folded in order: what a position gets does not depend on the chunks of a prompt nor on the number
 * of threads. */
#ifndef MODEL_ATTENTION_H
#define MODEL_ATTENTION_H

#include "model/compute.h"
#include "model/kvcache.h"
#include "model/rope.h"
#include "model/weights.h"

#define ATTENTION_SPAN   256 /* positions; a multiple of ATTENTION_KEYS */
#define ATTENTION_SPREAD 4   /* up to so many rows, spans are tasks of their own */

typedef struct attention_workspace {
    const language_config *config;
    size_t chunk;       /* most positions at once */
    const rope_table *rope;
    float *query;       /* [chunk, heads * query width] */
    float *key;         /* [chunk, kv_heads * head_width], or [chunk, latent_rank + rope_width] */
    float *value;       /* [chunk, kv_heads * head_width], multi-head attention only */
    float *bottleneck;  /* [chunk, query_rank], where there is one */
    float *heads_out;   /* [chunk, heads * value width] */
    float *norm_weight; /* [max(query_rank, latent_rank)] */
    float *absorbed;    /* queries among the latents [pass, heads, latent_rank + rope_width], pass
                         * being ATTENTION_PASS or less; latent attention only */
    float *mixed;       /* latents mixed for them [pass, heads, latent_rank] */
    float *partial;     /* states of spans [partial_floats], see attention_core.c; memory is taken
                         * when it is first written */
    size_t partial_floats;
} attention_workspace;

/* The cache must be open. */
vl2_status attention_workspace_open(const language_config *config, const rope_table *rope,
                                    const kvcache *cache, size_t chunk, compute *compute,
                                    attention_workspace *workspace, vl2_error *error);
void attention_workspace_close(attention_workspace *workspace);
size_t attention_workspace_memory(const attention_workspace *workspace);

/* x [count, hidden] is the normalized input of positions first .. first + count - 1, which are
 * written to the cache; y [count, hidden] (not x) += the block's output (after o_proj). */
void attention_run(const compute *compute, attention_workspace *workspace,
                   const attention_weights *weights, const kvcache *cache, int layer,
                   const float *x, size_t first, size_t count, float *y);

/* The two forms, for attention.c. */
void attention_run_multi_head(const compute *compute, attention_workspace *workspace,
                              const attention_weights *weights, const kvcache *cache, int layer,
                              const float *x, size_t first, size_t count);
void attention_run_latent(const compute *compute, attention_workspace *workspace,
                          const attention_weights *weights, const kvcache *cache, int layer,
                          const float *x, size_t first, size_t count);

#define ATTENTION_STORE 16 /* positions that a task writes to the cache: neighbours share lines */

static inline size_t attention_store_tasks(size_t count)
{
    return (count + ATTENTION_STORE - 1) / ATTENTION_STORE;
}

/* ------------------------------------------------------------- queries against the cache itself */

/* Causal attention of `count` positions from `first` on, whose keys and values are in the cache:
 * kv_heads groups of `group` query heads each. Query heads lie [count, kv_heads * group, depth],
 * results likewise. */
typedef struct attention_core {
    const compute *compute;
    const kvcache *cache;
    int layer;
    const float *query;
    float *out;
    float *partial; /* of the workspace */
    size_t kv_heads, group, depth, value_depth;
    size_t first, count;
    float scale;
    bool rounded; /* see simd/attention.h */
} attention_core;

void attention_core_run(const attention_core *core);

/* Floats of scratch of a worker, and of `partial`. */
size_t attention_core_scratch(const kvcache *cache, size_t group, size_t value_depth);
size_t attention_core_partial(const kvcache *cache, size_t group, size_t value_depth);

/* ------------------------------------------------------------------- forms of latent attention */

#define ATTENTION_PASS 64 /* positions that are absorbed at once */

typedef struct latent_job {
    const compute *compute;
    const attention_workspace *workspace;
    const attention_weights *weights;
    const kvcache *cache;
    int layer;
    size_t first, count;
    size_t start, rows; /* of the pass, absorbed */
} latent_job;

/* Rows first to first + count - 1 of kv_b in float32, `stride` floats apart. */
void attention_kv_rows(const latent_job *job, size_t first, size_t count, float *out,
                       size_t stride);

/* True if kv_b is packed and its parts of each head begin with a panel: products with them take
 * quantized inputs then. */
bool attention_kv_is_packed(const latent_job *job);

/* Keys and values of all positions so far are made from the latents, head by head and block by
 * block; with packed weights from latents in int8, in `quantized` of compute. */
void attention_run_expanded(latent_job *job);
/* The queries move into the space of the latents instead, where all heads share one key. */
void attention_run_absorbed(latent_job *job);
size_t attention_expanded_scratch(const kvcache *cache, const language_config *config,
                                  size_t chunk);
/* Room in `compute` besides scratch. VL2_ERROR_MEMORY. */
vl2_status attention_expanded_reserve(compute *compute, const kvcache *cache,
                                      const language_config *config, vl2_error *error);
size_t attention_absorbed_scratch(const language_config *config);

#endif
