/* matmul_many_bf16 with AMX tiles: see simd/kernels.h.
 *
 * A number of x goes as the sum of three bf16, PARTS, which is all of its 24 bits; weights are bf16
 * and go as they are. Weights of MATMUL_MANY_OUTPUTS outputs by MATMUL_MANY_DEPTH inputs lie in L2
 * as tiles, 16 pairs of inputs by 16 outputs, and 32 rows of x in L1 as tiles of 16 rows by 32
 * inputs. 32 rows by 32 outputs go together: a tile of weights serves the parts of two tiles of x.
 *
 * The sums stay in their tiles over the inputs of a part and go on from y in the next: an output is
 * one chain over the inputs, 32 of them a step, whatever else is computed. The processor takes
 * subnormal numbers as 0. */
#define KERNEL(slot) slot##_amx
#include "simd/x86/amx_config.h"
#include "simd/x86/lanes_avx512.h"
#include "simd/lanes/common.h"

#define TILE       ((size_t)16) /* rows of a tile, and floats in one */
#define INPUTS     (2 * TILE)   /* bf16 in a row of a tile */
#define TILE_BYTES 64           /* of one row */
#define ROW_TILES  (MATMUL_MANY_ROWS / TILE)
#define PARTS      ((size_t)3)
#define PANELS     ((size_t)2)
#define WIDTH      (PANELS * TILE) /* outputs that go together */
#define STEPS_MAX  (MATMUL_MANY_DEPTH / INPUTS)

_Static_assert(ROW_TILES == 2 && MATMUL_MANY_OUTPUTS % WIDTH == 0 &&
                   MATMUL_MANY_DEPTH % INPUTS == 0,
               "tiles are whole");

typedef struct bf16_tile {
    uint16_t of[TILE][INPUTS];
} bf16_tile;

/* What lies in scratch. */
typedef struct many_tiles {
    bf16_tile weights[MATMUL_MANY_OUTPUTS / TILE][STEPS_MAX]; /* rows are pairs of inputs */
    bf16_tile x[ROW_TILES][STEPS_MAX][PARTS];
    float sums[MATMUL_MANY_ROWS][WIDTH];                      /* where y has no whole tiles */
} many_tiles;

_Static_assert(sizeof(many_tiles) <= MATMUL_MANY_SCRATCH, "scratch has room for all tiles");

/* Outputs from `row`, `count` of them at most MATMUL_MANY_OUTPUTS, by inputs from `first` on, in
 * `steps` tiles. */
typedef struct many_part {
    const many_call *call;
    size_t row, count, first, depth, steps;
    bool add;
    many_tiles *tiles;
} many_part;

/* 32 inputs of 16 weights into a tile. The rows behind these are asked for: they are next. */
LANES_INLINE void pack_weights(const char *weight, size_t row_bytes, size_t rows, size_t inputs,
                               bf16_tile *tile)
{
    lanes of[LANES];
#pragma GCC unroll 16
    for (size_t r = 0; r < TILE; r++) {
        const char *row = weight + r * row_bytes;
        const __mmask32 mask = (__mmask32)(((uint64_t)1 << inputs) - 1);
        of[r] = r >= rows ? lanes_set(0)
                          : _mm512_castsi512_ps(inputs == INPUTS
                                                    ? _mm512_loadu_si512(row)
                                                    : _mm512_maskz_loadu_epi16(mask, row));
        __builtin_prefetch((const void *)((uintptr_t)row + TILE * row_bytes), 0, 2);
    }
    lanes_transpose(of);
#pragma GCC unroll 16
    for (size_t i = 0; i < TILE; i++) {
        _mm512_store_ps(tile->of[i], of[i]);
    }
}

