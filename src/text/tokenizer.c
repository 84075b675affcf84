#include "text/tokenizer_internal.h"

#include "base/alloc.h"
#include "text/utf8.h"

#include <inttypes.h>
#include <string.h>

vl2_status id_list_append(id_list *list, int32_t id, vl2_error *error)
{
    if (list->count == list->capacity) {
        size_t capacity = list->capacity == 0 ? 64 : list->capacity * 2;
        int32_t *ids = base_realloc(list->ids, capacity, sizeof(*ids));
        if (ids == NULL) {
            return vl2_fail_memory(error, "token ids", capacity * sizeof(*ids));
        }
        list->ids = ids;
        list->capacity = capacity;
    }
    list->ids[list->count++] = id;
    return VL2_OK;
}

void id_list_free(id_list *list)
{
    base_free(list->ids);
    *list = (id_list){0};
}

void tokenizer_close(tokenizer *tokenizer)
{
    if (tokenizer != NULL) {
        vocabulary_free(&tokenizer->vocabulary);
        merge_table_free(&tokenizer->merges);
        added_tokens_free(&tokenizer->added);
        pretokenizer_free(&tokenizer->pretokenizer);
        base_free(tokenizer->steps);
        base_free(tokenizer->name);
        base_free(tokenizer);
    }
}

int32_t tokenizer_id(const tokenizer *tokenizer, const char *token)
{
    return vocabulary_find(&tokenizer->vocabulary, token, strlen(token));
}

const char *tokenizer_spelling(const tokenizer *tokenizer, int32_t id, size_t *size)
{
    const vocabulary_token *token = vocabulary_get(&tokenizer->vocabulary, id);
    if (token == NULL) {
        return NULL;
    }
    *size = token->text_size;
    return tokenizer->vocabulary.text.data + token->text;
}

size_t tokenizer_size(const tokenizer *tokenizer)
{
    return tokenizer->vocabulary.size;
}

bool tokenizer_is_special(const tokenizer *tokenizer, int32_t id)
{
    const vocabulary_token *token = vocabulary_get(&tokenizer->vocabulary, id);
    return token != NULL && token->special;
}

void tokenizer_find_bytes(tokenizer *tokenizer)
{
    for (int byte = 0; byte < 256; byte++) {
        char symbol[4];
        size_t size = utf8_write(byte_level_character((uint8_t)byte), symbol);
        int32_t id = vocabulary_find(&tokenizer->vocabulary, symbol, size);
        tokenizer->byte_ids[byte] = id >= 0 && tokenizer->vocabulary.tokens[id].in_model ? id : -1;
    }
}

vl2_status tokenizer_put_added(tokenizer *tokenizer, const char *text, added_token token,
                               bool special, const char *where, int32_t *id, vl2_error *error)
{
    size_t size = strlen(text);
    token.id = vocabulary_find(&tokenizer->vocabulary, text, size);
    if (token.id < 0) {
        int64_t next = (int64_t)tokenizer->model_count;
        next = tokenizer->highest_added >= next ? tokenizer->highest_added + 1 : next;
        vl2_status status = vocabulary_add(&tokenizer->vocabulary, text, size, next, where, error);
        if (status != VL2_OK) {
            return status;
        }
        token.id = (int32_t)next;
    }
    *id = token.id;
    tokenizer->vocabulary.tokens[token.id].special |= special;
    if (token.id > tokenizer->highest_added) {
        tokenizer->highest_added = token.id;
    }
    return added_tokens_put(&tokenizer->added, token, error);
}

vl2_status tokenizer_add_special(tokenizer *tokenizer, const char *token, vl2_error *error)
{
    if (token[0] == '\0') {
        return vl2_fail(error, VL2_ERROR_MODEL,
                        "%s: special token: found an empty one, expected some text",
                        tokenizer->name);
    }
    int32_t id;
    vl2_status status =
        tokenizer_put_added(tokenizer, token, (added_token){0}, true, tokenizer->name, &id, error);
    return status != VL2_OK ? status
                            : added_tokens_index(&tokenizer->added, &tokenizer->vocabulary, error);
}

