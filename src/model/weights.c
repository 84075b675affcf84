#include "model/weights.h"

#include "base/alloc.h"
#include "base/buffer.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define MISSING_NAMES_SHOWN 8
/* A configuration of absurd size is not walked to its end. */
#define MISSING_NAMES_COUNTED 100000

/* One walk over the network that looks up name after name. */
typedef struct binder {
    const weight_store *store;
    model_weights *weights;
    record_list *records; /* that the tensors taken belong to; NULL: none */
    size_t capacity;      /* of weights->bound */
    char prefix[128];     /* of the names, such as "language.model.layers.3." */
    buffer missing;       /* the first names that were not found */
    size_t missing_count;
    vl2_status status;    /* a wrong shape or no memory */
    vl2_error *error;
} binder;

static void set_prefix(binder *b, const char *format, ...) __attribute__((format(printf, 2, 3)));
static weight take(binder *b, const char *name, int rank, ...);

static void set_prefix(binder *b, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(b->prefix, sizeof(b->prefix), format, arguments);
    va_end(arguments);
}

static void note_record(binder *b, uint32_t record)
{
    record_list *list = b->records;
    if (list == NULL || record == WEIGHT_NO_RECORD ||
        (list->count > 0 && list->records[list->count - 1] == record)) {
        return;
    }
    if (list->count == list->capacity) {
        size_t capacity = list->capacity > 0 ? list->capacity * 2 : 64;
        uint32_t *records = base_realloc(list->records, capacity, sizeof(*records));
        if (records == NULL) {
            b->status = vl2_fail_memory(b->error, "the list of records",
                                        capacity * sizeof(*records));
            return;
        }
        list->records = records;
        list->capacity = capacity;
    }
    list->records[list->count++] = record;
}

static void remember(binder *b, weight found)
{
    note_record(b, found->record);
    if (b->weights->bound_count == b->capacity) {
        size_t capacity = b->capacity > 0 ? b->capacity * 2 : 256;
        weight *bound = base_realloc(b->weights->bound, capacity, sizeof(*bound));
        if (bound == NULL) {
            b->status = vl2_fail_memory(b->error, "the list of tensors", capacity * sizeof(*bound));
            return;
        }
        b->weights->bound = bound;
        b->capacity = capacity;
    }
    b->weights->bound[b->weights->bound_count++] = found;
}

static void note_missing(binder *b, const char *name)
{
    if (b->missing_count++ < MISSING_NAMES_SHOWN) {
        buffer_append_text(&b->missing, b->missing.size > 0 ? ", " : "");
        buffer_append_text(&b->missing, name);
    }
}

static bool goes_on(const binder *b)
{
    return b->status == VL2_OK && b->missing_count < MISSING_NAMES_COUNTED;
}

static bool same_shape(weight found, const int64_t *shape, int rank)
{
    return found->tensor.rank == rank &&
           memcmp(found->tensor.shape, shape, (size_t)rank * sizeof(*shape)) == 0;
}

/* The tensor PREFIX + name, whose dimensions follow as int. NULL if it is missing or wrong. */
static weight take(binder *b, const char *name, int rank, ...)
{
    int64_t shape[TENSOR_MAX_RANK];
    va_list dimensions;
    va_start(dimensions, rank);
    for (int i = 0; i < rank; i++) {
        shape[i] = va_arg(dimensions, int);
    }
    va_end(dimensions);
    if (b->status != VL2_OK) {
        return NULL;
    }
    char full[256];
    snprintf(full, sizeof(full), "%s%s", b->prefix, name);
    weight found = weight_store_find(b->store, full);
    if (found == NULL) {
        note_missing(b, full);
        return NULL;
    }
    if (!same_shape(found, shape, rank)) {
        char have[128], want[128];
        b->status = vl2_fail(b->error, VL2_ERROR_MODEL, "%s: %s: found shape %s, expected %s",
                             weight_store_file_of(b->store, found), full,
                             tensor_shape_text(found->tensor.shape, found->tensor.rank, have,
                                               sizeof(have)),
                             tensor_shape_text(shape, rank, want, sizeof(want)));
        return NULL;
    }
    /* Only matrices are read in packed form, and the patch convolution, which is one in effect. */
    bool packed = found->packed.layout != 0 && (rank == 2 || rank == 4);
    if (found->tensor.type == DATA_TYPE_COUNT && !packed) {
        b->status = vl2_fail(b->error, VL2_ERROR_MODEL,
                             "%s: %s: found data type %s, expected F32, F16 or BF16",
                             weight_store_file_of(b->store, found), full,
                             weight_store_type_of(b->store, found));
        return NULL;
    }
    remember(b, found);
    return found;
}

