/* vl2_pack: from a folder to a packed file. */
#include "engine/model.h"

#include "base/alloc.h"
#include "base/buffer.h"
#include "base/file.h"
#include "base/team.h"
#include "text/tokenizer_compiled.h"
#include "weights/lora.h"
#include "weights/pack_index_write.h"
#include "weights/pack_summary.h"
#include "weights/pack_write.h"

#include "config.h"

#include <jansson.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#define FILE_LIMIT ((size_t)1 << 30) /* bytes of a text file of the checkpoint */
#define BLOBS_MOST 8

/* Everything that is opened for packing. */
typedef struct packing {
    const vl2_pack_options *options;
    vl2_model *model; /* for its checks, its list of unused tensors and its tokenizer */
    const checkpoint *checkpoint; /* of the model */
    const char **unexpected; /* [unexpected_count] by name */
    size_t unexpected_count;
    pack_types types;
    pack_plan plan;
    pack_blob_source blobs[BLOBS_MOST];
    char *texts[BLOBS_MOST]; /* what the blobs point to */
    size_t blob_count;
    importance *importance;
    lora *lora;
    char *lora_files[2]; /* read for it */
    char *meta;
} packing;

void vl2_pack_options_defaults(vl2_pack_options *options)
{
    *options = (vl2_pack_options){.quant = "mixed", .threshold = 0.08};
}

static vl2_status check_options(const vl2_pack_options *options, bool writes, vl2_error *error)
{
    if (options->model == NULL || (writes && (options->out == NULL || options->out[0] == '\0'))) {
        return vl2_fail(error, VL2_ERROR_ARGUMENT, "%s: found nothing, expected %s",
                        options->model == NULL ? "model" : "out",
                        options->model == NULL ? "a folder" : "the name of a file");
    }
    if (!(options->threshold >= 0 && options->threshold <= 1)) {
        return vl2_fail(error, VL2_ERROR_ARGUMENT,
                        "threshold: found %g, expected a number from 0 to 1", options->threshold);
    }
    if (options->level < 0 || options->level > 19) {
        return vl2_fail(error, VL2_ERROR_ARGUMENT,
                        "level: found %d, expected a number from 0 to 19", options->level);
    }
    if (options->threads < 0 || options->threads > 4096) {
        return vl2_fail(error, VL2_ERROR_ARGUMENT,
                        "threads: found %d, expected a number from 0 to 4096", options->threads);
    }
    struct stat info;
    if (stat(options->model, &info) == 0 && !S_ISDIR(info.st_mode)) {
        return vl2_fail(error, VL2_ERROR_MODEL,
                        "%s: found a file, expected a folder with config.json, "
                        "processor_config.json, tokenizer.json and *.safetensors",
                        options->model);
    }
    return VL2_OK;
}

/* ------------------------------------------------------------------------------------ tensors */

static int compare_texts(const void *left, const void *right)
{
    return strcmp(*(const char *const *)left, *(const char *const *)right);
}

static bool is_used(const char *name, const void *user)
{
    const packing *packing = user;
    return bsearch(&name, packing->unexpected, packing->unexpected_count,
                   sizeof(*packing->unexpected), compare_texts) == NULL;
}

static vl2_status list_unexpected(packing *packing, vl2_error *error)
{
    size_t count = packing->model->unexpected_count;
    packing->unexpected = base_calloc(count, sizeof(*packing->unexpected));
    if (packing->unexpected == NULL) {
        return vl2_fail_memory(error, "the list of tensors", count * sizeof(char *));
    }
    for (size_t i = 0; i < count; i++) {
        packing->unexpected[i] = vl2_model_unexpected(packing->model, i);
    }
    packing->unexpected_count = count;
    qsort(packing->unexpected, count, sizeof(*packing->unexpected), compare_texts);
    return VL2_OK;
}

static vl2_status open_adapter(packing *packing, vl2_error *error)
{
    const char *folder = packing->options->lora;
    packing->lora_files[0] = path_join(folder, "adapter_config.json");
    packing->lora_files[1] = path_join(folder, "adapter_model.safetensors");
    if (packing->lora_files[0] == NULL || packing->lora_files[1] == NULL) {
        return vl2_fail_memory(error, folder, strlen(folder));
    }
    vl2_status status = lora_open(folder, &packing->lora, error);
    return status == VL2_OK ? lora_check(packing->lora, packing->checkpoint, error) : status;
}

/* Notes how often answers used each routed expert: what stays in little memory at first. */
static void note_uses(packing *packing)
{
    for (size_t i = 0; i < packing->plan.record_count; i++) {
        pack_planned_record *record = &packing->plan.records[i];
        if (record->expert >= 0) {
            const tensor_view *first = packing->plan.tensors[record->first_tensor].source;
            record->uses = importance_uses(packing->importance, first->name);
        }
    }
}

