/* Attention of many queries with AMX tiles: scores^T = K Q^T and sums^T += V^T P^T, queries in the
 * lanes as in simd/lanes/attention_block.h. A float goes as two bf16, hi + lo, and of the four
 * products of parts the tiles sum three, lo hi + hi hi + hi lo, in float: see the tolerance in
 * kernels.h. If the state is rounded, hi is all, and what stands in the places of lo does not
 * matter. Few queries are bound by memory and have the code of AVX-512. */
#define KERNEL(slot) slot##_amx
#include "simd/x86/amx_config.h"
#include "simd/x86/lanes_avx512.h"
#include "simd/x86/split_avx512bf16.h"
#include "simd/lanes/attention_block.h"

#define TILE         ((size_t)16) /* rows of a tile, and its dwords in a row */
#define TILE_NUMBERS ((size_t)32) /* bf16 in a row */
#define TILE_BYTES   64           /* of a row */
/* Tiles of keys and values that are made at a time, for GROUPS groups of queries. */
#define SLICE  ((size_t)24)
#define GROUPS ((size_t)16)

#define KEY_TILES   (ATTENTION_KEYS / TILE)         /* a block of keys has so many rows of tiles */
#define VALUE_TILES (ATTENTION_KEYS / TILE_NUMBERS) /* values have so many columns */

/* A left operand [16, 32]. */
typedef struct split_tile {
    __m512i hi[16], lo[16];
} split_tile;

/* Right operands, of queries in the lanes: row i has numbers 2 i and 2 i + 1 of a chain, of each
 * query one after the other. hi[0], lo[0] are the first 16 queries of a group. */
typedef struct split_pair_row {
    char hi[2][TILE_BYTES], lo[2][TILE_BYTES];
} split_pair_row;

/* Either the scores [ATTENTION_KEYS, ATTENTION_GROUP] of a group, or their powers, split: row i of
 * these has the place of rows 2 i and 2 i + 1. */
typedef union group_scores {
    float of[ATTENTION_KEYS][ATTENTION_GROUP];
    split_pair_row pairs[ATTENTION_KEYS / 2];
} group_scores;

typedef struct step_scratch {
    split_tile tiles[SLICE];
    group_scores scores[GROUPS];
} step_scratch;

LANES_INLINE size_t at_most(size_t count, size_t limit)
{
    return count < limit ? count : limit;
}
LANES_INLINE size_t tiles_of(size_t count, size_t tile)
{
    return (count + tile - 1) / tile;
}

/* ------------------------------------------------------------------------------- left operands */

/* A matrix, keys or values, whose tiles become left operands; one of the steps is 1. */
typedef struct split_source {
    const float *data;
    size_t row_step, column_step, rows, columns;
    bool rounded;
} split_source;

LANES_INLINE lanes load_some(const float *p, size_t n)
{
    return n == 0 ? lanes_set(0) : lanes_load_first(p, at_most(n, LANES));
}

/* Columns next to each other: n of each row. `rounded` is a constant, as it is below. */
LANES_INLINE void split_rows(const float *data, size_t row_step, size_t rows, size_t n,
                             bool rounded, split_tile *to)
{
    const size_t more = n > LANES ? n - LANES : 0;
    for (size_t r = 0; r < rows; r++, data += row_step) {
        const split_numbers row = split_row(load_some(data, n),
                                            load_some(data + (more > 0 ? LANES : 0), more));
        to->hi[r] = row.hi;
        if (!rounded) {
            to->lo[r] = row.lo;
        }
    }
    for (size_t r = rows; r < TILE; r++) {
        to->hi[r] = to->lo[r] = _mm512_setzero_si512();
    }
}

/* Rows next to each other. */
LANES_INLINE void split_columns(const float *data, size_t column_step, size_t rows, size_t n,
                                bool rounded, split_tile *to)
{
    for (size_t j = 0; j < TILE; j++) {
        const float *first = data + at_most(2 * j, n) * column_step;
        const split_numbers pairs =
            split_pairs(load_some(first, 2 * j < n ? rows : 0),
                        load_some(first + (2 * j + 1 < n ? column_step : 0),
                                  2 * j + 1 < n ? rows : 0));
        to->hi[j] = pairs.hi;
        if (!rounded) {
            to->lo[j] = pairs.lo;
        }
    }
    split_transpose(to->hi);
    if (!rounded) {
        split_transpose(to->lo);
    }
}