static void bind_vision(binder *b, const vision_config *config, vision_weights *vision)
{
    int width = config->width, patch = config->patch_size;
    set_prefix(b, "vision.");
    vision->patch_weight = take(b, "patch_embed.proj.weight", 4, width, 3, patch, patch);
    vision->patch_bias = take(b, "patch_embed.proj.bias", 1, width);
    vision->position = take(b, "pos_embed", 3, 1, config->grid * config->grid, width);
    vision->norm_weight = take(b, "norm.weight", 1, width);
    vision->norm_bias = take(b, "norm.bias", 1, width);
    for (int i = 0; i < config->layers; i++) {
        vision_block_weights *block = &vision->blocks[i];
        set_prefix(b, "vision.blocks.%d.", i);
        block->norm1_weight = take(b, "norm1.weight", 1, width);
        block->norm1_bias = take(b, "norm1.bias", 1, width);
        block->qkv_weight = take(b, "attn.qkv.weight", 2, 3 * width, width);
        block->qkv_bias = take(b, "attn.qkv.bias", 1, 3 * width);
        block->proj_weight = take(b, "attn.proj.weight", 2, width, width);
        block->proj_bias = take(b, "attn.proj.bias", 1, width);
        block->norm2_weight = take(b, "norm2.weight", 1, width);
        block->norm2_bias = take(b, "norm2.bias", 1, width);
        block->fc1_weight = take(b, "mlp.fc1.weight", 2, config->mlp_width, width);
        block->fc1_bias = take(b, "mlp.fc1.bias", 1, config->mlp_width);
        block->fc2_weight = take(b, "mlp.fc2.weight", 2, width, config->mlp_width);
        block->fc2_bias = take(b, "mlp.fc2.bias", 1, width);
    }
}

static void bind_projector(binder *b, const projector_config *config, projector_weights *projector)
{
    int input = config->input_width * config->ratio * config->ratio;
    for (int i = 0; i < config->depth; i++) {
        int output = i == config->depth - 1 ? config->output_width : config->inner_width;
        /* GELU stands between the linear layers of the reference's nn.Sequential. */
        set_prefix(b, "projector.layers.%d.", 2 * i);
        projector->weights[i] = take(b, "weight", 2, output, input);
        projector->biases[i] = take(b, "bias", 1, output);
        input = output;
    }
}

