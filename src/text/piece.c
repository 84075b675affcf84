#include "text/piece.h"

#include "base/alloc.h"

vl2_status piece_list_append(piece_list *list, piece item, vl2_error *error)
{
    if (list->count == list->capacity) {
        size_t capacity = list->capacity == 0 ? 256 : list->capacity * 2;
        piece *items = base_realloc(list->items, capacity, sizeof(*items));
        if (items == NULL) {
            return vl2_fail_memory(error, "the pieces of a text", capacity * sizeof(*items));
        }
        list->items = items;
        list->capacity = capacity;
    }
    list->items[list->count++] = item;
    return VL2_OK;
}

void piece_list_free(piece_list *list)
{
    base_free(list->items);
    *list = (piece_list){0};
}

void piece_list_swap(piece_list *a, piece_list *b)
{
    piece_list kept = *a;
    *a = *b;
    *b = kept;
}
