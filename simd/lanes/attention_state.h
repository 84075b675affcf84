/* attention_begin, attention_fold, attention_end: see simd/kernels.h.
 *
 * Many queries stand in the lanes, ATTENTION_GROUP at a time: the memory of a group is its queries,
 * in the form that groups_take gives them, and the sums of its values [value_depth,
 * ATTENTION_GROUP]. The softmax needs no sum across lanes then. With few queries and dense tiles
 * the keys, then the numbers of a value, stand in the lanes: queries [queries, depth], sums
 * [queries, value_depth]. */
#ifndef SIMD_LANES_ATTENTION_STATE_H
#define SIMD_LANES_ATTENTION_STATE_H

#include "simd/lanes/exponential.h"
#include "simd/lanes/product.h"

#include <math.h>

#define ATTENTION_GROUP ((size_t)2 * LANES)

/* A state and where its parts lie. */
typedef struct attention_view {
    size_t queries, depth, value_depth;
    bool few, rounded;
    float *largest, *total; /* [padded queries] */
    float *q, *sums;
} attention_view;

LANES_INLINE attention_view attention_open(const attention_state *state)
{
    const size_t padded = attention_padded(state->queries);
    attention_view view = {.queries = state->queries,
                           .depth = state->depth,
                           .value_depth = state->value_depth,
                           .few = state->dense && state->queries <= LANES / 2,
                           .rounded = state->rounded};
    view.largest = state->memory;
    view.total = view.largest + padded;
    view.q = view.total + padded;
    view.sums = view.q + padded * attention_query_floats(state->depth);
    return view;
}

LANES_INLINE float *group_queries(const attention_view *view, size_t first)
{
    return view->q + first * attention_query_floats(view->depth);
}

LANES_INLINE float *group_sums(const attention_view *view, size_t first)
{
    return view->sums + first * view->value_depth;
}

/* Lanes of a group that are computed: all, or the lower half if no query stands in the upper. */
LANES_INLINE size_t group_lanes(const attention_view *view, size_t first)
{
    return view->queries - first <= LANES ? LANES : ATTENTION_GROUP;
}

/* Where query i lies that begins. */
LANES_INLINE const float *attention_query(const attention_queries *from, size_t i)
{
    return from->q + i / from->heads * from->row_stride + i % from->heads * from->head_stride;
}

/* Puts scale * q of many queries where group_queries are, which are 0 before: those of
 * attention_groups.h, or the ISA's own. */
static void groups_take(const attention_view *view, const attention_queries *from);

static void few_take(const attention_view *view, const attention_queries *from)
{
    for (size_t i = 0; i < view->queries; i++) {
        const float *q = attention_query(from, i);
        for (size_t k = 0; k < view->depth; k++) {
            view->q[i * view->depth + k] = q[k] * from->scale;
        }
    }
}

void KERNEL(attention_begin)(const attention_state *state, const attention_queries *queries)
{
    const attention_view view = attention_open(state);
    const size_t padded = attention_padded(state->queries);
    for (size_t i = 0; i < padded; i++) {
        view.largest[i] = -INFINITY;
        view.total[i] = 0;
    }
    memset(view.sums, 0, padded * view.value_depth * sizeof(float));
    if (queries == NULL) {
        return;
    }
    /* the lanes that stay empty count as queries of 0 */
    memset(view.q, 0, padded * attention_query_floats(view.depth) * sizeof(float));
    if (view.few) {
        few_take(&view, queries);
    } else {
        groups_take(&view, queries);
    }
}

/* 0 instead of -infinity, which would be taken from itself; NaN becomes 0, too. */
LANES_INLINE lanes attention_guard(lanes largest)
{
    const lanes none = lanes_set(-INFINITY);
    return lanes_select_less(none, largest, largest, lanes_set(0));
}

/* Factors for what the two states hold, and the new largest scores and totals, of LANES queries. */
LANES_INLINE void attention_join(const attention_view *view, const attention_view *other, size_t i,
                                 lanes *keep, lanes *take)
{
    const lanes mine = lanes_load(view->largest + i), others = lanes_load(other->largest + i);
    const lanes largest = lanes_maximum(mine, others), guard = attention_guard(largest);
    *keep = lanes_exp(lanes_subtract(mine, guard));
    *take = lanes_exp(lanes_subtract(others, guard));
    const lanes kept = lanes_multiply(lanes_load(view->total + i), *keep);
    lanes_store(view->total + i, lanes_fma(lanes_load(other->total + i), *take, kept));
    lanes_store(view->largest + i, largest);
}

LANES_INLINE void attention_mix(float *sums, const float *others, size_t n, lanes keep, lanes take)
{
    const lanes kept = lanes_multiply(product_load(sums, n), keep);
    product_store(sums, lanes_fma(product_load(others, n), take, kept), n);
}

static void fold_few(const attention_view *view, const attention_view *other)
{
    lanes keep, take;
    float kept[LANES], taken[LANES];
    attention_join(view, other, 0, &keep, &take);
    lanes_store(kept, keep);
    lanes_store(taken, take);
    for (size_t i = 0; i < view->queries; i++) {
        float *sums = view->sums + i * view->value_depth;
        const float *others = other->sums + i * view->value_depth;
        keep = lanes_set(kept[i]);
        take = lanes_set(taken[i]);
        size_t k = 0;
        for (; k + LANES <= view->value_depth; k += LANES) {
            attention_mix(sums + k, others + k, LANES, keep, take);
        }
        if (k < view->value_depth) {
            attention_mix(sums + k, others + k, view->value_depth - k, keep, take);
        }
    }
}

void KERNEL(attention_fold)(const attention_state *state, const attention_state *from)
{
    const attention_view view = attention_open(state), other = attention_open(from);
    if (view.few) {
        fold_few(&view, &other);
        return;
    }
    for (size_t first = 0; first < view.queries; first += ATTENTION_GROUP) {
        for (size_t lane = 0; lane < group_lanes(&view, first); lane += LANES) {
            lanes keep, take;
            attention_join(&view, &other, first + lane, &keep, &take);
            float *sums = group_sums(&view, first) + lane;
            const float *others = group_sums(&other, first) + lane;
            for (size_t k = 0; k < view.value_depth; k++) {
                attention_mix(sums + k * ATTENTION_GROUP, others + k * ATTENTION_GROUP, LANES,
                              keep, take);
            }
        }
    }
}

void KERNEL(attention_end)(const attention_state *state, size_t heads, float *out,
                           size_t row_stride, size_t head_stride)
{
    const attention_view view = attention_open(state);
    for (size_t i = 0; i < view.queries; i++) {
        const size_t first = i / ATTENTION_GROUP * ATTENTION_GROUP;
        const float *sums = view.few ? view.sums + i * view.value_depth
                                     : group_sums(&view, first) + (i - first);
        const size_t stride = view.few ? 1 : ATTENTION_GROUP;
        const float share = 1.0f / view.total[i];
        float *to = out + i / heads * row_stride + i % heads * head_stride;
        for (size_t k = 0; k < view.value_depth; k++) {
            to[k] = sums[k * stride] * share;
        }
    }
}

#endif
