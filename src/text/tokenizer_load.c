/* From the bytes of tokenizer_compiled.h to a tokenizer. */
#include "text/tokenizer_compiled.h"
#include "text/tokenizer_internal.h"

#include "base/alloc.h"
#include "text/utf8.h"

#include <inttypes.h>
#include <string.h>

/* The parts; each lies in the bytes as a whole. */
typedef struct compiled {
    const char *name;
    compiled_header header;
    const uint8_t *token_id, *token_size, *left, *right, *merged, *added_id; /* of 4 bytes each */
    const uint8_t *token_flags, *added_flags;
    const char *text, *steps;
    vl2_error *error;
} compiled;

static uint32_t number(const uint8_t *numbers, size_t index)
{
    uint32_t value;
    memcpy(&value, numbers + index * sizeof(value), sizeof(value));
    return value;
}

static vl2_status fail_entry(const compiled *in, const char *field, size_t index, uint32_t found,
                             const char *expected)
{
    return vl2_fail(in->error, VL2_ERROR_MODEL, "%s: %s[%zu]: found %" PRIu32 ", expected %s",
                    in->name, field, index, found, expected);
}

static vl2_status fail_field(const compiled *in, const char *field, uint64_t found,
                             const char *expected)
{
    return vl2_fail(in->error, VL2_ERROR_MODEL, "%s: %s: found %" PRIu64 ", expected %s", in->name,
                    field, found, expected);
}

static vl2_status read_header(compiled *in, const uint8_t *data, size_t size)
{
    compiled_header *header = &in->header;
    size_t versioned = sizeof(header->magic) + sizeof(header->version);
    if (size >= versioned) {
        memcpy(header, data, versioned);
    }
    if (memcmp(header->magic, TOKENIZER_COMPILED_MAGIC, sizeof(header->magic)) != 0) {
        return vl2_fail(in->error, VL2_ERROR_MODEL,
                        "%s: found %zu bytes of something else, expected a compiled tokenizer",
                        in->name, size);
    }
    if (header->version != TOKENIZER_COMPILED_VERSION) {
        return vl2_fail(in->error, VL2_ERROR_UNSUPPORTED,
                        "%s: version: found %" PRIu32 ", expected %u", in->name, header->version,
                        TOKENIZER_COMPILED_VERSION);
    }
    if (size < sizeof(*header)) {
        return fail_field(in, "bytes", size, "40 or more");
    }
    memcpy(header, data, sizeof(*header));
    if ((header->flags & ~COMPILED_IGNORE_MERGES) != 0) {
        return fail_field(in, "flags", header->flags, "0 or 1");
    }
    return header->zero == 0 ? VL2_OK : fail_field(in, "zero", header->zero, "0");
}

/* Where the parts lie. The sizes are below 2^32 each, so that their sum cannot overflow. */
static vl2_status find_parts(compiled *in, const uint8_t *data, size_t size)
{
    const compiled_header *header = &in->header;
    uint64_t tokens = header->token_count, merges = header->merge_count,
             added = header->added_count;
    uint64_t needed = sizeof(*header) + 9 * tokens + 12 * merges + 5 * added + header->text_size +
                      header->steps_size;
    if (needed != size) {
        char expected[64];
        snprintf(expected, sizeof(expected), "%" PRIu64 ", as the header says", needed);
        return fail_field(in, "bytes", size, expected);
    }
    in->token_id = data + sizeof(*header);
    in->token_size = in->token_id + 4 * tokens;
    in->left = in->token_size + 4 * tokens;
    in->right = in->left + 4 * merges;
    in->merged = in->right + 4 * merges;
    in->added_id = in->merged + 4 * merges;
    in->token_flags = in->added_id + 4 * added;
    in->added_flags = in->token_flags + tokens;
    in->text = (const char *)in->added_flags + added;
    in->steps = in->text + header->text_size;
    return VL2_OK;
}

/* How far ahead of its use memory is asked for. */
#define AHEAD 8

/* What the rest of the room takes for granted: the spellings are valid UTF-8 without NUL. Each is
 * if all together are and none begins inside a character, which load_token looks at. */
static vl2_status check_text(const compiled *in)
{
    size_t size = in->header.text_size;
    uint64_t sum = 0; /* of at most 2^32 numbers below 2^32 */
    for (size_t i = 0; i < in->header.token_count; i++) {
        sum += number(in->token_size, i);
    }
    if (sum != size) {
        return fail_field(in, "text_size", size, "the sum of token_size");
    }
    if (memchr(in->text, '\0', size) != NULL || !utf8_is_valid(in->text, size)) {
        return fail_field(in, "text", size, "bytes of UTF-8 without NUL");
    }
    return VL2_OK;
}

