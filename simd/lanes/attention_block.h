/* attention_step: see simd/kernels.h and attention_state.h. */
#ifndef SIMD_LANES_ATTENTION_BLOCK_H
#define SIMD_LANES_ATTENTION_BLOCK_H

#include "simd/lanes/attention_state.h"

/* One block as all queries see it. */
typedef struct attention_step_call {
    const attention_tile *keys, *values;
    size_t positions;
    ptrdiff_t visible;
    size_t heads;
} attention_step_call;

/* The block for many queries: that of attention_groups.h, or the ISA's own. */
static void groups_step(const attention_view *view, const attention_step_call *call);

/* Positions of the block that query i sees. */
LANES_INLINE size_t visible_to(const attention_step_call *call, size_t i)
{
    const ptrdiff_t seen = call->visible + (ptrdiff_t)(i / call->heads);
    return seen <= 0 ? 0 : (size_t)seen < call->positions ? (size_t)seen : call->positions;
}

/* Positions that a query of the group sees: what its last one does. */
LANES_INLINE size_t group_seen(const attention_view *view, const attention_step_call *call,
                               size_t first)
{
    const size_t left = view->queries - first;
    return visible_to(call, first + (left < ATTENTION_GROUP ? left : ATTENTION_GROUP) - 1);
}

/* The sum of all lanes, halves first: fixed, and the same for both forms. */
LANES_INLINE float attention_sum(lanes a)
{
    float parts[LANES];
    lanes_store(parts, a);
#pragma GCC unroll 4
    for (size_t width = LANES / 2; width > 0; width /= 2) {
#pragma GCC unroll 8
        for (size_t i = 0; i < width; i++) {
            parts[i] += parts[i + width];
        }
    }
    return parts[0];
}

/* The scores of a group are [ATTENTION_KEYS, ATTENTION_GROUP]; those that a query does not see
 * become -infinity. */
static void group_mask(const attention_step_call *call, size_t first, size_t count, size_t seen,
                       float *scores)
{
    float limits[2 * LANES];
    for (size_t i = 0; i < ATTENTION_GROUP;
         i++) { /* a lane without a query sees what the last does */
        limits[i] = (float)visible_to(call, first + i);
    }
    for (size_t lane = 0; lane < count; lane += LANES) {
        const lanes limit = lanes_load(limits + lane), none = lanes_set(-INFINITY);
        for (size_t p = 0; p < seen; p++) {
            float *place = scores + p * ATTENTION_GROUP + lane;
            const lanes number = lanes_set((float)p);
            lanes_store(place, lanes_select_less(number, limit, lanes_load(place), none));
        }
    }
}

/* Scales what LANES queries have by a factor. */
LANES_INLINE void group_rescale(const attention_view *view, size_t first, size_t lane, lanes factor)
{
    float *total = view->total + first + lane, *sums = group_sums(view, first) + lane;
    lanes_store(total, lanes_multiply(lanes_load(total), factor));
    for (size_t k = 0; k < view->value_depth; k++) {
        lanes_store(sums + k * ATTENTION_GROUP,
                    lanes_multiply(lanes_load(sums + k * ATTENTION_GROUP), factor));
    }
}

/* LANES scores become exp(score - largest), with LANES sums over p mod LANES; added to the total.
 */
LANES_INLINE void group_softmax(const attention_view *view, size_t first, size_t lane, size_t seen,
                                float *scores)
{
    scores += lane;
    lanes largest = lanes_load(view->largest + first + lane);
    const lanes before = largest;
    for (size_t p = 0; p < seen; p++) {
        largest = lanes_maximum(lanes_load(scores + p * ATTENTION_GROUP), largest);
    }
    const lanes guard = attention_guard(largest);
    if (lanes_largest(lanes_select_less(before, largest, lanes_set(1), lanes_set(0))) > 0) {
        group_rescale(view, first, lane, lanes_exp(lanes_subtract(before, guard)));
        lanes_store(view->largest + first + lane, largest);
    }
    lanes parts[LANES];
    for (size_t j = 0; j < LANES; j++) {
        parts[j] = lanes_set(0);
    }
    for (size_t p = 0; p < seen; p++) {
        float *place = scores + p * ATTENTION_GROUP;
        const lanes power = lanes_exp(lanes_subtract(lanes_load(place), guard));
        lanes_store(place, power);
        parts[p % LANES] = lanes_add(parts[p % LANES], power);
    }
    for (size_t width = LANES / 2; width > 0; width /= 2) {
        for (size_t j = 0; j < width; j++) {
            parts[j] = lanes_add(parts[j], parts[j + width]);
        }
    }
    float *total = view->total + first + lane;
    lanes_store(total, lanes_add(lanes_load(total), parts[0]));
}

