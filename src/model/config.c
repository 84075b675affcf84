#include "model/config.h"

#include "base/alloc.h"
#include "base/file.h"
#include "base/json.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

/* Limits far above any model of the family; they keep products of dimensions inside 64 bits. */
#define CONFIG_FILE_LIMIT ((size_t)16 << 20)
#define MAX_WIDTH         (1 << 17)
#define MAX_LAYERS        4096
#define MAX_HEADS         4096
#define MAX_VOCABULARY    (1 << 24)
#define MAX_POSITIONS     (1 << 24)

double yarn_mscale(double factor, double mscale)
{
    return factor <= 1.0 ? 1.0 : 0.1 * mscale * log(factor) + 1.0;
}

/* Index of a word in a list, or failure that names the accepted words. */
static int read_word(json_fields *fields, const char *key, const char *fallback,
                     const char *const *words, int count)
{
    const char *value = json_fields_text(fields, key, fallback);
    char expected[160] = "one of";
    for (int i = 0; i < count; i++) {
        if (strcmp(value, words[i]) == 0) {
            return i;
        }
        size_t used = strlen(expected);
        snprintf(expected + used, sizeof(expected) - used, "%s \"%s\"", i > 0 ? "," : "", words[i]);
    }
    char found[96];
    snprintf(found, sizeof(found), "\"%.60s\"", value);
    json_fields_fail(fields, key, found, expected);
    return 0;
}

static void refuse(json_fields *fields, const char *key, int found, const char *expected)
{
    char text[32];
    snprintf(text, sizeof(text), "%d", found);
    json_fields_fail(fields, key, text, expected);
}

static void read_vision(json_fields *fields, vision_config *vision)
{
    vision->image_size = (int)json_fields_integer(fields, "image_size", 1, 1 << 14, 384);
    vision->patch_size = (int)json_fields_integer(fields, "patch_size", 1, 1 << 12, 16);
    vision->width = (int)json_fields_integer(fields, "width", 1, MAX_WIDTH, 1024);
    vision->layers = (int)json_fields_integer(fields, "layers", 1, MAX_LAYERS, 24);
    vision->heads = (int)json_fields_integer(fields, "heads", 1, MAX_HEADS, 16);
    double ratio = json_fields_number(fields, "mlp_ratio", 1e-3, 64, 4);
    vision->mlp_width = (int)(vision->width * ratio);
    vision->grid = vision->image_size / vision->patch_size;
    vision->head_width = vision->width / vision->heads;
    if (vision->grid < 1) {
        refuse(fields, "patch_size", vision->patch_size, "at most image_size");
    }
    if (vision->width % vision->heads != 0) {
        refuse(fields, "heads", vision->heads, "a divisor of width");
    }
    if (vision->mlp_width < 1) {
        json_fields_fail(fields, "mlp_ratio", "a hidden width of 0", "at least 1");
    }
    if (json_fields_boolean(fields, "class_token", false)) {
        json_fields_fail(fields, "class_token", "true", "false (a class token is not supported)");
    }
    if (!json_fields_boolean(fields, "ignore_head", true)) {
        json_fields_fail(fields, "ignore_head", "false", "true (a pooling head is not supported)");
    }
}

static void read_projector(json_fields *fields, const vision_config *vision,
                           projector_config *projector)
{
    static const char *const types[] = {"downsample_mlp_gelu"};
    read_word(fields, "projector_type", types[0], types, 1);
    projector->input_width = (int)json_fields_integer(fields, "input_dim", 1, MAX_WIDTH, 1152);
    projector->output_width = (int)json_fields_integer(fields, "n_embed", 1, MAX_WIDTH, 2048);
    projector->ratio = (int)json_fields_integer(fields, "downsample_ratio", 1, 64, 2);
    projector->depth = (int)json_fields_integer(fields, "depth", 2, 64, 2);
    projector->inner_width =
        projector->output_width * (int)json_fields_integer(fields, "mlp_ratio", 1, 64, 1);
    projector->grid = (vision->grid + projector->ratio - 1) / projector->ratio;
    if (json_fields_boolean(fields, "token_pooling", false)) {
        json_fields_fail(fields, "token_pooling", "true", "false");
    }
    if (projector->input_width != vision->width) {
        refuse(fields, "input_dim", projector->input_width, "the width of vision_config");
    }
}

