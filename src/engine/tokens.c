/* The tokenizer of a model: its own, and the special tokens around it. Also the vl2_tokenizer
 * API. */
#include "engine/model.h"

#include "base/alloc.h"
#include "base/file.h"
#include "base/json.h"
#include "text/tokenizer_compiled.h"

#include <string.h>
#include <sys/stat.h>

#define COMPILED_TOKENIZER     "tokenizer" /* its blob in a packed file: weights/FORMAT.md */
#define TOKENIZER_CONFIG_LIMIT ((size_t)16 << 20)

/* In the order of DeepseekVLV2Processor.__init__, after the padding and image tokens. */
static const char *const special_tokens[] = {
    "<|ref|>",       "<|/ref|>",  "<|det|>",      "<|/det|>",
    "<|grounding|>", "<|User|>",  "<|Assistant|>"};

/* The compiled tokenizer of a packed file. VL2_ERROR_UNSUPPORTED if its version is not known. */
static vl2_status load_tokenizer(const model_files *files, tokenizer **opened, vl2_error *error)
{
    char *bytes, *label;
    size_t size;
    vl2_status status = model_files_read(files, COMPILED_TOKENIZER, TOKENIZER_MAX_FILE, &bytes,
                                         &size, &label, error);
    if (status == VL2_OK) {
        status = tokenizer_load(bytes, size, label, opened, error);
        base_free(bytes);
        base_free(label);
    }
    return status;
}

static vl2_status parse_tokenizer(const model_files *files, tokenizer **opened, vl2_error *error)
{
    char *text, *label;
    size_t size;
    vl2_status status = model_files_read(files, "tokenizer.json", TOKENIZER_MAX_FILE, &text, &size,
                                         &label, error);
    if (status == VL2_OK) {
        status = tokenizer_parse(text, size, label, opened, error);
        base_free(text);
        base_free(label);
    }
    return status;
}

vl2_status engine_open_tokenizer(const model_files *files, const char *pad_token,
                                 const char *image_token, tokenizer **tokenizer, vl2_error *error)
{
    struct tokenizer *opened = NULL;
    vl2_status status = VL2_ERROR_UNSUPPORTED;
    if (files->pack != NULL && model_files_has(files, COMPILED_TOKENIZER)) {
        status = load_tokenizer(files, &opened, error);
    }
    if (status == VL2_ERROR_UNSUPPORTED) {
        status = parse_tokenizer(files, &opened, error);
    }
    if (status == VL2_OK) {
        status = tokenizer_add_special(opened, pad_token, error);
    }
    if (status == VL2_OK) {
        status = tokenizer_add_special(opened, image_token, error);
    }
    for (size_t i = 0; status == VL2_OK && i < sizeof(special_tokens) / sizeof(char *); i++) {
        status = tokenizer_add_special(opened, special_tokens[i], error);
    }
    if (status != VL2_OK) {
        tokenizer_close(opened);
        return status;
    }
    *tokenizer = opened;
    return VL2_OK;
}

/* A token of tokenizer_config.json, written "text" or {"content": "text", ...}; NULL if absent. */
static const char *token_text(json_fields *fields, const char *key)
{
    const json_t *value = json_object_get(fields->object, key);
    if (json_is_object(value)) {
        value = json_object_get(value, "content");
    }
    return json_string_value(value);
}

static int32_t token_id(json_fields *fields, const char *key, const tokenizer *tokenizer,
                        int32_t fallback)
{
    const char *text = token_text(fields, key);
    if (text == NULL) {
        return fallback;
    }
    int32_t id = tokenizer_id(tokenizer, text);
    if (id < 0) {
        json_fields_fail(fields, key, text, "a token of tokenizer.json");
    }
    return id;
}

static vl2_status read_sentence_tokens(const model_files *files, const tokenizer *tokenizer,
                                       int32_t *bos, int32_t *eos, vl2_error *error)
{
    char *text, *label;
    size_t size;
    vl2_status status = model_files_read(files, "tokenizer_config.json", TOKENIZER_CONFIG_LIMIT,
                                         &text, &size, &label, error);
    if (status != VL2_OK) {
        return status;
    }
    json_t *root;
    status = json_parse(text, size, label, VL2_ERROR_MODEL, &root, error);
    if (status == VL2_OK) {
        json_fields fields = {label, "", root, VL2_ERROR_MODEL, VL2_OK, error};
        *bos = token_id(&fields, "bos_token", tokenizer, *bos);
        *eos = token_id(&fields, "eos_token", tokenizer, *eos);
        status = fields.status;
        json_decref(root);
    }
    base_free(text);
    base_free(label);
    return status;
}

