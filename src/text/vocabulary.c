#include "text/vocabulary.h"

#include "base/alloc.h"
#include "text/utf8.h"

#include <inttypes.h>
#include <string.h>

/* Bytes that are no visible Latin-1 character come after U+0100, in order. */
uint32_t byte_level_character(uint8_t byte)
{
    if (byte <= 0x20) {
        return 0x100u + byte;
    }
    if (byte >= 0x7F && byte <= 0xA0) {
        return 0x121u + byte - 0x7Fu;
    }
    return byte == 0xAD ? 0x143 : byte;
}

int byte_level_byte(uint32_t code)
{
    if (code >= 0x100 && code <= 0x120) {
        return (int)code - 0x100;
    }
    if (code >= 0x121 && code <= 0x142) {
        return (int)code - 0x121 + 0x7F;
    }
    if (code == 0x143) {
        return 0xAD;
    }
    return code < 0x100 && byte_level_character((uint8_t)code) == code ? (int)code : -1;
}

void vocabulary_free(vocabulary *vocabulary)
{
    base_free(vocabulary->tokens);
    base_free(vocabulary->slots);
    buffer_free(&vocabulary->text);
    buffer_free(&vocabulary->bytes);
}

/* FNV-1a, with a last step that spreads the high bits down. */
static uint64_t hash(const char *text, size_t size)
{
    uint64_t value = 0xCBF29CE484222325u;
    for (size_t i = 0; i < size; i++) {
        value = (value ^ (uint8_t)text[i]) * 0x100000001B3u;
    }
    return value ^ value >> 29;
}

static bool is_spelled(const vocabulary *vocabulary, int32_t id, const char *text, size_t size)
{
    const vocabulary_token *token = &vocabulary->tokens[id];
    return token->text_size == size && memcmp(vocabulary->text.data + token->text, text, size) == 0;
}

/* The slot of a spelling: its own, or the free one where it belongs; *tag is what it has or gets.
 * Tags keep a search from looking at the tokens of others, which are far away in memory. */
static size_t find_slot(const vocabulary *vocabulary, const char *text, size_t size, uint32_t *tag)
{
    uint64_t value = hash(text, size);
    size_t mask = vocabulary->slot_count - 1, at = (size_t)value & mask;
    *tag = (uint32_t)(value >> 32);
    while (vocabulary->slots[at].id >= 0 &&
           (vocabulary->slots[at].tag != *tag ||
            !is_spelled(vocabulary, vocabulary->slots[at].id, text, size))) {
        at = (at + 1) & mask;
    }
    return at;
}

/* Twice as many slots as `count` tokens, or more. */
static bool grow_slots(vocabulary *vocabulary, size_t count)
{
    size_t slot_count = vocabulary->slot_count == 0 ? 1024 : vocabulary->slot_count;
    while (slot_count / 2 < count) {
        slot_count *= 2;
    }
    if (slot_count == vocabulary->slot_count) {
        return true;
    }
    vocabulary_slot *slots = base_malloc(slot_count, sizeof(*slots));
    if (slots == NULL) {
        return false;
    }
    memset(slots, 0xFF, slot_count * sizeof(*slots)); /* ids of -1 */
    base_free(vocabulary->slots);
    vocabulary->slots = slots;
    vocabulary->slot_count = slot_count;
    for (size_t id = 0; id < vocabulary->size; id++) {
        const vocabulary_token *token = &vocabulary->tokens[id];
        if (token->present) {
            uint32_t tag;
            size_t at =
                find_slot(vocabulary, vocabulary->text.data + token->text, token->text_size, &tag);
            slots[at] = (vocabulary_slot){(int32_t)id, tag};
        }
    }
    return true;
}

static bool grow_tokens(vocabulary *vocabulary, size_t size)
{
    if (size > vocabulary->capacity) {
        size_t capacity = vocabulary->capacity == 0 ? 1024 : vocabulary->capacity * 2;
        capacity = capacity < size ? size : capacity;
        vocabulary_token *tokens = base_realloc(vocabulary->tokens, capacity, sizeof(*tokens));
        if (tokens == NULL) {
            return false;
        }
        vocabulary->tokens = tokens;
        vocabulary->capacity = capacity;
    }
    while (vocabulary->size < size) {
        vocabulary->tokens[vocabulary->size++] = (vocabulary_token){0};
    }
    return true;
}

