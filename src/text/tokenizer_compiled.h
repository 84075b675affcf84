/* A tokenizer ready to load: what tokenizer.json says, without the JSON, whose parsing would take
 * most of the time in which a packed model is opened.
 *
 * The bytes, version 1. Numbers are u32, little-endian; nothing is aligned, the parts follow one
 * another without gaps, and behind the last one there is nothing.
 *
 *     header, 40 bytes:
 *         magic               8 bytes, "VL2TOKEN"
 *         version             1; readers refuse any other
 *         flags               bit 0: ignore_merges, a piece that is a token as a whole is not
 *                             merged up; other bits 0
 *         token_count         T, at least 1
 *         merge_count         M
 *         added_count         A
 *         text_size           bytes of all spellings
 *         steps_size          bytes of the pre_tokenizer
 *         zero                0
 *     token_id                [T], ascending, at most 2^24 - 1
 *     token_size              [T], bytes of the spelling; together text_size
 *     left, right, merged     [M] each, ids: left and right become merged, whose spelling is that
 *                             of both joined; all three in the model; the first merge ranks first
 *     added_id                [A], ids of added tokens, each once, in the order of the file
 *     token_flags             [T] bytes: bit 0 in the model's own vocab, bit 1 special; other bits
 * 0 added_flags             [A] bytes: bit 0 normalized, 1 single_word, 2 lstrip, 3 rstrip; other
 *                             bits 0
 *     text                    the spellings as in the file, in the order of token_id: UTF-8 each,
 *                             no NUL; only one that is not added may be empty
 *     steps                   the pre_tokenizer of the file, a JSON object
 *
 * A token is in the model or added or both; special ones are added. At least one is in the model;
 * with ignore_merges those have at most 512 bytes. What a token decodes to, the symbols of the
 * bytes and all tables for searching follow from this. */
#ifndef TEXT_TOKENIZER_COMPILED_H
#define TEXT_TOKENIZER_COMPILED_H

#include "text/tokenizer.h"

#define TOKENIZER_COMPILED_MAGIC   "VL2TOKEN" /* 8 bytes, without the NUL */
#define TOKENIZER_COMPILED_VERSION 1u

typedef struct compiled_header {
    uint8_t magic[8];
    uint32_t version, flags, token_count, merge_count, added_count, text_size, steps_size, zero;
} compiled_header;

_Static_assert(sizeof(compiled_header) == 40, "the header of the file has no holes");

#define COMPILED_IGNORE_MERGES 1u /* flags */

#define COMPILED_IN_MODEL 1u /* token_flags */
#define COMPILED_SPECIAL  2u

#define COMPILED_NORMALIZED  1u /* added_flags */
#define COMPILED_SINGLE_WORD 2u
#define COMPILED_LSTRIP      4u
#define COMPILED_RSTRIP      8u

/* Appends the bytes of a tokenizer. Meant for one that tokenizer_parse gave; tokens added by
 * tokenizer_add_special since then would be in it. The bytes are the same for the same tokenizer,
 * whether it was parsed or loaded. VL2_ERROR_MEMORY: `out` has part of them then. */
vl2_status tokenizer_compile(const tokenizer *tokenizer, buffer *out, vl2_error *error);

/* A tokenizer from such bytes (at any alignment, not kept) that does what the one did that was
 * compiled. Any bytes may come: VL2_ERROR_UNSUPPORTED for another version, VL2_ERROR_MODEL for what
 * is damaged (the message names `name`, field, found and expected), VL2_ERROR_MEMORY. */
vl2_status tokenizer_load(const void *data, size_t size, const char *name, tokenizer **loaded,
                          vl2_error *error);

#endif
