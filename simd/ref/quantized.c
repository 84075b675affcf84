/* Packed weights: decoding, and the product with activations in int8. */
#include "simd/ref/quantized.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#define SMALLEST_ACTIVATION 0x1p-100f /* below it 127 / m might overflow */

/* A matrix with what its layout and shape say. */
typedef struct packed_reader {
    const packed_matrix *matrix;
    const layout_info *layout;
    layout_sizes sizes;
} packed_reader;

static bool reader_open(packed_reader *reader, const packed_matrix *matrix)
{
    reader->matrix = matrix;
    reader->layout = layout_find((uint32_t)matrix->layout);
    return layout_measure((uint32_t)matrix->layout, matrix->rows, matrix->columns, &reader->sizes);
}

/* Two's complement of `bits` bits. */
static int sign_extend(unsigned code, int bits)
{
    int half = 1 << (bits - 1);
    return (int)(code ^ (unsigned)half) - half;
}

/* The bits of one code. `place` as of layout_place; a unit has 64 codes, and the planes hold 8 /
 * bits units in 64 bytes. */
static unsigned read_bits(const uint8_t *plane, int bits, size_t place)
{
    size_t shared = 8 / (size_t)bits, unit = place / 64;
    unsigned byte = plane[unit / shared * 64 + place % 64];
    return byte >> (unit % shared * (size_t)bits) & ((1u << bits) - 1u);
}

static size_t group_of(const packed_reader *reader, size_t column)
{
    return reader->layout->group == 0 ? 0 : column / reader->layout->group;
}

static int read_zero(const packed_reader *reader, size_t row, size_t column)
{
    size_t place = layout_zero_place(reader->sizes.groups, row, group_of(reader, column));
    unsigned byte = reader->matrix->plane[LAYOUT_ZEROS][place];
    return (int)(row % LAYOUT_ROWS < LAYOUT_ROWS / 2 ? byte & 15u : byte >> 4);
}

static int read_value(const packed_reader *reader, size_t row, size_t column)
{
    const uint8_t *const *plane = reader->matrix->plane;
    size_t place = layout_place(reader->sizes.columns, row, column);
    if (reader->layout->bits == 8) {
        return sign_extend(plane[LAYOUT_CODES][place], 8);
    }
    unsigned code = read_bits(plane[LAYOUT_CODES], 4, place);
    if (reader->layout->bits == 6) {
        return sign_extend(code | read_bits(plane[LAYOUT_HIGH], 2, place) << 4, 6);
    }
    if (reader->layout->codebook) {
        return sign_extend(plane[LAYOUT_TABLE][code], 8);
    }
    if (reader->layout->zeros) {
        return (int)code - read_zero(reader, row, column);
    }
    return sign_extend(code, 4);
}

static int read_scale(const packed_reader *reader, size_t row, size_t column)
{
    if (reader->layout->group == 0) {
        return 1;
    }
    size_t place = layout_scale_place(reader->sizes.groups, row, group_of(reader, column));
    return sign_extend(reader->matrix->plane[LAYOUT_SCALES][place], 8);
}

static float read_row_scale(const packed_reader *reader, size_t row)
{
    float scale;
    memcpy(&scale, reader->matrix->plane[LAYOUT_ROW_SCALES] + row * sizeof(scale), sizeof(scale));
    return scale;
}

void packed_decode_rows_ref(const packed_matrix *matrix, size_t first_row, size_t rows, float *out,
                            size_t stride)
{
    packed_reader reader;
    if (!reader_open(&reader, matrix)) {
        return;
    }
    for (size_t r = 0; r < rows; r++) {
        float row_scale = read_row_scale(&reader, first_row + r);
        for (size_t k = 0; k < matrix->columns; k++) {
            int number =
                read_scale(&reader, first_row + r, k) * read_value(&reader, first_row + r, k);
            out[r * stride + k] = row_scale * (float)number;
        }
    }
}

void packed_decode_panel_ref(const packed_matrix *matrix, size_t panel, int8_t *values)
{
    packed_reader reader;
    if (!reader_open(&reader, matrix)) {
        return;
    }
    for (size_t r = 0; r < LAYOUT_ROWS; r++) {
        for (size_t k = 0; k < reader.sizes.columns; k++) {
            values[layout_place(reader.sizes.columns, r, k)] =
                (int8_t)read_value(&reader, panel * LAYOUT_ROWS + r, k);
        }
    }
}

static float quantize_group(const float *x, size_t count, int8_t *codes)
{
    float largest = 0;
    bool finite = true;
    for (size_t i = 0; i < count; i++) {
        finite = finite && isfinite(x[i]);
        largest = fabsf(x[i]) > largest ? fabsf(x[i]) : largest;
    }
    memset(codes, 0, count);
    if (!finite) {
        return NAN;
    }
    if (largest < SMALLEST_ACTIVATION) {
        return 0;
    }
    float inverse = 127.0f / largest;
    for (size_t i = 0; i < count; i++) {
        codes[i] = (int8_t)rintf(x[i] * inverse);
    }
    return largest / 127.0f;
}

