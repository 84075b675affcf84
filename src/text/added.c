#include "text/added.h"

#include "base/alloc.h"
#include "text/utf8.h"

#include <string.h>

static void tree_free(token_tree *tree)
{
    base_free(tree->nodes);
    *tree = (token_tree){0};
}

void added_tokens_free(added_tokens *added)
{
    tree_free(&added->trees[0]);
    tree_free(&added->trees[1]);
    pattern_free(added->word);
    base_free(added->items);
}

vl2_status added_tokens_put(added_tokens *added, added_token token, vl2_error *error)
{
    for (size_t i = 0; i < added->count; i++) {
        if (added->items[i].id == token.id) {
            added->items[i] = token;
            return VL2_OK;
        }
    }
    if (added->count == added->capacity) {
        size_t capacity = added->capacity == 0 ? 64 : added->capacity * 2;
        added_token *items = base_realloc(added->items, capacity, sizeof(*items));
        if (items == NULL) {
            return vl2_fail_memory(error, "the added tokens", capacity * sizeof(*items));
        }
        added->items = items;
        added->capacity = capacity;
    }
    added->items[added->count++] = token;
    return VL2_OK;
}

/* A new node at the front of a chain; 0 without memory. */
static uint32_t tree_node(token_tree *tree, uint8_t byte, uint32_t sibling)
{
    if (tree->count + 1 >= tree->capacity) {
        size_t capacity = tree->capacity == 0 ? 256 : tree->capacity * 2;
        token_tree_node *nodes = base_realloc(tree->nodes, capacity, sizeof(*nodes));
        if (nodes == NULL || capacity > UINT32_MAX) {
            return 0;
        }
        tree->nodes = nodes;
        tree->capacity = capacity;
    }
    uint32_t index = (uint32_t)++tree->count;
    tree->nodes[index] = (token_tree_node){.sibling = sibling, .token = -1, .byte = byte};
    return index;
}

static uint32_t tree_child(const token_tree *tree, uint32_t node, uint8_t byte)
{
    uint32_t child = tree->nodes[node].child;
    while (child != 0 && tree->nodes[child].byte != byte) {
        child = tree->nodes[child].sibling;
    }
    return child;
}

static vl2_status tree_add(token_tree *tree, const char *text, size_t size, int32_t token,
                           vl2_error *error)
{
    uint32_t node = 0;
    for (size_t i = 0; i < size; i++) {
        uint8_t byte = (uint8_t)text[i];
        uint32_t child = i == 0 ? tree->first[byte] : tree_child(tree, node, byte);
        if (child == 0) {
            child = tree_node(tree, byte, i == 0 ? 0 : tree->nodes[node].child);
            if (child == 0) {
                return vl2_fail_memory(error, "the added tokens", size);
            }
            *(i == 0 ? &tree->first[byte] : &tree->nodes[node].child) = child;
        }
        node = child;
    }
    tree->nodes[node].token = token;
    return VL2_OK;
}

vl2_status added_tokens_index(added_tokens *added, const vocabulary *vocabulary, vl2_error *error)
{
    tree_free(&added->trees[0]);
    tree_free(&added->trees[1]);
    vl2_status status = VL2_OK;
    for (size_t i = 0; i < added->count && status == VL2_OK; i++) {
        const vocabulary_token *token = vocabulary_get(vocabulary, added->items[i].id);
        status = tree_add(&added->trees[added->items[i].normalized],
                          vocabulary->text.data + token->text, token->text_size, (int32_t)i, error);
        if (status == VL2_OK && added->items[i].single_word && added->word == NULL) {
            /* Rust's \w has the two joiners too. */
            static const char word[] = "[\\w\\x{200c}\\x{200d}]";
            status = pattern_compile(word, sizeof(word) - 1, false, "word", &added->word, error);
        }
    }
    return status;
}

/* The longest token at the front of the text: its index and size; -1 if there is none. */
static int32_t tree_match(const token_tree *tree, const char *text, size_t size, size_t *length)
{
    int32_t found = -1;
    uint32_t node = tree->first[(uint8_t)text[0]];
    for (size_t at = 1; node != 0; at++) {
        if (tree->nodes[node].token >= 0) {
            found = tree->nodes[node].token;
            *length = at;
        }
        node = at < size ? tree_child(tree, node, (uint8_t)text[at]) : 0;
    }
    return found;
}

