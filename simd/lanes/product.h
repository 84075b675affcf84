/* product_f32 and what attention multiplies with: see simd/kernels.h.
 *
 * Numbers of a are broadcast, those of b and c fill the registers: a block keeps rows x vectors
 * sums in registers, each a chain of multiply-adds over all of k, so it does not matter in which
 * block an output is computed.
 *
 * An ISA that multiplies pairs of bf16 defines PRODUCT_PAIRS before, and lanes_dot_pairs(a, b,
 * sum): a and b have a pair in the 32 bits of each lane, whose two products are added to the sum.
 * What stands at a number's place in a and b is a pair then (product_pairs). */
#ifndef SIMD_LANES_PRODUCT_H
#define SIMD_LANES_PRODUCT_H

#include "simd/lanes/common.h"

#define PRODUCT_VECTORS 2 /* of a block of PRODUCT_ROWS rows */

/* The first n lanes, n being LANES (and constant) or less. */
LANES_INLINE lanes product_load(const float *p, size_t n)
{
    return n == LANES ? lanes_load(p) : lanes_load_first(p, n);
}

LANES_INLINE void product_store(float *p, lanes a, size_t n)
{
    if (n == LANES) {
        lanes_store(p, a);
    } else {
        lanes_store_first(p, a, n);
    }
}

typedef struct product_sums {
    lanes of[PRODUCT_ROWS][8];
} product_sums;

/* What a sum is made of; a constant. */
typedef enum product_terms {
    PRODUCT_OF_FLOATS,
    PRODUCT_OF_PAIRS
} product_terms;

LANES_INLINE lanes product_add(product_terms terms, lanes a, lanes b, lanes sum)
{
#ifdef PRODUCT_PAIRS
    if (terms == PRODUCT_OF_PAIRS) {
        return lanes_dot_pairs(a, b, sum);
    }
#endif
    (void)terms;
    return lanes_fma(a, b, sum);
}

LANES_INLINE void product_step(product_terms terms, const float *a, size_t a_row, const float *b,
                               size_t rows, size_t vectors, size_t last, product_sums *sums)
{
    lanes columns[8];
#pragma GCC unroll 8
    for (size_t v = 0; v < vectors; v++) {
        columns[v] = product_load(b + v * LANES, v + 1 == vectors ? last : LANES);
    }
#pragma GCC unroll 16
    for (size_t r = 0; r < rows; r++) {
        const lanes weight = lanes_set(a[r * a_row]);
#pragma GCC unroll 8
        for (size_t v = 0; v < vectors; v++) {
            sums->of[r][v] = product_add(terms, weight, columns[v], sums->of[r][v]);
        }
    }
}

/* Rows r to r + rows - 1, columns n to n + (vectors - 1) * LANES + last - 1. rows and vectors are
 * constants, and a_row perhaps. */
LANES_INLINE void product_block(product_terms terms, const product_call *p, size_t a_row,
                                size_t row, size_t column, size_t rows, size_t vectors,
                                size_t last)
{
    const float *a = p->a + row * a_row, *b = p->b + column;
    float *c = p->c + row * p->c_stride + column;
    product_sums sums;
#pragma GCC unroll 16
    for (size_t r = 0; r < rows; r++) {
#pragma GCC unroll 8
        for (size_t v = 0; v < vectors; v++) {
            sums.of[r][v] = p->add ? product_load(c + r * p->c_stride + v * LANES,
                                                  v + 1 == vectors ? last : LANES)
                                   : lanes_set(0);
        }
    }
    const char *ahead = NULL;
    if (p->ahead != NULL && row < 4 * PRODUCT_ROWS) {
        ahead = p->ahead + row / PRODUCT_ROWS * p->k * 64;
    }
    for (size_t i = 0; i < p->k; i++) {
        if (ahead != NULL) {
            __builtin_prefetch(ahead, 0, 2);
            ahead += 64;
        }
        product_step(terms, a, a_row, b, rows, vectors, last, &sums);
        a += p->a_column;
        b += p->b_stride;
    }
#pragma GCC unroll 16
    for (size_t r = 0; r < rows; r++) {
#pragma GCC unroll 8
        for (size_t v = 0; v < vectors; v++) {
            product_store(c + r * p->c_stride + v * LANES, sums.of[r][v],
                          v + 1 == vectors ? last : LANES);
        }
    }
}

/* All columns of `rows` rows, a constant. */
LANES_INLINE void product_rows(product_terms terms, const product_call *p, size_t a_row, size_t row,
                               size_t rows)
{
    size_t n = 0;
    if (rows == 1) { /* one row is too few chains to keep the multipliers busy */
        for (; n + 8 * LANES <= p->columns; n += 8 * LANES) {
            product_block(terms, p, a_row, row, n, 1, 8, LANES);
        }
    }
    if (rows <= 3) {
        for (; n + 4 * LANES <= p->columns; n += 4 * LANES) {
            product_block(terms, p, a_row, row, n, rows, 4, LANES);
        }
    }
    for (; n + PRODUCT_VECTORS * LANES <= p->columns; n += PRODUCT_VECTORS * LANES) {
        product_block(terms, p, a_row, row, n, rows, PRODUCT_VECTORS, LANES);
    }
    for (; n + LANES <= p->columns; n += LANES) {
        product_block(terms, p, a_row, row, n, rows, 1, LANES);
    }
    if (n < p->columns) {
        product_block(terms, p, a_row, row, n, rows, 1, p->columns - n);
    }
}

/* a_row is 1 as a constant, or that of the call. */
LANES_INLINE void product_all(product_terms terms, const product_call *p, size_t a_row)
{
    size_t row = 0;
    for (; row + PRODUCT_ROWS <= p->rows; row += PRODUCT_ROWS) {
        product_rows(terms, p, a_row, row, PRODUCT_ROWS);
    }
    switch (p->rows - row) {
#define PRODUCT_REMAINDER(count)                                                                   \
    case count:                                                                                    \
        product_rows(terms, p, a_row, row, count);                                                 \
        break;
        PRODUCT_REMAINDERS(PRODUCT_REMAINDER)
#undef PRODUCT_REMAINDER
    default:
        break;
    }
}

static void product(const product_call *p)
{
    if (p->a_row == 1) {
        product_all(PRODUCT_OF_FLOATS, p, 1);
    } else {
        product_all(PRODUCT_OF_FLOATS, p, p->a_row);
    }
}

#ifdef PRODUCT_PAIRS
/* a, b, a_row, a_column, b_stride and k count pairs. */
static void product_pairs(const product_call *p)
{
    if (p->a_row == 1) {
        product_all(PRODUCT_OF_PAIRS, p, 1);
    } else {
        product_all(PRODUCT_OF_PAIRS, p, p->a_row);
    }
}
#endif

#endif
