/* Two models may be compared if nothing but their weights differs. */
#include "engine/compare.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

/* Fields of model_config by their names in config.json. Those that follow from others, and those
 * that say how much and not what is computed (context, tied embeddings), are left out. */
#define CONFIG_FIELDS(X)                                                                           \
    X("language_config.vocab_size", language.vocabulary)                                           \
    X("language_config.hidden_size", language.hidden)                                              \
    X("language_config.num_hidden_layers", language.layers)                                        \
    X("language_config.num_attention_heads", language.heads)                                       \
    X("language_config.num_key_value_heads", language.kv_heads)                                    \
    X("language_config.rms_norm_eps", language.rms_epsilon)                                        \
    X("language_config.use_mla", language.latent_attention)                                        \
    X("language_config.attention_bias", language.attention_bias)                                   \
    X("language_config.q_lora_rank", language.query_rank)                                          \
    X("language_config.kv_lora_rank", language.latent_rank)                                        \
    X("language_config.qk_nope_head_dim", language.nope_width)                                     \
    X("language_config.qk_rope_head_dim", language.rope_width)                                     \
    X("language_config.v_head_dim", language.value_width)                                          \
    X("language_config.rope_theta", language.rope.theta)                                           \
    X("language_config.rope_scaling.type", language.rope.scaling)                                  \
    X("language_config.rope_scaling.factor", language.rope.factor)                                 \
    X("language_config.rope_scaling.beta_fast", language.rope.beta_fast)                           \
    X("language_config.rope_scaling.beta_slow", language.rope.beta_slow)                           \
    X("language_config.rope_scaling.mscale", language.rope.mscale)                                 \
    X("language_config.rope_scaling.mscale_all_dim", language.rope.mscale_all_dim)                 \
    X("language_config.rope_scaling.original_max_position_embeddings",                             \
      language.rope.original_positions)                                                            \
    X("language_config.intermediate_size", language.dense_width)                                   \
    X("language_config.first_k_dense_replace", language.first_expert_layer)                        \
    X("language_config.moe_layer_freq", language.expert_layer_step)                                \
    X("language_config.moe_intermediate_size", language.expert_width)                              \
    X("language_config.n_shared_experts", language.shared_experts)                                 \
    X("language_config.n_routed_experts", language.gate.experts)                                   \
    X("language_config.num_experts_per_tok", language.gate.experts_per_token)                      \
    X("language_config.scoring_func", language.gate.scoring)                                       \
    X("language_config.topk_method", language.gate.method)                                         \
    X("language_config.n_group", language.gate.groups)                                             \
    X("language_config.topk_group", language.gate.groups_per_token)                                \
    X("language_config.norm_topk_prob", language.gate.normalize)                                   \
    X("language_config.routed_scaling_factor", language.gate.scaling)                              \
    X("vision_config.image_size", vision.image_size)                                               \
    X("vision_config.patch_size", vision.patch_size)                                               \
    X("vision_config.width", vision.width)                                                         \
    X("vision_config.layers", vision.layers)                                                       \
    X("vision_config.heads", vision.heads)                                                         \
    X("vision_config.mlp_ratio", vision.mlp_width)                                                 \
    X("projector_config.downsample_ratio", projector.ratio)                                        \
    X("projector_config.depth", projector.depth)                                                   \
    X("projector_config.mlp_ratio", projector.inner_width)                                         \
    X("global_view_pos", global_view_first)

static vl2_status fail_field(const vl2_model *a, const vl2_model *b, const char *field,
                             const char *found, const char *expected, vl2_error *error)
{
    return vl2_fail(error, VL2_ERROR_ARGUMENT,
                    "%s: %s: found %s, expected %s as in %s (two forms of one model can be "
                    "compared)",
                    b->path, field, found, expected, a->path);
}

static vl2_status check_number(const vl2_model *a, const vl2_model *b, const char *field,
                               double of_a, double of_b, vl2_error *error)
{
    char found[32], expected[32];
    if (of_a == of_b) {
        return VL2_OK;
    }
    snprintf(found, sizeof(found), "%.9g", of_b);
    snprintf(expected, sizeof(expected), "%.9g", of_a);
    return fail_field(a, b, field, found, expected, error);
}

