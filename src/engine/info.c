/* vl2_model_get_info: what a model is made of, without touching its weights. */
#include "engine/model.h"

#include "model/kvcache.h"
#include "weights/pack_summary.h"

#include <stdio.h>
#include <string.h>

static void describe_shape(const model_config *config, vl2_model_info *info)
{
    static const char *const scorings[] = {"softmax", "sigmoid"};
    static const char *const methods[] = {"greedy", "group_limited_greedy", "noaux_tc"};
    const language_config *language = &config->language;
    snprintf(info->kind, sizeof(info->kind), "deepseek_vl_v2");
    snprintf(info->attention, sizeof(info->attention), "%s",
             language->latent_attention ? "mla" : "mha");
    snprintf(info->gate, sizeof(info->gate), "%s", "none");
    if (language->gate.experts > 0) {
        snprintf(info->gate, sizeof(info->gate), "%s/%s", scorings[language->gate.scoring],
                 methods[language->gate.method]);
    }
    info->vocabulary = language->vocabulary;
    info->hidden = language->hidden;
    info->layers = language->layers;
    info->heads = language->heads;
    info->experts = language->gate.experts;
    info->experts_per_token = language->gate.experts_per_token;
    info->shared_experts = language->shared_experts;
    info->expert_width = language->expert_width;
    info->dense_width = language->dense_width;
    info->latent = language->latent_rank;
    info->context = language->positions;
    for (int i = 0; i < language->layers; i++) {
        info->dense_layers += !language_config_has_experts(language, i);
    }
    info->vision_layers = config->vision.layers;
    info->vision_width = config->vision.width;
    info->vision_heads = config->vision.heads;
    info->vision_mlp_width = config->vision.mlp_width;
    info->tile_side = config->vision.image_size;
    info->patch_side = config->vision.patch_size;
    info->tokens_per_tile_side = config->projector.grid;
    info->kv_bytes_per_token = kvcache_token_bytes(language, VL2_KV_DEFAULT);
}

static bool starts_with(const char *text, const char *prefix)
{
    return strncmp(text, prefix, strlen(prefix)) == 0;
}

static uint32_t type_of(weight tensor)
{
    return tensor->packed.layout != 0 ? pack_layout_type(tensor->packed.layout)
                                      : (uint32_t)tensor->tensor.type + PACK_F32;
}

uint64_t engine_stored_bytes(weight tensor)
{
    layout_sizes sizes;
    if (tensor->packed.layout == 0) {
        return tensor_elements(&tensor->tensor) * data_type_size(tensor->tensor.type);
    }
    layout_measure(tensor->packed.layout, tensor->packed.rows, tensor->packed.columns, &sizes);
    return sizes.total;
}

static void count_parameters(const vl2_model *model, vl2_model_info *info)
{
    uint64_t of_type[PACK_INT4 + 1] = {0};
    for (size_t i = 0; i < model->weights->bound_count; i++) {
        weight tensor = model->weights->bound[i];
        uint64_t elements = tensor_elements(&tensor->tensor);
        info->parameters += elements;
        info->weight_bytes += engine_stored_bytes(tensor);
        of_type[type_of(tensor)] += elements;
        if (starts_with(tensor->tensor.name, "vision.")) {
            info->parameters_vision += elements;
        } else if (starts_with(tensor->tensor.name, "projector.")) {
            info->parameters_projector += elements;
        } else {
            info->parameters_language += elements;
        }
        if (strstr(tensor->tensor.name, ".mlp.experts.") != NULL) {
            info->parameters_experts += elements;
        }
    }
    uint32_t most = PACK_F32;
    for (uint32_t type = PACK_F32; type <= PACK_INT4; type++) {
        most = of_type[type] > of_type[most] ? type : most;
    }
    snprintf(info->data_type, sizeof(info->data_type), "%s", pack_type_name(most));
}

/* For one token of text: everything but the experts that were not chosen and the other embedding
 * rows. */
static uint64_t active_parameters(const vl2_model *model, const vl2_model_info *info)
{
    const language_config *language = &model->config.language;
    uint64_t active = info->parameters_language - info->parameters_experts;
    if (language->gate.experts > 0) {
        active += info->parameters_experts / (uint64_t)language->gate.experts *
                  (uint64_t)language->gate.experts_per_token;
    }
    if (!language->tied_embeddings) {
        active -= (uint64_t)(language->vocabulary - 1) * (uint64_t)language->hidden;
    }
    return active - 2 * (uint64_t)language->hidden; /* newline and separator rows */
}

void vl2_model_get_info(const vl2_model *model, vl2_model_info *info)
{
    memset(info, 0, sizeof(*info));
    describe_shape(&model->config, info);
    info->candidate_resolutions = model->processor->resolution_count;
    count_parameters(model, info);
    info->parameters_active = active_parameters(model, info);
    const checkpoint *checkpoint = weight_store_checkpoint(model->store);
    info->shards = checkpoint != NULL ? (int)checkpoint_shards(checkpoint) : 1;
    info->tensors = (int)weight_store_count(model->store);
    info->file_bytes = weight_store_file_bytes(model->store);
    info->unexpected_count = model->unexpected_count;
}

bool vl2_model_get_pack(const vl2_model *model, vl2_pack_summary *summary)
{
    const pack_file *file = weight_store_pack(model->store);
    memset(summary, 0, sizeof(*summary));
    if (file == NULL) {
        return false;
    }
    pack_tally tally;
    pack_tally_begin(&tally, summary);
    for (size_t i = 0; i < pack_tensor_count(file); i++) {
        const pack_tensor *tensor = pack_tensor_get(file, i);
        const pack_record *record = pack_record_get(file, tensor->record);
        pack_tally_tensor counted = {.group = tensor->group, .layout = tensor->layout,
                                     .source = (data_type)(tensor->source - PACK_F32),
                                     .layer = record->layer, .expert = record->expert,
                                     .elements = 1};
        for (int d = 0; d < tensor->rank; d++) {
            counted.elements *= tensor->shape[d];
        }
        for (int f = 0; f < tensor->frame_count; f++) {
            counted.content += tensor->frames[f].content;
            counted.stored += tensor->frames[f].stored;
        }
        pack_tally_add(&tally, &counted);
    }
    pack_tally_end(&tally);
    summary->file_bytes = pack_size(file);
    summary->records = pack_record_count(file);
    summary->kv_bytes =
        (uint64_t)kvcache_token_bytes(&model->config.language, VL2_KV_DEFAULT) *
        (uint64_t)model->config.language.positions;
    return true;
}

const char *vl2_model_get_meta(const vl2_model *model, size_t *size)
{
    const pack_file *file = weight_store_pack(model->store);
    *size = 0;
    return file != NULL ? pack_meta(file, size) : NULL;
}
