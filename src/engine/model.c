/* vl2_model: opening a Hugging Face folder or a packed file. */
#include "engine/model.h"

#include "base/alloc.h"
#include "base/team.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#define CONFIG_LIMIT ((size_t)16 << 20) /* bytes of a configuration file */

void vl2_model_options_defaults(vl2_model_options *options)
{
    *options = (vl2_model_options){.verify = VL2_VERIFY_USE};
}

vl2_status engine_select_kernels(kernels *kernels, vl2_error *error)
{
    const char *bad = kernels_default(kernels);
    if (bad == NULL) {
        return VL2_OK;
    }
    return vl2_fail(error, VL2_ERROR_ARGUMENT,
                    "VL2_CPU: found \"%.*s\", expected a level (generic, avx2, avx512, vnni, amx, "
                    "neon, dotprod, i8mm, native) or -FEATURE (see vl2 --cpu)",
                    (int)strcspn(bad, ","), bad);
}

static vl2_status check_path(const char *path, vl2_error *error)
{
    struct stat info;
    if (stat(path, &info) != 0) {
        return vl2_fail(error, VL2_ERROR_MODEL, "%s: cannot be opened: %s", path, strerror(errno));
    }
    if (!S_ISDIR(info.st_mode) && !pack_recognise(path)) {
        return vl2_fail(error, VL2_ERROR_MODEL,
                        "%s: found a file that is not packed by vl2, expected a .vl2 file or a "
                        "folder with config.json, processor_config.json, tokenizer.json and "
                        "*.safetensors", path);
    }
    return VL2_OK;
}

static vl2_status open_config(const model_files *files, model_config *config, vl2_error *error)
{
    char *text, *label;
    size_t size;
    vl2_status status =
        model_files_read(files, "config.json", CONFIG_LIMIT, &text, &size, &label, error);
    if (status == VL2_OK) {
        status = model_config_parse(text, size, label, config, error);
        base_free(text);
        base_free(label);
    }
    return status;
}

vl2_status engine_open_processor(const model_files *files, image_processor **processor,
                                 vl2_error *error)
{
    char *text, *label;
    size_t size;
    vl2_status status =
        model_files_read(files, "processor_config.json", CONFIG_LIMIT, &text, &size, &label, error);
    if (status == VL2_OK) {
        status = image_processor_parse(text, size, label, processor, error);
        base_free(text);
        base_free(label);
    }
    return status;
}

/* The two configurations describe the same tiles. */
static vl2_status check_configs(const vl2_model *model, vl2_error *error)
{
    const struct {
        const char *field, *expected;
        int processor, config;
    } pairs[] = {
        {"candidate_resolutions[0]", "vision_config.image_size", model->processor->tile_side,
         model->config.vision.image_size},
        {"patch_size", "vision_config.patch_size", model->processor->patch_size,
         model->config.vision.patch_size},
        {"downsample_ratio", "projector_config.downsample_ratio",
         model->processor->downsample_ratio, model->config.projector.ratio},
    };
    for (size_t i = 0; i < sizeof(pairs) / sizeof(pairs[0]); i++) {
        if (pairs[i].processor != pairs[i].config) {
            return vl2_fail(error, VL2_ERROR_MODEL,
                            "%s/processor_config.json: %s: found %d, expected %d (%s of "
                            "config.json)",
                            model->path, pairs[i].field, pairs[i].processor, pairs[i].config,
                            pairs[i].expected);
        }
    }
    return VL2_OK;
}

static vl2_status open_text(vl2_model *model, const model_files *files, vl2_error *error)
{
    tokenizer *tokenizer;
    vl2_status status = engine_open_tokenizer(files, model->processor->pad_token,
                                              model->processor->image_token, &tokenizer, error);
    if (status != VL2_OK) {
        return status;
    }
    model->tokenizer.tokenizer = tokenizer;
    if (tokenizer_size(tokenizer) > (size_t)model->config.language.vocabulary) {
        return vl2_fail(error, VL2_ERROR_MODEL,
                        "%s/tokenizer.json: found ids up to %zu, expected at most %d "
                        "(language_config.vocab_size of config.json)",
                        model->path, tokenizer_size(tokenizer) - 1,
                        model->config.language.vocabulary - 1);
    }
    int32_t bos, eos;
    status = engine_sentence_tokens(files, tokenizer, &model->config.language, &bos, &eos, error);
    if (status == VL2_OK) {
        status = prompt_tokens_find(tokenizer, model->processor->image_token, bos, eos,
                                    &model->tokens, error);
    }
    return status;
}

static vl2_status list_unexpected(vl2_model *model, vl2_error *error)
{
    size_t count = weight_store_count(model->store);
    model->unexpected = base_malloc(count, sizeof(*model->unexpected));
    if (model->unexpected == NULL) {
        return vl2_fail_memory(error, "the list of tensors", count * sizeof(weight));
    }
    for (size_t i = 0; i < count; i++) {
        weight tensor = weight_store_get(model->store, i);
        if (!model_weights_expects(model->weights, tensor)) {
            model->unexpected[model->unexpected_count++] = tensor;
        }
    }
    return VL2_OK;
}