void quantize_activations_ref(const float *x, size_t columns, void *row)
{
    int8_t *codes = row;
    int32_t *sums = (int32_t *)(void *)(codes + activation_padded(columns));
    float *scales = (float *)(void *)(sums + activation_padded(columns) / LAYOUT_COLUMNS);
    for (size_t first = 0; first < columns; first += ACTIVATION_GROUP) {
        size_t count = columns - first < ACTIVATION_GROUP ? columns - first : ACTIVATION_GROUP;
        scales[first / ACTIVATION_GROUP] = quantize_group(x + first, count, codes + first);
    }
    memset(codes + columns, 0, activation_padded(columns) - columns);
    for (size_t first = 0; first < columns; first += LAYOUT_COLUMNS) {
        int32_t sum = 0;
        for (size_t k = first; k < first + LAYOUT_COLUMNS; k++) {
            sum += codes[k];
        }
        sums[first / LAYOUT_COLUMNS] = sum;
    }
}

static size_t smaller(size_t a, size_t b)
{
    return a < b ? a : b;
}

/* The weights of a row that meet one run of activations, as a product takes them. */
typedef struct run_weights {
    int32_t values[ACTIVATION_GROUP], scales[ACTIVATION_GROUP]; /* [count] */
    size_t count; /* padding included, whose activations are 0 */
    float scale;
} run_weights;

static void read_run(const packed_reader *reader, size_t row, size_t first, run_weights *run)
{
    run->count = smaller(ACTIVATION_GROUP, reader->sizes.columns - first);
    for (size_t i = 0; i < run->count; i++) {
        run->values[i] = read_value(reader, row, first + i);
        run->scales[i] = read_scale(reader, row, first + i);
    }
    run->scale = 1;
}

/* Groups shorter than a run: the same in 8 bits, with one scale. */
static void rescale_run(run_weights *run)
{
    int32_t largest = 0;
    for (size_t i = 0; i < run->count; i++) {
        int32_t magnitude = abs(run->values[i] * run->scales[i]);
        largest = magnitude > largest ? magnitude : largest;
    }
    float inverse = largest > 127 ? rintf(126 * 32768.0f / (float)largest) : 32767;
    for (size_t i = 0; i < run->count; i++) {
        float product = (float)run->values[i] * rintf((float)run->scales[i] * inverse / 256);
        run->values[i] = (int32_t)floorf(product / 128 + 0.5f);
        run->scales[i] = 1;
    }
    run->scale = largest > 127 ? 32768 / inverse : 1;
}

static float row_product(const packed_reader *reader, bool rescale, size_t row, const void *x)
{
    size_t columns = reader->matrix->columns;
    const int8_t *codes = activation_codes(x);
    const float *scales = activation_scales(x, columns);
    float sum = 0;
    for (size_t first = 0; first < columns; first += ACTIVATION_GROUP) {
        int32_t products = 0;
        run_weights run;
        read_run(reader, row, first, &run);
        if (rescale) {
            rescale_run(&run);
        }
        for (size_t i = 0; i < run.count; i++) {
            products += run.scales[i] * run.values[i] * codes[first + i];
        }
        sum = fmaf(scales[first / ACTIVATION_GROUP], (float)products * run.scale, sum);
    }
    return read_row_scale(reader, row) * sum;
}

static void multiply(const packed_matrix *matrix, bool many, size_t first_row, size_t rows,
                     const void *x, size_t x_stride, size_t batch, float *y, size_t y_stride)
{
    packed_reader reader;
    if (!reader_open(&reader, matrix)) {
        return;
    }
    bool rescale = many && reader.layout->group != 0 && reader.layout->group < ACTIVATION_GROUP;
    for (size_t b = 0; b < batch; b++) {
        for (size_t n = 0; n < rows; n++) {
            y[b * y_stride + n] =
                row_product(&reader, rescale, first_row + n, (const char *)x + b * x_stride);
        }
    }
}

void matmul_packed_ref(const packed_matrix *matrix, size_t first_row, size_t rows, const void *x,
                       size_t x_stride, size_t batch, float *y, size_t y_stride)
{
    multiply(matrix, false, first_row, rows, x, x_stride, batch, y, y_stride);
}

void matmul_packed_many_ref(const packed_matrix *matrix, size_t first_row, size_t rows,
                            const void *x, size_t x_stride, size_t batch, float *y,
                            size_t y_stride)
{
    multiply(matrix, true, first_row, rows, x, x_stride, batch, y, y_stride);
}