static void bind_attention(binder *b, const language_config *config, attention_weights *attention)
{
    int hidden = config->hidden, heads = config->heads;
    bool bias = config->attention_bias;
    if (!config->latent_attention) {
        int kv_width = config->kv_heads * config->head_width;
        attention->query = take(b, "self_attn.q_proj.weight", 2, hidden, hidden);
        attention->key = take(b, "self_attn.k_proj.weight", 2, kv_width, hidden);
        attention->value = take(b, "self_attn.v_proj.weight", 2, kv_width, hidden);
        attention->output = take(b, "self_attn.o_proj.weight", 2, hidden, hidden);
        if (bias) {
            attention->query_bias = take(b, "self_attn.q_proj.bias", 1, hidden);
            attention->key_bias = take(b, "self_attn.k_proj.bias", 1, kv_width);
            attention->value_bias = take(b, "self_attn.v_proj.bias", 1, kv_width);
            attention->output_bias = take(b, "self_attn.o_proj.bias", 1, hidden);
        }
        return;
    }
    int rank = config->latent_rank, rope = config->rope_width;
    int query_width = heads * (config->nope_width + rope);
    if (config->query_rank > 0) {
        attention->query_a = take(b, "self_attn.q_a_proj.weight", 2, config->query_rank, hidden);
        attention->query_a_norm = take(b, "self_attn.q_a_layernorm.weight", 1, config->query_rank);
        attention->query_b =
            take(b, "self_attn.q_b_proj.weight", 2, query_width, config->query_rank);
    } else {
        attention->query = take(b, "self_attn.q_proj.weight", 2, query_width, hidden);
    }
    attention->kv_a = take(b, "self_attn.kv_a_proj_with_mqa.weight", 2, rank + rope, hidden);
    attention->kv_a_norm = take(b, "self_attn.kv_a_layernorm.weight", 1, rank);
    attention->kv_b = take(b, "self_attn.kv_b_proj.weight", 2,
                           heads * (config->nope_width + config->value_width), rank);
    attention->output =
        take(b, "self_attn.o_proj.weight", 2, hidden, heads * config->value_width);
    if (bias) {
        if (config->query_rank > 0) {
            attention->query_a_bias = take(b, "self_attn.q_a_proj.bias", 1, config->query_rank);
        }
        attention->kv_a_bias = take(b, "self_attn.kv_a_proj_with_mqa.bias", 1, rank + rope);
        attention->output_bias = take(b, "self_attn.o_proj.bias", 1, hidden);
    }
}

static void bind_mlp(binder *b, int hidden, int width, mlp_weights *mlp)
{
    mlp->gate = take(b, "gate_proj.weight", 2, width, hidden);
    mlp->up = take(b, "up_proj.weight", 2, width, hidden);
    mlp->down = take(b, "down_proj.weight", 2, hidden, width);
}

static void bind_layer(binder *b, const language_config *config, int index, layer_weights *layer)
{
    int hidden = config->hidden;
    set_prefix(b, "language.model.layers.%d.", index);
    layer->input_norm = take(b, "input_layernorm.weight", 1, hidden);
    layer->post_attention_norm = take(b, "post_attention_layernorm.weight", 1, hidden);
    bind_attention(b, config, &layer->attention);
    layer->has_experts = language_config_has_experts(config, index);
    if (!layer->has_experts) {
        set_prefix(b, "language.model.layers.%d.mlp.", index);
        bind_mlp(b, hidden, config->dense_width, &layer->mlp);
        return;
    }
    set_prefix(b, "language.model.layers.%d.mlp.", index);
    layer->router = take(b, "gate.weight", 2, config->gate.experts, hidden);
    if (config->gate.method == GATE_NOAUX_TC) {
        layer->router_bias = take(b, "gate.e_score_correction_bias", 1, config->gate.experts);
    }
    if (config->shared_experts > 0) {
        set_prefix(b, "language.model.layers.%d.mlp.shared_experts.", index);
        bind_mlp(b, hidden, config->expert_width * config->shared_experts, &layer->mlp);
    }
    record_list *records = b->records;
    b->records = NULL; /* experts are acquired one by one */
    for (int e = 0; e < config->gate.experts && goes_on(b); e++) {
        set_prefix(b, "language.model.layers.%d.mlp.experts.%d.", index, e);
        bind_mlp(b, hidden, config->expert_width, &layer->experts[e]);
    }
    b->records = records;
}

static void bind_all(binder *b, const model_config *config)
{
    model_weights *weights = b->weights;
    const language_config *language = &config->language;
    b->records = &weights->vision_records;
    bind_vision(b, &config->vision, &weights->vision);
    bind_projector(b, &config->projector, &weights->projector);
    set_prefix(b, "%s", "");
    weights->image_newline = take(b, "image_newline", 1, language->hidden);
    weights->view_separator = take(b, "view_seperator", 1, language->hidden); /* sic */
    b->records = &weights->language_records;
    set_prefix(b, "language.");
    weights->embedding =
        take(b, "model.embed_tokens.weight", 2, language->vocabulary, language->hidden);
    weights->norm = take(b, "model.norm.weight", 1, language->hidden);
    weights->head = weights->embedding;
    if (!language->tied_embeddings) {
        weights->head = take(b, "lm_head.weight", 2, language->vocabulary, language->hidden);
    }
    for (int i = 0; i < language->layers && goes_on(b); i++) {
        bind_layer(b, language, i, &weights->layers[i]);
    }
}