static void pack_panels(const many_part *part)
{
    const many_call *call = part->call;
    const size_t row_bytes = call->row_stride * 2;
    const size_t padded = (part->count + WIDTH - 1) / WIDTH * WIDTH;
    const char *weight = (const char *)call->weight + part->row * row_bytes + 2 * part->first;
    for (size_t n = 0; n < padded; n += TILE) {
        const size_t left = n < part->count ? part->count - n : 0;
        bf16_tile *tiles = part->tiles->weights[n / TILE];
        for (size_t step = 0; step < part->steps; step++) {
            const char *from = weight + n * row_bytes + step * TILE_BYTES;
            const size_t inputs = part->depth - step * INPUTS;
            if (left >= TILE && inputs >= INPUTS) {
                pack_weights(from, row_bytes, TILE, INPUTS, &tiles[step]);
            } else {
                pack_weights(from, row_bytes, left, inputs < INPUTS ? inputs : INPUTS,
                             &tiles[step]);
            }
        }
    }
}

/* The first n of INPUTS floats, in two registers. */
LANES_INLINE void load_row(const float *x, size_t n, lanes out[2])
{
    if (n >= INPUTS) {
        out[0] = lanes_load(x);
        out[1] = lanes_load(x + LANES);
    } else {
        out[0] = n >= LANES ? lanes_load(x) : lanes_load_first(x, n);
        out[1] = n > LANES ? lanes_load_first(x + LANES, n - LANES) : lanes_set(0);
    }
}

/* 16 of the 32 bf16 in a register, widened. */
LANES_INLINE lanes widen_half(__m256i half)
{
    return _mm512_castsi512_ps(_mm512_slli_epi32(_mm512_cvtepu16_epi32(half), 16));
}

/* Row `row` of the tiles of all parts: the first is x rounded to bf16, the next what is missing
 * from that, rounded. */
LANES_INLINE void split_row(lanes first, lanes second, bf16_tile parts[PARTS], size_t row)
{
#pragma GCC unroll 3
    for (size_t part = 0; part < PARTS; part++) {
        const __m512i rounded = (__m512i)_mm512_cvtne2ps_pbh(second, first);
        _mm512_store_si512(parts[part].of[row], rounded);
        first = lanes_subtract(first, widen_half(_mm512_castsi512_si256(rounded)));
        second = lanes_subtract(second, widen_half(_mm512_extracti64x4_epi64(rounded, 1)));
    }
}

/* Rows b to b + rows - 1 of x into `tiles` tiles; rows that do not exist become 0. */
static void pack_rows(const many_part *part, size_t b, size_t rows, size_t tiles)
{
    const many_call *call = part->call;
    for (size_t r = 0; r < tiles * TILE; r++) {
        const float *x = call->x + (b + r) * call->x_stride + part->first;
        for (size_t step = 0; step < part->steps; step++) {
            lanes of[2];
            load_row(x + step * INPUTS, r < rows ? part->depth - step * INPUTS : 0, of);
            split_row(of[0], of[1], part->tiles->x[r / TILE][step], r % TILE);
        }
    }
}

/* Tiles 0 to 3: sums of the row tiles by the panels; 4, 5: x; 6, 7: weights. */
LANES_INLINE void load_sums(const float *y, size_t stride, size_t tiles, bool add)
{
    if (!add) {
        _tile_zero(0);
        _tile_zero(1);
        _tile_zero(2);
        _tile_zero(3);
        return;
    }
    _tile_loadd(0, y, stride * sizeof(float));
    _tile_loadd(1, y + TILE, stride * sizeof(float));
    if (tiles == 2) {
        _tile_loadd(2, y + TILE * stride, stride * sizeof(float));
        _tile_loadd(3, y + TILE * stride + TILE, stride * sizeof(float));
    }
}

LANES_INLINE void store_sums(float *y, size_t stride, size_t tiles)
{
    _tile_stored(0, y, stride * sizeof(float));
    _tile_stored(1, y + TILE, stride * sizeof(float));
    if (tiles == 2) {
        _tile_stored(2, y + TILE * stride, stride * sizeof(float));
        _tile_stored(3, y + TILE * stride + TILE, stride * sizeof(float));
    }
}

