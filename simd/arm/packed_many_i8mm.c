/* The kernels of simd/lanes/packed_many.h for NEON with SMMLA, which multiplies two rows of 8
 * weights by two rows of 8 activations: two units of a panel are woven together when they are
 * decoded. */
#define KERNEL(slot) slot##_i8mm
#include "simd/arm/words_neon.h"
#include "simd/lanes/many_chunk.h"

#define MANY_BATCH  8
#define MANY_PANELS 1
#define SUMS_WIDTH  (MANY_PANELS * LAYOUT_ROWS)

#define RUN_STEPS  (RUN_UNITS / 2) /* of 8 inputs */
#define PAIRS      (LAYOUT_ROWS / 2) /* of rows of weights */
#define PART_PAIRS (LANES / 2)

/* A run of a panel: of 8 inputs two rows side by side. */
typedef struct run_pairs {
    int8_t values[RUN_STEPS][PAIRS][2][8];
    float scales[LAYOUT_ROWS];
} run_pairs;

typedef struct chunk_weights {
    run_pairs of[CHUNK_RUNS][MANY_PANELS];
} chunk_weights;

static inline void many_begin(size_t batch)
{
    (void)batch;
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

LANES_INLINE void decode_chunk_run(packed_kind kind, const packed_reader *reader, size_t panel,
                                   size_t first, size_t blocks, size_t run, size_t place,
                                   chunk_weights *weights)
{
    run_pairs *out = &weights->of[run][place];
    run_weights decoded;
    decode_run(kind, reader, panel, first, blocks, &decoded);
    for (size_t step = 0; step < blocks * BLOCK_UNITS / 2; step++) {
#pragma GCC unroll 2
        for (size_t part = 0; part < PARTS; part++) {
            const bytes even = bytes_load(decoded.values[2 * step][part * LANES]);
            const bytes odd = bytes_load(decoded.values[2 * step + 1][part * LANES]);
            store_pairs(even.val[0], odd.val[0], out->values[step] + part * PART_PAIRS);
            store_pairs(even.val[1], odd.val[1], out->values[step] + part * PART_PAIRS + 2);
        }
    }
    memcpy(out->scales, decoded.scales, sizeof(out->scales));
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

/* 8 inputs of one part; batch is a constant. */
LANES_INLINE void multiply_step(const run_pairs *weights, size_t step, const packed_chunk *chunk,
                                size_t k, size_t part, size_t batch, part_sums *sums)
{
    int8x16_t rows[PART_PAIRS];
#pragma GCC unroll 4
    for (size_t i = 0; i < PART_PAIRS; i++) {
        rows[i] = vld1q_s8(weights->values[step][part * PART_PAIRS + i][0]);
    }
#pragma GCC unroll 4
    for (size_t b = 0; b < batch; b += 2) {
        const int8x16_t codes = load_pair(chunk, b, batch, k + step * 8);
#pragma GCC unroll 4
        for (size_t i = 0; i < PART_PAIRS; i++) {
            sums->of[i][b / 2] = vmmlaq_s32(sums->of[i][b / 2], rows[i], codes);
        }
    }
}

/* sums += factor * (products of four rows with activation b * their scales) */
LANES_INLINE void add_rows(const part_sums *products, size_t i, size_t b, float factor,
                           const float *scales, float *sums)
{
    const int32x4_t low = products->of[i][b / 2], high = products->of[i + 1][b / 2];
    const int32x4_t rows = b % 2 == 0 ? vuzp1q_s32(low, high) : vuzp2q_s32(low, high);
    const float32x4_t scaled = vmulq_f32(vcvtq_f32_s32(rows), vld1q_f32(scales));
    vst1q_f32(sums, vfmaq_n_f32(vld1q_f32(sums), scaled, factor));
}

LANES_INLINE void multiply_run(const run_pairs *weights, const packed_chunk *chunk, size_t run,
                               size_t steps, size_t part, size_t batch, float (*sums)[SUMS_WIDTH])
{
    part_sums products;
#pragma GCC unroll 4
    for (size_t i = 0; i < PART_PAIRS; i++) {
#pragma GCC unroll 4
        for (size_t b = 0; b < batch; b += 2) {
            products.of[i][b / 2] = vdupq_n_s32(0);
        }
    }
    for (size_t step = 0; step < steps; step++) {
        multiply_step(weights, step, chunk, run * ACTIVATION_GROUP, part, batch, &products);
    }
#pragma GCC unroll 8
    for (size_t b = 0; b < batch; b++) {
        const char *row = chunk->x + b * chunk->x_stride;
        const float factor = activation_scales(row, chunk->columns)[run];
        const float *scales = weights->scales + part * LANES;
        add_rows(&products, 0, b, factor, scales, sums[b] + part * LANES);
        add_rows(&products, 2, b, factor, scales + 4, sums[b] + part * LANES + 4);
    }
}

/* batch is a constant. */
LANES_INLINE void multiply_chunk(const chunk_weights *weights, const packed_chunk *chunk,
                                 size_t batch, float (*sums)[SUMS_WIDTH])
{
    for (size_t run = 0; run * RUN_UNITS < chunk->units; run++) {
        const size_t steps = chunk_run_units(chunk, run) / 2;
        for (size_t part = 0; part < PARTS; part++) {
            multiply_run(weights->of[run], chunk, chunk->first_run + run, steps, part, batch, sums);
        }
    }
}

#include "simd/lanes/many_rows.h"
#include "simd/lanes/packed_many.h"
