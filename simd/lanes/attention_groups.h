/* Attention of many queries with `product`: queries [depth, ATTENTION_GROUP]. Keys and values are
 * broadcast, so that widths which are no multiple of LANES waste nothing. Every number is made by
 * the same operations in the same order as with few queries. */
#ifndef SIMD_LANES_ATTENTION_GROUPS_H
#define SIMD_LANES_ATTENTION_GROUPS_H

#include "simd/lanes/attention_block.h"

static void float_groups_take(const attention_view *view, const attention_queries *from)
{
    for (size_t i = 0; i < view->queries; i++) {
        const float *q = attention_query(from, i);
        const size_t first = i / ATTENTION_GROUP * ATTENTION_GROUP;
        float *to = group_queries(view, first) + (i - first);
        for (size_t k = 0; k < view->depth; k++) {
            to[k * ATTENTION_GROUP] = q[k] * from->scale;
        }
    }
}

static void group_step(const attention_view *view, const attention_step_call *call, size_t first)
{
    float scores[ATTENTION_KEYS * ATTENTION_GROUP];
    const size_t count = group_lanes(view, first), seen = group_seen(view, call, first);
    if (seen == 0) {
        return;
    }
    product(&(product_call){.a = call->keys->data, .a_row = call->keys->position_stride,
                            .a_column = call->keys->depth_stride, .b = group_queries(view, first),
                            .b_stride = ATTENTION_GROUP, .c = scores, .c_stride = ATTENTION_GROUP,
                            .rows = seen, .columns = count, .k = view->depth,
                            .ahead = first == 0 ? (const char *)call->keys->next : NULL});
    group_powers(view, call, first, seen, scores);
    product(&(product_call){.a = call->values->data, .a_row = call->values->depth_stride,
                            .a_column = call->values->position_stride, .b = scores,
                            .b_stride = ATTENTION_GROUP, .c = group_sums(view, first),
                            .c_stride = ATTENTION_GROUP, .rows = view->value_depth,
                            .columns = count, .k = seen, .add = true});
}

static void float_groups_step(const attention_view *view, const attention_step_call *call)
{
    for (size_t first = 0; first < view->queries; first += ATTENTION_GROUP) {
        group_step(view, call, first);
    }
}

#endif
