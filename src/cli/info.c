/* vl2 info: what is this checkpoint? */
#include "cli/command.h"
#include "cli/demo_model.h"
#include "cli/failure.h"
#include "cli/format.h"
#include "cli/streams.h"
#include "cli/weight_groups.h"
#include "vl2.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

static void print_parameters(const vl2_model_info *info)
{
    char all[FORMAT_SIZE], active[FORMAT_SIZE], language[FORMAT_SIZE], experts[FORMAT_SIZE],
        vision[FORMAT_SIZE], projector[FORMAT_SIZE];
    printf("parameters  %s, %s active per token\n", format_count(info->parameters, all),
           format_count(info->parameters_active, active));
    printf("            language %s (routed experts %s), vision %s, projector %s\n",
           format_count(info->parameters_language, language),
           format_count(info->parameters_experts, experts),
           format_count(info->parameters_vision, vision),
           format_count(info->parameters_projector, projector));
}

static void print_language(const vl2_model_info *info)
{
    char per_token[FORMAT_SIZE], full[FORMAT_SIZE];
    printf("language    %d layers of width %d, %d heads, vocabulary %d\n", info->layers,
           info->hidden, info->heads, info->vocabulary);
    printf("            attention %s", info->attention);
    if (info->latent > 0) {
        printf(", latent %d", info->latent);
    }
    printf("; %d dense layer%s of width %d\n", info->dense_layers,
           info->dense_layers == 1 ? "" : "s", info->dense_width);
    printf("            %d experts of width %d, %d per token and %d shared; gate %s\n",
           info->experts, info->expert_width, info->experts_per_token, info->shared_experts,
           info->gate);
    printf("context     %d tokens; KV cache %s per token, %s when full\n", info->context,
           format_bytes(info->kv_bytes_per_token, per_token),
           format_bytes(info->kv_bytes_per_token * (uint64_t)info->context, full));
}

static void print_pack(const vl2_model *model, const vl2_pack_summary *pack)
{
    char all[FORMAT_SIZE], paged[FORMAT_SIZE];
    size_t size;
    const char *meta = vl2_model_get_meta(model, &size);
    if (meta != NULL) {
        printf("packed      %.*s\n", (int)size, meta);
    }
    printf("memory      %s with all weights resident, %s with one layer's routed experts\n\n",
           format_bytes(pack->memory_resident, all), format_bytes(pack->memory_paged, paged));
    weight_groups_print(pack);
}

static void print_info(const vl2_model *model, const vl2_model_info *info, bool verbose)
{
    char files[FORMAT_SIZE];
    printf("model       %s\n", info->kind);
    print_parameters(info);
    print_language(info);
    printf("vision      %d layers of width %d, %d heads, MLP %d\n", info->vision_layers,
           info->vision_width, info->vision_heads, info->vision_mlp_width);
    printf("pictures    tiles of %d x %d pixels, patches of %d, %d x %d tokens per tile,\n"
           "            %d resolutions to choose from\n",
           info->tile_side, info->tile_side, info->patch_side, info->tokens_per_tile_side,
           info->tokens_per_tile_side, info->candidate_resolutions);
    printf("files       %d weight file%s, %d tensors, %s, %s\n", info->shards,
           info->shards == 1 ? "" : "s", info->tensors, info->data_type,
           format_bytes(info->file_bytes, files));
    vl2_pack_summary pack;
    bool packed = vl2_model_get_pack(model, &pack);
    printf("unused      %zu tensor%s that the model does not use%s\n", info->unexpected_count,
           info->unexpected_count == 1 ? "" : "s",
           verbose || info->unexpected_count == 0 ? "" : " (-v lists them)");
    for (size_t i = 0; verbose && i < info->unexpected_count; i++) {
        printf("            %s\n", vl2_model_unexpected(model, i));
    }
    if (packed) {
        print_pack(model, &pack);
    }
}

static json_t *unexpected_json(const vl2_model *model, size_t count)
{
    json_t *list = json_array();
    for (size_t i = 0; i < count; i++) {
        if (json_array_append_new(list, json_string(vl2_model_unexpected(model, i))) != 0) {
            json_decref(list);
            return NULL;
        }
    }
    return list;
}

/* What only a packed file has. */
static json_t *pack_json(const vl2_model *model, const vl2_pack_summary *pack)
{
    size_t size;
    const char *meta = vl2_model_get_meta(model, &size);
    json_t *notes = meta != NULL ? json_loadb(meta, size, 0, NULL) : NULL;
    return json_pack("{s:I, s:I, s:f, s:I, s:I, s:o, s:o}", "records", (json_int_t)pack->records,
                     "weight_bytes", (json_int_t)pack->weight_bytes, "bits",
                     bits_per_weight(pack->weight_bytes, pack->parameters), "memory_resident",
                     (json_int_t)pack->memory_resident, "memory_paged",
                     (json_int_t)pack->memory_paged, "groups", weight_groups_json(pack), "meta",
                     notes != NULL ? notes : json_null());
}

