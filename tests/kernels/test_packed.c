/* simd: packed weights and activations in int8. Every kernel gives the bits of the reference, which
 * tests/unit/test_quantize_product.c compares with products in double. */
#include "tests/kernels/harness.h"
#include "simd/ref/quantized.h"

#include <float.h>
#include <math.h>
#include <string.h>

#define BATCH_MAX   35
#define BATCH_TILES 1030 /* more rows than a kernel keeps sums of */
#define ROWS_MAX    40
#define COLUMNS_MAX 2080

static const int layouts[] = {1, 2, 3, 4, 5, 6, 7, 8};
#define LAYOUT_TOTAL (sizeof(layouts) / sizeof(layouts[0]))

/* What codes and scales are made of. */
typedef enum contents {
    CONTENTS_RANDOM, /* within their ranges */
    CONTENTS_LOWEST, /* every number the smallest that its range has */
    CONTENTS_HIGHEST,
    CONTENTS_DAMAGED, /* any byte at all */
    CONTENTS_TOTAL
} contents;

typedef struct fixture {
    guarded plane[LAYOUT_PLANES], x, y, decoded;
    packed_matrix matrix;
    layout_sizes sizes;
} fixture;

static uint8_t random_byte(void)
{
    return (uint8_t)random_uniform(0, 256);
}

/* A number from -limit to limit as contents has it. */
static int8_t signed_number(contents contents, int limit)
{
    switch (contents) {
    case CONTENTS_LOWEST:
        return (int8_t)-limit;
    case CONTENTS_HIGHEST:
        return (int8_t)limit;
    case CONTENTS_DAMAGED:
        return (int8_t)random_byte();
    default:
        return (int8_t)floor(random_uniform(-limit, limit + 1));
    }
}

static void fill_plane(fixture *f, int plane, contents contents)
{
    uint8_t *bytes = f->plane[plane].data;
    size_t size = f->sizes.plane[plane];
    int bits = layout_find((uint32_t)f->matrix.layout)->bits;
    for (size_t i = 0; i < size && plane != LAYOUT_ROW_SCALES; i++) {
        bool number = plane == LAYOUT_SCALES || plane == LAYOUT_TABLE || bits == 8;
        /* packed codes: the sign bit of each, or all the others; zeros: 0 or 15 */
        uint8_t low = plane == LAYOUT_HIGH ? 0xaa : plane == LAYOUT_CODES && bits == 4 ? 0x88 : 0;
        bytes[i] = number                        ? (uint8_t)signed_number(contents, 127)
                   : contents == CONTENTS_LOWEST  ? low
                   : contents == CONTENTS_HIGHEST ? (uint8_t)~low
                                                  : random_byte();
    }
    for (size_t i = 0; plane == LAYOUT_ROW_SCALES && i < size / sizeof(float); i++) {
        float scale = (float)random_uniform(0, 1e-3);
        memcpy(bytes + i * sizeof(float), &scale, sizeof(scale));
    }
}

/* Planes at any byte, each before a page that faults. */
static void make_matrix(fixture *f, int layout, size_t rows, size_t columns, contents contents,
                        size_t slack)
{
    check_true(layout_measure((uint32_t)layout, rows, columns, &f->sizes), "layout %d", layout);
    f->matrix = (packed_matrix){.layout = (layout_id)layout, .rows = rows, .columns = columns};
    for (int i = 0; i < LAYOUT_PLANES; i++) {
        f->matrix.plane[i] = guarded_place(&f->plane[i], f->sizes.plane[i], slack);
        fill_plane(f, i, contents);
    }
}

static void check_planes(const fixture *f)
{
    for (int i = 0; i < LAYOUT_PLANES; i++) {
        guarded_check(&f->plane[i], "packed plane");
    }
    guarded_check(&f->x, "packed x");
    guarded_check(&f->y, "packed y");
    guarded_check(&f->decoded, "packed decoded");
}

static bool same_floats(const float *a, const float *b, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        if (memcmp(&a[i], &b[i], sizeof(float)) != 0 && !(isnan(a[i]) && isnan(b[i]))) {
            return false;
        }
    }
    return true;
}

/* Rows of activations at a stride; extreme ones have codes of 127 and -127 only. */
static char *make_activations(fixture *f, size_t columns, size_t batch, size_t stride, bool extreme)
{
    float x[COLUMNS_MAX];
    char *rows = guarded_place(&f->x, batch * stride, 0);
    for (size_t b = 0; b < batch; b++) {
        for (size_t k = 0; k < columns; k++) {
            x[k] = extreme ? (b % 2 == 0 ? 1.0f : -1.0f) : random_activation();
        }
        quantize_activations_ref(x, columns, rows + b * stride);
    }
    return rows;
}

typedef struct shape {
    size_t first_row, rows, columns, batch;
    bool extreme; /* activations */
} shape;

