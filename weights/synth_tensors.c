#include "weights/synth_tensors.h"

#include "base/alloc.h"

#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

/* Deviations. A weight keeps the size of what goes through it (1 / sqrt(inputs)); what is added to
 * the residual stream is scaled down by the number of additions, as trained networks do. */
#define NORM_DEVIATION       0.1 /* around one, so that a forgotten norm weight shows */
#define BIAS_DEVIATION       0.02
#define LOGIT_DEVIATION      3.0 /* the most likely token stands out */
#define CORRECTION_DEVIATION 0.05
#define POSITION_DEVIATION   0.2

#define SHAPE(...) ((const int64_t[]){__VA_ARGS__, 0})

/* Appends a tensor. `shape` ends with 0. `suffix` follows the name, which is given as for
 * printf. */
static void add_named(synth_tensors *tensors, double mean, double deviation, const int64_t *shape,
                      const char *suffix, const char *name, va_list arguments)
{
    if (tensors->count == tensors->capacity) {
        size_t capacity = tensors->capacity == 0 ? 256 : tensors->capacity * 2;
        synth_tensor *items = base_realloc(tensors->items, capacity, sizeof(*items));
        if (items == NULL) {
            tensors->failed = true;
            return;
        }
        tensors->items = items;
        tensors->capacity = capacity;
    }
    synth_tensor *tensor = &tensors->items[tensors->count++];
    memset(tensor, 0, sizeof(*tensor));
    vsnprintf(tensor->name, sizeof(tensor->name), name, arguments);
    size_t length = strlen(tensor->name);
    snprintf(tensor->name + length, sizeof(tensor->name) - length, "%s", suffix);
    tensor->elements = 1;
    for (; shape[tensor->rank] != 0; tensor->rank++) {
        tensor->shape[tensor->rank] = shape[tensor->rank];
        tensor->elements *= (uint64_t)shape[tensor->rank];
    }
    tensor->random = tensor->elements;
    tensor->mean = mean;
    tensor->deviation = deviation;
}

static void add(synth_tensors *tensors, double deviation, const int64_t *shape, const char *name,
                ...) __attribute__((format(printf, 4, 5)));
static void linear(synth_tensors *tensors, int64_t outputs, int64_t inputs, double gain, bool bias,
                   const char *name, ...) __attribute__((format(printf, 6, 7)));
static void norm(synth_tensors *tensors, int64_t width, bool bias, const char *name, ...)
    __attribute__((format(printf, 4, 5)));

static void add(synth_tensors *tensors, double deviation, const int64_t *shape, const char *name,
                ...)
{
    va_list arguments;
    va_start(arguments, name);
    add_named(tensors, 0, deviation, shape, "", name, arguments);
    va_end(arguments);
}

/* NAME.weight [outputs, inputs] and perhaps NAME.bias; outputs are about `gain` times the
 * inputs. */
static void linear(synth_tensors *tensors, int64_t outputs, int64_t inputs, double gain, bool bias,
                   const char *name, ...)
{
    va_list arguments;
    va_start(arguments, name);
    add_named(tensors, 0, gain / sqrt((double)inputs), SHAPE(outputs, inputs), ".weight", name,
              arguments);
    va_end(arguments);
    if (bias) {
        va_start(arguments, name);
        add_named(tensors, 0, BIAS_DEVIATION, SHAPE(outputs), ".bias", name, arguments);
        va_end(arguments);
    }
}

static void norm(synth_tensors *tensors, int64_t width, bool bias, const char *name, ...)
{
    va_list arguments;
    va_start(arguments, name);
    add_named(tensors, 1, NORM_DEVIATION, SHAPE(width), ".weight", name, arguments);
    va_end(arguments);
    if (bias) {
        va_start(arguments, name);
        add_named(tensors, 0, BIAS_DEVIATION, SHAPE(width), ".bias", name, arguments);
        va_end(arguments);
    }
}

/* Rows of the last tensor that no token has: zero, as in the published files. */
static void zero_behind(synth_tensors *tensors, int64_t rows)
{
    if (!tensors->failed) {
        synth_tensor *tensor = &tensors->items[tensors->count - 1];
        tensor->random = (uint64_t)rows * (uint64_t)tensor->shape[1];
    }
}

