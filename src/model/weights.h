/* Every weight of a model by its place in the network. Views into the store: nothing is copied, and
 * binding reads no weight, only names, types and shapes. */
#ifndef MODEL_WEIGHTS_H
#define MODEL_WEIGHTS_H

#include "model/config.h"
#include "weights/store.h"

typedef const weight_view *weight; /* borrowed from the store; NULL where a comment says so */

/* W = vision width, M = vision mlp_width, P = patch_size, G = grid */
typedef struct vision_block_weights {
    weight norm1_weight, norm1_bias; /* [W] */
    weight qkv_weight, qkv_bias;     /* [3 * W, W], [3 * W]: query, key, value; head by head */
    weight proj_weight, proj_bias;   /* [W, W], [W] */
    weight norm2_weight, norm2_bias; /* [W] */
    weight fc1_weight, fc1_bias;     /* [M, W], [M] */
    weight fc2_weight, fc2_bias;     /* [W, M], [W] */
} vision_block_weights;

typedef struct vision_weights {
    weight patch_weight, patch_bias; /* [W, 3, P, P], [W] */
    weight position;                 /* [1, G * G, W] */
    vision_block_weights *blocks;    /* [layers] */
    weight norm_weight, norm_bias;   /* [W] */
} vision_weights;

typedef struct projector_weights {
    weight *weights, *biases; /* [depth]; the first is [inner_width, input_width * ratio * ratio] */
} projector_weights;

/* D = hidden, H = heads */
typedef struct attention_weights {
    /* multi-head attention; biases NULL without attention_bias */
    weight query, key, value;                /* [H * head_width, D], [kv_heads * head_width, D] */
    weight query_bias, key_bias, value_bias;
    /* latent attention: query (above) is [H * (nope + rope), D], or with query_rank > 0 the three
     * below */
    weight query_a, query_a_bias; /* [query_rank, D] */
    weight query_a_norm;          /* [query_rank] */
    weight query_b;               /* [H * (nope + rope), query_rank] */
    weight kv_a, kv_a_bias;       /* [latent_rank + rope, D] */
    weight kv_a_norm;             /* [latent_rank] */
    weight kv_b;                  /* [H * (nope + value), latent_rank] */
    weight output, output_bias;   /* [D, H * value_width or head_width], [D] */
} attention_weights;

/* A gated feed-forward network of width F. */
typedef struct mlp_weights {
    weight gate, up; /* [F, D] */
    weight down;     /* [D, F] */
} mlp_weights;

typedef struct layer_weights {
    weight input_norm, post_attention_norm; /* [D] */
    attention_weights attention;
    bool has_experts;
    mlp_weights mlp;     /* the dense network, or the shared experts as one (NULLs without) */
    weight router;       /* [experts, D] */
    weight router_bias;  /* [experts], e_score_correction_bias; NULL unless noaux_tc */
    mlp_weights *experts; /* [experts] */
} layer_weights;

/* Records of the store that are needed together. */
typedef struct record_list {
    uint32_t *records; /* [count] */
    size_t count, capacity;
} record_list;

typedef struct model_weights {
    vision_weights vision;
    projector_weights projector;
    weight image_newline, view_separator; /* [D] */
    weight embedding;                     /* [vocabulary, D] */
    layer_weights *layers;                /* [layers] */
    weight norm;                          /* [D] */
    weight head;                          /* [vocabulary, D]; the embedding where they are tied */
    weight *bound;                        /* all of the above, sorted by address */
    size_t bound_count;
    weight_store *store; /* borrowed */
    record_list vision_records;   /* vision tower, projector and the rows that join tiles */
    record_list language_records; /* the decoder, but for routed experts */
} model_weights;

/* Finds every tensor that the configuration calls for. VL2_ERROR_MODEL lists the names that are
 * missing, and the first tensor of a wrong shape with what was found and expected; `path` names
 * the model there. */
vl2_status model_weights_bind(const model_config *config, weight_store *store, const char *path,
                              model_weights **weights, vl2_error *error);
void model_weights_free(model_weights *weights);

/* Makes the records of a list ready, as weight_store_acquire does. What was acquired once costs
 * next to nothing. */
vl2_status model_weights_acquire(const model_weights *weights, const record_list *list,
                                 const team *team, vl2_error *error);

/* True if the model uses this tensor, or is known to leave it unused (vision.attn_pool.*, which the
 * published files carry). */
bool model_weights_expects(const model_weights *weights, weight tensor);

#endif
