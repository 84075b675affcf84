/* A chunk of weights in 8 bits, for ISAs that multiply those and add four. The file that includes
 * this has included its ISA's dot_<isa>.h, whose vocabulary simd/lanes/packed.h describes, and
 * defined MANY_BATCH, the rows of activations whose sums the registers hold: up to 8. */
#include "simd/lanes/many_chunk.h"

#if MANY_BATCH == 8
#define MANY_REMAINDERS(X) X(1) X(2) X(3) X(4) X(5) X(6) X(7)
#elif MANY_BATCH == 6
#define MANY_REMAINDERS(X) X(1) X(2) X(3) X(4) X(5)
#elif MANY_BATCH == 4
#define MANY_REMAINDERS(X) X(1) X(2) X(3)
#else
#define MANY_REMAINDERS(X) X(1) X(2)
#endif

#define CHUNK_BLOCKS (8 * RUN_BLOCKS)

typedef struct chunk_block {
    int8_t values[BLOCK_UNITS][LAYOUT_ROWS][LAYOUT_UNIT] __attribute__((aligned(64)));
    dot_scale scales[PARTS];
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

LANES_INLINE void decode_chunk(packed_kind kind, const packed_reader *reader, size_t panel,
                               size_t first, size_t blocks, chunk_weights *weights)
{
    for (size_t index = 0; index < blocks; index++) {
        const packed_block block = packed_find_block(kind, reader, panel, first + index);
        chunk_block *out = &weights->of[index];
#pragma GCC unroll 2
        for (size_t part = 0; part < PARTS; part++) {
            const bytes constant = packed_constant(kind, reader, &block, part);
            out->scales[part] = block.scales == NULL ? dot_scale_one()
                                                     : dot_load_scale(block.scales + part * LANES);
#pragma GCC unroll 8
            for (size_t unit = 0; unit < BLOCK_UNITS; unit++) {
                bytes_store(out->values[unit][part * LANES],
                            packed_values(kind, &block, constant, unit, part));
            }
        }
    }
}

typedef struct many_sums {
    dot_sums of[MANY_BATCH][PARTS];
} many_sums;

/* Block `index` of the matrix, which `weights` holds; batch is a constant. */
LANES_INLINE void multiply_block(const chunk_block *weights, const packed_chunk *chunk,
                                 size_t index, size_t batch, many_sums *sums)
{
    const char *x = chunk->x + index * LAYOUT_COLUMNS;
#pragma GCC unroll 8
    for (size_t b = 0; b < batch; b++) {
        const int32_t *codes_sums = activation_sums(chunk->x + b * chunk->x_stride, chunk->columns);
#pragma GCC unroll 2
        for (size_t part = 0; part < PARTS; part++) {
            sums->of[b][part] = dot_begin(sums->of[b][part], codes_sums[index]);
        }
    }
    for (size_t unit = 0; unit < BLOCK_UNITS; unit++) {
        dot_weight row[PARTS];
#pragma GCC unroll 2
        for (size_t part = 0; part < PARTS; part++) {
            row[part] = dot_prepare(bytes_load(weights->values[unit][part * LANES]));
        }
#pragma GCC unroll 8
        for (size_t b = 0; b < batch; b++) {
            const bytes codes = bytes_broadcast(x + b * chunk->x_stride + unit * LAYOUT_UNIT);
#pragma GCC unroll 2
            for (size_t part = 0; part < PARTS; part++) {
                sums->of[b][part] =
                    dot_add(sums->of[b][part], row[part], codes, weights->scales[part]);
            }
        }
    }
#pragma GCC unroll 8
    for (size_t b = 0; b < batch; b++) {
#pragma GCC unroll 2
        for (size_t part = 0; part < PARTS; part++) {
            sums->of[b][part] = dot_end(sums->of[b][part], weights->scales[part]);
        }
    }
}

/* batch is a constant. */
LANES_INLINE void multiply_chunk(const chunk_weights *weights, const packed_chunk *chunk,
                                 size_t batch, float (*sums)[LAYOUT_ROWS])
{
    for (size_t first = 0; first < chunk->blocks; first += RUN_BLOCKS) {
        const size_t end = first + RUN_BLOCKS < chunk->blocks ? first + RUN_BLOCKS : chunk->blocks;
        many_sums products;
#pragma GCC unroll 8
        for (size_t b = 0; b < batch; b++) {
#pragma GCC unroll 2
            for (size_t part = 0; part < PARTS; part++) {
                products.of[b][part] = dot_zero();
            }
        }
        for (size_t index = first; index < end; index++) {
            multiply_block(&weights->of[index], chunk, chunk->first + index, batch, &products);
        }
#pragma GCC unroll 8
        for (size_t b = 0; b < batch; b++) {
            const char *row = chunk->x + b * chunk->x_stride;
            const size_t run = (chunk->first + first) / RUN_BLOCKS;
            const lanes scale = lanes_set(activation_scales(row, chunk->columns)[run]);
#pragma GCC unroll 2
            for (size_t part = 0; part < PARTS; part++) {
                float *sum = sums[b] + part * LANES;
                lanes_store(sum,
                            lanes_fma(scale, dot_floats(products.of[b][part]), lanes_load(sum)));
            }
        }
    }
}