vl2_status engine_sentence_tokens(const model_files *files, const tokenizer *tokenizer,
                                  const language_config *config, int32_t *bos, int32_t *eos,
                                  vl2_error *error)
{
    vl2_status status = VL2_OK;
    *bos = config->bos;
    *eos = config->eos;
    if (model_files_has(files, "tokenizer_config.json")) {
        status = read_sentence_tokens(files, tokenizer, bos, eos, error);
    }
    if (status == VL2_OK && (*bos >= config->vocabulary || *eos >= config->vocabulary)) {
        status = vl2_fail(error, VL2_ERROR_MODEL,
                          "%s/config.json: language_config.eos_token_id: found %d and bos %d, "
                          "expected less than vocab_size %d",
                          files->path, *eos, *bos, config->vocabulary);
    }
    return status;
}

/* ------------------------------------------------------------------------------- vl2_tokenizer */

/* A model without processor_config.json has the reference's default tokens. */
static vl2_status open_from_model(const model_files *files, tokenizer **tokenizer,
                                  vl2_error *error)
{
    bool absent = !model_files_has(files, "processor_config.json");
    image_processor *processor = NULL;
    vl2_status status = absent ? VL2_OK : engine_open_processor(files, &processor, error);
    if (status == VL2_OK) {
        status = engine_open_tokenizer(files, absent ? PAD_TOKEN_DEFAULT : processor->pad_token,
                                       absent ? IMAGE_TOKEN_DEFAULT : processor->image_token,
                                       tokenizer, error);
    }
    image_processor_close(processor);
    return status;
}

vl2_status vl2_tokenizer_open(const char *path, vl2_tokenizer **tokenizer, vl2_error *error)
{
    vl2_tokenizer *opened = base_calloc(1, sizeof(*opened));
    if (opened == NULL) {
        return vl2_fail_memory(error, "the tokenizer", sizeof(*opened));
    }
    struct stat info;
    bool folder = stat(path, &info) == 0 && S_ISDIR(info.st_mode);
    vl2_status status = VL2_OK;
    pack_file *pack = NULL;
    if (!folder && pack_recognise(path)) {
        status = pack_open(path, &pack, error);
    }
    model_files files = {.path = path, .pack = pack};
    if (status == VL2_OK) {
        status = folder || pack != NULL ? open_from_model(&files, &opened->tokenizer, error)
                                        : tokenizer_open(path, &opened->tokenizer, error);
    }
    pack_close(pack);
    if (status != VL2_OK) {
        base_free(opened);
        return status;
    }
    *tokenizer = opened;
    return VL2_OK;
}

void vl2_tokenizer_close(vl2_tokenizer *tokenizer)
{
    if (tokenizer != NULL) {
        tokenizer_close(tokenizer->tokenizer);
        base_free(tokenizer);
    }
}

vl2_status vl2_tokenizer_encode(const vl2_tokenizer *tokenizer, const char *text, size_t size,
                                int32_t **ids, size_t *count, vl2_error *error)
{
    id_list list = {NULL, 0, 0};
    vl2_status status = tokenizer_encode(tokenizer->tokenizer, text, size, &list, error);
    if (status != VL2_OK) {
        id_list_free(&list);
        return status;
    }
    *ids = list.ids;
    *count = list.count;
    return VL2_OK;
}

vl2_status vl2_tokenizer_decode(const vl2_tokenizer *tokenizer, const int32_t *ids, size_t count,
                                bool skip_special, char **text, size_t *size, vl2_error *error)
{
    buffer decoded = {NULL, 0, 0, false};
    vl2_status status = VL2_OK;
    if (!buffer_append(&decoded, "", 0)) {
        return vl2_fail_memory(error, "a text", 1);
    }
    status = tokenizer_decode(tokenizer->tokenizer, ids, count, skip_special, &decoded, error);
    if (status != VL2_OK) {
        buffer_free(&decoded);
        return status;
    }
    *text = decoded.data;
    *size = decoded.size;
    return VL2_OK;
}

int32_t vl2_tokenizer_id(const vl2_tokenizer *tokenizer, const char *token)
{
    return tokenizer_id(tokenizer->tokenizer, token);
}
