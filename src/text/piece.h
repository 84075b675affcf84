/* A text cut into pieces, in order: what the steps of the tokenizer hand on. */
#ifndef TEXT_PIECE_H
#define TEXT_PIECE_H

#include "base/error.h"

typedef struct piece {
    size_t start, size; /* bytes of the text */
    int32_t token;      /* the id, if this piece is an added token; else -1 */
} piece;

/* All zero is empty. */
typedef struct piece_list {
    piece *items;
    size_t count, capacity;
} piece_list;

/* VL2_ERROR_MEMORY. */
vl2_status piece_list_append(piece_list *list, piece item, vl2_error *error);
void piece_list_free(piece_list *list);
void piece_list_swap(piece_list *a, piece_list *b);

#endif
