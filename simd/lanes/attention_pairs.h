/* Attention of many queries that may be rounded (attention_state), for an ISA that multiplies pairs
 * of bf16: groups_take and groups_step of attention_block.h. The file that includes this has
 * included its ISA's pairs_<isa>.h, which says PRODUCT_PAIRS, see product.h, and has besides
 * lanes_dot_pairs, with LANES pairs in a register and the first of each in the lower 16 bits,
 *   lanes_weave_pairs(first, second)   LANES floats each, rounded to nearest even
 *   lanes_round_pairs(first, second)   of 2 LANES floats one after the other
 *
 * The queries of a group lie as pairs [depth / 2, ATTENTION_GROUP], keys and values are packed as
 * pairs a slice at a time for some groups together, and powers take the place of their scores as
 * pairs of positions [ATTENTION_KEYS / 2, ATTENTION_GROUP]. */
#ifndef SIMD_LANES_ATTENTION_PAIRS_H
#define SIMD_LANES_ATTENTION_PAIRS_H

#include "simd/lanes/attention_groups.h"

#define PAIRS_SLICE  ((size_t)256)                   /* numbers of a key or a value */
#define PAIRS_GROUPS ((size_t)128 / ATTENTION_GROUP) /* that share what is packed */

LANES_INLINE size_t pairs_of(size_t numbers)
{
    return (numbers + 1) / 2;
}
LANES_INLINE size_t at_most(size_t count, size_t limit)
{
    return count < limit ? count : limit;
}

/* n numbers, at most LANES, and 0 behind them. */
LANES_INLINE lanes load_some(const float *p, size_t n)
{
    return n >= LANES ? lanes_load(p) : n > 0 ? lanes_load_first(p, n) : lanes_set(0);
}

/* 2 LANES numbers from p, of which n exist. */
LANES_INLINE lanes round_some(const float *p, size_t n)
{
    if (n >= 2 * LANES) {
        return lanes_round_pairs(lanes_load(p), lanes_load(p + LANES));
    }
    const size_t more = n > LANES ? n - LANES : 0;
    return lanes_round_pairs(load_some(p, n), load_some(p + (more > 0 ? LANES : 0), more));
}

/* ------------------------------------------------------------------------------------- queries */

/* Numbers k to k + 2 LANES - 1 of up to LANES queries that begin at `first`. */
static void take_pairs(const attention_view *view, const attention_queries *from, size_t first,
                       size_t k)
{
    const size_t queries = at_most(view->queries - first, LANES);
    const size_t pairs = at_most(pairs_of(view->depth - k), LANES);
    lanes rows[LANES];
    for (size_t i = 0; i < LANES; i++) {
        float scaled[2 * LANES] = {0};
        const float *q = attention_query(from, first + (i < queries ? i : 0)) + k;
        for (size_t j = 0; i < queries && j < at_most(view->depth - k, 2 * LANES); j++) {
            scaled[j] = q[j] * from->scale;
        }
        rows[i] = lanes_round_pairs(lanes_load(scaled), lanes_load(scaled + LANES));
    }
    lanes_transpose(rows);
    float *to = group_queries(view, first / ATTENTION_GROUP * ATTENTION_GROUP) +
                k / 2 * ATTENTION_GROUP + first % ATTENTION_GROUP;
    for (size_t i = 0; i < pairs; i++) {
        lanes_store(to + i * ATTENTION_GROUP, rows[i]);
    }
}

static void groups_take(const attention_view *view, const attention_queries *from)
{
    if (!view->rounded) {
        float_groups_take(view, from);
        return;
    }
    for (size_t first = 0; first < view->queries; first += LANES) {
        for (size_t k = 0; k < view->depth; k += 2 * LANES) {
            take_pairs(view, from, first, k);
        }
    }
}

/* ---------------------------------------------------------------------------- keys, and values */

/* Part of keys or of values: `chain` numbers of each of `rows` sums. A step is 1. */
typedef struct pairs_source {
    const float *data;
    size_t chain_step, row_step, chain, rows;
} pairs_source;

/* The same as pairs: where the call of a product finds them. */
typedef struct pairs_packed {
    size_t a_row, a_column;
    float of[PAIRS_SLICE / 2 * ATTENTION_KEYS];
} pairs_packed;

static void pack_along(const pairs_source *from, pairs_packed *to)
{
    const size_t pairs = pairs_of(from->chain);
    for (size_t row = 0; row < from->rows; row++) {
        const float *data = from->data + row * from->row_step;
        float *place = to->of + row * pairs;
        for (size_t i = 0; i < pairs; i += LANES) {
            const lanes rounded = round_some(data + 2 * i, from->chain - 2 * i);
            product_store(place + i, rounded, at_most(pairs - i, LANES));
        }
    }
    to->a_row = pairs;
    to->a_column = 1;
}

static void pack_across(const pairs_source *from, pairs_packed *to)
{
    for (size_t i = 0; i < pairs_of(from->chain); i++) {
        const float *data = from->data + 2 * i * from->chain_step;
        const bool both = 2 * i + 1 < from->chain;
        for (size_t row = 0; row < from->rows; row += LANES) {
            const size_t left = at_most(from->rows - row, LANES);
            const lanes first = load_some(data + row, left);
            const lanes second = both ? load_some(data + row + from->chain_step, left)
                                      : lanes_set(0);
            product_store(to->of + i * from->rows + row, lanes_weave_pairs(first, second), left);
        }
    }
    to->a_row = 1;
    to->a_column = from->rows;
}