static json_t *info_json(const vl2_model *model, const vl2_model_info *info)
{
    json_t *object = json_pack("{s:s, s:s, s:s, s:s}", "kind", info->kind, "attention",
                               info->attention, "gate", info->gate, "data_type", info->data_type);
    const struct {
        const char *name;
        uint64_t value;
    } numbers[] = {
        {"vocabulary", (uint64_t)info->vocabulary},
        {"hidden", (uint64_t)info->hidden},
        {"layers", (uint64_t)info->layers},
        {"heads", (uint64_t)info->heads},
        {"experts", (uint64_t)info->experts},
        {"experts_per_token", (uint64_t)info->experts_per_token},
        {"shared_experts", (uint64_t)info->shared_experts},
        {"dense_layers", (uint64_t)info->dense_layers},
        {"expert_width", (uint64_t)info->expert_width},
        {"dense_width", (uint64_t)info->dense_width},
        {"latent", (uint64_t)info->latent},
        {"context", (uint64_t)info->context},
        {"vision_layers", (uint64_t)info->vision_layers},
        {"vision_width", (uint64_t)info->vision_width},
        {"vision_heads", (uint64_t)info->vision_heads},
        {"vision_mlp_width", (uint64_t)info->vision_mlp_width},
        {"tile_side", (uint64_t)info->tile_side},
        {"patch_side", (uint64_t)info->patch_side},
        {"tokens_per_tile_side", (uint64_t)info->tokens_per_tile_side},
        {"candidate_resolutions", (uint64_t)info->candidate_resolutions},
        {"shards", (uint64_t)info->shards},
        {"tensors", (uint64_t)info->tensors},
        {"parameters", info->parameters},
        {"parameters_active", info->parameters_active},
        {"parameters_vision", info->parameters_vision},
        {"parameters_projector", info->parameters_projector},
        {"parameters_language", info->parameters_language},
        {"parameters_experts", info->parameters_experts},
        {"file_bytes", info->file_bytes},
        {"weight_bytes", info->weight_bytes},
        {"kv_bytes_per_token", info->kv_bytes_per_token},
    };
    int failed = object == NULL;
    for (size_t i = 0; i < sizeof(numbers) / sizeof(numbers[0]); i++) {
        failed |= json_object_set_new(object, numbers[i].name,
                                      json_integer((json_int_t)numbers[i].value));
    }
    failed |=
        json_object_set_new(object, "unexpected", unexpected_json(model, info->unexpected_count));
    vl2_pack_summary pack;
    if (vl2_model_get_pack(model, &pack)) {
        failed |= json_object_set_new(object, "pack", pack_json(model, &pack));
    }
    if (failed) {
        json_decref(object);
        return NULL;
    }
    return object;
}

static bool ends_with(const char *text, const char *end)
{
    size_t length = strlen(text), end_length = strlen(end);
    return length >= end_length && strcmp(text + length - end_length, end) == 0;
}

/* A file of a checkpoint stands for its folder. The caller frees the result; NULL without
 * memory. */
static char *folder_of(const char *path)
{
    struct stat info;
    if (stat(path, &info) != 0 || !S_ISREG(info.st_mode) ||
        !(ends_with(path, ".json") || ends_with(path, ".safetensors"))) {
        return strdup(path);
    }
    const char *slash = strrchr(path, '/');
    return slash == NULL ? strdup(".") : strndup(path, (size_t)(slash - path) + 1);
}

static int open_model(const arguments *arguments, vl2_model **model)
{
    const char *path = arguments->operand_count > 0 ? arguments->operands[0]
                                                    : argument(arguments, OPTION_MODEL)->text;
    if (path == NULL) {
        return fail_usage(arguments->command, "no model: name a packed file or a checkpoint "
                                              "folder, or set VL2_MODEL");
    }
    demo_model_note(arguments);
    char *folder = folder_of(path);
    if (folder == NULL) {
        return fail_memory(arguments->command);
    }
    vl2_error error;
    vl2_status status = vl2_model_open(folder, NULL, model, &error);
    free(folder);
    return status == VL2_OK ? EXIT_CODE_OK : fail_status(arguments->command, &error);
}

static int run_info(const arguments *arguments)
{
    vl2_model *model;
    int opened = open_model(arguments, &model);
    if (opened != EXIT_CODE_OK) {
        return opened;
    }
    vl2_model_info info;
    int code = EXIT_CODE_OK;
    vl2_model_get_info(model, &info);
    if (argument(arguments, OPTION_JSON)->on) {
        code = print_json(arguments->command, info_json(model, &info));
    } else {
        print_info(model, &info, argument(arguments, OPTION_VERBOSE)->on);
    }
    vl2_model_close(model);
    return finish_output(arguments->command, code);
}

const command command_info = {
    "info",
    COMMAND_INFO,
    "[MODEL] [--json] [-v]",
    "Show the shapes and sizes of a model",
    "Opens a model, checks every tensor against its configuration, and prints its shapes, "
    "parameters and bytes; of a packed file also how many bytes and bits each group of weights "
    "takes. The weights themselves are not read. MODEL is a packed file, a checkpoint folder, or "
    "any file of one, such as its config.json.",
    "  vl2 info deepseek-vl2-tiny\n  vl2 info small.vl2 --json | jq .pack.bits\n",
    1,
    run_info,
};
