/* matmul_many_f32, _bf16 and _f16: see simd/kernels.h.
 *
 * Weights of MATMUL_MANY_OUTPUTS outputs by MATMUL_MANY_DEPTH inputs are widened and transposed
 * into panels, [input][MANY_WIDTH outputs], which stay in L2; the same inputs of up to PRODUCT_ROWS
 * rows of x become [input][row], in L1. A block keeps rows x MANY_WIDTH sums in registers, each a
 * chain of multiply-adds over these inputs, from 0. The sums of one part of the inputs after the
 * other are added to y: it does not matter in which block an output was computed. */
#include "simd/lanes/weights.h"

#define MANY_VECTORS 2
#define MANY_WIDTH   ((size_t)MANY_VECTORS * LANES)
#define PANEL_FLOATS (MATMUL_MANY_DEPTH * MANY_WIDTH)

_Static_assert(MATMUL_MANY_OUTPUTS % MANY_WIDTH == 0 && MATMUL_MANY_DEPTH % (2 * LANES) == 0,
               "whole panels, and whole steps of their inputs");
_Static_assert(PRODUCT_ROWS < MATMUL_MANY_ROWS, "room behind the rows for what is stored too much");

/* A part of the product: outputs from `row`, `count` of them at most MATMUL_MANY_OUTPUTS, by inputs
 * from `first`, `depth` of them. */
typedef struct many_part {
    const many_call *call;
    size_t row, count, first, depth;
    bool add;
    float *panels, *x; /* in scratch */
} many_part;

/* Inputs `first` to first + n - 1 of a row of weights, which are as many lanes, or of bf16 two in
 * each: n is that many, or less. */
LANES_INLINE lanes load_inputs(weight_type type, const char *weight, size_t n)
{
    if (type != WEIGHT_BF16) {
        return load_weights(type, weight, n);
    }
    float copy[LANES] = {0};
    if (n < 2 * LANES) {
        memcpy(copy, weight, n * weight_size(type));
        return lanes_load(copy);
    }
    return lanes_load((const float *)(const void *)weight); /* perhaps unaligned */
}

/* Up to LANES rows of weights, from `weight`, into LANES columns of a panel; rows that do not exist
 * become 0. The rows behind these are asked for: they are next. */
LANES_INLINE void pack_weights(weight_type type, const many_part *part, const char *weight,
                               size_t rows, float *out)
{
    const size_t step = type == WEIGHT_BF16 ? 2 * LANES : LANES;
    const size_t row_bytes = part->call->row_stride * weight_size(type);
    for (size_t i = 0; i < part->depth; i += step) {
        const size_t left = part->depth - i, n = left < step ? left : step;
        lanes of[LANES];
#pragma GCC unroll 16
        for (size_t r = 0; r < LANES; r++) {
            const char *row = weight + r * row_bytes + i * weight_size(type);
            of[r] = r >= rows   ? lanes_set(0)
                    : n == step ? load_inputs(type, row, step)
                                : load_inputs(type, row, n);
            __builtin_prefetch((const void *)((uintptr_t)row + LANES * row_bytes), 0, 2);
        }
        lanes_transpose(of);
#pragma GCC unroll 16
        for (size_t j = 0; j < LANES; j++) {
            if (type == WEIGHT_BF16) {
                lanes_store(out + (i + 2 * j) * MANY_WIDTH, lanes_bf16_even(of[j]));
                lanes_store(out + (i + 2 * j + 1) * MANY_WIDTH, lanes_bf16_odd(of[j]));
            } else {
                lanes_store(out + (i + j) * MANY_WIDTH, of[j]);
            }
        }
    }
}

LANES_INLINE void pack_panels(weight_type type, const many_part *part)
{
    const many_call *call = part->call;
    const size_t row_bytes = call->row_stride * weight_size(type);
    const char *weight = (const char *)call->weight + part->row * row_bytes;
    const size_t padded = (part->count + MANY_WIDTH - 1) / MANY_WIDTH * MANY_WIDTH;
    weight += part->first * weight_size(type);
    for (size_t n = 0; n < padded; n += LANES) {
        const size_t left = n < part->count ? part->count - n : 0;
        float *out = part->panels + n / MANY_WIDTH * PANEL_FLOATS + n % MANY_WIDTH;
        if (left >= LANES) {
            pack_weights(type, part, weight + n * row_bytes, LANES, out);
        } else {
            pack_weights(type, part, weight + n * row_bytes, left, out);
        }
    }
}

/* Rows of x, at most PRODUCT_ROWS, into [input][row]. LANES are stored at a time: the next store
 * writes over those that are too many. */
LANES_INLINE void pack_rows(const many_part *part, size_t b, size_t rows)
{
    const float *x = part->call->x + b * part->call->x_stride + part->first;
    for (size_t i = 0; i < part->depth; i += LANES) {
        const size_t left = part->depth - i;
        lanes of[LANES];
#pragma GCC unroll 16
        for (size_t r = 0; r < LANES; r++) {
            const float *row = x + r * part->call->x_stride + i;
            of[r] = r >= rows       ? lanes_set(0)
                    : left >= LANES ? lanes_load(row)
                                    : lanes_load_first(row, left);
        }
        lanes_transpose(of);
#pragma GCC unroll 16
        for (size_t j = 0; j < LANES; j++) {
            lanes_store(part->x + (i + j) * rows, of[j]);
        }
    }
}