static vl2_status open_weights(vl2_model *model, vl2_error *error)
{
    vl2_status status = VL2_OK;
    if (model->store == NULL) {
        status = weight_store_open(model->path, &model->store, error);
    }
    if (status == VL2_OK) {
        status = model_weights_bind(&model->config, model->store, model->path, &model->weights,
                                    error);
    }
    return status == VL2_OK ? list_unexpected(model, error) : status;
}

static vl2_status verify(vl2_model *model, const vl2_model_options *options, vl2_error *error)
{
    if (options->verify != VL2_VERIFY_ALL) {
        return weight_store_verify(model->store, options->verify, NULL, error);
    }
    team team;
    vl2_status status = team_open(&team, team_processors(), error);
    if (status == VL2_OK) {
        status = weight_store_verify(model->store, options->verify, &team, error);
        team_close(&team);
    }
    return status;
}

/* Everything of a model behind its kernels; a folder's weights are opened last. */
static vl2_status open_files(vl2_model *model, const model_files *files, vl2_error *error)
{
    vl2_status status = open_config(files, &model->config, error);
    if (status == VL2_OK) {
        status = engine_open_processor(files, &model->processor, error);
    }
    if (status == VL2_OK) {
        status = check_configs(model, error);
    }
    if (status == VL2_OK) {
        image_processor_normalize_table(model->processor, model->normalize);
        status = open_text(model, files, error);
    }
    return status == VL2_OK ? open_weights(model, error) : status;
}

static vl2_status open_parts(vl2_model *model, vl2_error *error)
{
    vl2_status status = engine_select_kernels(&model->kernels, error);
    model_files files = {.path = model->path};
    if (status == VL2_OK && pack_recognise(model->path)) {
        status = weight_store_open(model->path, &model->store, error);
        files.pack = status == VL2_OK ? weight_store_pack(model->store) : NULL;
    }
    return status == VL2_OK ? open_files(model, &files, error) : status;
}

/* A model without parts. */
static vl2_status create(const char *path, vl2_model **model, vl2_error *error)
{
    vl2_model *created = base_calloc(1, sizeof(*created));
    char *copy = base_copy_text(path, strlen(path));
    if (created == NULL || copy == NULL) {
        base_free(created);
        base_free(copy);
        return vl2_fail_memory(error, path, sizeof(*created));
    }
    created->path = copy;
    pthread_mutex_init(&created->budget.mutex, NULL);
    *model = created;
    return VL2_OK;
}

vl2_status engine_open_random(const char *path, const random_weights_options *options,
                              vl2_model **model, vl2_error *error)
{
    vl2_model *opened;
    vl2_status status = create(path, &opened, error);
    if (status != VL2_OK) {
        return status;
    }
    status = engine_select_kernels(&opened->kernels, error);
    if (status == VL2_OK) {
        status = weight_store_open_random(options, &opened->store, error);
    }
    if (status == VL2_OK) {
        status = open_files(opened, &(model_files){.path = path, .shape = options->shape}, error);
    }
    if (status != VL2_OK) {
        vl2_model_close(opened);
        return status;
    }
    *model = opened;
    return VL2_OK;
}

vl2_status vl2_model_open(const char *path, const vl2_model_options *options, vl2_model **model,
                          vl2_error *error)
{
    vl2_status status = check_path(path, error);
    if (status != VL2_OK) {
        return status;
    }
    vl2_model *opened;
    status = create(path, &opened, error);
    if (status != VL2_OK) {
        return status;
    }
    status = open_parts(opened, error);
    if (status == VL2_OK && options != NULL) {
        status = verify(opened, options, error);
    }
    if (status == VL2_OK && options != NULL) {
        status = budget_open(opened, options, error);
    }
    if (status != VL2_OK) {
        vl2_model_close(opened);
        return status;
    }
    if (options != NULL && options->progress != NULL) {
        uint64_t count = weight_store_count(opened->store);
        vl2_progress progress = {VL2_STAGE_OPEN, count, count, 0, NULL};
        options->progress(&progress, options->progress_user);
    }
    *model = opened;
    return VL2_OK;
}

void vl2_model_close(vl2_model *model)
{
    if (model == NULL) {
        return;
    }
    budget_close(model);
    model_weights_free(model->weights);
    weight_store_close(model->store);
    tokenizer_close(model->tokenizer.tokenizer);
    image_processor_close(model->processor);
    base_free(model->unexpected);
    base_free(model->path);
    base_free(model);
}

const vl2_tokenizer *vl2_model_tokenizer(const vl2_model *model)
{
    return &model->tokenizer;
}

const char *vl2_model_unexpected(const vl2_model *model, size_t index)
{
    return index < model->unexpected_count ? model->unexpected[index]->tensor.name : NULL;
}
