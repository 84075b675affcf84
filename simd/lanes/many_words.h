/* A chunk of weights and activations in 16 bits, for ISAs that multiply those and add pairs
 * (vpmaddwd). The file that includes this has included its ISA's words_<isa>.h, with
 *   words_even(a), words_odd(a)          bytes of a register, widened
 *   words_load, words_store
 *   words_broadcast(p)                   a pair in all places
 *   ints, ints_zero()                    LANES int32
 *   ints_dot(sums, a, b)                 sums += the products of each pair
 *   ints_floats(a)                       rounded to nearest even
 * and defined MANY_BATCH and MANY_PANELS as for many_dots.h. */
#include "simd/lanes/many_chunk.h"

#define SUMS_WIDTH  (MANY_PANELS * LAYOUT_ROWS)
#define CHUNK_UNITS (CHUNK_RUNS * RUN_UNITS)

/* A run of a panel: even inputs, then odd ones. */
typedef struct run_words {
    int16_t of[2][RUN_UNITS][LAYOUT_ROWS][2] __attribute__((aligned(64)));
    float scales[LAYOUT_ROWS];
} run_words;

typedef struct chunk_weights {
    run_words of[CHUNK_RUNS][MANY_PANELS];
} chunk_weights;

typedef struct chunk_activations {
    int16_t of[MANY_BATCH][2][CHUNK_UNITS][2] __attribute__((aligned(64)));
} chunk_activations;

static inline void many_begin(size_t batch)
{
    (void)batch;
}
static inline void many_end(void)
{
}

LANES_INLINE void decode_chunk_run(packed_kind kind, const packed_reader *reader, size_t panel,
                                   size_t first, size_t blocks, size_t run, size_t part,
                                   chunk_weights *weights)
{
    run_words *out = &weights->of[run][part];
    run_weights decoded;
    decode_run(kind, reader, panel, first, blocks, &decoded);
    for (size_t unit = 0; unit < blocks * BLOCK_UNITS; unit++) {
#pragma GCC unroll 2
        for (size_t i = 0; i < PARTS; i++) {
            const bytes values = bytes_load(decoded.values[unit][i * LANES]);
            words_store(out->of[0][unit][i * LANES], words_even(values));
            words_store(out->of[1][unit][i * LANES], words_odd(values));
        }
    }
    memcpy(out->scales, decoded.scales, sizeof(out->scales));
}

LANES_INLINE void widen_activations(const packed_chunk *chunk, size_t batch,
                                    chunk_activations *activations)
{
    for (size_t b = 0; b < batch; b++) {
        const char *codes = chunk->x + b * chunk->x_stride + chunk->first_run * ACTIVATION_GROUP;
        for (size_t k = 0; k < chunk->units * LAYOUT_UNIT; k += PART_BYTES) {
            const bytes values = bytes_load(codes + k);
            words_store(activations->of[b][0][k / LAYOUT_UNIT], words_even(values));
            words_store(activations->of[b][1][k / LAYOUT_UNIT], words_odd(values));
        }
    }
}

typedef struct many_sums {
    ints of[MANY_BATCH][MANY_PANELS][PARTS];
} many_sums;

/* Even or odd inputs of one unit of the run; batch is a constant. */
LANES_INLINE void multiply_unit(const run_words *weights, const chunk_activations *activations,
                                size_t odd, size_t unit, size_t place, size_t batch,
                                many_sums *sums)
{
    words row[MANY_PANELS][PARTS];
#pragma GCC unroll 2
    for (size_t panel = 0; panel < MANY_PANELS; panel++) {
#pragma GCC unroll 2
        for (size_t part = 0; part < PARTS; part++) {
            row[panel][part] = words_load(weights[panel].of[odd][unit][part * LANES]);
        }
    }
#pragma GCC unroll 12
    for (size_t b = 0; b < batch; b++) {
        const words pair = words_broadcast(activations->of[b][odd][place]);
#pragma GCC unroll 2
        for (size_t panel = 0; panel < MANY_PANELS; panel++) {
#pragma GCC unroll 2
            for (size_t part = 0; part < PARTS; part++) {
                ints *sum = &sums->of[b][panel][part];
                *sum = ints_dot(*sum, row[panel][part], pair);
            }
        }
    }
}

/* sums += scale of the activations * (products * scales of the weights) */
LANES_INLINE void add_run(const run_words *weights, const many_sums *products, size_t batch,
                          const packed_chunk *chunk, size_t place, float (*sums)[SUMS_WIDTH])
{
#pragma GCC unroll 12
    for (size_t b = 0; b < batch; b++) {
        const char *row = chunk->x + b * chunk->x_stride;
        const lanes factor = lanes_set(activation_scales(row, chunk->columns)[place]);
#pragma GCC unroll 2
        for (size_t panel = 0; panel < MANY_PANELS; panel++) {
#pragma GCC unroll 2
            for (size_t part = 0; part < PARTS; part++) {
                float *sum = sums[b] + panel * LAYOUT_ROWS + part * LANES;
                const lanes scale = lanes_load(weights[panel].scales + part * LANES);
                const lanes product =
                    lanes_multiply(ints_floats(products->of[b][panel][part]), scale);
                lanes_store(sum, lanes_fma(factor, product, lanes_load(sum)));
            }
        }
    }
}

/* batch is a constant. */
LANES_INLINE void multiply_chunk(const chunk_weights *weights, const packed_chunk *chunk,
                                 size_t batch, float (*sums)[SUMS_WIDTH])
{
    chunk_activations activations;
    widen_activations(chunk, batch, &activations);
    for (size_t run = 0; run * RUN_UNITS < chunk->units; run++) {
        const size_t units = chunk_run_units(chunk, run);
        many_sums products;
#pragma GCC unroll 12
        for (size_t b = 0; b < batch; b++) {
#pragma GCC unroll 2
            for (size_t panel = 0; panel < MANY_PANELS; panel++) {
#pragma GCC unroll 2
                for (size_t part = 0; part < PARTS; part++) {
                    products.of[b][panel][part] = ints_zero();
                }
            }
        }
        for (size_t odd = 0; odd < 2; odd++) {
            for (size_t unit = 0; unit < units; unit++) {
                multiply_unit(weights->of[run], &activations, odd, unit, run * RUN_UNITS + unit,
                              batch, &products);
            }
        }
        add_run(weights->of[run], &products, batch, chunk, chunk->first_run + run, sums);
    }
}

#include "simd/lanes/many_rows.h"