static vl2_status load_token(const compiled *in, size_t index, const char *text, uint32_t size,
                             tokenizer *made)
{
    uint32_t id = number(in->token_id, index), flags = in->token_flags[index];
    if (index > 0 && id <= number(in->token_id, index - 1)) {
        return fail_entry(in, "token_id", index, id, "ascending numbers");
    }
    if ((flags & ~(COMPILED_IN_MODEL | COMPILED_SPECIAL)) != 0) {
        return fail_entry(in, "token_flags", index, flags, "0 to 3");
    }
    if (size > 0 && ((uint8_t)text[0] & 0xC0) == 0x80) {
        return fail_entry(in, "token_size", index - 1, number(in->token_size, index - 1),
                          "whole characters");
    }
    bool in_model = (flags & COMPILED_IN_MODEL) != 0;
    if (made->ignore_merges && in_model && size > TOKENIZER_MAX_WHOLE) {
        return fail_entry(in, "token_size", index, size, "at most 512 with ignore_merges");
    }
    vl2_status status = vocabulary_add(&made->vocabulary, text, size, id, in->name, in->error);
    if (status == VL2_OK) {
        made->vocabulary.tokens[id].in_model = in_model;
        made->vocabulary.tokens[id].special = (flags & COMPILED_SPECIAL) != 0;
        made->model_count += in_model;
    }
    return status;
}

static vl2_status load_tokens(const compiled *in, tokenizer *made)
{
    size_t count = in->header.token_count, at = 0, at_ahead = 0;
    vl2_status status = check_text(in);
    if (status == VL2_OK) {
        status = vocabulary_reserve(&made->vocabulary, count, in->error);
    }
    for (size_t i = 0; i < count + AHEAD && status == VL2_OK; i++) {
        if (i < count) {
            uint32_t size = number(in->token_size, i);
            vocabulary_prefetch(&made->vocabulary, in->text + at_ahead, size);
            at_ahead += size;
        }
        if (i >= AHEAD) {
            uint32_t size = number(in->token_size, i - AHEAD);
            status = load_token(in, i - AHEAD, in->text + at, size, made);
            at += size;
        }
    }
    if (status == VL2_OK && made->model_count == 0) {
        status = fail_field(in, "token_flags", 0, "a token that is in the model");
    }
    return status;
}

static const vocabulary_token *model_token(const vocabulary *vocabulary, uint32_t id)
{
    const vocabulary_token *token =
        id <= VOCABULARY_MAX_ID ? vocabulary_get(vocabulary, (int32_t)id) : NULL;
    return token != NULL && token->in_model ? token : NULL;
}

static vl2_status load_merge(const compiled *in, size_t index, tokenizer *made)
{
    const char *text = made->vocabulary.text.data;
    uint32_t ids[] = {number(in->left, index), number(in->right, index), number(in->merged, index)};
    static const char *const fields[] = {"left", "right", "merged"};
    const vocabulary_token *tokens[3];
    for (int i = 0; i < 3; i++) {
        tokens[i] = model_token(&made->vocabulary, ids[i]);
        if (tokens[i] == NULL) {
            return fail_entry(in, fields[i], index, ids[i], "a token of the model");
        }
    }
    const vocabulary_token *left = tokens[0], *right = tokens[1], *merged = tokens[2];
    if ((uint64_t)left->text_size + right->text_size != merged->text_size ||
        memcmp(text + merged->text, text + left->text, left->text_size) != 0 ||
        memcmp(text + merged->text + left->text_size, text + right->text, right->text_size) != 0) {
        return fail_entry(in, "merged", index, ids[2], "the token that left and right make");
    }
    merge_table_put(&made->merges, (int32_t)ids[0], (int32_t)ids[1], (uint32_t)index,
                    (int32_t)ids[2]);
    return VL2_OK;
}

static vl2_status load_merges(const compiled *in, tokenizer *made)
{
    size_t count = in->header.merge_count;
    vl2_status status = merge_table_create(&made->merges, count, in->error);
    for (size_t i = 0; i < count && status == VL2_OK; i++) {
        if (i + AHEAD < count) {
            merge_table_prefetch(&made->merges, (int32_t)number(in->left, i + AHEAD),
                                 (int32_t)number(in->right, i + AHEAD));
        }
        status = load_merge(in, i, made);
    }
    return status;
}