/* timm's AttentionPoolLatent, stored and never used. */
static void list_attention_pool(synth_tensors *tensors, int64_t width, int64_t mlp)
{
    add(tensors, BIAS_DEVIATION, SHAPE(1, 1, width), "vision.attn_pool.latent");
    linear(tensors, width, width, 1, true, "vision.attn_pool.q");
    linear(tensors, 2 * width, width, 1, true, "vision.attn_pool.kv");
    linear(tensors, width, width, 1, true, "vision.attn_pool.proj");
    norm(tensors, width, true, "vision.attn_pool.norm");
    linear(tensors, mlp, width, 1, true, "vision.attn_pool.mlp.fc1");
    linear(tensors, width, mlp, 1, true, "vision.attn_pool.mlp.fc2");
}

static void list_vision(const synth_shape *shape, synth_tensors *tensors)
{
    int64_t width = shape->vision.width, patch = shape->vision.patch_size;
    int64_t side = shape->vision.image_size / patch;
    int64_t mlp = (int64_t)(shape->vision.width * shape->vision.mlp_ratio);
    double residual = 1 / sqrt(2.0 * shape->vision.layers);
    add(tensors, POSITION_DEVIATION, SHAPE(1, side * side, width), "vision.pos_embed");
    add(tensors, 1 / sqrt((double)(3 * patch * patch)), SHAPE(width, 3, patch, patch),
        "vision.patch_embed.proj.weight");
    add(tensors, BIAS_DEVIATION, SHAPE(width), "vision.patch_embed.proj.bias");
    for (int i = 0; i < shape->vision.layers; i++) {
        norm(tensors, width, true, "vision.blocks.%d.norm1", i);
        linear(tensors, 3 * width, width, 1, true, "vision.blocks.%d.attn.qkv", i);
        linear(tensors, width, width, residual, true, "vision.blocks.%d.attn.proj", i);
        norm(tensors, width, true, "vision.blocks.%d.norm2", i);
        linear(tensors, mlp, width, 1, true, "vision.blocks.%d.mlp.fc1", i);
        linear(tensors, width, mlp, residual, true, "vision.blocks.%d.mlp.fc2", i);
    }
    norm(tensors, width, true, "vision.norm");
    if (shape->vision.attn_pool) {
        list_attention_pool(tensors, width, mlp);
    }
}

/* nn.Sequential of Linear and GELU: the linear layers have the even numbers. */
static void list_projector(const synth_shape *shape, synth_tensors *tensors)
{
    int64_t hidden = shape->language.hidden_size, ratio = shape->projector.downsample_ratio;
    int64_t inner = hidden * shape->projector.mlp_ratio;
    int last = 2 * (shape->projector.depth - 1);
    linear(tensors, inner, shape->vision.width * ratio * ratio, 1, true, "projector.layers.0");
    for (int i = 2; i < last; i += 2) {
        linear(tensors, inner, inner, 1, true, "projector.layers.%d", i);
    }
    linear(tensors, hidden, inner, 1, true, "projector.layers.%d", last);
}

static void list_attention(const synth_shape *shape, synth_tensors *tensors, int i,
                           double residual)
{
    int64_t hidden = shape->language.hidden_size, heads = shape->language.num_attention_heads;
    bool bias = shape->language.attention_bias;
    if (!shape->language.use_mla) {
        int64_t rows = hidden / heads * shape->language.num_key_value_heads;
        linear(tensors, hidden, hidden, 1, bias, "language.model.layers.%d.self_attn.q_proj", i);
        linear(tensors, rows, hidden, 1, bias, "language.model.layers.%d.self_attn.k_proj", i);
        linear(tensors, rows, hidden, 1, bias, "language.model.layers.%d.self_attn.v_proj", i);
        linear(tensors, hidden, hidden, residual, bias,
               "language.model.layers.%d.self_attn.o_proj", i);
        return;
    }
    int64_t nope = shape->language.qk_nope_head_dim, rope = shape->language.qk_rope_head_dim;
    int64_t value = shape->language.v_head_dim, rank = shape->language.kv_lora_rank;
    int64_t query_rank = shape->language.q_lora_rank, queries = heads * (nope + rope);
    if (query_rank == 0) {
        linear(tensors, queries, hidden, 1, false, "language.model.layers.%d.self_attn.q_proj", i);
    } else {
        linear(tensors, query_rank, hidden, 1, bias,
               "language.model.layers.%d.self_attn.q_a_proj", i);
        norm(tensors, query_rank, false, "language.model.layers.%d.self_attn.q_a_layernorm", i);
        linear(tensors, queries, query_rank, 1, false,
               "language.model.layers.%d.self_attn.q_b_proj", i);
    }
    linear(tensors, rank + rope, hidden, 1, bias,
           "language.model.layers.%d.self_attn.kv_a_proj_with_mqa", i);
    norm(tensors, rank, false, "language.model.layers.%d.self_attn.kv_a_layernorm", i);
    linear(tensors, heads * (nope + value), rank, 1, false,
           "language.model.layers.%d.self_attn.kv_b_proj", i);
    linear(tensors, hidden, heads * value, residual, bias,
           "language.model.layers.%d.self_attn.o_proj", i);
}

