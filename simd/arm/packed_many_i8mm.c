/* The kernels of simd/lanes/packed_many.h for NEON with SMMLA, which multiplies two rows of 8
 * weights by two rows of 8 activations: two units of a panel are woven together when they are
 * decoded. */
#define KERNEL(slot) slot##_i8mm
#include "simd/arm/bytes_neon.h"
#include "simd/lanes/many_chunk.h"

#define MANY_BATCH         4
#define MANY_REMAINDERS(X) X(1) X(2) X(3)

#define CHUNK_BLOCKS (8 * RUN_BLOCKS)
#define BLOCK_STEPS  (BLOCK_UNITS / 2) /* of 8 inputs */
#define PAIRS        (LAYOUT_ROWS / 2) /* of rows of weights */
#define PART_PAIRS   (LANES / 2)

typedef struct chunk_block {
    int8_t values[BLOCK_STEPS][PAIRS][2][8];
    int32_t scales[PAIRS][2][2]; /* of each row twice, as its sums lie */
} chunk_block;

typedef struct chunk_weights {
    chunk_block of[CHUNK_BLOCKS];
} chunk_weights;

static inline void many_begin(void)
{
}
static inline void many_end(void)
{
}

/* Four rows of two units. */
static inline void store_pairs(uint8x16_t first, uint8x16_t second, int8_t (*pairs)[2][8])
{
    const uint32x4_t low = vreinterpretq_u32_u8(first), high = vreinterpretq_u32_u8(second);
    vst1q_s8(pairs[0][0], vreinterpretq_s8_u32(vzip1q_u32(low, high)));
    vst1q_s8(pairs[1][0], vreinterpretq_s8_u32(vzip2q_u32(low, high)));
}

LANES_INLINE void decode_chunk(packed_kind kind, const packed_reader *reader, size_t panel,
                               size_t first, size_t blocks, chunk_weights *weights)
{
    for (size_t index = 0; index < blocks; index++) {
        const packed_block block = packed_find_block(kind, reader, panel, first + index);
        chunk_block *out = &weights->of[index];
        for (size_t row = 0; row < LAYOUT_ROWS; row++) {
            int32_t *scale = out->scales[row / 2][row % 2];
            scale[0] = scale[1] = block.scales == NULL ? 1 : (int8_t)block.scales[row];
        }
#pragma GCC unroll 2
        for (size_t part = 0; part < PARTS; part++) {
            const bytes constant = packed_constant(kind, reader, &block, part);
#pragma GCC unroll 4
            for (size_t step = 0; step < BLOCK_STEPS; step++) {
                const bytes even = packed_values(kind, &block, constant, 2 * step, part);
                const bytes odd = packed_values(kind, &block, constant, 2 * step + 1, part);
                store_pairs(even.val[0], odd.val[0], out->values[step] + part * PART_PAIRS);
                store_pairs(even.val[1], odd.val[1], out->values[step] + part * PART_PAIRS + 2);
            }
        }
    }
}

/* Sums of rows r and r + 1 with activations b and b + 1: [r, b] [r, b + 1] [r + 1, b]
 * [r + 1, b + 1]. */
typedef struct part_sums {
    int32x4_t of[PART_PAIRS][MANY_BATCH / 2];
} part_sums;

/* Two rows of 8 activations. An odd row out is its own partner; nobody reads what comes of it. */
LANES_INLINE int8x16_t load_pair(const packed_chunk *chunk, size_t b, size_t batch, size_t k)
{
    const char *row = chunk->x + b * chunk->x_stride + k;
    const char *partner = b + 1 < batch ? row + chunk->x_stride : row;
    return vcombine_s8(vld1_s8((const int8_t *)row), vld1_s8((const int8_t *)partner));
}

/* One block of one part; batch is a constant. */
LANES_INLINE void multiply_block(const chunk_block *weights, const packed_chunk *chunk, size_t k,
                                 size_t part, size_t batch, part_sums *totals)
{
    part_sums sums;
#pragma GCC unroll 4
    for (size_t i = 0; i < PART_PAIRS; i++) {
        for (size_t b = 0; b < batch; b += 2) {
            sums.of[i][b / 2] = vdupq_n_s32(0);
        }
    }
#pragma GCC unroll 4
    for (size_t step = 0; step < BLOCK_STEPS; step++) {
#pragma GCC unroll 2
        for (size_t b = 0; b < batch; b += 2) {
            const int8x16_t codes = load_pair(chunk, b, batch, k + step * 8);
#pragma GCC unroll 4
            for (size_t i = 0; i < PART_PAIRS; i++) {
                const int8x16_t rows = vld1q_s8(weights->values[step][part * PART_PAIRS + i][0]);
                sums.of[i][b / 2] = vmmlaq_s32(sums.of[i][b / 2], rows, codes);
            }
        }
    }
#pragma GCC unroll 4
    for (size_t i = 0; i < PART_PAIRS; i++) {
        const int32x4_t scale = vld1q_s32(weights->scales[part * PART_PAIRS + i][0]);
#pragma GCC unroll 2
        for (size_t b = 0; b < batch; b += 2) {
            totals->of[i][b / 2] = vmlaq_s32(totals->of[i][b / 2], sums.of[i][b / 2], scale);
        }
    }
}

/* sums[0 to 3] += scale * what belongs to activation b of four rows. */
LANES_INLINE void add_rows(const part_sums *totals, size_t i, size_t b, float scale, float *sums)
{
    const int32x4_t low = totals->of[i][b / 2], high = totals->of[i + 1][b / 2];
    const int32x4_t rows = b % 2 == 0 ? vuzp1q_s32(low, high) : vuzp2q_s32(low, high);
    vst1q_f32(sums, vfmaq_n_f32(vld1q_f32(sums), vcvtq_f32_s32(rows), scale));
}

LANES_INLINE void multiply_run(const chunk_weights *weights, const packed_chunk *chunk,
                               size_t first, size_t end, size_t batch, float (*sums)[LAYOUT_ROWS])
{
    const size_t run = (chunk->first + first) / RUN_BLOCKS;
    for (size_t part = 0; part < PARTS; part++) {
        part_sums totals;
#pragma GCC unroll 4
        for (size_t i = 0; i < PART_PAIRS; i++) {
            for (size_t b = 0; b < batch; b += 2) {
                totals.of[i][b / 2] = vdupq_n_s32(0);
            }
        }
        for (size_t index = first; index < end; index++) {
            multiply_block(&weights->of[index], chunk, (chunk->first + index) * LAYOUT_COLUMNS,
                           part, batch, &totals);
        }
#pragma GCC unroll 4
        for (size_t b = 0; b < batch; b++) {
            const char *row = chunk->x + b * chunk->x_stride;
            const float scale = activation_scales(row, chunk->columns)[run];
            add_rows(&totals, 0, b, scale, sums[b] + part * LANES);
            add_rows(&totals, 2, b, scale, sums[b] + part * LANES + 4);
        }
    }
}

LANES_INLINE void multiply_chunk(const chunk_weights *weights, const packed_chunk *chunk,
                                 size_t batch, float (*sums)[LAYOUT_ROWS])
{
    for (size_t first = 0; first < chunk->blocks; first += RUN_BLOCKS) {
        const size_t end = first + RUN_BLOCKS < chunk->blocks ? first + RUN_BLOCKS : chunk->blocks;
        multiply_run(weights, chunk, first, end, batch, sums);
    }
}

#include "simd/lanes/packed_many.h"