static void read_rope(json_fields *fields, language_config *language)
{
    rope_config *rope = &language->rope;
    *rope = (rope_config){.scaling = ROPE_PLAIN, .factor = 1, .mscale = 1};
    rope->theta = json_fields_number(fields, "rope_theta", 1, 1e12, 10000);
    const json_t *object = json_fields_object(fields, "rope_scaling");
    if (object == NULL) {
        return;
    }
    static const char *const types[] = {"", "linear", "yarn"};
    json_fields inner = *fields;
    inner.section = "language_config.rope_scaling";
    inner.object = object;
    rope->scaling = (rope_scaling)(1 + read_word(&inner, "type", "none", types + 1, 2));
    rope->factor = json_fields_number(&inner, "factor", 1e-3, 1e6, 1);
    rope->original_positions =
        (int)json_fields_integer(&inner, "original_max_position_embeddings", 1, MAX_POSITIONS,
                                 4096);
    rope->beta_fast = json_fields_number(&inner, "beta_fast", 1e-6, 1e6, 32);
    rope->beta_slow = json_fields_number(&inner, "beta_slow", 1e-6, 1e6, 1);
    rope->mscale = json_fields_number(&inner, "mscale", 0, 1e3, 1);
    rope->mscale_all_dim = json_fields_number(&inner, "mscale_all_dim", 0, 1e3, 0);
    if (rope->scaling == ROPE_YARN && !language->latent_attention) {
        json_fields_fail(&inner, "type", "\"yarn\"", "\"linear\" where use_mla is false");
    }
    fields->status = inner.status;
}

static void read_attention(json_fields *fields, language_config *language)
{
    language->heads = (int)json_fields_integer(fields, "num_attention_heads", 1, MAX_HEADS, 32);
    language->latent_attention = json_fields_boolean(fields, "use_mla", true);
    language->attention_bias = json_fields_boolean(fields, "attention_bias", false);
    read_rope(fields, language);
    if (!language->latent_attention) {
        /* null means as many as heads, absent means the default of the reference's class. */
        bool absent = json_object_get(fields->object, "num_key_value_heads") == NULL;
        language->kv_heads = (int)json_fields_integer(fields, "num_key_value_heads", 1, MAX_HEADS,
                                                      absent ? 32 : language->heads);
        language->head_width = language->hidden / language->heads;
        language->score_scale = 1.0f / sqrtf((float)language->head_width);
        if (language->hidden % language->heads != 0 || language->head_width % 2 != 0) {
            refuse(fields, "num_attention_heads", language->heads,
                   "a divisor of hidden_size that leaves even head widths");
        }
        if (language->heads % language->kv_heads != 0) {
            refuse(fields, "num_key_value_heads", language->kv_heads,
                   "a divisor of num_attention_heads");
        }
        return;
    }
    /* null means no bottleneck here, absent means the default of the reference's class. */
    bool absent = json_object_get(fields->object, "q_lora_rank") == NULL;
    language->query_rank =
        (int)json_fields_integer(fields, "q_lora_rank", 1, MAX_WIDTH, absent ? 1536 : 0);
    language->latent_rank = (int)json_fields_integer(fields, "kv_lora_rank", 1, MAX_WIDTH, 512);
    language->nope_width = (int)json_fields_integer(fields, "qk_nope_head_dim", 1, MAX_WIDTH, 128);
    language->rope_width = (int)json_fields_integer(fields, "qk_rope_head_dim", 2, MAX_WIDTH, 64);
    language->value_width = (int)json_fields_integer(fields, "v_head_dim", 1, MAX_WIDTH, 128);
    if (language->rope_width % 2 != 0) {
        refuse(fields, "qk_rope_head_dim", language->rope_width, "an even number");
    }
    double scale = 1.0 / sqrt((double)(language->nope_width + language->rope_width));
    if (language->rope.scaling != ROPE_PLAIN && language->rope.mscale_all_dim != 0) {
        double mscale = yarn_mscale(language->rope.factor, language->rope.mscale_all_dim);
        scale *= mscale * mscale;
    }
    language->score_scale = (float)scale;
}

static void read_gate(json_fields *fields, gate_config *gate)
{
    static const char *const scorings[] = {"softmax", "sigmoid"};
    static const char *const methods[] = {"greedy", "group_limited_greedy", "noaux_tc"};
    gate->scoring = (gate_scoring)read_word(fields, "scoring_func", "softmax", scorings, 2);
    /* The reference's default is the misspelt "gready", which its gate then rejects. */
    gate->method = (gate_method)read_word(fields, "topk_method", "gready", methods, 3);
    gate->experts_per_token =
        (int)json_fields_required_integer(fields, "num_experts_per_tok", 1, gate->experts);
    gate->normalize = json_fields_boolean(fields, "norm_topk_prob", false);
    gate->scaling = (float)json_fields_number(fields, "routed_scaling_factor", -1e6, 1e6, 1.0);
    gate->groups = (int)json_fields_integer(fields, "n_group", 1, gate->experts, 1);
    gate->groups_per_token = (int)json_fields_integer(fields, "topk_group", 1, gate->groups, 1);
    if (gate->method == GATE_GREEDY) {
        gate->groups = gate->groups_per_token = 1;
    }
    if (gate->groups < 1 || gate->experts % gate->groups != 0) {
        refuse(fields, "n_group", gate->groups, "a divisor of n_routed_experts");
        return;
    }
    if (gate->method == GATE_NOAUX_TC && gate->experts / gate->groups < 2) {
        refuse(fields, "n_group", gate->groups, "groups of at least two experts for noaux_tc");
    }
}