/* The tile that begins at a row and a column; zeros stand beyond the matrix. */
LANES_INLINE void split_part(const split_source *m, size_t row, size_t column, bool rounded,
                             split_tile *to)
{
    const float *data = m->data + row * m->row_step + column * m->column_step;
    const size_t rows = at_most(m->rows - row, TILE);
    const size_t columns = at_most(m->columns - column, TILE_NUMBERS);
    if (m->column_step == 1) {
        split_rows(data, m->row_step, rows, columns, rounded, to);
    } else {
        split_columns(data, m->column_step, rows, columns, rounded, to);
    }
}

static void split_at(const split_source *m, size_t row, size_t column, split_tile *to)
{
    if (m->rounded) {
        split_part(m, row, column, true, to);
    } else {
        split_part(m, row, column, false, to);
    }
}

/* ------------------------------------------------------------------------------- right operands */

LANES_INLINE split_pair_row *group_pairs(const attention_view *view, size_t first)
{
    return (split_pair_row *)(void *)group_queries(view, first);
}

/* 32 numbers from k on of up to 16 queries, which begin at `first`. */
static void take_tile(const attention_view *view, const attention_queries *from, size_t first,
                      size_t k)
{
    const size_t queries = at_most(view->queries - first, TILE), n = view->depth - k;
    const size_t half = first / TILE % 2;
    const lanes scale = lanes_set(from->scale);
    split_tile tile;
    memset(&tile, 0, sizeof(tile));
    for (size_t i = 0; i < queries; i++) {
        const float *q = attention_query(from, first + i) + k;
        const size_t more = n > LANES ? n - LANES : 0;
        const split_numbers row =
            split_row(lanes_multiply(load_some(q, n), scale),
                      lanes_multiply(load_some(q + (more > 0 ? LANES : 0), more), scale));
        tile.hi[i] = row.hi;
        tile.lo[i] = row.lo;
    }
    split_transpose(tile.hi);
    split_transpose(tile.lo);
    split_pair_row *to = group_pairs(view, first / ATTENTION_GROUP * ATTENTION_GROUP) + k / 2;
    for (size_t i = 0; i < TILE; i++) {
        _mm512_storeu_si512(to[i].hi[half], tile.hi[i]);
        _mm512_storeu_si512(to[i].lo[half], tile.lo[i]);
    }
}

static void groups_take(const attention_view *view, const attention_queries *from)
{
    for (size_t first = 0; first < view->queries; first += TILE) {
        for (size_t k = 0; k < view->depth; k += TILE_NUMBERS) {
            take_tile(view, from, first, k);
        }
    }
}

/* Powers of `seen` positions in place of themselves; 0 up to the end of the last tile. */
LANES_INLINE void split_scores(group_scores *scores, size_t seen, bool rounded)
{
    for (size_t i = 0; i < tiles_of(seen, TILE_NUMBERS) * TILE; i++) {
        split_numbers half[2];
        for (size_t j = 0; j < 2; j++) {
            const lanes none = lanes_set(0);
            half[j] = split_pairs(2 * i < seen ? lanes_load(&scores->of[2 * i][j * LANES]) : none,
                                  2 * i + 1 < seen ? lanes_load(&scores->of[2 * i + 1][j * LANES])
                                                   : none);
        }
        for (size_t j = 0; j < 2; j++) {
            _mm512_storeu_si512(scores->pairs[i].hi[j], half[j].hi);
            if (!rounded) {
                _mm512_storeu_si512(scores->pairs[i].lo[j], half[j].lo);
            }
        }
    }
}

static void split_powers(group_scores *scores, size_t seen, bool rounded)
{
    if (rounded) {
        split_scores(scores, seen, true);
    } else {
        split_scores(scores, seen, false);
    }
}

/* ------------------------------------------------------------------------------------ products */

/* c [16 or 32, 16 or 32], rows of ATTENTION_GROUP floats, += a b, or = a b. The second row of tiles
 * of a begins a_step tiles behind the first. */
typedef struct tile_product {
    const split_tile *a;
    size_t a_step;
    const split_pair_row *b;
    size_t tiles; /* of the chain */
    float *c;
    bool add, rounded;
} tile_product;

#define C_BYTES (ATTENTION_GROUP * sizeof(float))
#define B_BYTES sizeof(split_pair_row)

