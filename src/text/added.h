/* Added tokens: spellings that are recognised in a text before anything else looks at it
 * (tokenizer/added_vocabulary.rs of the `tokenizers` library). */
#ifndef TEXT_ADDED_H
#define TEXT_ADDED_H

#include "text/pattern.h"
#include "text/piece.h"
#include "text/vocabulary.h"

typedef struct added_token {
    int32_t id;
    bool normalized;     /* looked for in the second round, in what the first one left */
    bool single_word;    /* not beside a letter, mark, digit or connector */
    bool lstrip, rstrip; /* takes the white space beside it along */
} added_token;

/* A tree of bytes: children of a node are a chain of siblings. Node 0 is not used. */
typedef struct token_tree_node {
    uint32_t child, sibling;
    int32_t token; /* index of the added token that ends here, or -1 */
    uint8_t byte;
} token_tree_node;

typedef struct token_tree {
    token_tree_node *nodes;
    size_t count, capacity;
    uint32_t first[256]; /* the root's children */
} token_tree;

/* All zero is empty. Immutable after added_tokens_index; shared by threads then. */
typedef struct added_tokens {
    added_token *items;
    size_t count, capacity;
    token_tree trees[2]; /* not normalized, normalized */
    pattern *word;       /* one character of a word; NULL if no token is single_word */
} added_tokens;

void added_tokens_free(added_tokens *added);

/* Adds a token, or replaces the one with the same id. VL2_ERROR_MEMORY. */
vl2_status added_tokens_put(added_tokens *added, added_token token, vl2_error *error);

/* Builds the trees; after the last added_tokens_put. VL2_ERROR_MEMORY. */
vl2_status added_tokens_index(added_tokens *added, const vocabulary *vocabulary, vl2_error *error);

/* Cuts added tokens out of the pieces; at one place the longest wins. `spare` is work space. */
vl2_status added_tokens_extract(const added_tokens *added, pattern_work *work, const char *text,
                                piece_list *pieces, piece_list *spare, vl2_error *error);

#endif