static vl2_status open_plan(packing *packing, vl2_error *error)
{
    const vl2_pack_options *options = packing->options;
    vl2_status status = pack_types_read(options->quant, options->types, options->type_count,
                                        &packing->types, error);
    if (status == VL2_OK) {
        status = vl2_model_open(options->model, NULL, &packing->model, error);
    }
    if (status == VL2_OK) {
        status = list_unexpected(packing, error);
    }
    if (status == VL2_OK) {
        packing->checkpoint = weight_store_checkpoint(packing->model->store);
        status = pack_plan_make(packing->checkpoint, &packing->types, is_used, packing,
                                &packing->plan, error);
    }
    if (status == VL2_OK && options->importance != NULL) {
        status = importance_open(options->importance, packing->checkpoint, &packing->importance,
                                 error);
        if (status == VL2_OK) {
            note_uses(packing);
        }
    }
    return status == VL2_OK && options->lora != NULL ? open_adapter(packing, error) : status;
}

/* A pack_change. */
static vl2_status merge(const tensor_view *source, data_type type, const team *team,
                        tensor_view *changed, void **owned, void *user, vl2_error *error)
{
    const lora *lora = user;
    if (!lora_touches(lora, source->name)) {
        return VL2_OK;
    }
    size_t count = (size_t)tensor_elements(source);
    *owned = base_malloc(count, data_type_size(type));
    if (*owned == NULL) {
        return vl2_fail_memory(error, source->name, count * data_type_size(type));
    }
    changed->type = type;
    changed->data = *owned;
    return lora_merge(lora, source, type, team, *owned, error);
}

/* ------------------------------------------------------------------------------------ blobs */

/* Takes over `text`. An empty file is not kept: the format has no empty frames. */
static void add_blob(packing *packing, const char *name, char *text, size_t size)
{
    packing->texts[packing->blob_count] = text;
    if (size > 0) {
        packing->blobs[packing->blob_count++] = (pack_blob_source){name, text, size};
    } else {
        base_free(text);
    }
}

static vl2_status open_blobs(packing *packing, vl2_error *error)
{
    static const char *const names[] = {"config.json", "processor_config.json", "tokenizer.json",
                                        "tokenizer_config.json", "special_tokens_map.json"};
    model_files files = {.path = packing->options->model};
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        char *text, *label;
        size_t size;
        if (i >= 3 && !model_files_has(&files, names[i])) {
            continue;
        }
        vl2_status status =
            model_files_read(&files, names[i], FILE_LIMIT, &text, &size, &label, error);
        if (status != VL2_OK) {
            return status;
        }
        base_free(label);
        add_blob(packing, names[i], text, size);
    }
    return VL2_OK;
}

/* The tokenizer as tokenizer.json says it: the special tokens around it come from the other files
 * when a model is opened. */
static vl2_status compile_tokenizer(packing *packing, vl2_error *error)
{
    const pack_blob_source *json = NULL;
    for (size_t i = 0; i < packing->blob_count; i++) {
        json = strcmp(packing->blobs[i].name, "tokenizer.json") == 0 ? &packing->blobs[i] : json;
    }
    tokenizer *parsed;
    buffer bytes = {0};
    vl2_status status =
        tokenizer_parse(json != NULL ? json->data : "", json != NULL ? json->size : 0,
                        "tokenizer.json", &parsed, error);
    if (status != VL2_OK) {
        return status;
    }
    status = tokenizer_compile(parsed, &bytes, error);
    tokenizer_close(parsed);
    if (status == VL2_OK) {
        add_blob(packing, "tokenizer", bytes.data, bytes.size);
    } else {
        buffer_free(&bytes);
    }
    return status;
}

/* ------------------------------------------------------------------------------------ meta */

static json_t *rules_json(const vl2_pack_options *options)
{
    json_t *list = json_array();
    for (size_t i = 0; i < options->type_count; i++) {
        json_array_append_new(list, json_string(options->types[i]));
    }
    return list;
}

/* Nothing in here may depend on where the files lie: equal inputs give equal bytes. */
static vl2_status make_meta(packing *packing, vl2_error *error)
{
    const vl2_pack_options *options = packing->options;
    json_t *root =
        json_pack("{s:s, s:s, s:o, s:b, s:b, s:{s:I, s:I}}", "program", "vl2 " PACKAGE_VERSION,
                  "quant", pack_preset_name(packing->types.preset), "types", rules_json(options),
                  "importance", options->importance != NULL, "lora", options->lora != NULL,
                  "source", "files", (json_int_t)checkpoint_shards(packing->checkpoint), "bytes",
                  (json_int_t)checkpoint_file_bytes(packing->checkpoint));
    char *text = root != NULL ? json_dumps(root, JSON_COMPACT) : NULL;
    json_decref(root);
    packing->meta = text != NULL ? base_copy_text(text, strlen(text)) : NULL;
    free(text);
    return packing->meta != NULL ? VL2_OK
                                 : vl2_fail_memory(error, "the description of the file", 1024);
}

