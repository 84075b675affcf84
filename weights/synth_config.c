#include "weights/synth_config.h"

static const char *torch_type(const synth_shape *shape)
{
    static const char *const names[DATA_TYPE_COUNT] = {"float32", "float16", "bfloat16"};
    return names[shape->type];
}

static json_t *candidates(const synth_shape *shape)
{
    json_t *list = json_array();
    for (int i = 0; i < shape->candidate_count; i++) {
        json_array_append_new(list, json_pack("[i, i]", shape->candidate_resolutions[i][0],
                                              shape->candidate_resolutions[i][1]));
    }
    return list;
}

/* 0 stands for null, as in the published files. */
static json_t *rank_or_null(int rank)
{
    return rank > 0 ? json_integer(rank) : json_null();
}

static json_t *rope_scaling(const synth_shape *shape)
{
    if (shape->language.rope_scaling.factor == 0) {
        return json_null();
    }
    return json_pack("{s:s, s:f, s:i, s:f, s:f, s:f, s:f}", "type", "yarn", "factor",
                     shape->language.rope_scaling.factor, "original_max_position_embeddings",
                     shape->language.rope_scaling.original_max_position_embeddings, "beta_fast",
                     shape->language.rope_scaling.beta_fast, "beta_slow",
                     shape->language.rope_scaling.beta_slow, "mscale",
                     shape->language.rope_scaling.mscale, "mscale_all_dim",
                     shape->language.rope_scaling.mscale_all_dim);
}

static json_t *attention_config(const synth_shape *shape)
{
    return json_pack(
        "{s:b, s:b, s:i, s:i, s:o, s:o, s:i, s:i, s:i, s:f, s:o, s:i}", "use_mla",
        shape->language.use_mla, "attention_bias", shape->language.attention_bias,
        "num_attention_heads", shape->language.num_attention_heads, "num_key_value_heads",
        shape->language.num_key_value_heads, "q_lora_rank",
        rank_or_null(shape->language.q_lora_rank), "kv_lora_rank",
        rank_or_null(shape->language.kv_lora_rank), "qk_nope_head_dim",
        shape->language.qk_nope_head_dim, "qk_rope_head_dim", shape->language.qk_rope_head_dim,
        "v_head_dim", shape->language.v_head_dim, "rope_theta", shape->language.rope_theta,
        "rope_scaling", rope_scaling(shape), "max_position_embeddings",
        shape->language.max_position_embeddings);
}

static json_t *moe_config(const synth_shape *shape)
{
    return json_pack(
        "{s:o, s:o, s:i, s:i, s:i, s:i, s:i, s:i, s:s, s:s, s:b, s:f}", "n_routed_experts",
        rank_or_null(shape->language.n_routed_experts), "n_shared_experts",
        rank_or_null(shape->language.n_shared_experts), "num_experts_per_tok",
        shape->language.num_experts_per_tok, "moe_intermediate_size",
        shape->language.moe_intermediate_size, "first_k_dense_replace",
        shape->language.first_k_dense_replace, "moe_layer_freq", shape->language.moe_layer_freq,
        "n_group", shape->language.n_group, "topk_group", shape->language.topk_group,
        "topk_method", shape->language.topk_method, "scoring_func", shape->language.scoring_func,
        "norm_topk_prob", shape->language.norm_topk_prob, "routed_scaling_factor",
        shape->language.routed_scaling_factor);
}

static json_t *language_config(const synth_shape *shape)
{
    json_t *config = json_pack(
        "{s:[s], s:{s:s, s:s, s:s}, s:i, s:i, s:i, s:i, s:i, s:i, s:f, s:b, s:b, s:s}",
        "architectures", "DeepseekV2ForCausalLM", "auto_map", "AutoConfig",
        "configuration_deepseek.DeepseekV2Config", "AutoModel",
        "modeling_deepseek.DeepseekV2Model", "AutoModelForCausalLM",
        "modeling_deepseek.DeepseekV2ForCausalLM", "bos_token_id", synth_bos(shape),
        "eos_token_id", synth_eos(shape), "vocab_size", shape->language.vocab_size, "hidden_size",
        shape->language.hidden_size, "intermediate_size", shape->language.intermediate_size,
        "num_hidden_layers", shape->language.num_hidden_layers, "rms_norm_eps",
        shape->language.rms_norm_eps, "lm_head", 1, "rm_head", 0, "torch_dtype",
        torch_type(shape));
    json_t *attention = attention_config(shape), *moe = moe_config(shape);
    if (config == NULL || json_object_update(config, attention) != 0 ||
        json_object_update(config, moe) != 0) {
        json_decref(config);
        config = NULL;
    }
    json_decref(attention);
    json_decref(moe);
    return config;
}

json_t *synth_config(const synth_shape *shape)
{
    json_t *vision = json_pack("{s:s, s:s, s:i, s:i, s:i, s:i, s:i, s:f}", "model_name",
                               "siglip_so400m_patch14_384", "model_type", "vision", "image_size",
                               shape->vision.image_size, "patch_size", shape->vision.patch_size,
                               "width", shape->vision.width, "layers", shape->vision.layers,
                               "heads", shape->vision.heads, "mlp_ratio", shape->vision.mlp_ratio);
    json_t *projector =
        json_pack("{s:s, s:s, s:i, s:i, s:i, s:i, s:i}", "model_type", "mlp_projector",
                  "projector_type", "downsample_mlp_gelu", "input_dim", shape->vision.width,
                  "n_embed", shape->language.hidden_size, "depth", shape->projector.depth,
                  "mlp_ratio", shape->projector.mlp_ratio, "downsample_ratio",
                  shape->projector.downsample_ratio);
    return json_pack(
        "{s:s, s:[s], s:s, s:s, s:s, s:s, s:o, s:o, s:o, s:o}", "model_type", "deepseek_vl_v2",
        "architectures", "DeepseekVLV2ForCausalLM", "torch_dtype", torch_type(shape),
        "transformers_version", "4.38.2", "tile_tag", shape->tile_tag, "global_view_pos",
        shape->global_view_pos, "candidate_resolutions", candidates(shape), "vision_config",
        vision, "projector_config", projector, "language_config", language_config(shape));
}

json_t *synth_processor_config(const synth_shape *shape)
{
    return json_pack(
        "{s:s, s:o, s:i, s:i, s:[f, f, f], s:[f, f, f], s:b, s:s, s:s, s:b, s:b, s:s, s:i}",
        "processor_class", "DeepseekVLV2Processor", "candidate_resolutions", candidates(shape),
        "patch_size", shape->vision.patch_size, "downsample_ratio",
        shape->projector.downsample_ratio, "image_mean", 0.5, 0.5, 0.5, "image_std", 0.5, 0.5, 0.5,
        "normalize", 1, "image_token", "<image>", "pad_token", "<｜▁pad▁｜>", "add_special_token", 0,
        "mask_prompt", 0, "sft_format", "deepseek", "ignore_id", -100);
}