/* A spelling whose characters all belong to the byte-level alphabet stands for those bytes, any
 * other for itself (decoders/byte_level.rs of the `tokenizers` library). */
static bool append_bytes(buffer *bytes, const char *text, size_t size)
{
    size_t before = bytes->size, count = 0;
    if (!buffer_append(bytes, text, size)) {
        return false;
    }
    for (size_t at = 0; at < size;) {
        size_t length = 1;
        uint32_t code = 0;
        if ((uint8_t)text[at] < 0x80) {
            code = (uint8_t)text[at];
        } else {
            utf8_next(text + at, size - at, &length, &code);
        }
        int byte = byte_level_byte(code);
        if (byte < 0) {
            memcpy(bytes->data + before, text, count);
            return true;
        }
        bytes->data[before + count++] = (char)byte;
        at += length;
    }
    bytes->size = before + count;
    bytes->data[bytes->size] = '\0';
    return true;
}

vl2_status vocabulary_reserve(vocabulary *vocabulary, size_t count, vl2_error *error)
{
    return grow_slots(vocabulary, count)
               ? VL2_OK
               : vl2_fail_memory(error, "the vocabulary", 2 * count * sizeof(vocabulary_slot));
}

void vocabulary_prefetch(const vocabulary *vocabulary, const char *text, size_t size)
{
    if (vocabulary->slot_count > 0) {
        size_t at = (size_t)hash(text, size) & (vocabulary->slot_count - 1);
        __builtin_prefetch(&vocabulary->slots[at], 1);
    }
}

vl2_status vocabulary_add(vocabulary *vocabulary, const char *text, size_t size, int64_t id,
                          const char *where, vl2_error *error)
{
    int shown = size < 60 ? (int)size : 60; /* the text need not end in NUL */
    if (id < 0 || id > VOCABULARY_MAX_ID) {
        return vl2_fail(error, VL2_ERROR_MODEL,
                        "%s: \"%.*s\": found id %" PRId64 ", expected one from 0 to %d", where,
                        shown, text, id, VOCABULARY_MAX_ID);
    }
    if (!grow_tokens(vocabulary, (size_t)id + 1) ||
        !grow_slots(vocabulary, vocabulary->count + 1)) {
        return vl2_fail_memory(error, "the vocabulary", (size_t)id * sizeof(vocabulary_token));
    }
    vocabulary_token *token = &vocabulary->tokens[id];
    uint32_t tag;
    size_t slot = find_slot(vocabulary, text, size, &tag);
    if (token->present || vocabulary->slots[slot].id >= 0) {
        return vl2_fail(error, VL2_ERROR_MODEL,
                        "%s: \"%.*s\": found id %" PRId64
                        ", which is taken, expected each token and each id once",
                        where, shown, text, id);
    }
    *token = (vocabulary_token){.text = (uint32_t)vocabulary->text.size,
                                .text_size = (uint32_t)size,
                                .bytes = (uint32_t)vocabulary->bytes.size};
    if (!buffer_append(&vocabulary->text, text, size) ||
        !append_bytes(&vocabulary->bytes, text, size)) {
        return vl2_fail_memory(error, "the vocabulary", size);
    }
    token->bytes_size = (uint32_t)vocabulary->bytes.size - token->bytes;
    token->present = true;
    vocabulary->slots[slot] = (vocabulary_slot){(int32_t)id, tag};
    vocabulary->count++;
    return VL2_OK;
}

int32_t vocabulary_find(const vocabulary *vocabulary, const char *text, size_t size)
{
    uint32_t tag;
    return vocabulary->slot_count == 0
               ? -1
               : vocabulary->slots[find_slot(vocabulary, text, size, &tag)].id;
}

const vocabulary_token *vocabulary_get(const vocabulary *vocabulary, int32_t id)
{
    return id >= 0 && (size_t)id < vocabulary->size && vocabulary->tokens[id].present
               ? &vocabulary->tokens[id]
               : NULL;
}