/* Tiles 0 to 3 are c; 4, 5 the rows of a; 6, 7 the columns of b. */
LANES_INLINE void load_sums(const tile_product *p, bool two_rows, bool two_columns)
{
    _tile_zero(0);
    _tile_zero(1);
    _tile_zero(2);
    _tile_zero(3);
    if (p->add) {
        _tile_loadd(0, p->c, C_BYTES);
        if (two_columns) {
            _tile_loadd(1, p->c + TILE, C_BYTES);
        }
        if (two_rows) {
            _tile_loadd(2, p->c + TILE * ATTENTION_GROUP, C_BYTES);
        }
        if (two_rows && two_columns) {
            _tile_loadd(3, p->c + TILE * ATTENTION_GROUP + TILE, C_BYTES);
        }
    }
}
LANES_INLINE void store_sums(const tile_product *p, bool two_rows, bool two_columns)
{
    _tile_stored(0, p->c, C_BYTES);
    if (two_columns) {
        _tile_stored(1, p->c + TILE, C_BYTES);
    }
    if (two_rows) {
        _tile_stored(2, p->c + TILE * ATTENTION_GROUP, C_BYTES);
    }
    if (two_rows && two_columns) {
        _tile_stored(3, p->c + TILE * ATTENTION_GROUP + TILE, C_BYTES);
    }
}
LANES_INLINE void multiply_tiles(bool two_rows, bool two_columns)
{
    _tile_dpbf16ps(0, 4, 6);
    if (two_columns) {
        _tile_dpbf16ps(1, 4, 7);
    }
    if (two_rows) {
        _tile_dpbf16ps(2, 5, 6);
    }
    if (two_rows && two_columns) {
        _tile_dpbf16ps(3, 5, 7);
    }
}
LANES_INLINE void load_rows(const __m512i *first, const __m512i *second, bool two_rows)
{
    _tile_loadd(4, first, TILE_BYTES);
    if (two_rows) {
        _tile_loadd(5, second, TILE_BYTES);
    }
}
LANES_INLINE void load_columns(const char (*first)[TILE_BYTES], bool two_columns)
{
    _tile_loadd(6, first[0], B_BYTES);
    if (two_columns) {
        _tile_loadd(7, first[1], B_BYTES);
    }
}

/* All three are constants: 8 loads for 12 products, or 4 for 4. */
LANES_INLINE void multiply_split(const tile_product *p, bool two_rows, bool two_columns,
                                 bool rounded)
{
    load_sums(p, two_rows, two_columns);
    for (size_t i = 0; i < p->tiles; i++) {
        const split_tile *first = p->a + i, *second = first + (two_rows ? p->a_step : 0);
        const split_pair_row *b = p->b + i * TILE;
        load_columns(b->hi, two_columns);
        if (!rounded) {
            load_rows(first->lo, second->lo, two_rows);
            multiply_tiles(two_rows, two_columns);
        }
        load_rows(first->hi, second->hi, two_rows);
        multiply_tiles(two_rows, two_columns);
        if (!rounded) {
            load_columns(b->lo, two_columns);
            multiply_tiles(two_rows, two_columns);
        }
    }
    store_sums(p, two_rows, two_columns);
}

LANES_INLINE void multiply(const tile_product *p, bool two_rows, bool two_columns)
{
    if (p->rounded) {
        multiply_split(p, two_rows, two_columns, true);
    } else {
        multiply_split(p, two_rows, two_columns, false);
    }
}

/* `rows` rows of tiles. */
static void multiply_rows(tile_product p, size_t rows, bool two_columns)
{
    for (size_t row = 0; row < rows; row += 2) {
        if (row + 1 < rows) {
            if (two_columns) {
                multiply(&p, true, true);
            } else {
                multiply(&p, true, false);
            }
        } else if (two_columns) {
            multiply(&p, false, true);
        } else {
            multiply(&p, false, false);
        }
        p.a += 2 * p.a_step;
        p.c += 2 * TILE * ATTENTION_GROUP;
    }
}

/* ----------------------------------------------------------------------------------- one block */

/* Groups of queries that share the tiles made of a block; `seen` by the last of them. */
typedef struct step_batch {
    const attention_view *view;
    const attention_step_call *call;
    size_t first, groups, seen;
} step_batch;

LANES_INLINE size_t batch_group(const step_batch *batch, size_t group)
{
    return batch->first + group * ATTENTION_GROUP;
}

