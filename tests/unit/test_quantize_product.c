/* Activations in int8, and their products with packed weights against products in double. */
#include "quantize_matrix.h"

#include <float.h>

#define LARGEST_BATCH 3

static void fill_activations(uint64_t seed, size_t count, float *x)
{
    for (size_t i = 0; i < count; i++) {
        x[i] = (float)(data_normal(&seed) * exp(data_normal(&seed)));
    }
}

static void check_activations(const float *x, size_t columns)
{
    size_t padded = activation_padded(columns);
    char *row = base_malloc(activation_size(columns), 1);
    quantize_activations_ref(x, columns, row);
    const int8_t *codes = activation_codes(row);
    const float *scales = activation_scales(row, columns);
    for (size_t g = 0; g < activation_runs(columns); g++) {
        size_t first = g * ACTIVATION_GROUP,
               end = first + ACTIVATION_GROUP > columns ? columns : first + ACTIVATION_GROUP;
        float largest = 0;
        int most = 0;
        for (size_t k = first; k < end; k++) {
            largest = fmaxf(largest, fabsf(x[k]));
            most = abs(codes[k]) > most ? abs(codes[k]) : most;
            /* half a step, and the rounding of 127 / m and of the product */
            assert_true(fabs((double)x[k] - (double)scales[g] * codes[k]) <=
                        0.50001 * (double)scales[g]);
        }
        assert_true(scales[g] == largest / 127.0f);
        assert_int_equal(most, 127);
    }
    for (size_t first = 0; first < padded; first += LAYOUT_COLUMNS) {
        int sum = 0;
        for (size_t k = first; k < first + LAYOUT_COLUMNS; k++) {
            sum += codes[k];
            assert_true(k < columns || codes[k] == 0);
        }
        assert_int_equal(activation_sums(row, columns)[first / LAYOUT_COLUMNS], sum);
    }
    base_free(row);
}

static void test_activations(void **state)
{
    (void)state;
    float x[1408];
    for (size_t columns = 1; columns <= 1408; columns += columns < 140 ? 1 : 223) {
        fill_activations(columns, columns, x);
        check_activations(x, columns);
    }
    assert_int_equal(activation_runs(0), 0);
    assert_int_equal(activation_runs(129), 2);
    assert_int_equal(activation_size(0), 0);
    assert_int_equal(activation_size(33), 128); /* 64 codes, 2 sums, 1 scale */
    assert_int_equal(activation_size(2048), 2048 + 256 + 64);
}

static void test_activations_round_to_even(void **state)
{
    (void)state;
    float x[6] = {127, 0.5f, 1.5f, -2.5f, -3.5f, -127};
    const int expected[6] = {127, 0, 2, -2, -4, -127};
    int64_t row[8];
    quantize_activations_ref(x, 6, row);
    assert_true(activation_scales(row, 6)[0] == 1);
    for (size_t i = 0; i < 6; i++) {
        assert_int_equal(activation_codes(row)[i], expected[i]);
    }
}

/* Nothing, next to nothing, and what is no number: run by run. */
static void test_activations_at_the_ends(void **state)
{
    (void)state;
    enum { COLUMNS = 5 * 128 };
    static float x[COLUMNS];
    static int64_t row[COLUMNS];
    x[1 * 128 + 1] = 0x1p-101f;
    x[2 * 128] = INFINITY;
    x[3 * 128] = 1;
    x[3 * 128 + 1] = NAN;
    x[4 * 128] = -FLT_MAX;
    x[4 * 128 + 1] = 0x1p-140f;
    quantize_activations_ref(x, COLUMNS, row);
    const float *scales = activation_scales(row, COLUMNS);
    assert_true(scales[0] == 0 && scales[1] == 0);
    assert_true(isnan(scales[2]) && isnan(scales[3]));
    assert_true(scales[4] == FLT_MAX / 127.0f);
    for (size_t k = 0; k < COLUMNS; k++) {
        assert_int_equal(activation_codes(row)[k], k == 4 * 128 ? -127 : 0);
    }
}

/* One matrix against activations that are decoded, in double, weight by weight. */
typedef struct product {
    owned_matrix matrix;
    size_t batch, stride;
    char *x;
    float *y;
} product;

static product product_open(layout_id layout, size_t rows, size_t columns, size_t batch)
{
    product product = {.batch = batch, .stride = activation_size(columns)};
    uint16_t *weights = base_malloc(rows * columns, sizeof(*weights));
    float *x = base_malloc(columns, sizeof(*x));
    data_fill(data_student6, rows + columns, rows * columns, weights);
    product.matrix = matrix_pack(layout, weights, rows, columns, NULL, 1);
    product.x = base_malloc(batch, product.stride);
    product.y = base_malloc(batch * rows, sizeof(float));
    for (size_t b = 0; b < batch; b++) {
        fill_activations(b + columns, columns, x);
        quantize_activations_ref(x, columns, product.x + b * product.stride);
    }
    base_free(weights);
    base_free(x);
    return product;
}

static void product_run(product *product)
{
    matmul_packed_ref(&product->matrix.packed, 0, product->matrix.packed.rows, product->x,
                      product->stride, product->batch, product->y, product->matrix.packed.rows);
}

static void product_close(product *product)
{
    matrix_close(&product->matrix);
    base_free(product->x);
    base_free(product->y);
}

/* One result, from decoded weights and activations. They round once each, the sum of each run once,
 * and the sum over the runs once for each of them. */