/* ------------------------------------------------------------------------------------ encode */

/* The token that the whole piece spells, or -1. */
static int32_t whole_piece(const tokenizer *tokenizer, const char *text, size_t size)
{
    char spelling[2 * TOKENIZER_MAX_WHOLE + 4]; /* a byte is spelled by one or two */
    size_t length = 0;
    if (size > TOKENIZER_MAX_WHOLE) {
        return -1;
    }
    for (size_t i = 0; i < size; i++) {
        length += utf8_write(byte_level_character((uint8_t)text[i]), spelling + length);
    }
    int32_t id = vocabulary_find(&tokenizer->vocabulary, spelling, length);
    return id >= 0 && tokenizer->vocabulary.tokens[id].in_model ? id : -1;
}

static vl2_status encode_piece(const tokenizer *tokenizer, bpe_work *work, const char *text,
                               size_t size, id_list *ids, vl2_error *error)
{
    int32_t whole = tokenizer->ignore_merges ? whole_piece(tokenizer, text, size) : -1;
    if (whole >= 0) {
        return id_list_append(ids, whole, error);
    }
    vl2_status status = bpe_work_reserve(work, size, error);
    if (status != VL2_OK) {
        return status;
    }
    work->symbol_count = 0;
    for (size_t i = 0; i < size; i++) {
        int32_t id = tokenizer->byte_ids[(uint8_t)text[i]];
        if (id >= 0) { /* the library leaves out what has no symbol, too */
            work->symbols[work->symbol_count++].id = id;
        }
    }
    bpe_merge(&tokenizer->merges, work);
    for (size_t i = 0; i < work->symbol_count && status == VL2_OK; i++) {
        if (work->symbols[i].id >= 0) {
            status = id_list_append(ids, work->symbols[i].id, error);
        }
    }
    return status;
}

static vl2_status encode_pieces(const tokenizer *tokenizer, const split_text *text, id_list *ids,
                                vl2_error *error)
{
    bpe_work work = {0};
    vl2_status status = VL2_OK;
    for (size_t i = 0; i < text->pieces.count && status == VL2_OK; i++) {
        piece item = text->pieces.items[i];
        status = item.token >= 0 ? id_list_append(ids, item.token, error)
                                 : encode_piece(tokenizer, &work, text->text + item.start,
                                                item.size, ids, error);
    }
    bpe_work_free(&work);
    return status;
}

static vl2_status encode_valid(const tokenizer *tokenizer, const char *text, size_t size,
                               id_list *ids, vl2_error *error)
{
    pattern_work *work;
    vl2_status status = pattern_work_create(&work, error);
    if (status != VL2_OK) {
        return status;
    }
    split_text split = {.text = text};
    status = piece_list_append(&split.pieces, (piece){0, size, -1}, error);
    if (status == VL2_OK) {
        status =
            added_tokens_extract(&tokenizer->added, work, text, &split.pieces, &split.spare, error);
    }
    if (status == VL2_OK) {
        status = pretokenizer_run(&tokenizer->pretokenizer, work, &split, error);
    }
    if (status == VL2_OK) {
        status = encode_pieces(tokenizer, &split, ids, error);
    }
    split_text_free(&split);
    pattern_work_free(work);
    return status;
}

vl2_status tokenizer_encode(const tokenizer *tokenizer, const char *text, size_t size, id_list *ids,
                            vl2_error *error)
{
    size_t before = ids->count;
    buffer valid = {0};
    if (size == 0) {
        return VL2_OK;
    }
    if (!utf8_is_valid(text, size)) {
        if (!utf8_append_lossy(&valid, text, size)) {
            buffer_free(&valid);
            return vl2_fail_memory(error, "a copy of the text", size);
        }
        text = valid.data;
        size = valid.size;
    }
    vl2_status status = VL2_OK;
    if (size >= INT32_MAX / 2) { /* a space may be put before each piece */
        status = vl2_fail(error, VL2_ERROR_ARGUMENT, "text: found %zu bytes, expected less than %d",
                          size, INT32_MAX / 2);
    } else {
        status = encode_valid(tokenizer, text, size, ids, error);
    }
    buffer_free(&valid);
    if (status != VL2_OK) {
        ids->count = before;
    }
    return status;
}