/* Scores of a group, of which `seen` count, become exp(score - largest). */
static void group_powers(const attention_view *view, const attention_step_call *call, size_t first,
                         size_t seen, float *scores)
{
    const size_t count = group_lanes(view, first);
    if (visible_to(call, first) < seen) {
        group_mask(call, first, count, seen, scores);
    }
    for (size_t lane = 0; lane < count; lane += LANES) {
        group_softmax(view, first, lane, seen, scores);
    }
}

/* The scores [ATTENTION_KEYS] of one of few queries; of them `seen` count. */
static void few_softmax(const attention_view *view, size_t i, size_t seen, float *scores)
{
    lanes most = lanes_set(-INFINITY), parts = lanes_set(0);
    for (size_t p = seen; p < ATTENTION_KEYS; p++) {
        scores[p] = -INFINITY;
    }
    for (size_t p = 0; p < ATTENTION_KEYS; p += LANES) {
        most = lanes_maximum(lanes_load(scores + p), most);
    }
    const float before = view->largest[i], block = lanes_largest(most);
    const float largest = block > before ? block : before;
    const lanes guard = attention_guard(lanes_set(largest));
    if (largest > before) {
        float factor[LANES];
        float *sums = view->sums + i * view->value_depth;
        lanes_store(factor, lanes_exp(lanes_subtract(lanes_set(before), guard)));
        for (size_t k = 0; k < view->value_depth; k++) {
            sums[k] *= factor[0];
        }
        view->total[i] *= factor[0];
        view->largest[i] = largest;
    }
    for (size_t p = 0; p < ATTENTION_KEYS; p += LANES) {
        const lanes power = lanes_exp(lanes_subtract(lanes_load(scores + p), guard));
        lanes_store(scores + p, power);
        parts = lanes_add(parts, power);
    }
    view->total[i] += attention_sum(parts);
}

/* All of few queries; keys, then numbers of values, in the lanes. */
static void few_step(const attention_view *view, const attention_step_call *call)
{
    float scores[LANES / 2 * ATTENTION_KEYS];
    const size_t seen = visible_to(call, view->queries - 1);
    if (seen == 0) {
        return;
    }
    product(&(product_call){.a = view->q, .a_row = view->depth, .a_column = 1,
                            .b = call->keys->data, .b_stride = call->keys->depth_stride,
                            .c = scores, .c_stride = ATTENTION_KEYS, .rows = view->queries,
                            .columns = ATTENTION_KEYS, .k = view->depth});
    for (size_t i = 0; i < view->queries; i++) {
        few_softmax(view, i, visible_to(call, i), scores + i * ATTENTION_KEYS);
    }
    product(&(product_call){.a = scores, .a_row = ATTENTION_KEYS, .a_column = 1,
                            .b = call->values->data, .b_stride = call->values->position_stride,
                            .c = view->sums, .c_stride = view->value_depth,
                            .rows = view->queries, .columns = view->value_depth, .k = seen,
                            .add = true});
}

void KERNEL(attention_step)(const attention_state *state, const attention_tile *keys,
                            const attention_tile *values, size_t positions, ptrdiff_t visible,
                            size_t heads)
{
    const attention_view view = attention_open(state);
    const attention_step_call call = {keys, values, positions, visible, heads};
    if (view.queries == 0) {
        return;
    }
    if (view.few) {
        few_step(&view, &call);
        return;
    }
    groups_step(&view, &call);
}

#endif
