/* What a run needs at least: bytes to read, and products to compute. */
#include "engine/bench.h"

#include "model/kvcache.h"
#include "weights/place.h"

#include <string.h>

/* Of each matrix: the share of it that one token of text uses. */
static double active_share(const language_config *config, weight tensor)
{
    weight_group group = weight_place_of(tensor->tensor.name).group;
    switch (group) {
    case WEIGHT_VISION:
    case WEIGHT_PROJECTOR:
    case WEIGHT_UNUSED:
        return 0;
    case WEIGHT_EMBEDDING: /* one row; all of it where it is the head as well */
        return config->tied_embeddings ? 1 : 1.0 / config->vocabulary;
    case WEIGHT_EXPERTS:
        return (double)config->gate.experts_per_token / config->gate.experts;
    default:
        return 1;
    }
}

uint64_t bench_active_bytes(const vl2_model *model)
{
    double bytes = 0;
    for (size_t i = 0; i < model->weights->bound_count; i++) {
        weight tensor = model->weights->bound[i];
        bytes += active_share(&model->config.language, tensor) *
                 (double)engine_stored_bytes(tensor);
    }
    return (uint64_t)bytes;
}

static void add_product(vl2_bench_result *result, weight tensor, double rows)
{
    double operations = 2 * rows * (double)tensor_elements(&tensor->tensor);
    *(tensor->packed.layout != 0 ? &result->integer_operations : &result->float_operations) +=
        operations;
}

/* Products without weights. */
static void add_attention(vl2_bench_result *result, double operations)
{
    *(result->integer_operations > result->float_operations ? &result->integer_operations
                                                            : &result->float_operations) +=
        operations;
}

/* `queries` positions that see `seen` ones in all. */
static double attention_operations(const language_config *config, double seen)
{
    double width = config->latent_attention
                       ? config->nope_width + config->rope_width + config->value_width
                       : 2 * config->head_width;
    return 2 * seen * width * config->heads * config->layers;
}

/* The decoder over `tokens` positions behind `context`; logits of the last one. */
static void add_decoder(const vl2_model *model, double tokens, double context,
                        vl2_bench_result *result)
{
    const language_config *config = &model->config.language;
    for (size_t i = 0; i < model->weights->bound_count; i++) {
        weight tensor = model->weights->bound[i];
        weight_group group = weight_place_of(tensor->tensor.name).group;
        if (tensor->tensor.rank != 2 || group == WEIGHT_VISION || group == WEIGHT_PROJECTOR) {
            continue;
        }
        if (tensor == model->weights->head) {
            add_product(result, tensor, 1);
        } else if (group != WEIGHT_EMBEDDING) {
            add_product(result, tensor, tokens * active_share(config, tensor));
        }
    }
    add_attention(result,
                  attention_operations(config, tokens * context + tokens * (tokens + 1) / 2));
}

static void add_vision(const vl2_model *model, double tiles, vl2_bench_result *result)
{
    const vision_config *vision = &model->config.vision;
    const projector_config *projector = &model->config.projector;
    double patches = tiles * vision->grid * vision->grid;
    double cells = tiles * projector->grid * projector->grid;
    for (size_t i = 0; i < model->weights->bound_count; i++) {
        weight tensor = model->weights->bound[i];
        weight_group group = weight_place_of(tensor->tensor.name).group;
        bool matrix = tensor->tensor.rank == 2 || tensor == model->weights->vision.patch_weight;
        if (matrix && (group == WEIGHT_VISION || group == WEIGHT_PROJECTOR)) {
            add_product(result, tensor, group == WEIGHT_VISION ? patches : cells);
        }
    }
    add_attention(result, 4 * patches * vision->grid * vision->grid * vision->width *
                              vision->layers);
}

void bench_prefill_work(const vl2_model *model, vl2_bench_result *result)
{
    add_decoder(model, result->tokens, 0, result);
}

void bench_decode_work(const vl2_model *model, vl2_kv_type type, vl2_bench_result *result)
{
    double seen = result->context + 0.5 * (result->tokens + 1);
    add_decoder(model, 1, seen - 1, result);
    result->weight_bytes = (double)bench_active_bytes(model);
    result->cache_bytes =
        seen * (double)kvcache_token_bytes(&model->config.language, type);
}

void bench_vision_work(const vl2_model *model, vl2_bench_result *result)
{
    add_vision(model, result->tiles, result);
}

void bench_first_token_work(const vl2_model *model, vl2_bench_result *result)
{
    add_vision(model, result->tiles, result);
    add_decoder(model, result->tokens, 0, result);
}

/* The peak that is used of a kind; 0 if there is none. */
static double used_peak(const vl2_bench_run *run, bool integer)
{
    double rate = 0;
    for (size_t i = 0; i < run->peak_count; i++) {
        const vl2_bench_peak *peak = &run->peaks[i];
        if (peak->used && (strcmp(peak->kind, "int8") == 0) == integer && peak->rate > rate) {
            rate = peak->rate;
        }
    }
    return rate;
}

void bench_limit(const vl2_bench_run *run, vl2_bench_result *result)
{
    double integer = used_peak(run, true), floats = used_peak(run, false);
    if (result->part == VL2_BENCH_DECODE) {
        if (run->read_bandwidth > 0) {
            result->limit = (result->weight_bytes + result->cache_bytes) / run->read_bandwidth;
        }
    } else if (integer > 0 && floats > 0) {
        result->limit =
            result->integer_operations / integer + result->float_operations / floats;
    }
    result->fraction = result->seconds > 0 ? result->limit / result->seconds : 0;
}