/* ------------------------------------------------------------------------------------ decode */

/* The bytes of a token; none for an id that no token has and for a special token that is skipped.
 * */
static const char *token_bytes(const tokenizer *tokenizer, int32_t id, bool skip_special,
                               size_t *size)
{
    const vocabulary_token *token = vocabulary_get(&tokenizer->vocabulary, id);
    if (token == NULL || (token->special && skip_special)) {
        *size = 0;
        return "";
    }
    *size = token->bytes_size;
    return tokenizer->vocabulary.bytes.data + token->bytes;
}

vl2_status tokenizer_decode(const tokenizer *tokenizer, const int32_t *ids, size_t count,
                            bool skip_special, buffer *text, vl2_error *error)
{
    buffer bytes = {0};
    for (size_t i = 0; i < count; i++) {
        if (ids[i] < 0 || (size_t)ids[i] >= tokenizer->vocabulary.size) {
            buffer_free(&bytes);
            return vl2_fail(error, VL2_ERROR_ARGUMENT,
                            "token %zu: found id %" PRId32 ", expected one from 0 to %zu", i,
                            ids[i], tokenizer->vocabulary.size - 1);
        }
        size_t size;
        const char *piece = token_bytes(tokenizer, ids[i], skip_special, &size);
        buffer_append(&bytes, piece, size);
    }
    bool fits = !bytes.failed && utf8_append_lossy(text, bytes.data, bytes.size);
    size_t size = bytes.size;
    buffer_free(&bytes);
    return fits ? VL2_OK : vl2_fail_memory(error, "the text of tokens", size);
}

void token_stream_init(token_stream *stream, const tokenizer *tokenizer, bool skip_special)
{
    *stream = (token_stream){.tokenizer = tokenizer, .skip_special = skip_special};
}

/* One byte more. What is pending is the front of a character; the byte ends it, lengthens it, or
 * makes it invalid and stands for itself. */
static bool push_byte(token_stream *stream, char byte, buffer *text)
{
    for (;;) {
        size_t length;
        uint32_t code;
        stream->pending[stream->pending_size] = byte;
        switch (utf8_next(stream->pending, stream->pending_size + 1, &length, &code)) {
        case UTF8_VALID:
            stream->pending_size = 0;
            return buffer_append(text, stream->pending, length);
        case UTF8_INCOMPLETE:
            stream->pending_size++;
            return true;
        case UTF8_INVALID:
            if (!buffer_append_text(text, UTF8_REPLACEMENT)) {
                return false;
            }
            if (stream->pending_size == 0) {
                return true;
            }
            stream->pending_size = 0;
        }
    }
}

vl2_status token_stream_push(token_stream *stream, int32_t id, buffer *text, vl2_error *error)
{
    size_t size;
    const char *bytes = token_bytes(stream->tokenizer, id, stream->skip_special, &size);
    for (size_t i = 0; i < size; i++) {
        if (!push_byte(stream, bytes[i], text)) {
            return vl2_fail_memory(error, "the text of tokens", size);
        }
    }
    return VL2_OK;
}

vl2_status token_stream_finish(token_stream *stream, buffer *text, vl2_error *error)
{
    bool open = stream->pending_size > 0;
    stream->pending_size = 0;
    if (open && !buffer_append_text(text, UTF8_REPLACEMENT)) {
        return vl2_fail_memory(error, "the text of tokens", sizeof(UTF8_REPLACEMENT));
    }
    return VL2_OK;
}
