/* From a tokenizer to the bytes of tokenizer_compiled.h. */
#include "text/tokenizer_compiled.h"
#include "text/tokenizer_internal.h"

#include "base/alloc.h"

#include <string.h>

static void put(buffer *out, uint32_t number)
{
    buffer_append(out, &number, sizeof(number));
}

static void put_byte(buffer *out, uint8_t byte)
{
    buffer_append(out, &byte, sizeof(byte));
}

static int by_rank(const void *a, const void *b)
{
    uint32_t left = ((const merge *)a)->rank, right = ((const merge *)b)->rank;
    return left < right ? -1 : left > right;
}

/* The merges in order of rank (base_free); NULL without memory. Ranks that are free since a pair
 * came twice do not matter: only the order does. */
static merge *sorted_merges(const merge_table *table, size_t *count)
{
    *count = 0;
    for (size_t i = 0; i < table->slot_count; i++) {
        *count += table->slots[i].pair != MERGE_FREE;
    }
    merge *merges = base_malloc(*count, sizeof(*merges));
    if (merges != NULL) {
        size_t filled = 0;
        for (size_t i = 0; i < table->slot_count; i++) {
            if (table->slots[i].pair != MERGE_FREE) {
                merges[filled++] = table->slots[i];
            }
        }
        qsort(merges, *count, sizeof(*merges), by_rank);
    }
    return merges;
}

static void put_merges(buffer *out, const merge *merges, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        put(out, (uint32_t)(merges[i].pair >> 32));
    }
    for (size_t i = 0; i < count; i++) {
        put(out, (uint32_t)merges[i].pair);
    }
    for (size_t i = 0; i < count; i++) {
        put(out, (uint32_t)merges[i].merged);
    }
}

static void put_token_numbers(buffer *out, const vocabulary *vocabulary)
{
    for (size_t id = 0; id < vocabulary->size; id++) {
        if (vocabulary->tokens[id].present) {
            put(out, (uint32_t)id);
        }
    }
    for (size_t id = 0; id < vocabulary->size; id++) {
        if (vocabulary->tokens[id].present) {
            put(out, vocabulary->tokens[id].text_size);
        }
    }
}

static void put_flags(buffer *out, const vocabulary *vocabulary, const added_tokens *added)
{
    for (size_t id = 0; id < vocabulary->size; id++) {
        const vocabulary_token *token = &vocabulary->tokens[id];
        if (token->present) {
            put_byte(out, (uint8_t)((token->in_model ? COMPILED_IN_MODEL : 0) |
                                    (token->special ? COMPILED_SPECIAL : 0)));
        }
    }
    for (size_t i = 0; i < added->count; i++) {
        const added_token *token = &added->items[i];
        put_byte(out, (uint8_t)((token->normalized ? COMPILED_NORMALIZED : 0) |
                                (token->single_word ? COMPILED_SINGLE_WORD : 0) |
                                (token->lstrip ? COMPILED_LSTRIP : 0) |
                                (token->rstrip ? COMPILED_RSTRIP : 0)));
    }
}

static void put_text(buffer *out, const vocabulary *vocabulary)
{
    for (size_t id = 0; id < vocabulary->size; id++) {
        const vocabulary_token *token = &vocabulary->tokens[id];
        if (token->present) {
            buffer_append(out, vocabulary->text.data + token->text, token->text_size);
        }
    }
}

vl2_status tokenizer_compile(const tokenizer *tokenizer, buffer *out, vl2_error *error)
{
    const vocabulary *vocabulary = &tokenizer->vocabulary;
    const added_tokens *added = &tokenizer->added;
    size_t merge_count;
    merge *merges = sorted_merges(&tokenizer->merges, &merge_count);
    if (merges == NULL) {
        return vl2_fail_memory(error, "the merges", merge_count * sizeof(*merges));
    }
    /* All of them are below 2^32: tokenizer.json has at most TOKENIZER_MAX_FILE bytes. */
    compiled_header header = {
        .version = TOKENIZER_COMPILED_VERSION,
        .flags = tokenizer->ignore_merges ? COMPILED_IGNORE_MERGES : 0,
        .token_count = (uint32_t)vocabulary->count,
        .merge_count = (uint32_t)merge_count,
        .added_count = (uint32_t)added->count,
        .text_size = (uint32_t)vocabulary->text.size,
        .steps_size = (uint32_t)strlen(tokenizer->steps),
    };
    memcpy(header.magic, TOKENIZER_COMPILED_MAGIC, sizeof(header.magic));
    buffer_append(out, &header, sizeof(header));
    put_token_numbers(out, vocabulary);
    put_merges(out, merges, merge_count);
    for (size_t i = 0; i < added->count; i++) {
        put(out, (uint32_t)added->items[i].id);
    }
    put_flags(out, vocabulary, added);
    put_text(out, vocabulary);
    buffer_append(out, tokenizer->steps, header.steps_size);
    base_free(merges);
    return out->failed ? vl2_fail_memory(error, "a compiled tokenizer", out->size) : VL2_OK;
}