/* `seen` [vocabulary.size]: which ids were added already. */
static vl2_status load_added_token(const compiled *in, size_t index, bool *seen, tokenizer *made)
{
    uint32_t id = number(in->added_id, index), flags = in->added_flags[index];
    const vocabulary_token *token =
        id <= VOCABULARY_MAX_ID ? vocabulary_get(&made->vocabulary, (int32_t)id) : NULL;
    if (token == NULL || token->text_size == 0 || seen[id]) {
        return fail_entry(in, "added_id", index, id, "a token that is not empty, each once");
    }
    if (flags > 15) {
        return fail_entry(in, "added_flags", index, flags, "0 to 15");
    }
    seen[id] = true;
    made->added.items[made->added.count++] = (added_token){
        .id = (int32_t)id,
        .normalized = (flags & COMPILED_NORMALIZED) != 0,
        .single_word = (flags & COMPILED_SINGLE_WORD) != 0,
        .lstrip = (flags & COMPILED_LSTRIP) != 0,
        .rstrip = (flags & COMPILED_RSTRIP) != 0,
    };
    made->highest_added = id > made->highest_added ? id : made->highest_added;
    return VL2_OK;
}

/* Every token is in the model or added, and special ones are added. */
static vl2_status check_origins(const compiled *in, const bool *seen, const vocabulary *vocabulary)
{
    for (size_t i = 0; i < in->header.token_count; i++) {
        uint32_t id = number(in->token_id, i);
        const vocabulary_token *token = &vocabulary->tokens[id];
        if (!seen[id] && (!token->in_model || token->special)) {
            return fail_entry(in, "token_flags", i, in->token_flags[i],
                              "1 for a token that is not added");
        }
    }
    return VL2_OK;
}

/* Not by added_tokens_put, which looks through the list for each: a file could have a million. */
static vl2_status load_added(const compiled *in, tokenizer *made)
{
    size_t count = in->header.added_count;
    bool *seen = base_calloc(made->vocabulary.size, sizeof(*seen));
    made->added.items = base_malloc(count, sizeof(*made->added.items));
    made->added.capacity = made->added.items != NULL ? count : 0;
    vl2_status status = VL2_OK;
    if (seen == NULL || made->added.items == NULL) {
        status = vl2_fail_memory(in->error, "the added tokens", count * sizeof(added_token));
    }
    for (size_t i = 0; i < count && status == VL2_OK; i++) {
        status = load_added_token(in, i, seen, made);
    }
    if (status == VL2_OK) {
        status = check_origins(in, seen, &made->vocabulary);
    }
    base_free(seen);
    return status == VL2_OK ? added_tokens_index(&made->added, &made->vocabulary, in->error)
                            : status;
}

static vl2_status load_steps(const compiled *in, tokenizer *made)
{
    size_t size = in->header.steps_size;
    json_t *steps;
    vl2_status status = json_parse(in->steps, size, in->name, VL2_ERROR_MODEL, &steps, in->error);
    if (status != VL2_OK) {
        return status;
    }
    status = pretokenizer_read(steps, in->name, &made->pretokenizer, in->error);
    json_decref(steps);
    if (status == VL2_OK && (made->steps = base_copy_text(in->steps, size)) == NULL) {
        status = vl2_fail_memory(in->error, "a tokenizer", size);
    }
    return status;
}

static vl2_status load_parts(const compiled *in, tokenizer *made)
{
    made->ignore_merges = (in->header.flags & COMPILED_IGNORE_MERGES) != 0;
    made->highest_added = -1;
    vl2_status status = load_tokens(in, made);
    if (status == VL2_OK) {
        tokenizer_find_bytes(made);
        status = load_merges(in, made);
    }
    if (status == VL2_OK) {
        status = load_added(in, made);
    }
    return status == VL2_OK ? load_steps(in, made) : status;
}

vl2_status tokenizer_load(const void *data, size_t size, const char *name, tokenizer **loaded,
                          vl2_error *error)
{
    compiled in = {.name = name, .error = error};
    vl2_status status = read_header(&in, data, size);
    if (status == VL2_OK) {
        status = find_parts(&in, data, size);
    }
    if (status != VL2_OK) {
        return status;
    }
    tokenizer *made = base_calloc(1, sizeof(*made));
    if (made == NULL || (made->name = base_copy_text(name, strlen(name))) == NULL) {
        status = vl2_fail_memory(error, "a tokenizer", sizeof(*made));
    } else {
        status = load_parts(&in, made);
    }
    if (status != VL2_OK) {
        tokenizer_close(made);
        return status;
    }
    *loaded = made;
    return VL2_OK;
}
