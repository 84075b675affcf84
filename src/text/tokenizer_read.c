/* From tokenizer.json to a tokenizer. */
#include "text/tokenizer_internal.h"

#include "base/alloc.h"
#include "base/file.h"
#include "text/utf8.h"

#include <stdio.h>
#include <string.h>

/* Fields that change the ids must have the value they have in byte-level BPE. */
static void check_model_options(json_fields *model)
{
    static const char *const affixes[] = {"continuing_subword_prefix", "end_of_word_suffix"};
    const char *type = json_fields_text(model, "type", "BPE");
    if (strcmp(type, "BPE") != 0) {
        json_fields_fail(model, "type", type, "BPE");
    }
    for (int i = 0; i < 2; i++) {
        const char *affix = json_fields_text(model, affixes[i], "");
        if (affix[0] != '\0') {
            json_fields_fail(model, affixes[i], affix, "null");
        }
    }
    json_fields_number(model, "dropout", 0, 0, 0);
    json_fields_boolean(model, "fuse_unk", false); /* needs an unk_token to mean anything */
}

static vl2_status read_vocab(tokenizer *tokenizer, json_fields *model)
{
    const json_t *vocab = json_fields_object(model, "vocab");
    if (vocab == NULL || json_object_size(vocab) == 0) {
        json_fields_fail(model, "vocab", vocab == NULL ? "nothing" : "an empty object",
                         "an object of tokens and ids");
        return model->status;
    }
    char where[512];
    snprintf(where, sizeof(where), "%s: model.vocab", tokenizer->name);
    json_t *object = (json_t *)(uintptr_t)vocab; /* jansson iterates over what is not const only */
    for (void *at = json_object_iter(object); at != NULL; at = json_object_iter_next(object, at)) {
        const char *text = json_object_iter_key(at);
        const json_t *id = json_object_iter_value(at);
        size_t size = strlen(text);
        vl2_status status =
            vocabulary_add(&tokenizer->vocabulary, text, size,
                           json_is_integer(id) ? json_integer_value(id) : -1, where, model->error);
        if (status != VL2_OK) {
            return status;
        }
        tokenizer->vocabulary.tokens[json_integer_value(id)].in_model = true;
        if (tokenizer->ignore_merges && size > TOKENIZER_MAX_WHOLE) {
            json_fields_fail(model, "ignore_merges", "true and a token of more than 512 bytes",
                             "shorter tokens");
            return model->status;
        }
    }
    tokenizer->model_count = tokenizer->vocabulary.count;
    return VL2_OK;
}

/* The ids of the 256 byte symbols: a byte that valid UTF-8 can have should have one; the library
 * would use an unk_token or a byte_fallback token otherwise, which are refused then. */
static void read_bytes(tokenizer *tokenizer, json_fields *model)
{
    const char *unknown = json_fields_text(model, "unk_token", NULL);
    bool fallback = json_fields_boolean(model, "byte_fallback", false);
    tokenizer_find_bytes(tokenizer);
    for (int byte = 0; byte < 256; byte++) {
        bool never = byte == 0xC0 || byte == 0xC1 || byte >= 0xF5;
        if (tokenizer->byte_ids[byte] < 0 && !never && (unknown != NULL || fallback)) {
            char found[80];
            snprintf(found, sizeof(found), "no token for byte 0x%02X", byte);
            json_fields_fail(model, unknown != NULL ? "unk_token" : "byte_fallback", found,
                             "a vocab with a token for each byte");
        }
    }
}

/* Both sides of one entry of `merges`: "a b" or ["a", "b"]. False if it is neither. */
static bool merge_sides(const json_t *entry, const char *sides[2], size_t sizes[2])
{
    if (json_is_string(entry)) {
        const char *text = json_string_value(entry);
        const char *space = strchr(text, ' ');
        if (space == NULL || strchr(space + 1, ' ') != NULL) {
            return false;
        }
        sides[0] = text;
        sizes[0] = (size_t)(space - text);
        sides[1] = space + 1;
        sizes[1] = strlen(space + 1);
        return true;
    }
    for (size_t i = 0; i < 2; i++) {
        sides[i] = json_string_value(json_array_get(entry, i));
        if (sides[i] == NULL || json_array_size(entry) != 2) {
            return false;
        }
        sizes[i] = strlen(sides[i]);
    }
    return true;
}

