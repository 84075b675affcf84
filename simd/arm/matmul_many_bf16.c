/* matmul_many_bf16 with BFMMLA, 2 rows of x by 2 outputs by 4 inputs an instruction: see
 * simd/kernels.h.
 *
 * A number of x goes as the sum of three bf16, PARTS, which is all of its 24 bits; weights are bf16
 * and go as they are. In scratch the 4 inputs of a step of two rows, or two outputs, lie side by
 * side, as the instruction takes them, those of TILE rows or outputs behind each other. TILE rows
 * by TILE outputs go together. The sums go on from y in the next part of the inputs: an output is
 * one chain over the inputs, whatever else is computed. The processor takes subnormal numbers as 0.
 */
#include "simd/arm/arm.h"

#include <arm_neon.h>
#include <string.h>

#define PARTS     ((size_t)3)
#define INPUTS    ((size_t)4) /* of a step */
#define TILE      ((size_t)8) /* rows, and outputs */
#define PAIRS     (TILE / 2)
#define STEPS_MAX (MATMUL_MANY_DEPTH / INPUTS)

_Static_assert(MATMUL_MANY_ROWS % TILE == 0 && MATMUL_MANY_OUTPUTS % TILE == 0 &&
                   MATMUL_MANY_DEPTH % INPUTS == 0,
               "tiles are whole");

/* A step of two rows or outputs. */
typedef struct bf16_pair {
    bfloat16_t of[2][INPUTS];
} bf16_pair;

/* What lies in scratch. */
typedef struct many_tiles {
    bf16_pair weights[MATMUL_MANY_OUTPUTS / TILE][STEPS_MAX][PAIRS];
    bf16_pair x[MATMUL_MANY_ROWS / TILE][STEPS_MAX][PARTS][PAIRS];
} many_tiles;

_Static_assert(sizeof(many_tiles) <= MATMUL_MANY_SCRATCH, "scratch has room for all tiles");

/* Outputs from `row`, `count` of them at most MATMUL_MANY_OUTPUTS, by inputs from `first` on, in
 * `steps` steps. */
typedef struct many_part {
    const many_call *call;
    size_t row, count, first, depth, steps;
    bool add;
    many_tiles *tiles;
} many_part;

static size_t smaller(size_t a, size_t b)
{
    return a < b ? a : b;
}

/* Weights of the part; those that do not exist become 0. */
static void pack_weights(const many_part *part)
{
    const many_call *call = part->call;
    const size_t padded = (part->count + TILE - 1) / TILE * TILE;
    for (size_t n = 0; n < padded; n++) {
        const char *weight = (const char *)call->weight +
                             2 * ((part->row + n) * call->row_stride + part->first);
        bf16_pair(*tile)[PAIRS] = part->tiles->weights[n / TILE];
        for (size_t step = 0; step < part->steps; step++) {
            bfloat16_t *place = tile[step][n % TILE / 2].of[n % 2];
            const size_t left = n < part->count ? part->depth - step * INPUTS : 0;
            if (left >= INPUTS) {
                memcpy(place, weight + 2 * step * INPUTS, 2 * INPUTS);
            } else {
                memset(place, 0, 2 * INPUTS);
                if (left > 0) {
                    memcpy(place, weight + 2 * step * INPUTS, 2 * left);
                }
            }
        }
    }
}

/* Four numbers of row `row`: the first part is x rounded to bf16, the next what is missing from
 * that, rounded. */
static inline void split(float32x4_t x, bf16_pair parts[PARTS][PAIRS], size_t row)
{
#pragma GCC unroll 3
    for (size_t part = 0; part < PARTS; part++) {
        const bfloat16x4_t rounded = vcvt_bf16_f32(x);
        vst1_bf16(parts[part][row / 2].of[row % 2], rounded);
        x = vsubq_f32(x, vcvt_f32_bf16(rounded));
    }
}

/* Rows b to b + rows - 1 of x; those up to the next whole tile become 0. */
static void pack_rows(const many_part *part, size_t b, size_t rows)
{
    const many_call *call = part->call;
    const size_t padded = (rows + TILE - 1) / TILE * TILE;
    for (size_t r = 0; r < padded; r++) {
        const float *x = call->x + (b + r) * call->x_stride + part->first;
        for (size_t step = 0; step < part->steps; step++) {
            const size_t left = r < rows ? part->depth - step * INPUTS : 0;
            float of[INPUTS] = {0};
            if (left > 0) {
                memcpy(of, x + step * INPUTS, smaller(left, INPUTS) * sizeof(float));
            }
            split(vld1q_f32(of), part->tiles->x[r / TILE][step], r % TILE);
        }
    }
}

