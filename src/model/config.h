/* config.json of a DeepSeek-VL2 checkpoint. Absent keys take the defaults of the reference's
 * configuration classes (models/configuration_deepseek.py, models/modeling_deepseek_vl_v2.py). */
#ifndef MODEL_CONFIG_H
#define MODEL_CONFIG_H

#include "base/error.h"

/* SigLIP vision transformer. */
typedef struct vision_config {
    int image_size; /* pixels per side of a tile */
    int patch_size; /* pixels per side of a patch */
    int grid;       /* patches per side: image_size / patch_size, other pixels are unused */
    int width, layers, heads, head_width;
    int mlp_width; /* trunc(width * mlp_ratio) */
} vision_config;

/* downsample_mlp_gelu: ratio x ratio patches become one row, then a chain of linear layers with
 * GELU. */
typedef struct projector_config {
    int input_width;  /* vision width */
    int output_width; /* hidden width of the language model */
    int ratio;        /* patches per side that become one row */
    int depth;        /* linear layers, at least 2 */
    int inner_width;  /* output_width * mlp_ratio */
    int grid;         /* rows per side of a tile: ceil(vision grid / ratio) */
} projector_config;

typedef enum gate_scoring { GATE_SOFTMAX, GATE_SIGMOID } gate_scoring;
typedef enum gate_method { GATE_GREEDY, GATE_GROUP_LIMITED_GREEDY, GATE_NOAUX_TC } gate_method;

typedef struct gate_config {
    gate_scoring scoring;
    gate_method method;
    int experts;         /* routed */
    int experts_per_token;
    int groups;          /* experts / groups stand next to each other in a group */
    int groups_per_token;
    bool normalize;      /* norm_topk_prob */
    float scaling;       /* routed_scaling_factor */
} gate_config;

typedef enum rope_scaling { ROPE_PLAIN, ROPE_LINEAR, ROPE_YARN } rope_scaling;

typedef struct rope_config {
    rope_scaling scaling;
    double theta, factor;
    double beta_fast, beta_slow, mscale, mscale_all_dim;
    int original_positions;
} rope_config;

typedef struct language_config {
    int vocabulary, hidden, layers, heads;
    int positions; /* max_position_embeddings */
    float rms_epsilon;
    bool latent_attention; /* MLA; otherwise multi-head attention as in Llama */
    bool attention_bias;
    bool tied_embeddings; /* lm_head is the embedding table */
    rope_config rope;
    /* multi-head attention */
    int kv_heads, head_width;
    /* multi-head latent attention; query_rank 0: one projection without a bottleneck */
    int query_rank, latent_rank, nope_width, rope_width, value_width;
    float score_scale; /* of query times key, YaRN's correction included */
    /* feed-forward */
    int dense_width;
    int first_expert_layer, expert_layer_step; /* first_k_dense_replace, moe_layer_freq */
    int expert_width, shared_experts;          /* shared_experts 0: none */
    gate_config gate;                          /* gate.experts 0: every layer is dense */
    int bos, eos;                              /* token ids; -1 if the configuration has none */
} language_config;

typedef struct model_config {
    vision_config vision;
    projector_config projector;
    language_config language;
    bool global_view_first; /* global_view_pos */
} model_config;

/* Reads and checks a config.json. VL2_ERROR_MODEL names file, field, found and expected. */
vl2_status model_config_open(const char *path, model_config *config, vl2_error *error);
/* The same from memory; `name` stands in messages. */
vl2_status model_config_parse(const char *text, size_t size, const char *name,
                              model_config *config, vl2_error *error);

/* YaRN's correction of attention (modeling_deepseek.py, yarn_get_mscale): 1 up to a factor of 1,
 * then 0.1 * mscale * log(factor) + 1. */
double yarn_mscale(double factor, double mscale);

/* True if a layer of the decoder has experts. */
bool language_config_has_experts(const language_config *config, int layer);

#endif