/* gate, up and down of layer i; `part` is "", ".experts.7" or ".shared_experts". */
static void list_mlp(synth_tensors *tensors, int64_t hidden, int64_t width, double residual, int i,
                     const char *part)
{
    linear(tensors, width, hidden, 1, false, "language.model.layers.%d.mlp%s.gate_proj", i, part);
    linear(tensors, width, hidden, 1, false, "language.model.layers.%d.mlp%s.up_proj", i, part);
    linear(tensors, hidden, width, residual, false, "language.model.layers.%d.mlp%s.down_proj", i,
           part);
}

static void list_experts(const synth_shape *shape, synth_tensors *tensors, int i, double residual)
{
    int64_t hidden = shape->language.hidden_size, width = shape->language.moe_intermediate_size;
    int64_t experts = shape->language.n_routed_experts;
    linear(tensors, experts, hidden, 1, false, "language.model.layers.%d.mlp.gate", i);
    if (strcmp(shape->language.topk_method, "noaux_tc") == 0) {
        add(tensors, CORRECTION_DEVIATION, SHAPE(experts),
            "language.model.layers.%d.mlp.gate.e_score_correction_bias", i);
    }
    for (int64_t expert = 0; expert < experts; expert++) {
        char part[32];
        snprintf(part, sizeof(part), ".experts.%d", (int)expert);
        list_mlp(tensors, hidden, width, residual, i, part);
    }
    if (shape->language.n_shared_experts > 0) {
        list_mlp(tensors, hidden, width * shape->language.n_shared_experts, residual, i,
                 ".shared_experts");
    }
}

static void list_language(const synth_shape *shape, synth_tensors *tensors)
{
    int64_t hidden = shape->language.hidden_size, rows = shape->language.vocab_size;
    double residual = 1 / sqrt(2.0 * shape->language.num_hidden_layers);
    add(tensors, 1, SHAPE(rows, hidden), "language.model.embed_tokens.weight");
    zero_behind(tensors, shape->tokenizer.tokens);
    for (int i = 0; i < shape->language.num_hidden_layers; i++) {
        bool experts = shape->language.n_routed_experts > 0 &&
                       i >= shape->language.first_k_dense_replace &&
                       i % shape->language.moe_layer_freq == 0;
        norm(tensors, hidden, false, "language.model.layers.%d.input_layernorm", i);
        list_attention(shape, tensors, i, residual);
        norm(tensors, hidden, false, "language.model.layers.%d.post_attention_layernorm", i);
        if (experts) {
            list_experts(shape, tensors, i, residual);
        } else {
            list_mlp(tensors, hidden, shape->language.intermediate_size, residual, i, "");
        }
    }
    norm(tensors, hidden, false, "language.model.norm");
    linear(tensors, rows, hidden, LOGIT_DEVIATION, false, "language.lm_head");
    zero_behind(tensors, shape->tokenizer.tokens);
}

vl2_status synth_list_tensors(const synth_shape *shape, synth_tensors *tensors, vl2_error *error)
{
    *tensors = (synth_tensors){NULL, 0, 0, false};
    int64_t hidden = shape->language.hidden_size;
    add(tensors, 1, SHAPE(hidden), "image_newline");
    add(tensors, 1, SHAPE(hidden), "view_seperator");
    list_vision(shape, tensors);
    list_projector(shape, tensors);
    list_language(shape, tensors);
    if (tensors->failed) {
        size_t bytes = tensors->capacity * 2 * sizeof(*tensors->items);
        synth_free_tensors(tensors);
        return vl2_fail_memory(error, "the list of tensors", bytes);
    }
    return VL2_OK;
}

void synth_free_tensors(synth_tensors *tensors)
{
    base_free(tensors->items);
    *tensors = (synth_tensors){NULL, 0, 0, false};
}

