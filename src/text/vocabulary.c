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
static size_t hash(const char *text, size_t size)
{
    uint64_t value = 0xCBF29CE484222325u;
    for (size_t i = 0; i < size; i++) {
        value = (value ^ (uint8_t)text[i]) * 0x100000001B3u;
    }
    return (size_t)(value ^ value >> 29);
}

/* The slot of a spelling: its own, or the free one where it belongs. */
static size_t find_slot(const vocabulary *vocabulary, const char *text, size_t size)
{
    size_t mask = vocabulary->slot_count - 1;
    size_t at = hash(text, size) & mask;
    while (vocabulary->slots[at] >= 0) {
        const vocabulary_token *token = &vocabulary->tokens[vocabulary->slots[at]];
        if (token->text_size == size &&
            memcmp(vocabulary->text.data + token->text, text, size) == 0) {
            break;
        }
        at = (at + 1) & mask;
    }
    return at;
}

static bool grow_slots(vocabulary *vocabulary)
{
    size_t slot_count = vocabulary->slot_count == 0 ? 1024 : vocabulary->slot_count * 2;
    int32_t *slots = base_malloc(slot_count, sizeof(*slots));
    if (slots == NULL) {
        return false;
    }
    memset(slots, 0xFF, slot_count * sizeof(*slots));
    base_free(vocabulary->slots);
    vocabulary->slots = slots;
    vocabulary->slot_count = slot_count;
    for (size_t id = 0; id < vocabulary->size; id++) {
        const vocabulary_token *token = &vocabulary->tokens[id];
        if (token->present) {
            size_t at =
                find_slot(vocabulary, vocabulary->text.data + token->text, token->text_size);
            slots[at] = (int32_t)id;
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
    size_t before = bytes->size;
    for (size_t at = 0; at < size;) {
        size_t length;
        uint32_t code = 0;
        utf8_next(text + at, size - at, &length, &code);
        int byte = byte_level_byte(code);
        if (byte < 0) {
            bytes->size = before;
            return buffer_append(bytes, text, size);
        }
        char value = (char)byte;
        if (!buffer_append(bytes, &value, 1)) {
            return false;
        }
        at += length;
    }
    return true;
}

vl2_status vocabulary_add(vocabulary *vocabulary, const char *text, size_t size, int64_t id,
                          const char *where, vl2_error *error)
{
    if (id < 0 || id > VOCABULARY_MAX_ID) {
        return vl2_fail(error, VL2_ERROR_MODEL,
                        "%s: \"%.60s\": found id %" PRId64 ", expected one from 0 to %d", where,
                        text, id, VOCABULARY_MAX_ID);
    }
    if (!grow_tokens(vocabulary, (size_t)id + 1) ||
        (vocabulary->count * 2 >= vocabulary->slot_count && !grow_slots(vocabulary))) {
        return vl2_fail_memory(error, "the vocabulary", (size_t)id * sizeof(vocabulary_token));
    }
    vocabulary_token *token = &vocabulary->tokens[id];
    size_t slot = find_slot(vocabulary, text, size);
    if (token->present || vocabulary->slots[slot] >= 0) {
        return vl2_fail(error, VL2_ERROR_MODEL,
                        "%s: \"%.60s\": found id %" PRId64
                        ", which is taken, expected each token and each id once",
                        where, text, id);
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
    vocabulary->slots[slot] = (int32_t)id;
    vocabulary->count++;
    return VL2_OK;
}

int32_t vocabulary_find(const vocabulary *vocabulary, const char *text, size_t size)
{
    return vocabulary->slot_count == 0 ? -1 : vocabulary->slots[find_slot(vocabulary, text, size)];
}

const vocabulary_token *vocabulary_get(const vocabulary *vocabulary, int32_t id)
{
    return id >= 0 && (size_t)id < vocabulary->size && vocabulary->tokens[id].present
               ? &vocabulary->tokens[id]
               : NULL;
}
