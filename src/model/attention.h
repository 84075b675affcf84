/* Self-attention of one decoder layer over a chunk of positions: multi-head as in Llama
 * (transformers' LlamaAttention: half-split rotation over the whole head), or multi-head latent
 * attention (modeling_deepseek.py, DeepseekV2Attention: interleaved rotation of the rope part). */
#ifndef MODEL_ATTENTION_H
#define MODEL_ATTENTION_H

#include "model/compute.h"
#include "model/kvcache.h"
#include "model/rope.h"
#include "model/weights.h"

/* From this many positions in a chunk on, latent attention expands the latents to keys and values
 * per head; below, it moves the queries into the latent space ("absorbed"). */
#define ATTENTION_EXPAND 32

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
} attention_workspace;

/* `positions` is the capacity of the KV cache. */
vl2_status attention_workspace_open(const language_config *config, const rope_table *rope,
                                    size_t chunk, size_t positions, compute *compute,
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

/* One head over a block of queries, causal: out = softmax(scale * q k^T) v.
 * q [rows, depth] (q_stride) stand at positions first .. first + rows - 1; k [first + rows, depth]
 * (k_stride); v [first + rows, value_depth] (v_stride); scores is scratch of ATTENTION_BLOCK rows
 * of first + rows floats; out [rows, value_depth] (out_stride). */
typedef struct attention_head {
    const float *q, *k, *v;
    size_t q_stride, k_stride, v_stride, out_stride;
    size_t depth, value_depth, first, rows;
    float scale;
    float *scores, *out;
} attention_head;

#define ATTENTION_BLOCK 64 /* queries whose scores are in memory at once */

void attention_head_run(const kernels *kernels, const attention_head *head);

#endif