uint64_t synth_tensor_bytes(const synth_shape *shape)
{
    synth_tensors tensors;
    uint64_t elements = 0;
    if (synth_list_tensors(shape, &tensors, NULL) == VL2_OK) {
        for (size_t i = 0; i < tensors.count; i++) {
            elements += tensors.items[i].elements;
        }
        synth_free_tensors(&tensors);
    }
    return elements * data_type_size(shape->type);
}

typedef struct bound {
    const char *name;
    int value, minimum, maximum;
} bound;

static vl2_status check_bounds(const bound *bounds, size_t count, vl2_error *error)
{
    for (size_t i = 0; i < count; i++) {
        if (bounds[i].value < bounds[i].minimum || bounds[i].value > bounds[i].maximum) {
            return vl2_fail(error, VL2_ERROR_ARGUMENT,
                            "shape: %s: found %d, expected an integer from %d to %d",
                            bounds[i].name, bounds[i].value, bounds[i].minimum,
                            bounds[i].maximum);
        }
    }
    return VL2_OK;
}

#define MAX_SIZE (1 << 20)

vl2_status synth_check_shape(const synth_shape *shape, vl2_error *error)
{
    int latent = shape->language.use_mla ? 1 : 0;
    int moe = shape->language.n_routed_experts > 0 ? 1 : 0;
    int least = shape->tokenizer.kind == SYNTH_VOCABULARY_128K ? 3 + 256 + 15 + 8 : 256 + 11;
    const bound bounds[] = {
        {"candidate_resolutions", shape->candidate_count, 1, SYNTH_MAX_CANDIDATES},
        {"vision_config.patch_size", shape->vision.patch_size, 1, 1024},
        {"vision_config.image_size", shape->vision.image_size, shape->vision.patch_size, 1 << 14},
        {"vision_config.width", shape->vision.width, 1, MAX_SIZE},
        {"vision_config.layers", shape->vision.layers, 1, 1024},
        {"vision_config.heads", shape->vision.heads, 1, shape->vision.width},
        {"projector_config.depth", shape->projector.depth, 2, 16},
        {"projector_config.mlp_ratio", shape->projector.mlp_ratio, 1, 64},
        {"projector_config.downsample_ratio", shape->projector.downsample_ratio, 1, 16},
        {"language_config.hidden_size", shape->language.hidden_size, 1, MAX_SIZE},
        {"language_config.intermediate_size", shape->language.intermediate_size, 1, MAX_SIZE},
        {"language_config.num_hidden_layers", shape->language.num_hidden_layers, 1, 1024},
        {"language_config.num_attention_heads", shape->language.num_attention_heads, 1, 4096},
        {"language_config.num_key_value_heads", shape->language.num_key_value_heads, 1, 4096},
        {"language_config.n_routed_experts", shape->language.n_routed_experts, 0, 4096},
        {"language_config.n_shared_experts", shape->language.n_shared_experts, 0, 64},
        {"language_config.moe_intermediate_size", shape->language.moe_intermediate_size, moe,
         MAX_SIZE},
        {"language_config.moe_layer_freq", shape->language.moe_layer_freq, 1, 1024},
        {"language_config.q_lora_rank", shape->language.q_lora_rank, 0, MAX_SIZE},
        {"language_config.kv_lora_rank", shape->language.kv_lora_rank, latent, MAX_SIZE},
        {"language_config.qk_nope_head_dim", shape->language.qk_nope_head_dim, latent, 1 << 14},
        {"language_config.qk_rope_head_dim", shape->language.qk_rope_head_dim, latent, 1 << 14},
        {"language_config.v_head_dim", shape->language.v_head_dim, latent, 1 << 14},
        {"language_config.vocab_size", shape->language.vocab_size, least, 1 << 24},
        {"tokenizer.tokens", shape->tokenizer.tokens, least, shape->language.vocab_size},
    };
    if (!(shape->vision.mlp_ratio * shape->vision.width >= 1 && shape->vision.mlp_ratio <= 64)) {
        return vl2_fail(error, VL2_ERROR_ARGUMENT,
                        "shape: vision_config.mlp_ratio: found %g, expected at most 64 and one "
                        "neuron or more",
                        shape->vision.mlp_ratio);
    }
    return check_bounds(bounds, sizeof(bounds) / sizeof(bounds[0]), error);
}