static vl2_status is_word(const added_tokens *added, pattern_work *work, const char *character,
                          size_t size, bool *word, vl2_error *error)
{
    size_t start, end;
    *word = false;
    if (size == 0) {
        return VL2_OK;
    }
    pattern_finder finder = {added->word, work, character, size, 0, 0, false};
    return pattern_find(&finder, word, &start, &end, error);
}

/* Whether a letter or the like stands directly before `start` or behind `end`. */
static vl2_status is_inside_word(const added_tokens *added, pattern_work *work, const char *text,
                                 size_t size, size_t start, size_t end, bool *inside,
                                 vl2_error *error)
{
    uint32_t code;
    size_t before = start == 0 ? 0 : utf8_last(text, start, &code), after = 0;
    bool word_before, word_after = false;
    if (end < size) {
        utf8_next(text + end, size - end, &after, &code);
    }
    vl2_status status = is_word(added, work, text + start - before, before, &word_before, error);
    if (status == VL2_OK) {
        status = is_word(added, work, text + end, after, &word_after, error);
    }
    *inside = word_before || word_after;
    return status;
}

/* Where the white space that ends at `start` begins; not before `limit`. */
static size_t strip_left(const char *text, size_t limit, size_t start)
{
    uint32_t code;
    while (start > limit) {
        size_t length = utf8_last(text, start, &code);
        if (length == 0 || !utf8_is_white_space(code) || start - length < limit) {
            break;
        }
        start -= length;
    }
    return start;
}

static size_t strip_right(const char *text, size_t end, size_t size)
{
    uint32_t code;
    size_t length;
    while (end < size && utf8_next(text + end, size - end, &length, &code) == UTF8_VALID &&
           utf8_is_white_space(code)) {
        end += length;
    }
    return end;
}

/* One piece: find_matches of added_vocabulary.rs. */
static vl2_status extract(const added_tokens *added, const token_tree *tree, pattern_work *work,
                          const char *text, piece whole, piece_list *pieces, vl2_error *error)
{
    const char *front = text + whole.start;
    size_t done = 0; /* up to here the piece is handed on */
    vl2_status status = VL2_OK;
    for (size_t at = 0, length; at < whole.size && status == VL2_OK; at += length) {
        int32_t index = tree_match(tree, front + at, whole.size - at, &length);
        if (index < 0) {
            length = 1;
            continue;
        }
        const added_token *token = &added->items[index];
        bool inside = false;
        if (token->single_word) {
            status =
                is_inside_word(added, work, front, whole.size, at, at + length, &inside, error);
        }
        if (inside || status != VL2_OK) {
            continue;
        }
        size_t start = token->lstrip ? strip_left(front, done, at) : at;
        size_t end = token->rstrip ? strip_right(front, at + length, whole.size) : at + length;
        if (done < start) {
            status =
                piece_list_append(pieces, (piece){whole.start + done, start - done, -1}, error);
        }
        if (status == VL2_OK) {
            status = piece_list_append(pieces, (piece){whole.start + start, end - start, token->id},
                                       error);
        }
        done = end;
    }
    if (done < whole.size && status == VL2_OK) {
        status =
            piece_list_append(pieces, (piece){whole.start + done, whole.size - done, -1}, error);
    }
    return status;
}

vl2_status added_tokens_extract(const added_tokens *added, pattern_work *work, const char *text,
                                piece_list *pieces, piece_list *spare, vl2_error *error)
{
    vl2_status status = VL2_OK;
    for (int round = 0; round < 2 && status == VL2_OK; round++) {
        if (added->trees[round].count == 0) {
            continue;
        }
        spare->count = 0;
        for (size_t i = 0; i < pieces->count && status == VL2_OK; i++) {
            status = pieces->items[i].token >= 0 ? piece_list_append(spare, pieces->items[i], error)
                                                 : extract(added, &added->trees[round], work, text,
                                                           pieces->items[i], spare, error);
        }
        piece_list_swap(pieces, spare);
    }
    return status;
}