static bool allocate(model_weights *weights, const model_config *config)
{
    const language_config *language = &config->language;
    weights->vision.blocks =
        base_calloc((size_t)config->vision.layers, sizeof(*weights->vision.blocks));
    size_t depth = (size_t)config->projector.depth;
    weights->projector.weights = base_calloc(depth, sizeof(weight));
    weights->projector.biases = base_calloc(depth, sizeof(weight));
    weights->layers = base_calloc((size_t)language->layers, sizeof(*weights->layers));
    if (weights->vision.blocks == NULL || weights->projector.weights == NULL ||
        weights->projector.biases == NULL || weights->layers == NULL) {
        return false;
    }
    /* One block for the experts of all layers, owned by the first. */
    size_t experts = (size_t)language->gate.experts;
    mlp_weights *all = base_calloc((size_t)language->layers * experts, sizeof(*all));
    for (int i = 0; all != NULL && i < language->layers; i++) {
        weights->layers[i].experts = all + (size_t)i * experts;
    }
    return all != NULL;
}

static int compare_addresses(const void *a, const void *b)
{
    uintptr_t left = (uintptr_t) * (const weight *)a, right = (uintptr_t) * (const weight *)b;
    return left < right ? -1 : left > right;
}

vl2_status model_weights_bind(const model_config *config, weight_store *store, const char *path,
                              model_weights **weights, vl2_error *error)
{
    binder b = {.store = store, .status = VL2_OK, .error = error};
    b.weights = base_calloc(1, sizeof(*b.weights));
    if (b.weights == NULL || !allocate(b.weights, config)) {
        model_weights_free(b.weights);
        return vl2_fail_memory(error, "the table of weights", sizeof(model_weights));
    }
    b.weights->store = store;
    bind_all(&b, config);
    if (b.status == VL2_OK && b.missing_count > 0) {
        b.status = vl2_fail(
            error, VL2_ERROR_MODEL, "%s: tensors missing that config.json calls for (%s%zu): %s%s",
            path, b.missing_count >= MISSING_NAMES_COUNTED ? "at least " : "", b.missing_count,
            b.missing.data != NULL ? b.missing.data : "",
            b.missing_count > MISSING_NAMES_SHOWN ? ", ..." : "");
    }
    buffer_free(&b.missing);
    if (b.status != VL2_OK) {
        model_weights_free(b.weights);
        return b.status;
    }
    qsort(b.weights->bound, b.weights->bound_count, sizeof(weight), compare_addresses);
    *weights = b.weights;
    return VL2_OK;
}

void model_weights_free(model_weights *weights)
{
    if (weights == NULL) {
        return;
    }
    if (weights->layers != NULL) {
        base_free(weights->layers[0].experts);
    }
    base_free(weights->layers);
    base_free(weights->projector.weights);
    base_free(weights->projector.biases);
    base_free(weights->vision.blocks);
    base_free(weights->bound);
    base_free(weights->vision_records.records);
    base_free(weights->language_records.records);
    base_free(weights);
}

vl2_status model_weights_acquire(const model_weights *weights, const record_list *list,
                                 const team *team, vl2_error *error)
{
    return weight_store_acquire(weights->store, list->records, list->count, team, error);
}

bool model_weights_expects(const model_weights *weights, weight tensor)
{
    if (strncmp(tensor->tensor.name, "vision.attn_pool.", strlen("vision.attn_pool.")) == 0) {
        return true;
    }
    return bsearch(&tensor, weights->bound, weights->bound_count, sizeof(weight),
                   compare_addresses) != NULL;
}