/* `tiles`, a constant, by two panels: all steps. */
LANES_INLINE void multiply_panels(const many_part *part, size_t n, size_t tiles)
{
    const bf16_tile *left = part->tiles->weights[n / TILE];
    const bf16_tile *right = part->tiles->weights[n / TILE + 1];
    for (size_t step = 0; step < part->steps; step++) {
        _tile_loadd(6, &left[step], TILE_BYTES);
        _tile_loadd(7, &right[step], TILE_BYTES);
#pragma GCC unroll 3
        for (size_t i = 0; i < PARTS; i++) {
            _tile_loadd(4, &part->tiles->x[0][step][i], TILE_BYTES);
            _tile_dpbf16ps(0, 4, 6);
            _tile_dpbf16ps(1, 4, 7);
            if (tiles == 2) {
                _tile_loadd(5, &part->tiles->x[1][step][i], TILE_BYTES);
                _tile_dpbf16ps(2, 5, 6);
                _tile_dpbf16ps(3, 5, 7);
            }
        }
    }
}

/* Copies [rows, columns]; rows are so many floats apart. */
static void copy_block(const float *from, size_t from_stride, float *to, size_t to_stride,
                       size_t rows, size_t columns)
{
    for (size_t r = 0; r < rows; r++) {
        memcpy(to + r * to_stride, from + r * from_stride, columns * sizeof(float));
    }
}

/* Outputs n to n + WIDTH - 1 of the part, for rows from b; `tiles` is a constant. Tiles are read
 * from y and written to it where y has whole ones. */
LANES_INLINE void many_block(const many_part *part, size_t b, size_t rows, size_t n, size_t tiles)
{
    const size_t stride = part->call->y_stride;
    const size_t left = part->count - n, columns = left < WIDTH ? left : WIDTH;
    float *y = part->call->y + b * stride + part->row + n, *sums = part->tiles->sums[0];
    if (rows == tiles * TILE && columns == WIDTH) {
        load_sums(y, stride, tiles, part->add);
        multiply_panels(part, n, tiles);
        store_sums(y, stride, tiles);
        return;
    }
    if (part->add) {
        memset(sums, 0, sizeof(part->tiles->sums));
        copy_block(y, stride, sums, WIDTH, rows, columns);
    }
    load_sums(sums, WIDTH, tiles, part->add);
    multiply_panels(part, n, tiles);
    store_sums(sums, WIDTH, tiles);
    copy_block(sums, WIDTH, y, stride, rows, columns);
}

/* All panels times up to MATMUL_MANY_ROWS rows of x. */
static void many_rows(const many_part *part, size_t b, size_t rows)
{
    const size_t tiles = rows > TILE ? 2 : 1;
    pack_rows(part, b, rows, tiles);
    for (size_t n = 0; n < part->count; n += WIDTH) {
        if (tiles == 2) {
            many_block(part, b, rows, n, 2);
        } else {
            many_block(part, b, rows, n, 1);
        }
    }
}

void KERNEL(matmul_many_bf16)(const many_call *call)
{
    many_part part = {.call = call, .tiles = call->scratch};
    amx_configure(TILE);
    for (; part.row < call->rows; part.row += MATMUL_MANY_OUTPUTS) {
        const size_t rows = call->rows - part.row;
        part.count = rows < MATMUL_MANY_OUTPUTS ? rows : MATMUL_MANY_OUTPUTS;
        part.first = 0;
        part.add = call->add;
        do { /* once if there are no inputs: the sums are 0 then */
            const size_t left = call->k - part.first;
            part.depth = left < MATMUL_MANY_DEPTH ? left : MATMUL_MANY_DEPTH;
            part.steps = (part.depth + INPUTS - 1) / INPUTS;
            pack_panels(&part);
            for (size_t b = 0; b < call->batch; b += MATMUL_MANY_ROWS) {
                const size_t more = call->batch - b;
                many_rows(&part, b, more < MATMUL_MANY_ROWS ? more : MATMUL_MANY_ROWS);
            }
            part.add = true;
            part.first += part.depth;
        } while (part.first < call->k);
    }
    amx_release();
}
