/* Token spellings, ids and bytes: the `vocab` of a tokenizer.json, and its added tokens. */
#ifndef TEXT_VOCABULARY_H
#define TEXT_VOCABULARY_H

#include "base/buffer.h"
#include "base/error.h"

#define VOCABULARY_MAX_ID ((1 << 24) - 1) /* bounds the memory that a file can ask for */

/* The byte-level alphabet of GPT-2: every byte has a visible character, U+0021 to U+0143. */
uint32_t byte_level_character(uint8_t byte);
int byte_level_byte(uint32_t code); /* -1 if the character stands for no byte */

typedef struct vocabulary_token {
    uint32_t text, text_size;   /* spelling, in vocabulary.text */
    uint32_t bytes, bytes_size; /* what it decodes to, in vocabulary.bytes */
    bool present;
    bool in_model; /* in the model's own vocab, not only added */
    bool special;  /* left out by a decoder that skips special tokens */
} vocabulary_token;

typedef struct vocabulary_slot {
    int32_t id;   /* -1 if free */
    uint32_t tag; /* another part of the hash */
} vocabulary_slot;

/* All zero is empty. */
typedef struct vocabulary {
    vocabulary_token *tokens; /* by id; ids may have gaps */
    size_t size, capacity;    /* highest id + 1 */
    size_t count;             /* tokens present */
    buffer text, bytes;
    vocabulary_slot *slots; /* by the hash of the spelling; a power of two of them */
    size_t slot_count;
} vocabulary;

void vocabulary_free(vocabulary *vocabulary);

/* Makes room for `count` tokens in all, so that adding them is faster. VL2_ERROR_MEMORY. */
vl2_status vocabulary_reserve(vocabulary *vocabulary, size_t count, vl2_error *error);

/* Fetches into the cache what adding or finding a spelling will look at: most of the time that a
 * large vocabulary takes to build is waiting for memory. */
void vocabulary_prefetch(const vocabulary *vocabulary, const char *text, size_t size);

/* Adds a token. VL2_ERROR_MODEL if the id or the spelling is taken or the id is out of range;
 * `where` ("FILE: FIELD") stands in the message. VL2_ERROR_MEMORY. */
vl2_status vocabulary_add(vocabulary *vocabulary, const char *text, size_t size, int64_t id,
                          const char *where, vl2_error *error);

/* The id of a spelling, or -1. */
int32_t vocabulary_find(const vocabulary *vocabulary, const char *text, size_t size);

/* The token of an id, or NULL if there is none. */
const vocabulary_token *vocabulary_get(const vocabulary *vocabulary, int32_t id);

#endif
