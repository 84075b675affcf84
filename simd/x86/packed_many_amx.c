/* The kernels of simd/lanes/packed_many.h with AMX tiles. A unit of a panel is a row of a tile, and
 * 64 activations of 16 rows are the other tile. scale * value, 16 bits, goes as two weights of 8
 * bits, 256 * high + low: so a run needs no stop at its groups. */
#define KERNEL(slot) slot##_amx
#include "simd/x86/words_avx512.h"
#include "simd/lanes/many_chunk.h"

#define TILE_UNITS   16 /* rows of a tile of weights */
#define TILE_COLUMNS (TILE_UNITS * LAYOUT_UNIT)
#define TILE_BLOCKS  (TILE_COLUMNS / LAYOUT_COLUMNS)

#define MANY_BATCH         16
#define MANY_REMAINDERS(X) X(1) X(2) X(3) X(4) X(5) X(6) X(7) X(8) X(9) X(10) X(11) X(12) X(13) \
    X(14) X(15)

#define CHUNK_BLOCKS (4 * RUN_BLOCKS)
#define CHUNK_UNITS  (CHUNK_BLOCKS * BLOCK_UNITS)
#define CHUNK_CODES  (CHUNK_BLOCKS * LAYOUT_COLUMNS)

typedef struct chunk_weights {
    int8_t high[CHUNK_UNITS][UNIT_BYTES] __attribute__((aligned(64)));
    int8_t low[CHUNK_UNITS][UNIT_BYTES] __attribute__((aligned(64)));
} chunk_weights;

/* Tiles: sums of high and low, activations, weights high and low; all 16 rows of 64 bytes (Intel
 * SDM volume 1, "Intel AMX": palette 1). */
typedef struct tile_config {
    uint8_t palette, start_row, reserved[14];
    uint16_t row_bytes[16];
    uint8_t rows[16];
} tile_config;

static inline void many_begin(void)
{
    tile_config config = {.palette = 1};
    for (int tile = 0; tile < 5; tile++) {
        config.row_bytes[tile] = 64;
        config.rows[tile] = 16;
    }
    _tile_loadconfig(&config);
}
static inline void many_end(void)
{
    _tile_release();
}

/* Bytes of the words of even and of odd inputs, in the order of the inputs. */
static inline bytes weave(words even, words odd)
{
    return _mm512_or_si512(_mm512_and_si512(even, _mm512_set1_epi16(255)),
                           _mm512_slli_epi16(odd, 8));
}

/* The upper byte of a word whose lower one counts as signed. */
static inline words upper(words a)
{
    return _mm512_srai_epi16(_mm512_add_epi16(a, _mm512_set1_epi16(128)), 8);
}

LANES_INLINE void decode_chunk(packed_kind kind, const packed_reader *reader, size_t panel,
                               size_t first, size_t blocks, chunk_weights *weights)
{
    for (size_t index = 0; index < blocks; index++) {
        const packed_block block = packed_find_block(kind, reader, panel, first + index);
        const bytes constant = packed_constant(kind, reader, &block, 0);
        const words scale = block.scales == NULL ? words_scale_one() : words_scale(block.scales);
#pragma GCC unroll 8
        for (size_t unit = 0; unit < BLOCK_UNITS; unit++) {
            const bytes values = packed_values(kind, &block, constant, unit, 0);
            const words even = words_multiply(words_even(values), scale);
            const words odd = words_multiply(words_odd(values), scale);
            const size_t place = index * BLOCK_UNITS + unit;
            bytes_store(weights->high[place], weave(upper(even), upper(odd)));
            bytes_store(weights->low[place], weave(even, odd));
        }
    }
    if (blocks % TILE_BLOCKS != 0) { /* half a tile: the other half multiplies by 0 */
        const size_t unit = blocks * BLOCK_UNITS;
        memset(weights->high[unit], 0, BLOCK_UNITS * UNIT_BYTES);
        memset(weights->low[unit], 0, BLOCK_UNITS * UNIT_BYTES);
    }
}

/* 16 rows of activations; `codes` holds them if there are fewer in memory. */
static inline const char *find_codes(const packed_chunk *chunk, size_t batch, char *codes,
                                     size_t *stride)
{
    const char *x = chunk->x + chunk->first * LAYOUT_COLUMNS;
    *stride = chunk->x_stride;
    if (batch == MANY_BATCH) {
        return x; /* half a tile at the end reads the sums behind the codes, and multiplies by 0 */
    }
    memset(codes, 0, MANY_BATCH * CHUNK_CODES);
    for (size_t b = 0; b < batch; b++) {
        memcpy(codes + b * CHUNK_CODES, x + b * chunk->x_stride, chunk->blocks * LAYOUT_COLUMNS);
    }
    *stride = CHUNK_CODES;
    return codes;
}

/* Units first to end - 1 of one run: products[16 rows of activations][16] */
static inline void multiply_run(const chunk_weights *weights, const char *codes, size_t stride,
                                size_t first, size_t end, int32_t (*high)[LAYOUT_ROWS],
                                int32_t (*low)[LAYOUT_ROWS])
{
    _tile_zero(0);
    _tile_zero(1);
    for (size_t unit = first; unit < end; unit += TILE_UNITS) {
        _tile_loadd(2, codes + unit * LAYOUT_UNIT, stride);
        _tile_loadd(3, weights->high[unit], UNIT_BYTES);
        _tile_loadd(4, weights->low[unit], UNIT_BYTES);
        _tile_dpbssd(0, 2, 3);
        _tile_dpbssd(1, 2, 4);
    }
    _tile_stored(0, high, sizeof(*high));
    _tile_stored(1, low, sizeof(*low));
}

static inline void multiply_chunk(const chunk_weights *weights, const packed_chunk *chunk,
                                  size_t batch, float (*sums)[LAYOUT_ROWS])
{
    const size_t units = chunk->blocks * BLOCK_UNITS, run_units = RUN_BLOCKS * BLOCK_UNITS;
    char copy[MANY_BATCH * CHUNK_CODES];
    int32_t high[MANY_BATCH][LAYOUT_ROWS], low[MANY_BATCH][LAYOUT_ROWS];
    size_t stride;
    const char *codes = find_codes(chunk, batch, copy, &stride);
    for (size_t first = 0; first < units; first += run_units) {
        const size_t run = chunk->first / RUN_BLOCKS + first / run_units;
        multiply_run(weights, codes, stride, first,
                     first + run_units < units ? first + run_units : units, high, low);
        for (size_t b = 0; b < batch; b++) {
            const char *row = chunk->x + b * chunk->x_stride;
            const ints product = _mm512_add_epi32(
                _mm512_slli_epi32(_mm512_loadu_si512(high[b]), 8), _mm512_loadu_si512(low[b]));
            const lanes scale = lanes_set(activation_scales(row, chunk->columns)[run]);
            lanes_store(sums[b], lanes_fma(scale, ints_floats(product), lanes_load(sums[b])));
        }
    }
}

#include "simd/lanes/packed_many.h"
