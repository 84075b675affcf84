/* Many rows of activations times packed weights: see simd/kernels.h. The file that includes this
 * has included its ISA's way to multiply, simd/lanes/many_words.h or many_dots.h, which defines
 *   chunk_weights            a panel's weights of CHUNK_BLOCKS blocks, decoded
 *   decode_chunk(kind, reader, panel, first block, blocks, &weights)
 *   multiply_chunk(&weights, &chunk, batch, sums)
 *                            adds the products of `batch` rows to sums[batch][16]
 *   MANY_BATCH, MANY_REMAINDERS   the rows that the registers hold, and all smaller numbers
 *   many_begin(), many_end()      around the work of a call
 *
 * A panel is decoded chunk by chunk into the nearest caches, once for a tile of activation rows.
 * The chain of multiply-adds of an output is that of simd/lanes/packed.h: so are its bits. */
#include "simd/lanes/many_chunk.h"

#define TILE_ROWS ((size_t)96)

typedef struct tile_sums {
    float of[TILE_ROWS][LAYOUT_ROWS];
} tile_sums;

LANES_INLINE void multiply_rows(const chunk_weights *weights, packed_chunk chunk, size_t batch,
                                tile_sums *sums)
{
    const char *x = chunk.x;
    for (size_t b = 0; b < batch; b += MANY_BATCH) {
        chunk.x = x + b * chunk.x_stride;
        switch (batch - b) {
#define MANY_ROWS(count)                                                                           \
    case count:                                                                                    \
        multiply_chunk(weights, &chunk, count, sums->of + b);                                      \
        break;
            MANY_REMAINDERS(MANY_ROWS)
#undef MANY_ROWS
        default:
            multiply_chunk(weights, &chunk, MANY_BATCH, sums->of + b);
            break;
        }
    }
}

/* A panel times up to TILE_ROWS rows from x; kind is a constant. */
LANES_INLINE void multiply_tile(packed_kind kind, const packed_reader *reader, size_t panel,
                                packed_chunk chunk, size_t batch, tile_sums *sums)
{
    chunk_weights weights;
    memset(sums, 0, batch * sizeof(sums->of[0]));
    for (size_t first = 0; first < reader->blocks; first += CHUNK_BLOCKS) {
        const size_t left = reader->blocks - first;
        chunk.first = first;
        chunk.blocks = left < CHUNK_BLOCKS ? left : CHUNK_BLOCKS;
        decode_chunk(kind, reader, panel, first, chunk.blocks, &weights);
        multiply_rows(&weights, chunk, batch, sums);
    }
}

static void tile(const packed_reader *reader, size_t panel, packed_chunk chunk, size_t batch,
                 tile_sums *sums)
{
    switch (reader->kind) {
    case PACKED_INT8:
        multiply_tile(PACKED_INT8, reader, panel, chunk, batch, sums);
        break;
    case PACKED_INT6:
        multiply_tile(PACKED_INT6, reader, panel, chunk, batch, sums);
        break;
    case PACKED_TABLE:
        multiply_tile(PACKED_TABLE, reader, panel, chunk, batch, sums);
        break;
    case PACKED_ZEROS:
        multiply_tile(PACKED_ZEROS, reader, panel, chunk, batch, sums);
        break;
    }
}

/* `count` outputs of each row. */
static void finish_tile(const packed_reader *reader, size_t panel, size_t batch, size_t count,
                        const tile_sums *sums, float *y, size_t y_stride)
{
    float row_scales[LAYOUT_ROWS]; /* lie at any byte */
    memcpy(row_scales, reader->row_scales + panel * sizeof(row_scales), sizeof(row_scales));
    for (size_t b = 0; b < batch; b++) {
        for (size_t part = 0; part * LANES < count; part++) {
            const size_t first = part * LANES;
            const lanes result =
                lanes_multiply(lanes_load(row_scales + first), lanes_load(sums->of[b] + first));
            if (count >= first + LANES) {
                lanes_store(y + b * y_stride + first, result);
            } else {
                lanes_store_first(y + b * y_stride + first, result, count - first);
            }
        }
    }
}

void KERNEL(matmul_packed_many)(const packed_matrix *matrix, size_t first_row, size_t rows,
                                const void *x, size_t x_stride, size_t batch, float *y,
                                size_t y_stride)
{
    packed_reader reader;
    tile_sums sums;
    if (!packed_open(&reader, matrix)) {
        return;
    }
    many_begin();
    for (size_t row = 0; row < rows; row += LAYOUT_ROWS) {
        const size_t panel = (first_row + row) / LAYOUT_ROWS;
        const size_t count = rows - row < LAYOUT_ROWS ? rows - row : LAYOUT_ROWS;
        for (size_t b = 0; b < batch; b += TILE_ROWS) {
            const size_t tile_batch = batch - b < TILE_ROWS ? batch - b : TILE_ROWS;
            const packed_chunk chunk = {.x = (const char *)x + b * x_stride,
                                        .x_stride = x_stride,
                                        .columns = matrix->columns};
            tile(&reader, panel, chunk, tile_batch, &sums);
            finish_tile(&reader, panel, tile_batch, count, &sums, y + b * y_stride + row,
                        y_stride);
        }
    }
    many_end();
}