/* Both slots, on the rows of a shape, against the reference. */
static void check_product(fixture *f, const test_table *table, const shape *s, size_t gap)
{
    const kernels *k = &table->kernels;
    kernel_matmul_packed *slots[] = {k->matmul_packed, k->matmul_packed_many};
    const size_t stride = activation_size(s->columns) + gap * 4, y_stride = s->rows + gap;
    static float expected[BATCH_TILES * ROWS_MAX];
    char *x = make_activations(f, s->columns, s->batch, stride, s->extreme);
    for (int slot = 0; slot < 2; slot++) {
        (slot == 0 ? matmul_packed_ref : matmul_packed_many_ref)(
            &f->matrix, s->first_row, s->rows, x, stride, s->batch, expected, s->rows);
        size_t span = s->batch == 0 ? 0 : (s->batch - 1) * y_stride + s->rows;
        float *y = guarded_place(&f->y, span * sizeof(float), 0);
        slots[slot](&f->matrix, s->first_row, s->rows, x, stride, s->batch, y, y_stride);
        for (size_t b = 0; b < s->batch; b++) {
            check_true(same_floats(y + b * y_stride, expected + b * s->rows, s->rows),
                       "%s %s: rows %zu to %zu, %zu columns, batch %zu: row %zu",
                       slot == 0 ? "matmul_packed" : "matmul_packed_many",
                       layout_find((uint32_t)f->matrix.layout)->name, s->first_row,
                       s->first_row + s->rows, s->columns, s->batch, b);
        }
        for (size_t b = 0; b + 1 < s->batch; b++) { /* between the rows nothing is written */
            uint8_t between[4 * 8];
            memset(between, 0x7f, sizeof(between));
            check_true(memcmp(y + b * y_stride + s->rows, between, 4 * gap) == 0,
                       "gap behind row %zu", b);
        }
        check_planes(f);
    }
}

static void check_decode(fixture *f, const test_table *table, size_t first_row, size_t rows,
                         size_t gap)
{
    const size_t columns = f->matrix.columns, stride = columns + gap;
    static float expected[COLUMNS_MAX];
    size_t span = rows == 0 ? 0 : (rows - 1) * stride + columns;
    float *out = guarded_place(&f->decoded, span * sizeof(float), 0);
    table->kernels.packed_decode_rows(&f->matrix, first_row, rows, out, stride);
    for (size_t row = 0; row < rows; row++) {
        packed_decode_rows_ref(&f->matrix, first_row + row, 1, expected, columns);
        check_true(memcmp(out + row * stride, expected, columns * sizeof(float)) == 0,
                   "packed_decode_rows %s: %zu columns, row %zu",
                   layout_find((uint32_t)f->matrix.layout)->name, columns, first_row + row);
    }
    check_planes(f);
}

/* Every number of columns around the padding and the groups. */
static void check_columns(fixture *f, const test_table *table, int layout)
{
    for (int i = 0; i < test_sizes_count(); i++) {
        size_t columns = test_size(i);
        if (columns > COLUMNS_MAX) {
            continue;
        }
        const shape few = {0, 19, columns, 1 + columns % 5, false};
        const shape many = {16, 3, columns, 9 + columns % 5, false};
        make_matrix(f, layout, 19, columns, CONTENTS_RANDOM, columns % 4);
        check_product(f, table, &few, columns % 3);
        check_product(f, table, &many, 0);
        check_decode(f, table, columns % 3, 17, columns % 2);
    }
}

/* Every number of rows and of activations, from any panel on. */
static void check_rows(fixture *f, const test_table *table, int layout)
{
    make_matrix(f, layout, ROWS_MAX, 200, CONTENTS_RANDOM, 1);
    for (size_t rows = 0; rows <= ROWS_MAX; rows++) {
        for (size_t batch = 0; batch <= BATCH_MAX; batch += rows % 4 + 1) {
            const shape all = {0, rows, 200, batch, false};
            check_product(f, table, &all, rows % 3);
        }
        check_decode(f, table, ROWS_MAX - rows, rows, rows % 3);
    }
    for (size_t batch = 0; batch <= BATCH_MAX; batch++) { /* pieces of all sizes */
        const shape last = {32, ROWS_MAX - 32, 200, batch, false};
        check_product(f, table, &last, 1);
    }
}

/* More rows than go together, from one panel and from three. */
static void check_tiles(fixture *f, const test_table *table, int layout)
{
    const shape some = {16, 5, 96, 513, false}, most = {0, ROWS_MAX, 64, BATCH_TILES, false};
    make_matrix(f, layout, ROWS_MAX, 96, CONTENTS_RANDOM, 3);
    check_product(f, table, &some, 0);
    make_matrix(f, layout, ROWS_MAX, 64, CONTENTS_RANDOM, 0);
    check_product(f, table, &most, 1);
}

