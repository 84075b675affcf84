/* The kernels of simd/lanes/packed_many.h with AMX tiles. A unit of a panel is a row of a tile, and
 * 64 activations of 16 rows are the other tile: both are read where they lie. Two tiles of rows by
 * two panels go together, so that each tile is loaded once for two products.
 *
 * What tiles store is not forwarded to loads, and a run is short: 8 products of tiles, 128 cycles,
 * about as long as scaling and adding what they give. So the products of two runs, a pair, wait in
 * L1, and are added in eight parts, one behind each product of tiles of the next pair: the first
 * row tile while its first run multiplies, the second while its second does. The sums are loaded
 * and stored once for both runs. */
#define KERNEL(slot) slot##_amx
#include "simd/x86/amx_config.h"
#include "simd/x86/words_avx512.h"
#include "simd/lanes/many_chunk.h"

#define MANY_PANELS 2
#define SUMS_WIDTH  (MANY_PANELS * LAYOUT_ROWS)
#define ROW_TILES   2
#define TILE        ((size_t)16) /* rows of a tile */
#define TILE_BYTES  64           /* of one of its rows */
#define PAIR        ((size_t)2)  /* runs whose products are added together */

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
#define RUN_ROWS (ROW_TILES * MANY_PANELS * TILE)

LANES_INLINE void store_run(run_products *products, size_t tiles)
{
    _tile_stored(0, products->of[0][0], TILE_BYTES);
    _tile_stored(1, products->of[0][1], TILE_BYTES);
    if (tiles == 2) {
        _tile_stored(2, products->of[1][0], TILE_BYTES);
        _tile_stored(3, products->of[1][1], TILE_BYTES);
    }
}

/* ------------------------------------------------------------------- adding what tiles stored */

/* Runs whose products are not in the sums yet. */
typedef struct run_pair {
    const run_weights *weights[PAIR]; /* of each run [MANY_PANELS] */
    row_block rows;
    size_t first_run, runs; /* 0: there are none */
    run_products products[PAIR];
} run_pair;

/* What adds a row tile: scales of the weights of each run, and where the next row is. */
typedef struct tile_adder {
    lanes left[PAIR], right[PAIR];
    const int32_t (*product)[LAYOUT_ROWS]; /* of the first run and panel */
    const char *scales;                    /* of the activations, those of all runs */
    size_t stride;
    float (*sum)[SUMS_WIDTH];
} tile_adder;

/* From row `row` of the tile on. `runs` is a constant, and at most pair->runs. */
LANES_INLINE tile_adder open_adder(const run_pair *pair, const packed_chunk *chunk, size_t tile,
                                   size_t row, size_t runs, float (*sums)[SUMS_WIDTH])
{
    const size_t first = pair->rows.first[tile] + row;
    const char *x = chunk->x + first * chunk->x_stride;
    tile_adder adder = {.product = &pair->products[0].of[tile][0][row],
                        .scales = (const char *)(activation_scales(x, chunk->columns) +
                                                 pair->first_run),
                        .stride = chunk->x_stride, .sum = sums + first};
#pragma GCC unroll 2
    for (size_t run = 0; run < runs; run++) {
        adder.left[run] = lanes_load(pair->weights[run][0].scales);
        adder.right[run] = lanes_load(pair->weights[run][1].scales);
    }
    return adder;
}

/* sum[SUMS_WIDTH] of a row += scale of its activations * (products * scales of the weights), run
 * after run. */
LANES_INLINE void add_row(tile_adder *adder, size_t runs)
{
    const float *scales = (const float *)(const void *)adder->scales;
    float *sum = adder->sum[0];
    lanes left = lanes_load(sum), right = lanes_load(sum + LAYOUT_ROWS);
#pragma GCC unroll 2
    for (size_t run = 0; run < runs; run++) {
        const int32_t(*product)[LAYOUT_ROWS] = adder->product + run * RUN_ROWS;
        const lanes factor = lanes_set(scales[run]);
        const lanes first = ints_floats(_mm512_load_si512(product[0]));
        const lanes second = ints_floats(_mm512_load_si512(product[TILE]));
        left = lanes_fma(factor, lanes_multiply(first, adder->left[run]), left);
        right = lanes_fma(factor, lanes_multiply(second, adder->right[run]), right);
    }
    lanes_store(sum, left);
    lanes_store(sum + LAYOUT_ROWS, right);
    adder->product++;
    adder->scales += adder->stride;
    adder->sum++;
}

/* Rows of a tile that are not in the sums already. */
LANES_INLINE void add_rows(const run_pair *pair, const packed_chunk *chunk, size_t tile,
                           size_t runs, float (*sums)[SUMS_WIDTH])
{
    const size_t rest = pair->rows.end - pair->rows.first[tile];
    tile_adder adder = open_adder(pair, chunk, tile, pair->rows.skip[tile], runs, sums);
    for (size_t row = pair->rows.skip[tile]; row < (rest < TILE ? rest : TILE); row++) {
        add_row(&adder, runs);
    }
}

/* A tile, if the pair has it. */
static inline void add_tile(const run_pair *pair, const packed_chunk *chunk, size_t tile,
                            float (*sums)[SUMS_WIDTH])
{
    if (pair->runs == 0 || tile >= pair->rows.tiles) {
        return;
    }
    if (pair->runs == PAIR) {
        add_rows(pair, chunk, tile, PAIR, sums);
    } else {
        add_rows(pair, chunk, tile, 1, sums);
    }
}

/* ------------------------------------------------------------------------------------- products */

/* Where a run begins: its weights, and its activations of both row tiles. */
typedef struct run_place {
    const run_weights *weights; /* [MANY_PANELS] */
    const char *first, *second;
    size_t x_stride;
} run_place;

