/* The kernels of simd/lanes/packed_many.h with AMX tiles. A unit of a panel is a row of a tile, and
 * 64 activations of 16 rows are the other tile: both are read where they lie. Two tiles of rows by
 * two panels go together, so that each tile is loaded once for two products; while the tiles of one
 * run multiply, the products of the run LAG before it are scaled and added: what a tile stores is
 * not forwarded to loads, so that those of a run just stored would wait for the cache. */
#define KERNEL(slot) slot##_amx
#include "simd/x86/amx_config.h"
#include "simd/x86/words_avx512.h"
#include "simd/lanes/many_chunk.h"

#define MANY_PANELS 2
#define SUMS_WIDTH  (MANY_PANELS * LAYOUT_ROWS)
#define ROW_TILES   2
#define TILE        ((size_t)16) /* rows of a tile */
#define TILE_BYTES  64           /* of one of its rows */
#define LAG         2            /* runs between storing products and adding them */

typedef struct chunk_weights {
    run_weights of[CHUNK_RUNS][MANY_PANELS];
} chunk_weights;

/* Tiles 0 to 3: sums of the row tiles by the panels; 4, 5: activations; 6, 7: weights. With fewer
 * rows of activations than a tile has, tiles are that small. */
static inline void many_begin(size_t batch)
{
    amx_configure((unsigned)(batch == 0 ? 1 : batch < TILE ? batch : TILE));
}
static inline void many_end(void)
{
    amx_release();
}

LANES_INLINE void decode_chunk_run(packed_kind kind, const packed_reader *reader, size_t panel,
                                   size_t first, size_t blocks, size_t run, size_t part,
                                   chunk_weights *weights)
{
    run_weights *out = &weights->of[run][part];
    const size_t units = blocks * BLOCK_UNITS;
    decode_run(kind, reader, panel, first, blocks, out);
    if (units % TILE != 0) { /* half a tile: the other half multiplies by 0 */
        memset(out->values[units], 0, (TILE - units % TILE) * UNIT_BYTES);
    }
}

/* Rows of activations that go through the tiles together. The last tile reaches back to rows that
 * are done already, whose sums are not added again. */
typedef struct row_block {
    size_t tiles;
    size_t first[ROW_TILES], skip[ROW_TILES], end; /* rows first + skip to first + TILE or end */
} row_block;

static inline row_block find_rows(size_t b, size_t batch)
{
    row_block rows = {.tiles = batch - b > TILE ? 2 : 1, .end = batch};
    for (size_t tile = 0; tile < rows.tiles; tile++) {
        const size_t wanted = b + tile * TILE;
        const size_t last = batch < TILE ? 0 : batch - TILE;
        rows.first[tile] = wanted < last ? wanted : last;
        rows.skip[tile] = wanted - rows.first[tile];
    }
    return rows;
}

typedef struct run_products {
    int32_t of[ROW_TILES][MANY_PANELS][TILE][LAYOUT_ROWS] __attribute__((aligned(64)));
} run_products;

/* Multiplies the units of one run; `tiles` is a constant. Half a step at the end of the activations
 * reads what lies behind the codes, and multiplies it by 0. */
LANES_INLINE void multiply_run(const run_weights *weights, const packed_chunk *chunk, size_t run,
                               size_t units, const row_block *rows, size_t tiles)
{
    const char *codes = chunk->x + run * ACTIVATION_GROUP;
    const char *first = codes + rows->first[0] * chunk->x_stride;
    const char *second = codes + rows->first[tiles - 1] * chunk->x_stride;
    _tile_zero(0);
    _tile_zero(1);
    if (tiles == 2) {
        _tile_zero(2);
        _tile_zero(3);
    }
    for (size_t unit = 0; unit < units; unit += TILE) {
        _tile_loadd(6, weights[0].values[unit], TILE_BYTES);
        _tile_loadd(4, first + unit * LAYOUT_UNIT, chunk->x_stride);
        _tile_dpbssd(0, 4, 6);
        _tile_loadd(7, weights[1].values[unit], TILE_BYTES);
        _tile_dpbssd(1, 4, 7);
        if (tiles == 2) {
            _tile_loadd(5, second + unit * LAYOUT_UNIT, chunk->x_stride);
            _tile_dpbssd(2, 5, 6);
            _tile_dpbssd(3, 5, 7);
        }
    }
}

