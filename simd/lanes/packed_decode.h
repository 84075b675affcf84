/* packed_decode_rows: see simd/kernels.h. */
#include "simd/lanes/bytes.h"

/* Values of one block: first as the panel has them, then row by row. */
typedef struct decoded_block {
    int8_t units[BLOCK_UNITS][LAYOUT_ROWS][LAYOUT_UNIT];
    int8_t rows[LAYOUT_ROWS][LAYOUT_COLUMNS];
} decoded_block;

/* Rows first to end - 1 of a panel. */
LANES_INLINE void decode_block(packed_kind kind, const packed_reader *reader,
                               const packed_block *block, size_t first, size_t end,
                               decoded_block *decoded)
{
    for (size_t part = first / LANES; part * LANES < end; part++) {
        const bytes constant = packed_constant(kind, reader, block, part);
#pragma GCC unroll 8
        for (size_t unit = 0; unit < BLOCK_UNITS; unit++) {
            bytes_store(decoded->units[unit][part * LANES],
                        packed_values(kind, block, constant, unit, part));
        }
    }
    for (size_t row = first; row < end; row++) {
#pragma GCC unroll 8
        for (size_t unit = 0; unit < BLOCK_UNITS; unit++) {
            memcpy(decoded->rows[row] + unit * LAYOUT_UNIT, decoded->units[unit][row], LAYOUT_UNIT);
        }
    }
}

/* out[count] = row_scale * (scale * value), the product in brackets being exact. */
LANES_INLINE void scale_block(const int8_t *values, float scale, float row_scale, size_t count,
                              float *out)
{
#pragma GCC unroll 4
    for (size_t k = 0; k < LAYOUT_COLUMNS; k += LANES) {
        const lanes number = lanes_multiply(lanes_load_int8(values + k), lanes_set(scale));
        const lanes unsigned_zero = lanes_add(number, lanes_set(0)); /* -0 + 0 is 0 */
        const lanes weight = lanes_multiply(unsigned_zero, lanes_set(row_scale));
        if (k + LANES <= count) {
            lanes_store(out + k, weight);
        } else if (k < count) {
            lanes_store_first(out + k, weight, count - k);
        }
    }
}

/* Rows first to end - 1 of a panel; out is the place of the first. */
LANES_INLINE void decode_panel(packed_kind kind, const packed_reader *reader, size_t panel,
                               size_t first, size_t end, size_t columns, float *out, size_t stride)
{
    const uint8_t *row_scales = reader->row_scales + panel * LAYOUT_ROWS * sizeof(float);
    decoded_block decoded;
    for (size_t index = 0; index < reader->blocks; index++) {
        const packed_block block = packed_find_block(kind, reader, panel, index);
        const size_t k = index * LAYOUT_COLUMNS;
        const size_t count = columns - k < LAYOUT_COLUMNS ? columns - k : LAYOUT_COLUMNS;
        decode_block(kind, reader, &block, first, end, &decoded);
        for (size_t row = first; row < end; row++) {
            const float scale = block.scales == NULL ? 1 : (float)(int8_t)block.scales[row];
            float row_scale;
            memcpy(&row_scale, row_scales + row * sizeof(row_scale), sizeof(row_scale));
            scale_block(decoded.rows[row], scale, row_scale, count,
                        out + (row - first) * stride + k);
        }
    }
}

LANES_INLINE void decode_rows(packed_kind kind, const packed_reader *reader, size_t first_row,
                              size_t rows, size_t columns, float *out, size_t stride)
{
    for (size_t done = 0; done < rows;) {
        const size_t row = first_row + done, first = row % LAYOUT_ROWS;
        const size_t left = rows - done + first;
        const size_t end = left < LAYOUT_ROWS ? left : LAYOUT_ROWS;
        decode_panel(kind, reader, row / LAYOUT_ROWS, first, end, columns, out + done * stride,
                     stride);
        done += end - first;
    }
}

void KERNEL(packed_decode_rows)(const packed_matrix *matrix, size_t first_row, size_t rows,
                                float *out, size_t stride)
{
    packed_reader reader;
    if (!packed_open(&reader, matrix)) {
        return;
    }
    switch (reader.kind) {
    case PACKED_INT8:
        decode_rows(PACKED_INT8, &reader, first_row, rows, matrix->columns, out, stride);
        break;
    case PACKED_INT6:
        decode_rows(PACKED_INT6, &reader, first_row, rows, matrix->columns, out, stride);
        break;
    case PACKED_TABLE:
        decode_rows(PACKED_TABLE, &reader, first_row, rows, matrix->columns, out, stride);
        break;
    case PACKED_ZEROS:
        decode_rows(PACKED_ZEROS, &reader, first_row, rows, matrix->columns, out, stride);
        break;
    }
}