typedef struct many_sums {
    lanes of[PRODUCT_ROWS][MANY_VECTORS];
} many_sums;

/* The last panel: only the outputs that exist. */
LANES_INLINE void store_some(const many_part *part, float *y, size_t rows, size_t count,
                             const many_sums *sums)
{
    float row[MANY_WIDTH];
    for (size_t r = 0; r < rows; r++, y += part->call->y_stride) {
        for (size_t v = 0; v < MANY_VECTORS; v++) {
            lanes_store(row + v * LANES, sums->of[r][v]);
        }
        for (size_t n = 0; n < count; n++) {
            y[n] = part->add ? y[n] + row[n] : row[n];
        }
    }
}

/* A panel times `rows` rows, a constant; outputs n to n + count - 1 of the part. */
LANES_INLINE void many_block(const many_part *part, size_t b, size_t n, size_t rows)
{
    const float *x = part->x, *w = part->panels + n * MATMUL_MANY_DEPTH;
    float *y = part->call->y + b * part->call->y_stride + part->row + n;
    many_sums sums;
#pragma GCC unroll 16
    for (size_t r = 0; r < rows; r++) {
#pragma GCC unroll 4
        for (size_t v = 0; v < MANY_VECTORS; v++) {
            sums.of[r][v] = lanes_set(0);
        }
    }
    for (size_t i = 0; i < part->depth; i++, x += rows, w += MANY_WIDTH) {
        lanes columns[MANY_VECTORS];
#pragma GCC unroll 4
        for (size_t v = 0; v < MANY_VECTORS; v++) {
            columns[v] = lanes_load(w + v * LANES);
        }
#pragma GCC unroll 16
        for (size_t r = 0; r < rows; r++) {
            const lanes factor = lanes_set(x[r]);
#pragma GCC unroll 4
            for (size_t v = 0; v < MANY_VECTORS; v++) {
                sums.of[r][v] = lanes_fma(factor, columns[v], sums.of[r][v]);
            }
        }
    }
    if (part->count - n < MANY_WIDTH) {
        const many_sums copy = sums; /* so that the sums themselves stay in registers */
        store_some(part, y, rows, part->count - n, &copy);
        return;
    }
#pragma GCC unroll 16
    for (size_t r = 0; r < rows; r++, y += part->call->y_stride) {
#pragma GCC unroll 4
        for (size_t v = 0; v < MANY_VECTORS; v++) {
            float *out = y + v * LANES;
            lanes_store(out, part->add ? lanes_add(lanes_load(out), sums.of[r][v]) : sums.of[r][v]);
        }
    }
}

/* All panels times `rows` rows, a constant. */
static inline __attribute__((always_inline)) void many_rows(const many_part *part, size_t b,
                                                            size_t rows)
{
    pack_rows(part, b, rows);
    for (size_t n = 0; n < part->count; n += MANY_WIDTH) {
        many_block(part, b, n, rows);
    }
}

/* All rows of x, in blocks as even as can be: few rows are too few chains for the multipliers. */
static void many_batch(const many_part *part)
{
    const size_t batch = part->call->batch, blocks = (batch + PRODUCT_ROWS - 1) / PRODUCT_ROWS;
    for (size_t i = 0; i < blocks; i++) {
        const size_t b = batch * i / blocks;
        switch (batch * (i + 1) / blocks - b) {
#define MANY_REMAINDER(rows)                                                                       \
    case rows:                                                                                     \
        many_rows(part, b, rows);                                                                  \
        break;
            PRODUCT_REMAINDERS(MANY_REMAINDER)
#undef MANY_REMAINDER
        default:
            many_rows(part, b, PRODUCT_ROWS);
            break;
        }
    }
}

LANES_INLINE void matmul_many(weight_type type, const many_call *call)
{
    many_part part = {.call = call, .panels = call->scratch};
    part.x = part.panels + MATMUL_MANY_OUTPUTS * MATMUL_MANY_DEPTH;
    for (; part.row < call->rows; part.row += MATMUL_MANY_OUTPUTS) {
        const size_t rows = call->rows - part.row;
        part.count = rows < MATMUL_MANY_OUTPUTS ? rows : MATMUL_MANY_OUTPUTS;
        part.first = 0;
        part.add = call->add;
        do { /* once if there are no inputs: the sums are 0 then */
            const size_t left = call->k - part.first;
            part.depth = left < MATMUL_MANY_DEPTH ? left : MATMUL_MANY_DEPTH;
            pack_panels(type, &part);
            many_batch(&part);
            part.add = true;
            part.first += part.depth;
        } while (part.first < call->k);
    }
}

void KERNEL(matmul_many_f32)(const many_call *call)
{
    matmul_many(WEIGHT_F32, call);
}

void KERNEL(matmul_many_bf16)(const many_call *call)
{
    matmul_many(WEIGHT_BF16, call);
}

void KERNEL(matmul_many_f16)(const many_call *call)
{
    matmul_many(WEIGHT_F16, call);
}