static void read_feed_forward(json_fields *fields, language_config *language)
{
    language->dense_width =
        (int)json_fields_integer(fields, "intermediate_size", 1, MAX_WIDTH, 11008);
    language->gate.experts =
        (int)json_fields_integer(fields, "n_routed_experts", 1, 1 << 14, 0);
    if (language->gate.experts == 0) {
        return;
    }
    language->expert_width =
        (int)json_fields_integer(fields, "moe_intermediate_size", 1, MAX_WIDTH, 1407);
    language->shared_experts = (int)json_fields_integer(fields, "n_shared_experts", 1, 256, 0);
    language->first_expert_layer =
        (int)json_fields_integer(fields, "first_k_dense_replace", 0, MAX_LAYERS, 0);
    language->expert_layer_step =
        (int)json_fields_integer(fields, "moe_layer_freq", 1, MAX_LAYERS, 1);
    read_gate(fields, &language->gate);
}

static void read_language(json_fields *fields, language_config *language)
{
    static const char *const activations[] = {"silu"};
    language->vocabulary =
        (int)json_fields_integer(fields, "vocab_size", 1, MAX_VOCABULARY, 102400);
    language->hidden = (int)json_fields_integer(fields, "hidden_size", 1, MAX_WIDTH, 4096);
    language->layers = (int)json_fields_integer(fields, "num_hidden_layers", 1, MAX_LAYERS, 30);
    language->positions =
        (int)json_fields_integer(fields, "max_position_embeddings", 1, MAX_POSITIONS, 2048);
    language->rms_epsilon = (float)json_fields_number(fields, "rms_norm_eps", 0, 1, 1e-6);
    language->tied_embeddings = json_fields_boolean(fields, "tie_word_embeddings", false);
    language->bos =
        (int)json_fields_integer(fields, "bos_token_id", 0, MAX_VOCABULARY, 100000);
    language->eos =
        (int)json_fields_integer(fields, "eos_token_id", 0, MAX_VOCABULARY, 100001);
    read_word(fields, "hidden_act", "silu", activations, 1);
    read_attention(fields, language);
    read_feed_forward(fields, language);
}

/* The fields of a nested object; an absent one is like an empty one. */
static json_fields nested(json_fields *top, const char *key, const json_t *empty)
{
    const json_t *object = json_fields_object(top, key);
    json_fields fields = *top;
    fields.section = key;
    fields.object = object != NULL ? object : empty;
    return fields;
}

static vl2_status read_config(json_fields *top, model_config *config)
{
    static const char *const kinds[] = {"deepseek_vl_v2"};
    static const char *const tile_tags[] = {"2D"};
    json_t *empty = json_object();
    if (empty == NULL) {
        return vl2_fail_memory(top->error, top->file, 0);
    }
    read_word(top, "model_type", "", kinds, 1);
    read_word(top, "tile_tag", "tile_tag", tile_tags, 1);
    config->global_view_first =
        strcmp(json_fields_text(top, "global_view_pos", "head"), "head") == 0;
    json_fields vision = nested(top, "vision_config", empty);
    if (vision.status == VL2_OK) {
        read_vision(&vision, &config->vision);
    }
    top->status = vision.status;
    json_fields projector = nested(top, "projector_config", empty);
    if (projector.status == VL2_OK) {
        read_projector(&projector, &config->vision, &config->projector);
    }
    top->status = projector.status;
    json_fields language = nested(top, "language_config", empty);
    if (language.status == VL2_OK) {
        read_language(&language, &config->language);
    }
    if (language.status == VL2_OK && config->projector.output_width != config->language.hidden) {
        refuse(&language, "hidden_size", config->language.hidden, "n_embed of projector_config");
    }
    json_decref(empty);
    return language.status;
}

vl2_status model_config_parse(const char *text, size_t size, const char *name,
                              model_config *config, vl2_error *error)
{
    json_t *root;
    vl2_status status = json_parse(text, size, name, VL2_ERROR_MODEL, &root, error);
    if (status != VL2_OK) {
        return status;
    }
    model_config read;
    memset(&read, 0, sizeof(read));
    json_fields top = {name, "", root, VL2_ERROR_MODEL, VL2_OK, error};
    if (!json_is_object(root)) {
        char found[96];
        status = vl2_fail(error, VL2_ERROR_MODEL, "%s: found %s, expected an object", name,
                          json_describe(root, found, sizeof(found)));
    } else {
        status = read_config(&top, &read);
    }
    json_decref(root);
    if (status == VL2_OK) {
        *config = read;
    }
    return status;
}

vl2_status model_config_open(const char *path, model_config *config, vl2_error *error)
{
    char *text;
    size_t size;
    vl2_status status =
        file_read(path, CONFIG_FILE_LIMIT, VL2_ERROR_MODEL, &text, &size, error);
    if (status == VL2_OK) {
        status = model_config_parse(text, size, path, config, error);
        base_free(text);
    }
    return status;
}

bool language_config_has_experts(const language_config *config, int layer)
{
    return config->gate.experts > 0 && layer >= config->first_expert_layer &&
           layer % config->expert_layer_step == 0;
}
