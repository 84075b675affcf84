/* A chunk of weights in 8 bits, for ISAs that multiply those and add four. The file that includes
 * this has included its ISA's words_<isa>.h and dot_<isa>.h, whose vocabulary simd/lanes/packed.h
 * describes, and
 *   dot_block_floats(sums)       the products since dot_begin, rounded to nearest even
 *   dot_keep(values)             weights as they wait for their products; whether that changes them
 *                                is DOT_KEEPS
 *   dot_kept(bytes)              such weights, in the form that dot_add wants
 *   dot_starts(sums, starts)     what the sums of CHUNK_RUNS runs begin with, in every fourth
 *                                place; sums are those of the blocks of activations
 *   dot_begin_run(start)         sums of a run that begin so
 * and defined MANY_BATCH, the rows of activations, and MANY_PANELS, the panels of weights, whose
 * sums the registers hold. */
#include "simd/lanes/many_chunk.h"

#define SUMS_WIDTH (MANY_PANELS * LAYOUT_ROWS)

typedef struct chunk_weights {
    run_weights of[CHUNK_RUNS][MANY_PANELS];
} chunk_weights;

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
    run_weights *decoded = &weights->of[run][part];
    decode_run(kind, reader, panel, first, blocks, decoded);
    for (size_t unit = 0; DOT_KEEPS && unit < blocks * BLOCK_UNITS; unit++) {
#pragma GCC unroll 2
        for (size_t half = 0; half < PARTS; half++) {
            int8_t *values = decoded->values[unit][half * LANES];
            bytes_store(values, dot_keep(bytes_load(values)));
        }
    }
}

/* What the sums of a row of activations begin with in each run of a chunk. */
typedef struct row_starts {
    int32_t of[CHUNK_RUNS][RUN_BLOCKS];
} row_starts;

LANES_INLINE void find_starts(const packed_chunk *chunk, const char *row, row_starts *starts)
{
    const int32_t *sums = activation_sums(row, chunk->columns) + chunk->first_run * RUN_BLOCKS;
    if (chunk->units == CHUNK_RUNS * RUN_UNITS) {
        dot_starts(sums, starts->of[0]);
    } else {
        int32_t all[CHUNK_RUNS * RUN_BLOCKS] = {0}; /* behind them are no sums */
        memcpy(all, sums, chunk->units / BLOCK_UNITS * sizeof(*sums));
        dot_starts(all, starts->of[0]);
    }
}

typedef struct many_sums {
    dot_sums of[MANY_BATCH][MANY_PANELS][PARTS];
} many_sums;

/* One unit; batch is a constant. */
LANES_INLINE void multiply_unit(const run_weights *weights, size_t unit, const char *x,
                                size_t x_stride, size_t batch, many_sums *sums)
{
    dot_weight row[MANY_PANELS][PARTS];
#pragma GCC unroll 2
    for (size_t panel = 0; panel < MANY_PANELS; panel++) {
#pragma GCC unroll 2
        for (size_t part = 0; part < PARTS; part++) {
            row[panel][part] =
                dot_kept(bytes_load(weights[panel].values[unit][part * LANES]));
        }
    }
#pragma GCC unroll 12
    for (size_t b = 0; b < batch; b++) {
        const bytes codes = bytes_broadcast(x + b * x_stride + unit * LAYOUT_UNIT);
#pragma GCC unroll 2
        for (size_t panel = 0; panel < MANY_PANELS; panel++) {
#pragma GCC unroll 2
            for (size_t part = 0; part < PARTS; part++) {
                dot_sums *sum = &sums->of[b][panel][part];
                *sum = dot_add(*sum, row[panel][part], codes, dot_scale_one());
            }
        }
    }
}

/* sums += scale of the activations * (products * scales of the weights) */
LANES_INLINE void add_run(const run_weights *weights, const many_sums *products, size_t batch,
                          const float *scales, float (*sums)[SUMS_WIDTH])
{
#pragma GCC unroll 2
    for (size_t panel = 0; panel < MANY_PANELS; panel++) {
#pragma GCC unroll 2
        for (size_t part = 0; part < PARTS; part++) {
            const lanes scale = lanes_load(weights[panel].scales + part * LANES);
#pragma GCC unroll 12
            for (size_t b = 0; b < batch; b++) {
                float *sum = sums[b] + panel * LAYOUT_ROWS + part * LANES;
                const lanes product = dot_block_floats(products->of[b][panel][part]);
                lanes_store(sum, lanes_fma(lanes_set(scales[b]), lanes_multiply(product, scale),
                                           lanes_load(sum)));
            }
        }
    }
}

/* batch is a constant. */
LANES_INLINE void multiply_chunk(const chunk_weights *weights, const packed_chunk *chunk,
                                 size_t batch, float (*sums)[SUMS_WIDTH])
{
    row_starts starts[MANY_BATCH];
    for (size_t b = 0; b < batch; b++) {
        find_starts(chunk, chunk->x + b * chunk->x_stride, &starts[b]);
    }
    for (size_t run = 0; run * RUN_UNITS < chunk->units; run++) {
        const size_t units = chunk_run_units(chunk, run), place = chunk->first_run + run;
        const char *x = chunk->x + place * ACTIVATION_GROUP;
        many_sums products;
        float scales[MANY_BATCH];
#pragma GCC unroll 12
        for (size_t b = 0; b < batch; b++) {
            scales[b] = activation_scales(chunk->x + b * chunk->x_stride, chunk->columns)[place];
#pragma GCC unroll 2
            for (size_t panel = 0; panel < MANY_PANELS; panel++) {
#pragma GCC unroll 2
                for (size_t part = 0; part < PARTS; part++) {
                    products.of[b][panel][part] = dot_begin_run(starts[b].of[run]);
                }
            }
        }
        for (size_t unit = 0; unit < units; unit++) {
            multiply_unit(weights->of[run], unit, x, chunk->x_stride, batch, &products);
        }
        add_run(weights->of[run], &products, batch, scales, sums);
    }
}

#include "simd/lanes/many_rows.h"