/* Looks up left, right and both joined. False if one of them is not in the vocab. */
static bool find_merge(const vocabulary *vocabulary, const char *const sides[2],
                       const size_t sizes[2], buffer *joined, int32_t ids[3])
{
    buffer_clear(joined);
    if (!buffer_append(joined, sides[0], sizes[0]) || !buffer_append(joined, sides[1], sizes[1])) {
        return false;
    }
    ids[0] = vocabulary_find(vocabulary, sides[0], sizes[0]);
    ids[1] = vocabulary_find(vocabulary, sides[1], sizes[1]);
    ids[2] = vocabulary_find(vocabulary, joined->data, joined->size);
    return ids[0] >= 0 && ids[1] >= 0 && ids[2] >= 0;
}

static vl2_status read_merges(tokenizer *tokenizer, json_fields *model)
{
    const json_t *merges = json_fields_array(model, "merges");
    if (merges == NULL) {
        json_fields_fail(model, "merges", "nothing", "a list");
        return model->status;
    }
    size_t count = json_array_size(merges);
    vl2_status status = merge_table_create(&tokenizer->merges, count, model->error);
    buffer joined = {0};
    uint32_t rank = 0;
    for (size_t i = 0; i < count && status == VL2_OK; i++) {
        const json_t *entry = json_array_get(merges, i);
        const char *sides[2];
        size_t sizes[2];
        int32_t ids[3];
        if (json_is_string(entry) && strncmp(json_string_value(entry), "#version", 8) == 0) {
            continue;
        }
        bool readable = merge_sides(entry, sides, sizes);
        if (readable && find_merge(&tokenizer->vocabulary, sides, sizes, &joined, ids)) {
            merge_table_put(&tokenizer->merges, ids[0], ids[1], rank++, ids[2]);
        } else {
            char key[48], found[96];
            snprintf(key, sizeof(key), "merges[%zu]", i);
            json_fields_fail(model, key, json_describe(entry, found, sizeof(found)),
                             readable ? "two tokens of the vocab that make a third"
                                      : "two tokens: \"a b\" or [\"a\", \"b\"]");
            status = joined.failed ? vl2_fail_memory(model->error, "a merge", joined.size)
                                   : model->status;
        }
    }
    buffer_free(&joined);
    return status;
}

static vl2_status read_model(tokenizer *tokenizer, json_fields *root)
{
    const json_t *object = json_fields_object(root, "model");
    if (object == NULL) {
        json_fields_fail(root, "model", "nothing", "an object");
        return root->status;
    }
    json_fields model = {tokenizer->name, "model", object, VL2_ERROR_MODEL, VL2_OK, root->error};
    check_model_options(&model);
    tokenizer->ignore_merges = json_fields_boolean(&model, "ignore_merges", false);
    vl2_status status = model.status;
    if (status == VL2_OK) {
        status = read_vocab(tokenizer, &model);
    }
    if (status == VL2_OK) {
        read_bytes(tokenizer, &model);
        status = model.status;
    }
    return status == VL2_OK ? read_merges(tokenizer, &model) : status;
}

static vl2_status read_added_token(tokenizer *tokenizer, json_fields *fields)
{
    const char *content = json_fields_text(fields, "content", NULL);
    int64_t id = json_fields_required_integer(fields, "id", 0, VOCABULARY_MAX_ID);
    bool special = json_fields_boolean(fields, "special", false);
    added_token token = {
        .normalized = json_fields_boolean(fields, "normalized", !special),
        .single_word = json_fields_boolean(fields, "single_word", false),
        .lstrip = json_fields_boolean(fields, "lstrip", false),
        .rstrip = json_fields_boolean(fields, "rstrip", false),
    };
    if (content == NULL) {
        json_fields_fail(fields, "content", "nothing", "a string");
    }
    if (fields->status != VL2_OK || content[0] == '\0') { /* the library ignores empty ones */
        return fields->status;
    }
    char where[512];
    snprintf(where, sizeof(where), "%s: %s", fields->file, fields->section);
    int32_t given;
    vl2_status status =
        tokenizer_put_added(tokenizer, content, token, special, where, &given, fields->error);
    if (status == VL2_OK && given != id) {
        /* The library would warn and go on with `given`, which no checkpoint means. */
        char found[32], expected[96];
        snprintf(found, sizeof(found), "%lld", (long long)id);
        snprintf(expected, sizeof(expected), "%d, the id of this token or the next one free",
                 (int)given);
        json_fields_fail(fields, "id", found, expected);
        status = fields->status;
    }
    return status;
}