static void pack_pairs(const pairs_source *from, pairs_packed *to)
{
    if (from->chain_step == 1) {
        pack_along(from, to);
    } else {
        pack_across(from, to);
    }
}

/* ----------------------------------------------------------------------------------- one block */

typedef struct pairs_scratch {
    pairs_packed packed;
    float scores[PAIRS_GROUPS][ATTENTION_KEYS * ATTENTION_GROUP];
} pairs_scratch;

/* Groups that see the block together; `seen` by the last of them. */
typedef struct pairs_batch {
    const attention_view *view;
    const attention_step_call *call;
    size_t first, groups, seen;
} pairs_batch;

LANES_INLINE size_t batch_group(const pairs_batch *batch, size_t group)
{
    return batch->first + group * ATTENTION_GROUP;
}

static void score_batch(const pairs_batch *batch, pairs_scratch *scratch)
{
    const attention_view *view = batch->view;
    const attention_tile *keys = batch->call->keys;
    for (size_t start = 0; start < view->depth; start += PAIRS_SLICE) {
        const size_t depth = at_most(view->depth - start, PAIRS_SLICE);
        pack_pairs(&(pairs_source){keys->data + start * keys->depth_stride, keys->depth_stride,
                                   keys->position_stride, depth, batch->seen},
                   &scratch->packed);
        for (size_t group = 0; group < batch->groups; group++) {
            const size_t first = batch_group(batch, group);
            product_pairs(&(product_call){
                .a = scratch->packed.of, .a_row = scratch->packed.a_row,
                .a_column = scratch->packed.a_column,
                .b = group_queries(view, first) + start / 2 * ATTENTION_GROUP,
                .b_stride = ATTENTION_GROUP, .c = scratch->scores[group],
                .c_stride = ATTENTION_GROUP, .rows = group_seen(view, batch->call, first),
                .columns = group_lanes(view, first), .k = pairs_of(depth), .add = start > 0});
        }
    }
}

/* Powers of `seen` positions as pairs, in place of themselves. */
static void pair_powers(float *scores, size_t seen)
{
    for (size_t i = 0; i < pairs_of(seen); i++) {
        for (size_t lane = 0; lane < ATTENTION_GROUP; lane += LANES) {
            const float *first = scores + 2 * i * ATTENTION_GROUP + lane;
            const lanes second = 2 * i + 1 < seen ? lanes_load(first + ATTENTION_GROUP)
                                                  : lanes_set(0);
            lanes_store(scores + i * ATTENTION_GROUP + lane,
                        lanes_weave_pairs(lanes_load(first), second));
        }
    }
}

static void value_batch(const pairs_batch *batch, pairs_scratch *scratch)
{
    const attention_view *view = batch->view;
    const attention_tile *values = batch->call->values;
    for (size_t start = 0; start < view->value_depth; start += PAIRS_SLICE) {
        const size_t depth = at_most(view->value_depth - start, PAIRS_SLICE);
        pack_pairs(&(pairs_source){values->data + start * values->depth_stride,
                                   values->position_stride, values->depth_stride, batch->seen,
                                   depth},
                   &scratch->packed);
        for (size_t group = 0; group < batch->groups; group++) {
            const size_t first = batch_group(batch, group);
            product_pairs(&(product_call){
                .a = scratch->packed.of, .a_row = scratch->packed.a_row,
                .a_column = scratch->packed.a_column, .b = scratch->scores[group],
                .b_stride = ATTENTION_GROUP,
                .c = group_sums(view, first) + start * ATTENTION_GROUP,
                .c_stride = ATTENTION_GROUP, .rows = depth, .columns = group_lanes(view, first),
                .k = pairs_of(group_seen(view, batch->call, first)), .add = true});
        }
    }
}

static void batch_step(const pairs_batch *batch, pairs_scratch *scratch)
{
    score_batch(batch, scratch);
    for (size_t group = 0; group < batch->groups; group++) {
        const size_t first = batch_group(batch, group);
        const size_t seen = group_seen(batch->view, batch->call, first);
        if (seen > 0) {
            group_powers(batch->view, batch->call, first, seen, scratch->scores[group]);
            pair_powers(scratch->scores[group], seen);
        }
    }
    value_batch(batch, scratch);
}

static void groups_step(const attention_view *view, const attention_step_call *call)
{
    if (!view->rounded) {
        float_groups_step(view, call);
        return;
    }
    pairs_scratch scratch;
    for (size_t first = 0; first < view->queries; first += PAIRS_GROUPS * ATTENTION_GROUP) {
        const size_t left = view->queries - first;
        const size_t groups = at_most((left + ATTENTION_GROUP - 1) / ATTENTION_GROUP, PAIRS_GROUPS);
        const pairs_batch batch = {view, call, first, groups,
                                   group_seen(view, call, first + (groups - 1) * ATTENTION_GROUP)};
        if (batch.seen > 0) {
            batch_step(&batch, &scratch);
        }
    }
}

#endif