/* Rows and outputs of a tile, sums[TILE, TILE], `stride` floats apart: all steps. */
static void multiply_tile(const bf16_pair (*weights)[PAIRS], const bf16_pair (*x)[PARTS][PAIRS],
                          size_t steps, float *sums, size_t stride)
{
    float32x4_t of[PAIRS][PAIRS]; /* two rows of two outputs each */
#pragma GCC unroll 4
    for (size_t i = 0; i < PAIRS; i++) {
#pragma GCC unroll 4
        for (size_t j = 0; j < PAIRS; j++) {
            const float *place = sums + 2 * i * stride + 2 * j;
            of[i][j] = vcombine_f32(vld1_f32(place), vld1_f32(place + stride));
        }
    }
    for (size_t step = 0; step < steps; step++) {
        bfloat16x8_t weight[PAIRS];
#pragma GCC unroll 4
        for (size_t j = 0; j < PAIRS; j++) {
            weight[j] = vld1q_bf16(weights[step][j].of[0]);
        }
#pragma GCC unroll 3
        for (size_t part = 0; part < PARTS; part++) {
#pragma GCC unroll 4
            for (size_t i = 0; i < PAIRS; i++) {
                const bfloat16x8_t rows = vld1q_bf16(x[step][part][i].of[0]);
#pragma GCC unroll 4
                for (size_t j = 0; j < PAIRS; j++) {
                    of[i][j] = vbfmmlaq_f32(of[i][j], rows, weight[j]);
                }
            }
        }
    }
#pragma GCC unroll 4
    for (size_t i = 0; i < PAIRS; i++) {
#pragma GCC unroll 4
        for (size_t j = 0; j < PAIRS; j++) {
            float *place = sums + 2 * i * stride + 2 * j;
            vst1_f32(place, vget_low_f32(of[i][j]));
            vst1_f32(place + stride, vget_high_f32(of[i][j]));
        }
    }
}

/* Copies [rows, columns]; rows are so many floats apart. */
static void copy_block(const float *from, size_t from_stride, float *to, size_t to_stride,
                       size_t rows, size_t columns)
{
    for (size_t r = 0; r < rows; r++) {
        memcpy(to + r * to_stride, from + r * from_stride, columns * sizeof(float));
    }
}

/* Rows b + r to b + r + rows - 1 by outputs n to n + columns - 1 of the part. */
static void many_tile(const many_part *part, size_t b, size_t r, size_t rows, size_t n,
                      size_t columns)
{
    const size_t stride = part->call->y_stride;
    float *y = part->call->y + (b + r) * stride + part->row + n;
    float sums[TILE * TILE] = {0};
    if (part->add) {
        copy_block(y, stride, sums, TILE, rows, columns);
    }
    multiply_tile((const bf16_pair(*)[PAIRS])part->tiles->weights[n / TILE],
                  (const bf16_pair(*)[PARTS][PAIRS])part->tiles->x[r / TILE], part->steps, sums,
                  TILE);
    copy_block(sums, TILE, y, stride, rows, columns);
}

/* All outputs of the part for up to MATMUL_MANY_ROWS rows of x. */
static void many_rows(const many_part *part, size_t b, size_t rows)
{
    pack_rows(part, b, rows);
    for (size_t n = 0; n < part->count; n += TILE) {
        for (size_t r = 0; r < rows; r += TILE) {
            many_tile(part, b, r, smaller(rows - r, TILE), n, smaller(part->count - n, TILE));
        }
    }
}

void matmul_many_bf16_bf16(const many_call *call)
{
    many_part part = {.call = call, .tiles = call->scratch};
    for (; part.row < call->rows; part.row += MATMUL_MANY_OUTPUTS) {
        part.count = smaller(call->rows - part.row, MATMUL_MANY_OUTPUTS);
        part.first = 0;
        part.add = call->add;
        do { /* once if there are no inputs: the sums are 0 then */
            part.depth = smaller(call->k - part.first, MATMUL_MANY_DEPTH);
            part.steps = (part.depth + INPUTS - 1) / INPUTS;
            pack_weights(&part);
            for (size_t b = 0; b < call->batch; b += MATMUL_MANY_ROWS) {
                many_rows(&part, b, smaller(call->batch - b, MATMUL_MANY_ROWS));
            }
            part.add = true;
            part.first += part.depth;
        } while (part.first < call->k);
    }
}
