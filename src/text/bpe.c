#include "text/bpe.h"

#include "base/alloc.h"

#include <string.h>

vl2_status merge_table_create(merge_table *table, size_t count, vl2_error *error)
{
    size_t slot_count = 16;
    while (slot_count / 2 < count) {
        slot_count *= 2;
    }
    table->slots = base_malloc(slot_count, sizeof(*table->slots));
    if (table->slots == NULL) {
        return vl2_fail_memory(error, "the merges", slot_count * sizeof(*table->slots));
    }
    table->slot_count = slot_count;
    for (size_t i = 0; i < slot_count; i++) {
        table->slots[i].pair = MERGE_FREE;
    }
    return VL2_OK;
}

void merge_table_free(merge_table *table)
{
    base_free(table->slots);
}

static uint64_t pair_of(int32_t left, int32_t right)
{
    return (uint64_t)(uint32_t)left << 32 | (uint32_t)right;
}

/* The first slot to look at. */
static size_t home_slot(const merge_table *table, uint64_t pair)
{
    return (size_t)(pair * 0x9E3779B97F4A7C15u >> 32) & (table->slot_count - 1);
}

static merge *find_slot(const merge_table *table, int32_t left, int32_t right)
{
    uint64_t pair = pair_of(left, right);
    size_t mask = table->slot_count - 1, at = home_slot(table, pair);
    while (table->slots[at].pair != pair && table->slots[at].pair != MERGE_FREE) {
        at = (at + 1) & mask;
    }
    return &table->slots[at];
}

void merge_table_put(merge_table *table, int32_t left, int32_t right, uint32_t rank, int32_t merged)
{
    *find_slot(table, left, right) = (merge){pair_of(left, right), rank, merged};
}

void merge_table_prefetch(const merge_table *table, int32_t left, int32_t right)
{
    __builtin_prefetch(&table->slots[home_slot(table, pair_of(left, right))], 1);
}

void bpe_work_free(bpe_work *work)
{
    base_free(work->symbols);
    base_free(work->heap);
}

vl2_status bpe_work_reserve(bpe_work *work, size_t count, vl2_error *error)
{
    if (count <= work->symbol_capacity) {
        return VL2_OK;
    }
    size_t capacity = count < 256 ? 256 : count;
    bpe_symbol *symbols = base_realloc(work->symbols, capacity, sizeof(*symbols));
    if (symbols != NULL) {
        work->symbols = symbols;
    }
    /* Each pair is a candidate once at the start; a merge uses up one candidate at least and makes
     * two, and there are fewer merges than symbols. */
    size_t heap_capacity = 2 * capacity;
    bpe_candidate *heap = base_realloc(work->heap, heap_capacity, sizeof(*heap));
    if (heap != NULL) {
        work->heap = heap;
    }
    if (symbols == NULL || heap == NULL) {
        return vl2_fail_memory(error, "a long word of the text",
                               capacity * sizeof(*symbols) + heap_capacity * sizeof(*heap));
    }
    work->symbol_capacity = capacity;
    work->heap_capacity = heap_capacity;
    return VL2_OK;
}

static void push(bpe_work *work, bpe_candidate candidate)
{
    size_t at = work->heap_size++;
    while (at > 0 && work->heap[(at - 1) / 2].order > candidate.order) {
        work->heap[at] = work->heap[(at - 1) / 2];
        at = (at - 1) / 2;
    }
    work->heap[at] = candidate;
}

static bpe_candidate pop(bpe_work *work)
{
    bpe_candidate top = work->heap[0];
    bpe_candidate last = work->heap[--work->heap_size];
    size_t at = 0;
    for (size_t child = 1; child < work->heap_size; child = 2 * at + 1) {
        if (child + 1 < work->heap_size && work->heap[child + 1].order < work->heap[child].order) {
            child++;
        }
        if (last.order <= work->heap[child].order) {
            break;
        }
        work->heap[at] = work->heap[child];
        at = child;
    }
    work->heap[at] = last;
    return top;
}

/* Makes the pair whose left symbol is at `left` a candidate, if there is a merge for it. */
static void offer(const merge_table *table, bpe_work *work, int32_t left)
{
    int32_t right = left < 0 ? -1 : work->symbols[left].next;
    if (right < 0) {
        return;
    }
    const merge *slot = find_slot(table, work->symbols[left].id, work->symbols[right].id);
    if (slot->pair != MERGE_FREE) {
        push(work, (bpe_candidate){(uint64_t)slot->rank << 32 | (uint32_t)left, slot->merged});
    }
}

/* Candidates are not taken back when a symbol of theirs is merged elsewhere: such a pair is
 * recognised by its merge being another one, or none. */
static bool is_current(const merge_table *table, const bpe_work *work, int32_t left, int32_t merged)
{
    const bpe_symbol *symbol = &work->symbols[left];
    if (symbol->id < 0 || symbol->next < 0) {
        return false;
    }
    const merge *slot = find_slot(table, symbol->id, work->symbols[symbol->next].id);
    return slot->pair != MERGE_FREE && slot->merged == merged;
}

void bpe_merge(const merge_table *table, bpe_work *work)
{
    bpe_symbol *symbols = work->symbols;
    int32_t count = (int32_t)work->symbol_count;
    work->heap_size = 0;
    for (int32_t i = 0; i < count; i++) {
        symbols[i].previous = i - 1;
        symbols[i].next = i + 1 < count ? i + 1 : -1;
    }
    for (int32_t i = 0; i < count; i++) {
        offer(table, work, i);
    }
    while (work->heap_size > 0) {
        bpe_candidate top = pop(work);
        int32_t left = (int32_t)(top.order & UINT32_MAX);
        if (!is_current(table, work, left, top.merged)) {
            continue;
        }
        int32_t right = symbols[left].next;
        symbols[left].id = top.merged;
        symbols[left].next = symbols[right].next;
        symbols[right].id = -1;
        if (symbols[left].next >= 0) {
            symbols[symbols[left].next].previous = left;
        }
        offer(table, work, symbols[left].previous);
        offer(table, work, left);
    }
}
