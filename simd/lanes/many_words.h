/* A chunk of weights and activations in 16 bits, for ISAs that multiply those and add pairs
 * (vpmaddwd). scale * value fits into 16 bits, so the group scales are in the weights already; a
 * run's sums stay below 2^31. The file that includes this has included its ISA's words_<isa>.h, in
 * which words is the even or the odd bytes of a register of bytes, widened:
 *   words_even(a), words_odd(a)          inputs 0 and 2, or 1 and 3, of LANES rows of a unit
 *   words_scale(p), words_scale_one()    LANES int8, each twice
 *   words_load, _store, _multiply        16 bits of each product
 *   words_broadcast(p)                   a pair in all places
 *   ints, ints_zero()                    LANES int32
 *   ints_dot(sums, a, b)                 sums += the products of each pair
 *   ints_floats(a)                       rounded to nearest even */
#include "simd/lanes/many_chunk.h"

#define MANY_BATCH         6
#define MANY_REMAINDERS(X) X(1) X(2) X(3) X(4) X(5)

#define RUN_UNITS    (RUN_BLOCKS * BLOCK_UNITS)
#define CHUNK_BLOCKS (4 * RUN_BLOCKS)
#define CHUNK_UNITS  (CHUNK_BLOCKS * BLOCK_UNITS)

typedef struct chunk_weights {
    int16_t of[2][CHUNK_UNITS][LAYOUT_ROWS][2] __attribute__((aligned(64))); /* even, odd inputs */
} chunk_weights;

typedef struct chunk_activations {
    int16_t of[MANY_BATCH][2][CHUNK_UNITS][2] __attribute__((aligned(64)));
} chunk_activations;

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
#pragma GCC unroll 2
        for (size_t part = 0; part < PARTS; part++) {
            const bytes constant = packed_constant(kind, reader, &block, part);
            const words scale = block.scales == NULL ? words_scale_one()
                                                     : words_scale(block.scales + part * LANES);
#pragma GCC unroll 8
            for (size_t unit = 0; unit < BLOCK_UNITS; unit++) {
                const bytes values = packed_values(kind, &block, constant, unit, part);
                const size_t place = index * BLOCK_UNITS + unit;
                words_store(weights->of[0][place][part * LANES],
                            words_multiply(words_even(values), scale));
                words_store(weights->of[1][place][part * LANES],
                            words_multiply(words_odd(values), scale));
            }
        }
    }
}

LANES_INLINE void widen_activations(const packed_chunk *chunk, size_t batch,
                                    chunk_activations *activations)
{
    for (size_t b = 0; b < batch; b++) {
        const char *codes = chunk->x + b * chunk->x_stride + chunk->first * LAYOUT_COLUMNS;
        for (size_t k = 0; k < chunk->blocks * LAYOUT_COLUMNS; k += PART_BYTES) {
            const bytes values = bytes_load(codes + k);
            words_store(activations->of[b][0][k / LAYOUT_UNIT], words_even(values));
            words_store(activations->of[b][1][k / LAYOUT_UNIT], words_odd(values));
        }
    }
}

/* Units first to end - 1, of one run, for one part; batch is a constant. */
LANES_INLINE void multiply_run(const chunk_weights *weights, const chunk_activations *activations,
                               size_t first, size_t end, size_t batch,
                               ints products[MANY_BATCH][PARTS])
{
#pragma GCC unroll 8
    for (size_t b = 0; b < batch; b++) {
#pragma GCC unroll 2
        for (size_t part = 0; part < PARTS; part++) {
            products[b][part] = ints_zero();
        }
    }
    for (size_t odd = 0; odd < 2; odd++) {
        for (size_t unit = first; unit < end; unit++) {
            words row[PARTS];
#pragma GCC unroll 2
            for (size_t part = 0; part < PARTS; part++) {
                row[part] = words_load(weights->of[odd][unit][part * LANES]);
            }
#pragma GCC unroll 8
            for (size_t b = 0; b < batch; b++) {
                const words pair = words_broadcast(activations->of[b][odd][unit]);
#pragma GCC unroll 2
                for (size_t part = 0; part < PARTS; part++) {
                    products[b][part] = ints_dot(products[b][part], row[part], pair);
                }
            }
        }
    }
}

/* batch is a constant. */
LANES_INLINE void multiply_chunk(const chunk_weights *weights, const packed_chunk *chunk,
                                 size_t batch, float (*sums)[LAYOUT_ROWS])
{
    const size_t units = chunk->blocks * BLOCK_UNITS;
    chunk_activations activations;
    widen_activations(chunk, batch, &activations);
    for (size_t first = 0; first < units; first += RUN_UNITS) {
        const size_t run = chunk->first / RUN_BLOCKS + first / RUN_UNITS;
        ints products[MANY_BATCH][PARTS];
        multiply_run(weights, &activations, first,
                     first + RUN_UNITS < units ? first + RUN_UNITS : units, batch, products);
#pragma GCC unroll 8
        for (size_t b = 0; b < batch; b++) {
            const char *row = chunk->x + b * chunk->x_stride;
            const lanes scale = lanes_set(activation_scales(row, chunk->columns)[run]);
#pragma GCC unroll 2
            for (size_t part = 0; part < PARTS; part++) {
                float *sum = sums[b] + part * LANES;
                lanes_store(sum, lanes_fma(scale, ints_floats(products[b][part]), lanes_load(sum)));
            }
        }
    }
}
