/* What the attention slots of kernels.h work on: softmax(scale q k^T) v for many queries over a
 * long row of positions, a block of ATTENTION_KEYS positions at a time, without ever holding more
 * scores than those of one block ("online" softmax: Milakov and Gimelshein 2018; FlashAttention,
 * Dao et al. 2022). */
#ifndef SIMD_ATTENTION_H
#define SIMD_ATTENTION_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define ATTENTION_KEYS    64 /* positions of a block */
#define ATTENTION_QUERIES 32 /* a state has room for a multiple of so many queries */

/* Keys or values of the positions of one block: number k of position p is
 * data[p * position_stride + k * depth_stride]; one of the strides is 1. */
typedef struct attention_tile {
    const float *data;
    size_t position_stride, depth_stride;
    const float *next; /* of keys: depth * ATTENTION_KEYS floats that the next step reads, to be
                        * asked for meanwhile; NULL: nothing */
} attention_tile;

/* Queries that share their keys: `heads` of them for each of `rows` positions; number k of query
 * row * heads + head is q[row * row_stride + head * head_stride + k]. */
typedef struct attention_queries {
    const float *q;
    size_t rows, heads, row_stride, head_stride;
    float scale;
} attention_queries;

/* The queries, and what the blocks so far have given for each: the largest score, the sum of
 * exp(score - largest), and the sum of exp(score - largest) times the values. How `memory` is laid
 * out is the ISA's own affair. */
typedef struct attention_state {
    size_t queries, depth, value_depth; /* widths of a query, and of a value: at least 1 */
    /* True if all tiles have keys with position_stride 1, of which ATTENTION_KEYS may be read
     * (whatever they are) even if fewer count, and values with depth_stride 1. Then few queries are
     * fast, too. */
    bool dense;
    float *memory; /* [attention_state_floats], the caller's */
    /* True if many queries may be computed with numbers rounded to bf16, see kernels.h: where they
     * come of packed weights, which have lost more. */
    bool rounded;
} attention_state;

static inline size_t attention_padded(size_t queries)
{
    return (queries + ATTENTION_QUERIES - 1) / ATTENTION_QUERIES * ATTENTION_QUERIES;
}

/* Room for a query in a state's memory: tiles of matrix units are full there. */
static inline size_t attention_query_floats(size_t depth)
{
    return (depth + 31) / 32 * 32;
}

/* Floats of a state's memory. */
static inline size_t attention_state_floats(size_t queries, size_t depth, size_t value_depth)
{
    return attention_padded(queries) * (attention_query_floats(depth) + value_depth + 2);
}

#endif