static vl2_status check_config(const vl2_model *a, const vl2_model *b, vl2_error *error)
{
    const struct {
        const char *name;
        double a, b;
    } fields[] = {
#define CONFIG_FIELD(name, member) {name, (double)a->config.member, (double)b->config.member},
        CONFIG_FIELDS(CONFIG_FIELD)
#undef CONFIG_FIELD
    };
    vl2_status status = VL2_OK;
    for (size_t i = 0; status == VL2_OK && i < sizeof(fields) / sizeof(fields[0]); i++) {
        status = check_number(a, b, fields[i].name, fields[i].a, fields[i].b, error);
    }
    return status;
}

/* Both must cut pictures into the same tiles, and see the same numbers in them. */
static vl2_status check_processor(const vl2_model *a, const vl2_model *b, vl2_error *error)
{
    const image_processor *of_a = a->processor, *of_b = b->processor;
    vl2_status status = check_number(a, b, "candidate_resolutions", of_a->resolution_count,
                                     of_b->resolution_count, error);
    if (status == VL2_OK && memcmp(of_a->resolutions, of_b->resolutions,
                                   (size_t)of_a->resolution_count * sizeof(int[2])) != 0) {
        status = fail_field(a, b, "candidate_resolutions", "other ones", "the same", error);
    }
    if (status == VL2_OK && (memcmp(a->normalize, b->normalize, sizeof(a->normalize)) != 0 ||
                             memcmp(of_a->fill, of_b->fill, sizeof(of_a->fill)) != 0)) {
        status = fail_field(a, b, "image_mean, image_std or normalize", "others", "the same",
                            error);
    }
    return status;
}

static vl2_status check_vocabulary(const vl2_model *a, const vl2_model *b, vl2_error *error)
{
    const tokenizer *of_a = a->tokenizer.tokenizer, *of_b = b->tokenizer.tokenizer;
    vl2_status status = check_number(a, b, "the tokenizer's number of ids",
                                     (double)tokenizer_size(of_a), (double)tokenizer_size(of_b),
                                     error);
    for (int32_t id = 0; status == VL2_OK && (size_t)id < tokenizer_size(of_a); id++) {
        size_t size_a = 0, size_b = 0;
        const char *text_a = tokenizer_spelling(of_a, id, &size_a);
        const char *text_b = tokenizer_spelling(of_b, id, &size_b);
        if ((text_a == NULL) != (text_b == NULL) || size_a != size_b ||
            (text_a != NULL && memcmp(text_a, text_b, size_a) != 0)) {
            char field[40], found[80], expected[80];
            snprintf(field, sizeof(field), "the tokenizer's token %d", id);
            snprintf(found, sizeof(found), "\"%.*s\"", (int)(size_b < 60 ? size_b : 60),
                     text_b != NULL ? text_b : "");
            snprintf(expected, sizeof(expected), "\"%.*s\"", (int)(size_a < 60 ? size_a : 60),
                     text_a != NULL ? text_a : "");
            status = fail_field(a, b, field, found, expected, error);
        }
    }
    return status;
}

static vl2_status check_template(const vl2_model *a, const vl2_model *b, vl2_error *error)
{
    vl2_status status = check_number(a, b, "the id of the token that begins a sentence",
                                     a->tokens.bos, b->tokens.bos, error);
    if (status == VL2_OK) {
        status = check_number(a, b, "the id of the token that ends a sentence", a->tokens.eos,
                              b->tokens.eos, error);
    }
    if (status == VL2_OK) {
        status = check_number(a, b, "the id of the image token", a->tokens.image, b->tokens.image,
                              error);
    }
    return status;
}

vl2_status compare_models(const vl2_model *a, const vl2_model *b, vl2_error *error)
{
    if (a == b) {
        return VL2_OK;
    }
    vl2_status status = check_config(a, b, error);
    if (status == VL2_OK) {
        status = check_processor(a, b, error);
    }
    if (status == VL2_OK) {
        status = check_vocabulary(a, b, error);
    }
    return status == VL2_OK ? check_template(a, b, error) : status;
}