LANES_INLINE run_place find_run(const run_weights *weights, const packed_chunk *chunk, size_t run,
                                const row_block *rows)
{
    const char *codes = chunk->x + run * ACTIVATION_GROUP;
    return (run_place){weights, codes + rows->first[0] * chunk->x_stride,
                       codes + rows->first[rows->tiles - 1] * chunk->x_stride, chunk->x_stride};
}

/* Multiplies the units of one run; `tiles` is a constant. Half a step at the end of the activations
 * reads what lies behind the codes, and multiplies it by 0. */
LANES_INLINE void multiply_run(const run_place *place, size_t units, size_t tiles)
{
    _tile_zero(0);
    _tile_zero(1);
    if (tiles == 2) {
        _tile_zero(2);
        _tile_zero(3);
    }
    for (size_t unit = 0; unit < units; unit += TILE) {
        _tile_loadd(6, place->weights[0].values[unit], TILE_BYTES);
        _tile_loadd(4, place->first + unit * LAYOUT_UNIT, place->x_stride);
        _tile_dpbssd(0, 4, 6);
        _tile_loadd(7, place->weights[1].values[unit], TILE_BYTES);
        _tile_dpbssd(1, 4, 7);
        if (tiles == 2) {
            _tile_loadd(5, place->second + unit * LAYOUT_UNIT, place->x_stride);
            _tile_dpbssd(2, 5, 6);
            _tile_dpbssd(3, 5, 7);
        }
    }
}

/* Rows of a tile that are added behind a product of tiles, of which a run has as many as parts. */
#define PART_ROWS ((size_t)2)
_Static_assert(TILE / PART_ROWS == ROW_TILES * MANY_PANELS * RUN_UNITS / TILE, "a part a product");

/* The compiler leaves a part where it is. */
LANES_INLINE void add_part(tile_adder *adder)
{
    __asm__ volatile("" : : : "memory");
#pragma GCC unroll 2
    for (size_t row = 0; row < PART_ROWS; row++) {
        add_row(adder, PAIR);
    }
    __asm__ volatile("" : : : "memory");
}

/* multiply_run of a whole run by two tiles, while a whole tile of a pair is added. */
static inline void multiply_adding(const run_place *place, tile_adder *adder)
{
    _tile_zero(0);
    _tile_zero(1);
    _tile_zero(2);
    _tile_zero(3);
#pragma GCC unroll 2
    for (size_t step = 0; step < RUN_UNITS / TILE; step++) {
        const size_t unit = step * TILE;
        _tile_loadd(6, place->weights[0].values[unit], TILE_BYTES);
        _tile_loadd(4, place->first + unit * LAYOUT_UNIT, place->x_stride);
        _tile_dpbssd(0, 4, 6);
        add_part(adder);
        _tile_loadd(7, place->weights[1].values[unit], TILE_BYTES);
        _tile_dpbssd(1, 4, 7);
        add_part(adder);
        _tile_loadd(5, place->second + unit * LAYOUT_UNIT, place->x_stride);
        _tile_dpbssd(2, 5, 6);
        add_part(adder);
        _tile_dpbssd(3, 5, 7);
        add_part(adder);
    }
}

/* Run `i` of a pair by the rows of a block, and tile `i` of the pair before into the sums. */
static inline void run_of_pair(const run_place *place, size_t units, const row_block *rows,
                               const packed_chunk *chunk, const run_pair *before, size_t i,
                               float (*sums)[SUMS_WIDTH])
{
    if (rows->tiles == 1) {
        multiply_run(place, units, 1);
    } else if (units == RUN_UNITS && before->runs == PAIR && before->rows.tiles == 2 &&
               before->rows.skip[i] == 0) {
        tile_adder adder = open_adder(before, chunk, i, 0, PAIR, sums);
        multiply_adding(place, &adder);
        return;
    } else {
        multiply_run(place, units, 2);
    }
    add_tile(before, chunk, i, sums);
}

/* The next pair, from run `run` of the chunk on, by the rows of a block; the pair before goes into
 * the sums. */
static inline void multiply_pair(const chunk_weights *weights, const packed_chunk *chunk,
                                 size_t run, const row_block *rows, run_pair *now,
                                 const run_pair *before, float (*sums)[SUMS_WIDTH])
{
    now->rows = *rows;
    now->first_run = chunk->first_run + run;
    now->runs = 0;
    for (size_t i = 0; i < PAIR; i++, run++) {
        if (run * RUN_UNITS >= chunk->units) {
            add_tile(before, chunk, i, sums);
            continue;
        }
        const run_place place = find_run(weights->of[run], chunk, chunk->first_run + run, rows);
        run_of_pair(&place, chunk_run_units(chunk, run), rows, chunk, before, i, sums);
        if (rows->tiles == 2) {
            store_run(&now->products[i], 2);
        } else {
            store_run(&now->products[i], 1);
        }
        now->weights[i] = weights->of[run];
        now->runs++;
    }
}

static inline void multiply_rows(const chunk_weights *weights, packed_chunk chunk, size_t batch,
                                 float (*sums)[SUMS_WIDTH])
{
    run_pair ring[2];
    size_t turn = 0;
    ring[1].runs = 0;
    for (size_t b = 0; b < batch; b += ROW_TILES * TILE) {
        const row_block rows = find_rows(b, batch);
        for (size_t run = 0; run * RUN_UNITS < chunk.units; run += PAIR) {
            multiply_pair(weights, &chunk, run, &rows, &ring[turn], &ring[1 - turn], sums);
            turn = 1 - turn;
        }
    }
    for (size_t tile = 0; tile < ROW_TILES; tile++) {
        add_tile(&ring[1 - turn], &chunk, tile, sums);
    }
}

#include "simd/lanes/packed_many.h"