static void check_result(const product *product, const float *row, size_t b, size_t n)
{
    size_t columns = product->matrix.packed.columns;
    const char *x = product->x + b * product->stride;
    double sum = 0, size = 0;
    for (size_t k = 0; k < columns; k++) {
        double scale = (double)activation_scales(x, columns)[k / ACTIVATION_GROUP];
        double term = (double)row[k] * scale * activation_codes(x)[k];
        sum += term;
        size += fabs(term);
    }
    double y = (double)product->y[b * product->matrix.packed.rows + n];
    assert_true(fabs(y - sum) <= (4.0 + (double)activation_runs(columns)) * 0x1p-24 * size);
}

static void check_product(layout_id layout, size_t rows, size_t columns, size_t batch)
{
    product product = product_open(layout, rows, columns, batch);
    float *row = base_malloc(columns, sizeof(*row));
    product_run(&product);
    for (size_t n = 0; n < rows; n++) {
        packed_decode_rows_ref(&product.matrix.packed, n, 1, row, columns);
        for (size_t b = 0; b < batch; b++) {
            check_result(&product, row, b, n);
        }
    }
    base_free(row);
    product_close(&product);
}

static void test_products(void **state)
{
    (void)state;
    for (size_t i = 0; i < LAYOUT_COUNT; i++) {
        for (size_t columns = 1; columns <= 300; columns += 13) {
            check_product(all_layouts[i], 1 + columns % 40, columns, 1 + columns % LARGEST_BATCH);
        }
        check_product(all_layouts[i], 17, 1407, 2);
        check_product(all_layouts[i], 16, 1408, 1);
        check_product(all_layouts[i], 3, 4304, 1);
    }
}

/* The largest sums that a run has: exact, without overflow. */
static void test_largest_products(void **state)
{
    (void)state;
    enum { COLUMNS = 128 };
    for (size_t i = 0; i < LAYOUT_COUNT; i++) {
        product product = product_open(all_layouts[i], 1, COLUMNS, 1);
        owned_matrix *matrix = &product.matrix;
        int bits = layout_find((uint32_t)all_layouts[i])->bits;
        memset(matrix->plane[LAYOUT_CODES], bits == 8 ? 0x81 : 0, matrix->sizes.plane[0]);
        memset(matrix->plane[LAYOUT_HIGH], 0xaa, matrix->sizes.plane[LAYOUT_HIGH]);
        memset(matrix->plane[LAYOUT_SCALES], 0x81, matrix->sizes.plane[LAYOUT_SCALES]);
        memset(matrix->plane[LAYOUT_ZEROS], 0xff, matrix->sizes.plane[LAYOUT_ZEROS]);
        memset(matrix->plane[LAYOUT_TABLE], 0x81, matrix->sizes.plane[LAYOUT_TABLE]);
        float one = 1, x[COLUMNS];
        memcpy(matrix->plane[LAYOUT_ROW_SCALES], &one, sizeof(one));
        for (size_t k = 0; k < COLUMNS; k++) {
            x[k] = -127;
        }
        quantize_activations_ref(x, COLUMNS, product.x);
        product_run(&product);
        double value = bits == 8 || all_layouts[i] == LAYOUT_INT4_CODEBOOK ? -127
                       : bits == 6                                         ? -32
                       : all_layouts[i] == LAYOUT_INT4_ASYMMETRIC          ? -15
                                                                           : 0;
        double scale = all_layouts[i] == LAYOUT_INT8_ROW ? 1 : -127;
        assert_true(product.y[0] == (float)(value * scale * -127 * COLUMNS));
        product_close(&product);
    }
}

/* An activation that is no number shows in every result of its row, and in no other. */
static void test_no_number(void **state)
{
    (void)state;
    product product = product_open(LAYOUT_INT4_CODEBOOK, 20, 300, 2);
    float x[300] = {0};
    x[150] = NAN;
    quantize_activations_ref(x, 300, product.x);
    product_run(&product);
    for (size_t n = 0; n < 20; n++) {
        assert_true(isnan(product.y[n]));
        assert_true(isfinite(product.y[20 + n]));
    }
    product_close(&product);
}

/* The numbers of a panel, in the order in which kernels want them, are those of the products. */
static void test_panel_values(void **state)
{
    (void)state;
    for (size_t i = 0; i < LAYOUT_COUNT; i++) {
        product product = product_open(all_layouts[i], 20, 130, 1);
        const layout_info *layout = layout_find((uint32_t)all_layouts[i]);
        size_t padded = product.matrix.sizes.columns;
        int8_t *values = base_malloc(padded, LAYOUT_ROWS);
        float row[130];
        packed_decode_panel_ref(&product.matrix.packed, 1, values);
        for (size_t n = 16; n < 20; n++) {
            float row_scale;
            memcpy(&row_scale, product.matrix.plane[LAYOUT_ROW_SCALES] + 4 * n, sizeof(row_scale));
            packed_decode_rows_ref(&product.matrix.packed, n, 1, row, 130);
            for (size_t k = 0; k < 130; k++) {
                int scale = 1;
                if (layout->group != 0) {
                    size_t place =
                        layout_scale_place(product.matrix.sizes.groups, n, k / layout->group);
                    scale = (int8_t)product.matrix.plane[LAYOUT_SCALES][place];
                }
                int value = values[k / 4 * 64 + (n - 16) * 4 + k % 4];
                assert_true(row[k] == row_scale * (float)(scale * value));
            }
        }
        base_free(values);
        product_close(&product);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_activations),
        cmocka_unit_test(test_activations_round_to_even),
        cmocka_unit_test(test_activations_at_the_ends),
        cmocka_unit_test(test_products),
        cmocka_unit_test(test_largest_products),
        cmocka_unit_test(test_no_number),
        cmocka_unit_test(test_panel_values),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