/* Scores of all groups, a slice of the depth at a time. */
static void score_batch(const step_batch *batch, step_scratch *scratch)
{
    const attention_tile *keys = batch->call->keys;
    const split_source source = {keys->data, keys->position_stride, keys->depth_stride,
                                 batch->call->positions, batch->view->depth,
                                 batch->view->rounded};
    const size_t all = tiles_of(source.columns, TILE_NUMBERS);
    for (size_t start = 0; start < all; start += SLICE / KEY_TILES) {
        const size_t tiles = at_most(all - start, SLICE / KEY_TILES);
        for (size_t row = 0; row < tiles_of(batch->seen, TILE); row++) {
            for (size_t i = 0; i < tiles; i++) {
                split_at(&source, row * TILE, (start + i) * TILE_NUMBERS,
                         &scratch->tiles[row * tiles + i]);
            }
        }
        for (size_t group = 0; group < batch->groups; group++) {
            const size_t first = batch_group(batch, group);
            multiply_rows((tile_product){scratch->tiles, tiles,
                                         group_pairs(batch->view, first) + start * TILE, tiles,
                                         scratch->scores[group].of[0], start > 0,
                                         batch->view->rounded},
                          tiles_of(group_seen(batch->view, batch->call, first), TILE),
                          group_lanes(batch->view, first) > LANES);
        }
    }
}

/* The sums of a group from row `row` on += `tiles` rows of tiles times the powers. What a last tile
 * has beyond the sums goes through a copy. */
static void add_values(const step_batch *batch, const step_scratch *scratch, size_t group,
                       size_t row, size_t tiles)
{
    const size_t first = batch_group(batch, group);
    const size_t seen = group_seen(batch->view, batch->call, first);
    const size_t rows = at_most(batch->view->value_depth - row, tiles * TILE), whole = rows / TILE;
    const bool two_columns = group_lanes(batch->view, first) > LANES;
    float *sums = group_sums(batch->view, first) + row * ATTENTION_GROUP;
    tile_product p = {scratch->tiles, VALUE_TILES, scratch->scores[group].pairs,
                      tiles_of(seen, TILE_NUMBERS), sums, true, batch->view->rounded};
    multiply_rows(p, whole, two_columns);
    if (whole * TILE < rows) {
        float copy[TILE * ATTENTION_GROUP] = {0};
        const size_t bytes = (rows - whole * TILE) * C_BYTES;
        sums += whole * TILE * ATTENTION_GROUP;
        memcpy(copy, sums, bytes);
        p.a += whole * p.a_step;
        p.c = copy;
        multiply_rows(p, 1, two_columns);
        memcpy(sums, copy, bytes);
    }
}

static void value_batch(const step_batch *batch, step_scratch *scratch)
{
    const attention_tile *values = batch->call->values;
    const split_source source = {values->data, values->depth_stride, values->position_stride,
                                 batch->view->value_depth, batch->call->positions,
                                 batch->view->rounded};
    const size_t all = tiles_of(source.rows, TILE);
    for (size_t start = 0; start < all; start += SLICE / VALUE_TILES) {
        const size_t tiles = at_most(all - start, SLICE / VALUE_TILES);
        for (size_t row = 0; row < tiles; row++) {
            for (size_t i = 0; i < tiles_of(batch->seen, TILE_NUMBERS); i++) {
                split_at(&source, (start + row) * TILE, i * TILE_NUMBERS,
                         &scratch->tiles[row * VALUE_TILES + i]);
            }
        }
        for (size_t group = 0; group < batch->groups; group++) {
            if (group_seen(batch->view, batch->call, batch_group(batch, group)) > 0) {
                add_values(batch, scratch, group, start * TILE, tiles);
            }
        }
    }
}

static void batch_step(const step_batch *batch, step_scratch *scratch)
{
    score_batch(batch, scratch);
    for (size_t group = 0; group < batch->groups; group++) {
        const size_t first = batch_group(batch, group);
        const size_t seen = group_seen(batch->view, batch->call, first);
        if (seen > 0) {
            group_powers(batch->view, batch->call, first, seen, scratch->scores[group].of[0]);
            split_powers(&scratch->scores[group], seen, batch->view->rounded);
        }
    }
    value_batch(batch, scratch);
}

static void groups_step(const attention_view *view, const attention_step_call *call)
{
    step_scratch scratch;
    amx_configure(TILE);
    for (size_t first = 0; first < view->queries; first += GROUPS * ATTENTION_GROUP) {
        const size_t groups = at_most(tiles_of(view->queries - first, ATTENTION_GROUP), GROUPS);
        const step_batch batch = {
            view, call, first, groups,
            group_seen(view, call, first + (groups - 1) * ATTENTION_GROUP)};
        if (batch.seen > 0) {
            batch_step(&batch, &scratch);
        }
    }
    amx_release();
}