static vl2_status read_added(tokenizer *tokenizer, json_fields *root)
{
    const json_t *list = json_fields_array(root, "added_tokens");
    vl2_status status = root->status;
    for (size_t i = 0; i < json_array_size(list) && status == VL2_OK; i++) {
        char section[48];
        snprintf(section, sizeof(section), "added_tokens[%zu]", i);
        json_fields fields = {tokenizer->name, section, json_array_get(list, i),
                              VL2_ERROR_MODEL, VL2_OK,  root->error};
        status = read_added_token(tokenizer, &fields);
    }
    return status == VL2_OK
               ? added_tokens_index(&tokenizer->added, &tokenizer->vocabulary, root->error)
               : status;
}

/* A normalizer that changes nothing: null, or a Sequence of such. */
static bool is_neutral_normalizer(const json_t *normalizer, int depth)
{
    if (normalizer == NULL || json_is_null(normalizer)) {
        return true;
    }
    const char *type = json_string_value(json_object_get(normalizer, "type"));
    const json_t *list = json_object_get(normalizer, "normalizers");
    if (type == NULL || strcmp(type, "Sequence") != 0 || !json_is_array(list) || depth > 8) {
        return false;
    }
    for (size_t i = 0; i < json_array_size(list); i++) {
        if (!is_neutral_normalizer(json_array_get(list, i), depth + 1)) {
            return false;
        }
    }
    return true;
}

/* truncation, padding and post_processor only concern special tokens and batches: not looked at. */
static void check_root(json_fields *root)
{
    char found[96];
    const char *version = json_fields_text(root, "version", "1.0");
    if (strcmp(version, "1.0") != 0) {
        json_fields_fail(root, "version", version, "1.0");
    }
    const json_t *normalizer = json_fields_object(root, "normalizer");
    if (!is_neutral_normalizer(normalizer, 0)) {
        const char *type = json_string_value(json_object_get(normalizer, "type"));
        json_fields_fail(root, "normalizer",
                         type != NULL ? type : json_describe(normalizer, found, sizeof(found)),
                         "null or an empty Sequence");
    }
    const json_t *decoder = json_fields_object(root, "decoder");
    const char *type = json_string_value(json_object_get(decoder, "type"));
    if (type == NULL || strcmp(type, "ByteLevel") != 0) {
        json_fields_fail(root, "decoder",
                         type != NULL ? type : json_describe(decoder, found, sizeof(found)),
                         "ByteLevel");
    }
}

static vl2_status read_root(tokenizer *tokenizer, const json_t *object, vl2_error *error)
{
    json_fields root = {tokenizer->name, "", object, VL2_ERROR_MODEL, VL2_OK, error};
    if (!json_is_object(object)) {
        char found[96];
        return vl2_fail(error, VL2_ERROR_MODEL, "%s: found %s, expected an object", tokenizer->name,
                        json_describe(object, found, sizeof(found)));
    }
    check_root(&root);
    const json_t *steps = json_fields_object(&root, "pre_tokenizer");
    if (steps == NULL) {
        json_fields_fail(&root, "pre_tokenizer", "nothing", "an object");
    }
    vl2_status status = root.status;
    if (status == VL2_OK) {
        status = pretokenizer_read(steps, tokenizer->name, &tokenizer->pretokenizer, error);
    }
    if (status == VL2_OK) {
        status = read_model(tokenizer, &root);
    }
    if (status == VL2_OK && (tokenizer->steps = json_dumps(steps, JSON_COMPACT)) == NULL) {
        status = vl2_fail_memory(error, "a tokenizer", json_object_size(steps));
    }
    return status == VL2_OK ? read_added(tokenizer, &root) : status;
}

vl2_status tokenizer_parse(const char *json, size_t size, const char *name, tokenizer **parsed,
                           vl2_error *error)
{
    json_t *root;
    vl2_status status = json_parse(json, size, name, VL2_ERROR_MODEL, &root, error);
    if (status != VL2_OK) {
        return status;
    }
    tokenizer *made = base_calloc(1, sizeof(*made));
    if (made == NULL || (made->name = base_copy_text(name, strlen(name))) == NULL) {
        status = vl2_fail_memory(error, "a tokenizer", sizeof(*made));
    } else {
        made->highest_added = -1;
        status = read_root(made, root, error);
    }
    json_decref(root);
    if (status != VL2_OK) {
        tokenizer_close(made);
        return status;
    }
    *parsed = made;
    return VL2_OK;
}

vl2_status tokenizer_open(const char *path, tokenizer **opened, vl2_error *error)
{
    char *json;
    size_t size;
    vl2_status status = file_read(path, TOKENIZER_MAX_FILE, VL2_ERROR_MODEL, &json, &size, error);
    if (status == VL2_OK) {
        status = tokenizer_parse(json, size, path, opened, error);
        base_free(json);
    }
    return status;
}