/* ------------------------------------------------------------------------------------ all of it */

static vl2_status open_packing(packing *packing, vl2_error *error)
{
    vl2_status status = open_plan(packing, error);
    if (status == VL2_OK) {
        status = open_blobs(packing, error);
    }
    if (status == VL2_OK) {
        status = compile_tokenizer(packing, error);
    }
    return status == VL2_OK ? make_meta(packing, error) : status;
}

static void close_packing(packing *packing)
{
    pack_plan_clear(&packing->plan);
    pack_types_clear(&packing->types);
    importance_close(packing->importance);
    lora_close(packing->lora);
    base_free(packing->lora_files[0]);
    base_free(packing->lora_files[1]);
    vl2_model_close(packing->model);
    for (size_t i = 0; i < packing->blob_count; i++) {
        base_free(packing->texts[i]);
    }
    base_free(packing->unexpected);
    base_free(packing->meta);
}

static vl2_status write_file(const packing *packing, vl2_error *error)
{
    const vl2_pack_options *options = packing->options;
    team team;
    vl2_status status = team_open(
        &team, options->threads > 0 ? options->threads : team_processors(), error);
    if (status != VL2_OK) {
        return status;
    }
    const char *inputs[3];
    size_t input_count = 0;
    if (options->importance != NULL) {
        inputs[input_count++] = options->importance;
    }
    for (size_t i = 0; packing->lora != NULL && i < 2; i++) {
        inputs[input_count++] = packing->lora_files[i];
    }
    pack_job job = {
        .checkpoint = packing->checkpoint,
        .plan = &packing->plan,
        .blobs = packing->blobs,
        .blob_count = packing->blob_count,
        .meta = packing->meta,
        .inputs = inputs,
        .input_count = input_count,
        .importance = packing->importance,
        .change = packing->lora != NULL ? merge : NULL,
        .change_user = packing->lora,
        .compression = {options->threshold, options->level},
        .out = options->out,
        .overwrite = options->overwrite,
        .resume = options->resume,
        .team = &team,
        .progress = options->progress,
        .progress_user = options->progress_user,
        .cancelled = options->cancelled,
        .cancelled_user = options->cancelled_user,
    };
    status = pack_write(&job, error);
    team_close(&team);
    return status;
}

vl2_status vl2_pack(const vl2_pack_options *options, vl2_error *error)
{
    packing packing = {.options = options};
    vl2_status status = check_options(options, true, error);
    if (status == VL2_OK) {
        status = open_packing(&packing, error);
    }
    if (status == VL2_OK) {
        status = write_file(&packing, error);
    }
    close_packing(&packing);
    return status;
}

static vl2_status summarise(const packing *packing, vl2_pack_summary *summary, vl2_error *error)
{
    pack_compression compression = {packing->options->threshold, packing->options->level};
    const char *names[BLOBS_MOST];
    uint64_t blob_bytes = 0;
    for (size_t i = 0; i < packing->blob_count; i++) {
        const pack_blob_source *blob = &packing->blobs[i];
        double share = pack_compressed_share(blob->data, blob->size, &compression);
        names[i] = blob->name;
        blob_bytes += (uint64_t)(share * (double)blob->size) + PACK_ALIGNMENT;
    }
    buffer index = {0};
    pack_contents contents = {names, packing->blob_count, packing->meta, NULL};
    vl2_status status = pack_index_make(&packing->plan, &contents, &index, error);
    if (status == VL2_OK) {
        pack_plan_summarise(&packing->plan, &compression, blob_bytes, index.size, summary);
        vl2_model_info info;
        vl2_model_get_info(packing->model, &info);
        summary->kv_bytes = info.kv_bytes_per_token * (uint64_t)info.context;
    }
    buffer_free(&index);
    return status;
}

vl2_status vl2_pack_plan(const vl2_pack_options *options, vl2_pack_summary *summary,
                         vl2_error *error)
{
    packing packing = {.options = options};
    vl2_status status = check_options(options, false, error);
    if (status == VL2_OK) {
        status = open_packing(&packing, error);
    }
    if (status == VL2_OK) {
        status = summarise(&packing, summary, error);
    }
    close_packing(&packing);
    return status;
}
