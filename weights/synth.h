/* Checkpoints with random weights in the published layout: config.json, processor_config.json,
 * tokenizer.json, tokenizer_config.json, special_tokens_map.json, safetensors files and their
 * index.
 *
 * The bytes depend on shape and seed only: each tensor's numbers come from its own counter-based
 * generator, so that neither threads nor the size of the shards change them. */
#ifndef WEIGHTS_SYNTH_H
#define WEIGHTS_SYNTH_H

#include "base/error.h"
#include "base/team.h"
#include "base/tensor.h"

#define SYNTH_MAX_CANDIDATES 32

/* The places of the special tokens. */
typedef enum synth_vocabulary {
    /* bos 0, eos 1, pad 2, 256 bytes, fillers, 15 added tokens; <image> to <|Assistant|> are the
     * last 8 */
    SYNTH_VOCABULARY_128K,
    /* 256 bytes, fillers; bos, eos, pad, <image> to <|Assistant|> are the last 11 */
    SYNTH_VOCABULARY_100K
} synth_vocabulary;

/* Every value of the configuration files, under its name there. Texts are borrowed. */
typedef struct synth_shape {
    data_type type; /* of all tensors, and torch_dtype */

    const char *tile_tag, *global_view_pos;
    int candidate_resolutions[SYNTH_MAX_CANDIDATES][2]; /* [width, height] as in the files */
    int candidate_count;

    struct { /* vision_config */
        int image_size, patch_size, width, layers, heads;
        double mlp_ratio;
        bool attn_pool; /* write vision.attn_pool.*, which no model uses */
    } vision;

    struct { /* projector_config; the kind is downsample_mlp_gelu */
        int depth, mlp_ratio, downsample_ratio;
    } projector;

    struct { /* language_config */
        int vocab_size, hidden_size, intermediate_size, num_hidden_layers, num_attention_heads;
        int num_key_value_heads, max_position_embeddings;
        /* n_routed_experts 0: dense layers only */
        int n_routed_experts, n_shared_experts, num_experts_per_tok, moe_intermediate_size;
        int first_k_dense_replace, moe_layer_freq, n_group, topk_group;
        const char *topk_method, *scoring_func; /* noaux_tc brings e_score_correction_bias */
        bool norm_topk_prob;
        double routed_scaling_factor;
        bool use_mla, attention_bias;
        int q_lora_rank; /* 0: null */
        /* 0 (the rank: null) without MLA */
        int kv_lora_rank, qk_nope_head_dim, qk_rope_head_dim, v_head_dim;
        double rms_norm_eps, rope_theta;
        struct { /* YaRN; factor 0: rope_scaling is null */
            double factor, beta_fast, beta_slow, mscale, mscale_all_dim;
            int original_max_position_embeddings;
        } rope_scaling;
    } language;

    struct {
        synth_vocabulary kind;
        int tokens; /* the id behind the last one; rows up to vocab_size are zero */
    } tokenizer;
} synth_shape;

/* Fills *shape with "tiny", "small" or "base", the shapes of deepseek-ai/deepseek-vl2-tiny, -small
 * and deepseek-vl2 (3.37, 16.1 and 27.5 thousand million parameters); or with "tiny-dev",
 * "small-dev", "base-dev": the same features in a few megabytes, for tests.
 * VL2_ERROR_ARGUMENT for another name. */
vl2_status synth_shape_named(const char *size, synth_shape *shape);

/* Bytes of all tensors, and their number. The shape must be one that synth_write_shape accepts. */
uint64_t synth_tensor_bytes(const synth_shape *shape);

/* Writes a checkpoint into options->out (made if missing); options->size is not looked at. Tensors
 * follow one another in the order of the model; files hold at most options->shard_bytes (0: 4 GiB)
 * bytes each, or one tensor that is larger.
 * If one file is enough it is model.safetensors without an index. Memory: a few megabytes.
 * The configuration comes last, and everything is removed on failure, so that half a checkpoint
 * never looks whole. The free space of the disk is checked first.
 * VL2_ERROR_ARGUMENT (a shape that cannot be, or the folder has a checkpoint and not
 * options->overwrite), VL2_ERROR_IO, VL2_ERROR_MEMORY, VL2_ERROR_CANCELLED. */
vl2_status synth_write_shape(const synth_shape *shape, const vl2_synth_options *options,
                             vl2_error *error);

/* The same with a team of the caller's; synth_write_shape takes all processors. */
vl2_status synth_write_team(const synth_shape *shape, const vl2_synth_options *options,
                            const team *team, vl2_error *error);

/* What vl2_synth does: the shape named by options->size. */
vl2_status synth_write(const vl2_synth_options *options, vl2_error *error);

#endif
