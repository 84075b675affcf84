/* Byte pair encoding: the merges of a vocabulary, applied to one piece of text. */
#ifndef TEXT_BPE_H
#define TEXT_BPE_H

#include "base/error.h"

/* What a pair of neighbouring symbols becomes. */
typedef struct merge {
    uint64_t pair; /* left id << 32 | right id; MERGE_FREE if the slot is free */
    uint32_t rank; /* lower is earlier */
    int32_t merged;
} merge;

#define MERGE_FREE UINT64_MAX

/* Open addressing, at most half full; a power of two of slots. All zero is empty. */
typedef struct merge_table {
    merge *slots;
    size_t slot_count;
} merge_table;

/* Room for `count` merges. VL2_ERROR_MEMORY. */
vl2_status merge_table_create(merge_table *table, size_t count, vl2_error *error);
void merge_table_free(merge_table *table);
/* A pair that comes twice keeps its last rank, as in the `tokenizers` library. */
void merge_table_put(merge_table *table, int32_t left, int32_t right, uint32_t rank,
                     int32_t merged);
/* Fetches into the cache what merge_table_put will look at, if it is called soon. */
void merge_table_prefetch(const merge_table *table, int32_t left, int32_t right);

/* Work space: grows to the longest piece. All zero is empty. */
typedef struct bpe_symbol {
    int32_t id;             /* -1: merged into its left neighbour */
    int32_t previous, next; /* indices; -1 at the ends */
} bpe_symbol;

typedef struct bpe_candidate {
    uint64_t order; /* rank << 32 | position of the left symbol: the smallest merges first */
    int32_t merged;
} bpe_candidate;

typedef struct bpe_work {
    bpe_symbol
        *symbols; /* of the piece; in front of bpe_merge all alive, previous and next not set */
    size_t symbol_count, symbol_capacity;
    bpe_candidate *heap;
    size_t heap_size, heap_capacity;
} bpe_work;

void bpe_work_free(bpe_work *work);

/* Makes room for a piece of `count` symbols, at most INT32_MAX. VL2_ERROR_MEMORY. */
vl2_status bpe_work_reserve(bpe_work *work, size_t count, vl2_error *error);

/* Merges the symbols until no pair is left that has a merge: always the pair of the lowest rank,
 * the leftmost of these (Word::merge_all in models/bpe/word.rs). n symbols take n log n steps. */
void bpe_merge(const merge_table *table, bpe_work *work);

#endif
