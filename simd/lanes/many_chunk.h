/* What all ways to multiply many rows share: see simd/lanes/packed_many.h.
 *
 * A run of a panel, ACTIVATION_GROUP inputs of 16 rows, becomes int8 with one scale for each row,
 * so that its products are sums of bytes and need no stop at the groups (matmul_packed_many of
 * simd/kernels.h says how it rounds). The file that includes this has included its ISA's
 * words_<isa>.h, in which words is the even or the odd bytes of a register of bytes, widened:
 *   words_raise_even(a), _odd(a)         inputs 0 and 2, or 1 and 3, of LANES rows of a unit: each
 *                                        byte in the upper half of 16 bits, that is times 256
 *   words_from(lanes)                    LANES whole floats from -2^15 to 2^15 - 1, each twice
 *   words_multiply_high(a, b)            (a b + 2^14) >> 15
 *   words_weave(even, odd)               the lower bytes of both, in the order of the inputs */
#ifndef SIMD_LANES_MANY_CHUNK_H
#define SIMD_LANES_MANY_CHUNK_H

#include "simd/lanes/bytes.h"

#define RUN_BLOCKS (ACTIVATION_GROUP / LAYOUT_COLUMNS)
#define RUN_UNITS  (ACTIVATION_GROUP / LAYOUT_UNIT)

#define CHUNK_RUNS ((size_t)4)

/* Activations that a chunk of weights, up to CHUNK_RUNS runs, is multiplied by. */
typedef struct packed_chunk {
    const char *x; /* rows of activations, from their start */
    size_t x_stride, columns;
    size_t first_run, units; /* of the chunk; only its last run may be cut short */
} packed_chunk;

/* Units of run `run` of the chunk. */
LANES_INLINE size_t chunk_run_units(const packed_chunk *chunk, size_t run)
{
    const size_t left = chunk->units - run * RUN_UNITS;
    return left < RUN_UNITS ? left : RUN_UNITS;
}

/* A run of a panel, as it is multiplied. */
typedef struct run_weights {
    int8_t values[RUN_UNITS][LAYOUT_ROWS][LAYOUT_UNIT] __attribute__((aligned(64)));
    float scales[LAYOUT_ROWS];
} run_weights;

/* Values as they are: their groups are not shorter than a run. */
LANES_INLINE void decode_whole(packed_kind kind, const packed_reader *reader, size_t panel,
                               size_t first, size_t blocks, run_weights *out)
{
#pragma GCC unroll 2
    for (size_t part = 0; part < PARTS; part++) {
        lanes scale = lanes_set(1);
        for (size_t index = 0; index < blocks; index++) {
            const packed_block block = packed_find_block(kind, reader, panel, first + index);
            const bytes constant = packed_constant(kind, reader, &block, part);
            if (block.scales != NULL) {
                scale = lanes_load_int8(block.scales + part * LANES);
            }
#pragma GCC unroll 8
            for (size_t unit = 0; unit < BLOCK_UNITS; unit++) {
                bytes_store(out->values[index * BLOCK_UNITS + unit][part * LANES],
                            packed_values(kind, &block, constant, unit, part));
            }
        }
        lanes_store(out->scales + part * LANES, scale);
    }
}

/* Values of a part as they are; the largest |scale * value| of each row. */
LANES_INLINE lanes decode_values(packed_kind kind, const packed_reader *reader, size_t panel,
                                 size_t first, size_t blocks, size_t part, run_weights *out)
{
    lanes largest = lanes_set(0);
    for (size_t index = 0; index < blocks; index++) {
        const packed_block block = packed_find_block(kind, reader, panel, first + index);
        const bytes constant = packed_constant(kind, reader, &block, part);
        bytes magnitude = bytes_set(0);
#pragma GCC unroll 8
        for (size_t unit = 0; unit < BLOCK_UNITS; unit++) {
            const bytes values = packed_values(kind, &block, constant, unit, part);
            bytes_store(out->values[index * BLOCK_UNITS + unit][part * LANES], values);
            magnitude = bytes_maximum(magnitude, bytes_absolute(values));
        }
        const lanes scale = lanes_absolute(lanes_load_int8(block.scales + part * LANES));
        largest = lanes_maximum(largest, lanes_multiply(scale, lanes_largest_byte(magnitude)));
    }
    return largest;
}

/* One scale for the run: values become round(value * g / 2^7), g being round(scale * i / 2^8). */
LANES_INLINE void rescale_values(packed_kind kind, const packed_reader *reader, size_t panel,
                                 size_t first, size_t blocks, size_t part, lanes inverse,
                                 run_weights *out)
{
    for (size_t index = 0; index < blocks; index++) {
        const packed_block block = packed_find_block(kind, reader, panel, first + index);
        const lanes scale = lanes_load_int8(block.scales + part * LANES);
        const lanes factor = lanes_multiply(lanes_multiply(scale, inverse), lanes_set(0x1p-8f));
        const words factors = words_from(lanes_round(factor));
#pragma GCC unroll 8
        for (size_t unit = 0; unit < BLOCK_UNITS; unit++) {
            void *place = out->values[index * BLOCK_UNITS + unit][part * LANES];
            const bytes values = bytes_load(place);
            bytes_store(place,
                        words_weave(words_multiply_high(words_raise_even(values), factors),
                                    words_multiply_high(words_raise_odd(values), factors)));
        }
    }
}

LANES_INLINE void decode_rescaled(packed_kind kind, const packed_reader *reader, size_t panel,
                                  size_t first, size_t blocks, run_weights *out)
{
#pragma GCC unroll 2
    for (size_t part = 0; part < PARTS; part++) {
        const lanes largest = decode_values(kind, reader, panel, first, blocks, part, out);
        const lanes limit = lanes_set(127.5f);
        const lanes divisor = lanes_maximum(largest, limit); /* below, the quotient is not used */
        const lanes quotient = lanes_round(lanes_divide(lanes_set(126 * 32768.0f), divisor));
        const lanes inverse = lanes_select_less(largest, limit, lanes_set(32767), quotient);
        const lanes scale = lanes_divide(lanes_set(32768), inverse);
        rescale_values(kind, reader, panel, first, blocks, part, inverse, out);
        lanes_store(out->scales + part * LANES,
                    lanes_select_less(largest, limit, lanes_set(1), scale));
    }
}

/* Blocks first to first + blocks - 1 of a panel, the run that begins there; kind is a constant. */
LANES_INLINE void decode_run(packed_kind kind, const packed_reader *reader, size_t panel,
                             size_t first, size_t blocks, run_weights *out)
{
    if (reader->rescale) {
        decode_rescaled(kind, reader, panel, first, blocks, out);
    } else {
        decode_whole(kind, reader, panel, first, blocks, out);
    }
}

#endif
