/* Byte-level byte pair encoding, straight from a tokenizer.json of the `tokenizers` library, with
 * the same ids as that library (0.23) gives without adding special tokens. */
#ifndef TEXT_TOKENIZER_H
#define TEXT_TOKENIZER_H

#include "base/buffer.h"
#include "base/error.h"

/* Immutable once the special tokens are added; any number of threads may use it then. */
typedef struct tokenizer tokenizer;

/* Token ids. All zero is empty. */
typedef struct id_list {
    int32_t *ids;
    size_t count, capacity;
} id_list;

vl2_status id_list_append(id_list *list, int32_t id, vl2_error *error); /* VL2_ERROR_MEMORY */
void id_list_free(id_list *list);

/* The largest tokenizer.json that is read. */
#define TOKENIZER_MAX_FILE ((size_t)512 * 1024 * 1024)

/* Reads a tokenizer.json. Everything that would change the ids and is not supported is refused.
 * VL2_ERROR_MODEL (missing, not JSON, a wrong field: the message names file, field, found and
 * expected), VL2_ERROR_MEMORY. */
vl2_status tokenizer_open(const char *path, tokenizer **opened, vl2_error *error);
/* The same from memory; `name` stands in messages. */
vl2_status tokenizer_parse(const char *json, size_t size, const char *name, tokenizer **parsed,
                           vl2_error *error);
void tokenizer_close(tokenizer *tokenizer); /* NULL is allowed */

/* Makes `token` a special token: recognised in texts, left out when special tokens are skipped. It
 * keeps the id it has, or gets the next free one, as add_special_tokens of the `tokenizers` library
 * gives. Not while other threads use the tokenizer. VL2_ERROR_MODEL if it is empty or there is no
 * id left, VL2_ERROR_MEMORY; the tokenizer can only be closed then. */
vl2_status tokenizer_add_special(tokenizer *tokenizer, const char *token, vl2_error *error);

/* Appends the ids of a text. Added tokens written in the text are recognised; nothing is added. The
 * library takes Unicode strings only; bytes that are not valid UTF-8 count as U+FFFD here, one per
 * maximal subpart. VL2_ERROR_ARGUMENT (2 GiB or more), VL2_ERROR_MEMORY, VL2_ERROR_UNSUPPORTED (a
 * regular expression of the file gives up); `ids` has what it had before then. */
vl2_status tokenizer_encode(const tokenizer *tokenizer, const char *text, size_t size, id_list *ids,
                            vl2_error *error);

/* The id of a token by its exact spelling in the file, or -1. */
int32_t tokenizer_id(const tokenizer *tokenizer, const char *token);

/* The spelling of an id in the file, *size bytes without a NUL, borrowed; NULL if no token has the
 * id. */
const char *tokenizer_spelling(const tokenizer *tokenizer, int32_t id, size_t *size);

size_t tokenizer_size(const tokenizer *tokenizer); /* highest id + 1 */
bool tokenizer_is_special(const tokenizer *tokenizer, int32_t id);

/* Appends the text of token ids; bytes that are not valid UTF-8 over the whole of it become U+FFFD,
 * one per maximal subpart. An id below tokenizer_size that no token has gives nothing.
 * VL2_ERROR_ARGUMENT for other ids, VL2_ERROR_MEMORY. */
vl2_status tokenizer_decode(const tokenizer *tokenizer, const int32_t *ids, size_t count,
                            bool skip_special, buffer *text, vl2_error *error);

/* Decoding token by token. The pieces together are what tokenizer_decode gives for all ids. */
typedef struct token_stream {
    const tokenizer *tokenizer; /* borrowed */
    bool skip_special;
    char pending[4]; /* the front of a character whose end has not come */
    size_t pending_size;
} token_stream;

void token_stream_init(token_stream *stream, const tokenizer *tokenizer, bool skip_special);

/* Appends the characters that are whole now, perhaps none. An id that no token has gives nothing (a
 * model may have more rows than the tokenizer has ids). VL2_ERROR_MEMORY. */
vl2_status token_stream_push(token_stream *stream, int32_t id, buffer *text, vl2_error *error);

/* Appends U+FFFD if a character has begun and not ended; the stream can be used again. */
vl2_status token_stream_finish(token_stream *stream, buffer *text, vl2_error *error);

#endif