static void check_extremes(fixture *f, const test_table *table, int layout)
{
    for (contents kind = CONTENTS_LOWEST; kind < CONTENTS_TOTAL; kind++) {
        const shape s = {0, 16, 992, 12, kind != CONTENTS_DAMAGED};
        make_matrix(f, layout, 16, 992, kind, 0);
        check_product(f, table, &s, 0);
        check_decode(f, table, 0, 16, 0);
    }
}

static void check_quantized(fixture *f, const test_table *table, const float *numbers,
                            size_t columns)
{
    static int64_t expected[COLUMNS_MAX];
    size_t padded = activation_padded(columns), runs = activation_runs(columns);
    size_t integers = padded + padded / 8, bytes = integers + runs * sizeof(float);
    float *x = guarded_place(&f->decoded, columns * sizeof(float), 0);
    memcpy(x, numbers, columns * sizeof(float));
    char *row = guarded_place(&f->x, bytes, 0);
    quantize_activations_ref(x, columns, expected);
    table->kernels.quantize_activations(x, columns, row);
    check_true(memcmp(row, expected, integers) == 0, "quantize_activations(%zu): codes or sums",
               columns);
    check_true(same_floats(activation_scales(row, columns), activation_scales(expected, columns),
                           runs),
               "quantize_activations(%zu): scales", columns);
    guarded_check(&f->x, "quantized row");
}

/* Runs that end in no number, in next to nothing, halfway between two codes. */
static void check_quantize(fixture *f, const test_table *table)
{
    static float x[COLUMNS_MAX];
    for (int i = 0; i < test_sizes_count() && test_size(i) <= COLUMNS_MAX; i++) {
        size_t columns = test_size(i);
        for (size_t k = 0; k < columns; k++) {
            x[k] = random_activation();
        }
        check_quantized(f, table, x, columns);
        static const float ends[] = {INFINITY, -INFINITY, NAN, 0x1p-101f, -FLT_MAX, 0x1p-140f};
        for (size_t e = 0; e < sizeof(ends) / sizeof(ends[0]) && columns > 0; e++) {
            x[columns - 1] = ends[e];
            check_quantized(f, table, x, columns);
        }
        for (size_t k = 0; k < columns; k++) {
            x[k] = k % ACTIVATION_GROUP == 0 ? 127 : (float)((int)(k % 200) - 100) + 0.5f;
        }
        check_quantized(f, table, x, columns);
        memset(x, 0, sizeof(x));
        check_quantized(f, table, x, columns);
    }
}

/* An activation that is no number shows in every result of its row, and in no other. */
static void check_no_number(fixture *f, const test_table *table)
{
    const size_t columns = 300, stride = activation_size(columns);
    const kernels *k = &table->kernels;
    kernel_matmul_packed *slots[] = {k->matmul_packed, k->matmul_packed_many};
    float x[300] = {0}, y[12 * 20];
    make_matrix(f, LAYOUT_INT4_CODEBOOK, 20, columns, CONTENTS_RANDOM, 0);
    char *rows = guarded_place(&f->x, 12 * stride, 0);
    for (size_t b = 0; b < 12; b++) {
        x[150] = b == 1 ? NAN : 1;
        k->quantize_activations(x, columns, rows + b * stride);
    }
    for (int slot = 0; slot < 2; slot++) {
        slots[slot](&f->matrix, 0, 20, rows, stride, 12, y, 20);
        for (size_t i = 0; i < 12 * 20; i++) {
            check_true(isnan(y[i]) == (i / 20 == 1), "NaN in row 1, result %zu", i);
        }
    }
}

void test_packed(const test_table *table)
{
    static fixture f;
    const size_t most = ROWS_MAX * (COLUMNS_MAX + 32) * sizeof(float);
    for (int i = 0; i < LAYOUT_PLANES; i++) {
        guarded_open(&f.plane[i], most);
    }
    guarded_open(&f.x, BATCH_TILES * (activation_size(COLUMNS_MAX) + 16));
    guarded_open(&f.y, BATCH_TILES * (ROWS_MAX + 4) * sizeof(float));
    guarded_open(&f.decoded, most);
    guarded_place(&f.y, 0, 0);
    guarded_place(&f.decoded, 0, 0);
    guarded_place(&f.x, 0, 0);
    for (size_t i = 0; i < LAYOUT_TOTAL; i++) {
        check_columns(&f, table, layouts[i]);
        check_rows(&f, table, layouts[i]);
        check_tiles(&f, table, layouts[i]);
        check_extremes(&f, table, layouts[i]);
    }
    check_quantize(&f, table);
    check_no_number(&f, table);
    for (int i = 0; i < LAYOUT_PLANES; i++) {
        guarded_close(&f.plane[i]);
    }
    guarded_close(&f.x);
    guarded_close(&f.y);
    guarded_close(&f.decoded);
}
