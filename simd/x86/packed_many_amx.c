/* The kernels of simd/lanes/packed_many.h with AMX tiles. A unit of a panel is a row of a tile, and
 * 64 activations of 16 rows are the other tile: both are read where they lie. Two tiles of rows by
 * two panels go together, so that each tile is loaded once for two products; while the tiles of one
 * run multiply, the sums of the run before it are scaled and added. */
#define KERNEL(slot) slot##_amx
#include "simd/x86/amx_config.h"
#include "simd/x86/words_avx512.h"
#include "simd/lanes/many_chunk.h"

#define MANY_PANELS 2
#define SUMS_WIDTH  (MANY_PANELS * LAYOUT_ROWS)
#define ROW_TILES   2
#define TILE        ((size_t)16) /* rows of a tile */
#define TILE_BYTES  64           /* of one of its rows */

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
} pending_run;

/* sums += scale of the activations * (products * scales of the weights) */
static inline void add_run(const pending_run *pending, const run_products *products,
                           const packed_chunk *chunk, float (*sums)[SUMS_WIDTH])
{
    if (pending->weights == NULL) {
        return;
    }
    const row_block *rows = &pending->rows;
    const lanes left = lanes_load(pending->weights[0].scales);
    const lanes right = lanes_load(pending->weights[1].scales);
    for (size_t tile = 0; tile < rows->tiles; tile++) {
        for (size_t row = rows->skip[tile]; row < TILE && rows->first[tile] + row < rows->end;
             row++) {
            const size_t b = rows->first[tile] + row;
            const char *x = chunk->x + b * chunk->x_stride;
            const lanes factor = lanes_set(activation_scales(x, chunk->columns)[pending->run]);
            const int32_t(*product)[TILE][LAYOUT_ROWS] = products->of[tile];
            const lanes first = ints_floats(_mm512_load_si512(product[0][row]));
            const lanes second = ints_floats(_mm512_load_si512(product[1][row]));
            float *sum = sums[b];
            lanes_store(sum, lanes_fma(factor, lanes_multiply(first, left), lanes_load(sum)));
            sum += LAYOUT_ROWS;
            lanes_store(sum, lanes_fma(factor, lanes_multiply(second, right), lanes_load(sum)));
        }
    }
}

static inline void multiply_rows(const chunk_weights *weights, packed_chunk chunk, size_t batch,
                                 float (*sums)[SUMS_WIDTH])
{
    run_products products[2];
    pending_run pending = {.weights = NULL};
    size_t turn = 0;
    for (size_t b = 0; b < batch; b += ROW_TILES * TILE) {
        const row_block rows = find_rows(b, batch);
        for (size_t run = 0; run * RUN_UNITS < chunk.units; run++, turn ^= 1) {
            const size_t units = chunk_run_units(&chunk, run), place = chunk.first_run + run;
            if (rows.tiles == 2) {
                multiply_run(weights->of[run], &chunk, place, units, &rows, 2);
            } else {
                multiply_run(weights->of[run], &chunk, place, units, &rows, 1);
            }
            add_run(&pending, &products[turn ^ 1], &chunk, sums);
            if (rows.tiles == 2) {
                store_run(&products[turn], 2);
            } else {
                store_run(&products[turn], 1);
            }
            pending = (pending_run){weights->of[run], rows, place};
        }
    }
    add_run(&pending, &products[turn ^ 1], &chunk, sums);
}

#include "simd/lanes/packed_many.h"