LANES_INLINE void store_run(run_products *products, size_t tiles)
{
    _tile_stored(0, products->of[0][0], TILE_BYTES);
    _tile_stored(1, products->of[0][1], TILE_BYTES);
    if (tiles == 2) {
        _tile_stored(2, products->of[1][0], TILE_BYTES);
        _tile_stored(3, products->of[1][1], TILE_BYTES);
    }
}

/* A run whose products are in memory and not in the sums yet. */
typedef struct pending_run {
    const run_weights *weights; /* [MANY_PANELS]; NULL: there is none */
    row_block rows;
    size_t run;
    run_products products;
} pending_run;

/* sum[SUMS_WIDTH] += factor * (products * scales of the weights) of a row */
LANES_INLINE void add_row(const int32_t *left_product, const int32_t *right_product, lanes left,
                          lanes right, lanes factor, float *sum)
{
    const lanes first = ints_floats(_mm512_load_si512(left_product));
    const lanes second = ints_floats(_mm512_load_si512(right_product));
    lanes_store(sum, lanes_fma(factor, lanes_multiply(first, left), lanes_load(sum)));
    sum += LAYOUT_ROWS;
    lanes_store(sum, lanes_fma(factor, lanes_multiply(second, right), lanes_load(sum)));
}

/* Rows `from` to `end` of a tile, most often all of them, as constants. */
LANES_INLINE void add_tile(const pending_run *pending, const packed_chunk *chunk, size_t tile,
                           size_t from, size_t end, float (*sums)[SUMS_WIDTH])
{
    const size_t first = pending->rows.first[tile];
    const lanes left = lanes_load(pending->weights[0].scales);
    const lanes right = lanes_load(pending->weights[1].scales);
    const int32_t(*product)[TILE][LAYOUT_ROWS] = pending->products.of[tile];
    const char *x = chunk->x + first * chunk->x_stride;
    const float *scale = activation_scales(x, chunk->columns) + pending->run;
    const size_t stride = chunk->x_stride / sizeof(float);
#pragma GCC unroll 4
    for (size_t row = from; row < end; row++) {
        add_row(product[0][row], product[1][row], left, right, lanes_set(scale[row * stride]),
                sums[first + row]);
    }
}

static inline void add_run(pending_run *pending, const packed_chunk *chunk,
                           float (*sums)[SUMS_WIDTH])
{
    for (size_t tile = 0; pending->weights != NULL && tile < pending->rows.tiles; tile++) {
        const size_t rest = pending->rows.end - pending->rows.first[tile];
        const size_t from = pending->rows.skip[tile], end = rest < TILE ? rest : TILE;
        if (from == 0 && end == TILE) {
            add_tile(pending, chunk, tile, 0, TILE, sums);
        } else {
            add_tile(pending, chunk, tile, from, end, sums);
        }
    }
    pending->weights = NULL;
}

static inline void multiply_rows(const chunk_weights *weights, packed_chunk chunk, size_t batch,
                                 float (*sums)[SUMS_WIDTH])
{
    pending_run ring[LAG + 1];
    size_t turn = 0;
    for (size_t i = 0; i <= LAG; i++) {
        ring[i].weights = NULL;
    }
    for (size_t b = 0; b < batch; b += ROW_TILES * TILE) {
        const row_block rows = find_rows(b, batch);
        for (size_t run = 0; run * RUN_UNITS < chunk.units; run++) {
            const size_t units = chunk_run_units(&chunk, run);
            pending_run *now = &ring[turn];
            turn = turn == LAG ? 0 : turn + 1; /* where the oldest is */
            now->weights = weights->of[run];
            now->rows = rows;
            now->run = chunk.first_run + run;
            if (rows.tiles == 2) {
                multiply_run(weights->of[run], &chunk, now->run, units, &rows, 2);
                store_run(&now->products, 2);
            } else {
                multiply_run(weights->of[run], &chunk, now->run, units, &rows, 1);
                store_run(&now->products, 1);
            }
            add_run(&ring[turn], &chunk, sums);
        }
    }
    for (size_t i = 0; i < LAG; i++) {
        turn = turn == LAG ? 0 : turn + 1;
        add_run(&ring[turn], &chunk, sums);
    }
}

#include "simd/lanes/packed_many.h"
