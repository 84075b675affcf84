/* Quantization: what comes back, at every size; what is refused; the same bytes everywhere. */
#include "quantize_matrix.h"

#include "base/sha256.h"

static void sha256_hex_of(const void *bytes, size_t size, char text[SHA256_HEX_SIZE])
{
    uint8_t digest[SHA256_SIZE];
    sha256(bytes, size, digest);
    sha256_hex(digest, text);
}

static int bits_of(layout_id layout)
{
    return layout_find((uint32_t)layout)->bits;
}

/* sqrt(sum importance (w - decoded)^2 / sum importance w^2). */
static double relative_error(const owned_matrix *matrix, const uint16_t *weights,
                             const float *importance)
{
    size_t columns = matrix->packed.columns;
    float *row = base_malloc(columns, sizeof(*row));
    double lost = 0, all = 0;
    for (size_t n = 0; n < matrix->packed.rows; n++) {
        packed_decode_rows_ref(&matrix->packed, n, 1, row, columns);
        for (size_t k = 0; k < columns; k++) {
            double weight = data_from_bf16(weights[n * columns + k]);
            double factor = importance == NULL ? 1 : importance[k];
            lost += factor * (weight - row[k]) * (weight - row[k]);
            all += factor * weight * weight;
        }
    }
    base_free(row);
    return all == 0 ? lost : sqrt(lost / all);
}

/* No weight is off by more than clipping and half a step allow, measured by its row's largest. */
static void check_weights(const owned_matrix *matrix, const uint16_t *weights)
{
    size_t columns = matrix->packed.columns;
    float row[4304];
    int bits = bits_of(matrix->packed.layout);
    double part = bits == 8 ? 0.012 : bits == 6 ? 0.09 : 0.32;
    for (size_t n = 0; n < matrix->packed.rows; n++) {
        double largest = 0;
        packed_decode_rows_ref(&matrix->packed, n, 1, row, columns);
        for (size_t k = 0; k < columns; k++) {
            largest = fmax(largest, fabs((double)data_from_bf16(weights[n * columns + k])));
        }
        for (size_t k = 0; k < columns; k++) {
            double weight = data_from_bf16(weights[n * columns + k]);
            assert_true(fabs(weight - (double)row[k]) <= part * largest);
        }
    }
}

static void check_padding(const owned_matrix *matrix)
{
    size_t columns = matrix->sizes.columns;
    int8_t *values = base_malloc(columns, LAYOUT_ROWS);
    float row[4304];
    for (size_t n = 0; n < matrix->sizes.rows; n++) {
        if (n % LAYOUT_ROWS == 0) {
            packed_decode_panel_ref(&matrix->packed, n / LAYOUT_ROWS, values);
        }
        size_t first = n < matrix->packed.rows ? matrix->packed.columns : 0;
        for (size_t k = first; k < columns; k++) {
            assert_int_equal(values[layout_place(columns, n % LAYOUT_ROWS, k)], 0);
        }
        if (n >= matrix->packed.rows) {
            packed_decode_rows_ref(&matrix->packed, n, 1, row, matrix->packed.columns);
            for (size_t k = 0; k < matrix->packed.columns; k++) {
                assert_true(row[k] == 0);
            }
        }
    }
    base_free(values);
}

static void round_trip(size_t rows, size_t columns)
{
    uint16_t *weights = base_malloc(rows * columns, sizeof(*weights));
    data_fill(data_normal, rows * 1000 + columns, rows * columns, weights);
    for (size_t i = 0; i < LAYOUT_COUNT; i++) {
        owned_matrix matrix = matrix_pack(all_layouts[i], weights, rows, columns, NULL, 1);
        double bound = bits_of(all_layouts[i]) == 8   ? 0.010
                       : bits_of(all_layouts[i]) == 6 ? 0.023
                                                      : 0.09;
        if (rows * columns >= 1024) {
            assert_true(relative_error(&matrix, weights, NULL) < bound);
        }
        check_weights(&matrix, weights);
        check_padding(&matrix);
        matrix_close(&matrix);
    }
    base_free(weights);
}

static void test_round_trips(void **state)
{
    (void)state;
    for (size_t columns = 1; columns <= 200; columns++) {
        round_trip(1 + columns * 7 % 40, columns);
    }
    for (size_t rows = 1; rows <= 40; rows++) {
        round_trip(rows, 1 + rows * 37 % 200);
    }
    round_trip(17, 1407);
    round_trip(16, 1408);
    round_trip(3, 4304);
}

/* The numbers of weights/QUANTIZATION.md, a little rounded up; bits with all planes, in a [1408,
 * 2048]. */
static void test_error_bounds(void **state)
{
    (void)state;
    static const struct {
        layout_id layout;
        double bits, normal, student, outlier;
    } bounds[] = {
        {LAYOUT_INT8_ROW, 8.02, 0.0085, 0.0160, 0.0400},
        {LAYOUT_INT8_GROUP_32, 8.27, 0.0055, 0.0067, 0.0075},
        {LAYOUT_INT8_GROUP_64, 8.15, 0.0061, 0.0078, 0.0095},
        {LAYOUT_INT8_GROUP_128, 8.08, 0.0066, 0.0090, 0.0120},
        {LAYOUT_INT6, 6.27, 0.0206, 0.0253, 0.0290},
        {LAYOUT_INT4_SYMMETRIC, 4.27, 0.0820, 0.0995, 0.1020},
        {LAYOUT_INT4_ASYMMETRIC, 4.40, 0.0775, 0.0880, 0.0880},
        {LAYOUT_INT4_CODEBOOK, 4.27, 0.0750, 0.0815, 0.0880},
    };
    enum { ROWS = 64, COLUMNS = 2048 };
    uint16_t *weights = base_malloc(ROWS * COLUMNS, sizeof(*weights));
    data_source *const sources[] = {data_normal, data_student6, data_outlier};
    for (size_t s = 0; s < 3; s++) {
        data_fill(sources[s], 77 + s, ROWS * COLUMNS, weights);
        for (size_t i = 0; i < sizeof(bounds) / sizeof(bounds[0]); i++) {
            layout_sizes sizes;
            owned_matrix matrix = matrix_pack(bounds[i].layout, weights, ROWS, COLUMNS, NULL, 2);
            double error = relative_error(&matrix, weights, NULL);
            const double limits[] = {bounds[i].normal, bounds[i].student, bounds[i].outlier};
            if (error > limits[s]) {
                fail_msg("layout %d, source %zu: %g > %g", bounds[i].layout, s, error, limits[s]);
            }
            assert_true(layout_measure((uint32_t)bounds[i].layout, 1408, 2048, &sizes));
            assert_true(8.0 * (double)sizes.total / (1408.0 * 2048.0) <= bounds[i].bits);
            matrix_close(&matrix);
        }
    }
    base_free(weights);
}

/* Rows that have an exact answer: zeros; one number everywhere; one number alone. */
static void test_plain_rows(void **state)
{
    (void)state;
    enum { ROWS = 4, COLUMNS = 100 };
    uint16_t weights[ROWS * COLUMNS] = {0};
    float row[ROWS * COLUMNS];
    for (size_t k = 0; k < COLUMNS; k++) {
        weights[COLUMNS + k] = data_bf16(0.37);
        weights[2 * COLUMNS + k] = data_bf16(-1.9e-5);
    }
    weights[3 * COLUMNS + 41] = data_bf16(-300);
    for (size_t i = 0; i < LAYOUT_COUNT; i++) {
        owned_matrix matrix = matrix_pack(all_layouts[i], weights, ROWS, COLUMNS, NULL, 1);
        packed_decode_rows_ref(&matrix.packed, 0, ROWS, row, COLUMNS);
        for (size_t k = 0; k < ROWS * COLUMNS; k++) {
            double weight = data_from_bf16(weights[k]);
            assert_true(fabs((double)row[k] - weight) <= 1e-6 * fabs(weight));
        }
        matrix_close(&matrix);
    }
}

/* An exact 0 stays 0 whatever is around it. */
static void test_zeros_stay(void **state)
{
    (void)state;
    enum { ROWS = 40, COLUMNS = 192 };
    uint16_t weights[ROWS * COLUMNS];
    float row[COLUMNS];
    data_fill(data_student6, 5, ROWS * COLUMNS, weights);
    for (size_t i = 0; i < ROWS * COLUMNS; i += 1 + i % 5) {
        weights[i] = i % 2 == 0 ? 0 : 0x8000;
    }
    for (size_t i = 0; i < LAYOUT_COUNT; i++) {
        owned_matrix matrix = matrix_pack(all_layouts[i], weights, ROWS, COLUMNS, NULL, 1);
        for (size_t n = 0; n < ROWS; n++) {
            packed_decode_rows_ref(&matrix.packed, n, 1, row, COLUMNS);
            for (size_t k = 0; k < COLUMNS; k++) {
                assert_true((weights[n * COLUMNS + k] & 0x7fff) != 0 || row[k] == 0);
            }
        }
        matrix_close(&matrix);
    }
}

static void expect_refused(const float *weights, size_t rows, size_t columns, layout_id layout,
                           const float *importance, vl2_status status, const char *part)
{
    owned_matrix matrix = matrix_open(LAYOUT_INT8_GROUP_32, rows, columns);
    owned_matrix table = matrix_open(LAYOUT_INT4_CODEBOOK, rows, columns);
    uint8_t *planes[LAYOUT_PLANES] = {matrix.plane[0], matrix.plane[0], matrix.plane[2],
                                      matrix.plane[2], matrix.plane[4], table.plane[5]};
    tensor_view view = matrix_view(weights, DATA_F32, rows, columns);
    team team = {.threads = 3};
    vl2_error error = {0};
    assert_int_equal(quantize_matrix(&view, layout, importance, &team, planes, &error), status);
    if (strstr(error.message, part) == NULL) {
        fail_msg("\"%s\" is not in \"%s\"", part, error.message);
    }
    matrix_close(&matrix);
    matrix_close(&table);
}

static void test_refused_weights(void **state)
{
    (void)state;
    enum { ROWS = 70, COLUMNS = 50 };
    static float weights[ROWS * COLUMNS];
    const float bad[] = {NAN, -NAN, INFINITY, -INFINITY, 0x1.01p120f, -3e38f};
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        weights[37 * COLUMNS + 11] = bad[i];
        weights[69 * COLUMNS] = NAN; /* the first is named */
        for (size_t j = 0; j < LAYOUT_COUNT; j++) {
            expect_refused(weights, ROWS, COLUMNS, all_layouts[j], NULL, VL2_ERROR_MODEL,
                           "layer.weight: row 37, column 11: found ");
        }
    }
}

static void test_refused_arguments(void **state)
{
    (void)state;
    float weights[8] = {1, 2, 3, 4, 5, 6, 7, 8};
    const float bad[] = {-1e-9f, NAN, INFINITY};
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        float importance[4] = {1, 0, bad[i], 1};
        expect_refused(weights, 2, 4, LAYOUT_INT4_CODEBOOK, importance, VL2_ERROR_ARGUMENT,
                       "importance of column 2: found ");
    }
    expect_refused(weights, 2, 4, (layout_id)99, NULL, VL2_ERROR_ARGUMENT, "found number 99");
    tensor_view view = matrix_view(weights, DATA_F32, 2, 4);
    uint8_t *planes[LAYOUT_PLANES] = {0};
    team team = {.threads = 1};
    vl2_error error;
    view.rank = 1;
    assert_int_equal(quantize_matrix(&view, LAYOUT_INT6, NULL, &team, planes, &error),
                     VL2_ERROR_ARGUMENT);
    view = matrix_view(weights, DATA_F32, SIZE_MAX / 8, 64);
    assert_int_equal(quantize_matrix(&view, LAYOUT_INT6, NULL, &team, planes, &error),
                     VL2_ERROR_ARGUMENT);
}

/* Nothing to pack is nothing wrong. */
static void test_empty(void **state)
{
    (void)state;
    for (size_t i = 0; i < LAYOUT_COUNT; i++) {
        owned_matrix matrix = matrix_pack(all_layouts[i], NULL, 0, 64, NULL, 2);
        matrix_close(&matrix);
        matrix = matrix_pack(all_layouts[i], NULL, 5, 0, NULL, 2);
        float row_scale;
        memcpy(&row_scale, matrix.plane[LAYOUT_ROW_SCALES], sizeof(row_scale));
        assert_true(row_scale == 0);
        matrix_close(&matrix);
    }
}

/* The ends of the range of floats: the largest allowed, the smallest kept, subnormals next to
 * numbers, and rows of subnormals alone, which become 0. */
static void test_extreme_sizes(void **state)
{
    (void)state;
    enum { COLUMNS = 64 };
    const double sizes[] = {0x1p120, 0x1p-109, 1.0, 0x1p-130};
    for (size_t i = 0; i < LAYOUT_COUNT; i++) {
        uint16_t weights[4 * COLUMNS];
        float row[4 * COLUMNS];
        uint64_t seed = 8;
        for (size_t k = 0; k < 4 * COLUMNS; k++) {
            double unit = k % COLUMNS == 0 ? 1 : 2 * data_uniform(&seed) - 1;
            int tiny = k / COLUMNS == 2 && k % COLUMNS != 0;
            weights[k] = data_bf16(unit * (tiny ? 0x1p-128 : sizes[k / COLUMNS]));
        }
        owned_matrix matrix = matrix_pack(all_layouts[i], weights, 4, COLUMNS, NULL, 1);
        packed_decode_rows_ref(&matrix.packed, 0, 4, row, COLUMNS);
        for (size_t k = 0; k < 4 * COLUMNS; k++) {
            double weight = data_from_bf16(weights[k]), size = sizes[k / COLUMNS];
            assert_true(isfinite(row[k]));
            if (k / COLUMNS < 2) {
                assert_true(fabs(weight - (double)row[k]) <= 0.27 * size);
            } else if (k / COLUMNS == 2 && k % COLUMNS == 0) {
                assert_true(fabs(weight - (double)row[k]) <= 1e-6);
            } else {
                assert_true(row[k] == 0);
            }
        }
        matrix_close(&matrix);
    }
}

/* The same numbers in f32, f16 (subnormals of it too) and bf16 give the same bytes. */
static void test_sources_agree(void **state)
{
    (void)state;
    enum { ROWS = 20, COLUMNS = 70, COUNT = ROWS * COLUMNS };
    static uint16_t bf16[COUNT], f16[COUNT];
    static float f32[COUNT];
    uint64_t seed = 4;
    for (size_t i = 0; i < COUNT; i++) {
        /* 7 bits and a sign, times 2^-24 (subnormal in f16), 2^-14 or 2^-1 */
        unsigned bits = (unsigned)(data_uniform(&seed) * 128), sign = (unsigned)(i * 7 / 5 % 2);
        int exponent = i / COLUMNS % 3 == 0 ? -24 : i / COLUMNS % 3 == 1 ? -14 : -1, top;
        f32[i] = ldexpf(sign ? -(float)bits : (float)bits, exponent);
        bf16[i] = data_bf16((double)f32[i]);
        unsigned half = bits;
        if (exponent != -24 && bits != 0) {
            frexpf((float)bits, &top); /* bits = 1.x * 2^(top - 1) */
            half = (unsigned)(top - 1 + exponent + 15) << 10 | ((bits << (11 - top)) & 0x3ffu);
        }
        f16[i] = (uint16_t)(half | sign << 15);
    }
    const void *sources[] = {f32, f16, bf16};
    const data_type types[] = {DATA_F32, DATA_F16, DATA_BF16};
    for (size_t i = 0; i < LAYOUT_COUNT; i++) {
        owned_matrix matrices[3];
        for (size_t s = 0; s < 3; s++) {
            tensor_view view = matrix_view(sources[s], types[s], ROWS, COLUMNS);
            team team = {.threads = 1};
            matrices[s] = matrix_open(all_layouts[i], ROWS, COLUMNS);
            assert_int_equal(
                quantize_matrix(&view, all_layouts[i], NULL, &team, matrices[s].plane, NULL),
                VL2_OK);
            assert_true(matrix_equal(&matrices[0], &matrices[s]));
        }
        for (size_t s = 0; s < 3; s++) {
            matrix_close(&matrices[s]);
        }
    }
    for (size_t i = 0; i < 3; i++) {
        static const uint16_t bad[] = {0xfc00, 0x7c01, 0xffff}; /* -infinity, two NaN */
        tensor_view view = matrix_view(&bad[i], DATA_F16, 1, 1);
        owned_matrix matrix = matrix_open(LAYOUT_INT8_ROW, 1, 1);
        team team = {.threads = 1};
        vl2_error error;
        assert_int_equal(quantize_matrix(&view, LAYOUT_INT8_ROW, NULL, &team, matrix.plane, &error),
                         VL2_ERROR_MODEL);
        assert_non_null(strstr(error.message, "row 0, column 0: found "));
        matrix_close(&matrix);
    }
}

static void test_importance(void **state)
{
    (void)state;
    enum { ROWS = 48, COLUMNS = 500 };
    uint16_t *weights = base_malloc(ROWS * COLUMNS, sizeof(*weights));
    float importance[COLUMNS], alike[COLUMNS], nothing[COLUMNS] = {0};
    uint64_t seed = 21;
    for (size_t k = 0; k < COLUMNS; k++) {
        importance[k] = k % 50 == 7 ? 0 : (float)exp(1.5 * data_normal(&seed));
        alike[k] = 7;
    }
    data_fill(data_normal, 22, ROWS * COLUMNS, weights);
    for (size_t i = 0; i < LAYOUT_COUNT; i++) {
        owned_matrix plain = matrix_pack(all_layouts[i], weights, ROWS, COLUMNS, NULL, 1);
        owned_matrix aware = matrix_pack(all_layouts[i], weights, ROWS, COLUMNS, importance, 1);
        owned_matrix even = matrix_pack(all_layouts[i], weights, ROWS, COLUMNS, alike, 1);
        owned_matrix none = matrix_pack(all_layouts[i], weights, ROWS, COLUMNS, nothing, 1);
        double part = bits_of(all_layouts[i]) == 4   ? 0.93
                      : bits_of(all_layouts[i]) == 6 ? 0.96
                                                     : 1.0;
        assert_true(relative_error(&aware, weights, importance) <=
                    part * relative_error(&plain, weights, importance));
        assert_true(matrix_equal(&plain, &none));
        assert_true(
            fabs(relative_error(&even, weights, NULL) / relative_error(&plain, weights, NULL) - 1) <
            1e-3);
        matrix_close(&plain);
        matrix_close(&aware);
        matrix_close(&even);
        matrix_close(&none);
    }
    base_free(weights);
}

static void test_threads(void **state)
{
    (void)state;
    enum { ROWS = 150, COLUMNS = 300 };
    uint16_t *weights = base_malloc(ROWS * COLUMNS, sizeof(*weights));
    float importance[COLUMNS];
    uint64_t seed = 31;
    for (size_t k = 0; k < COLUMNS; k++) {
        importance[k] = (float)data_uniform(&seed);
    }
    data_fill(data_student6, 32, ROWS * COLUMNS, weights);
    for (size_t i = 0; i < LAYOUT_COUNT; i++) {
        owned_matrix one = matrix_pack(all_layouts[i], weights, ROWS, COLUMNS, importance, 1);
        for (int threads = 2; threads <= 4; threads++) {
            owned_matrix many =
                matrix_pack(all_layouts[i], weights, ROWS, COLUMNS, importance, threads);
            assert_true(matrix_equal(&one, &many));
            matrix_close(&many);
        }
        matrix_close(&one);
    }
    base_free(weights);
}

/* Packing gives these bytes on every processor and with every compiler. Weights are evenly
 * distributed, which takes no functions of libm. */
static void test_known_bytes(void **state)
{
    (void)state;
    enum { ROWS = 37, COLUMNS = 300 };
    static const char *const digests[LAYOUT_COUNT][2] = {
        {"5615c5c5420afe22", "5615c5c5420afe22"}, {"0756b7bdfff7382f", "67e42bae26d79db5"},
        {"e75024e386d063f4", "7b9a91ee0320b05d"}, {"d22d082a2a011e69", "9bc5cf810debfe0f"},
        {"a50122cdd20e4d91", "23329e248ce128ea"}, {"43985e2dd967cc89", "d057511222accf46"},
        {"654782e780fec0cf", "3fb55cca5b711e6f"}, {"3f05bdf12380c236", "642a40b4ccccb20f"},
    };
    uint16_t weights[ROWS * COLUMNS];
    float importance[COLUMNS];
    uint64_t seed = 41;
    for (size_t i = 0; i < ROWS * COLUMNS; i++) {
        double scale = 1 + (double)(i / 20 % 7);
        weights[i] = data_bf16((data_uniform(&seed) + data_uniform(&seed) - 1) * scale);
    }
    for (size_t k = 0; k < COLUMNS; k++) {
        importance[k] = (float)data_uniform(&seed);
    }
    for (size_t i = 0; i < LAYOUT_COUNT; i++) {
        for (int j = 0; j < 2; j++) {
            owned_matrix matrix =
                matrix_pack(all_layouts[i], weights, ROWS, COLUMNS, j == 0 ? NULL : importance, 1);
            char all[LAYOUT_PLANES * SHA256_HEX_SIZE] = "", digest[SHA256_HEX_SIZE];
            for (int p = 0; p < LAYOUT_PLANES; p++) {
                sha256_hex_of(matrix.plane[p], matrix.sizes.plane[p], digest);
                strcat(all, digest);
            }
            sha256_hex_of(all, strlen(all), digest);
            digest[16] = '\0';
            assert_string_equal(digest, digests[i][j]);
            matrix_close(&matrix);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_round_trips),     cmocka_unit_test(test_error_bounds),
        cmocka_unit_test(test_plain_rows),      cmocka_unit_test(test_zeros_stay),
        cmocka_unit_test(test_refused_weights), cmocka_unit_test(test_refused_arguments),
        cmocka_unit_test(test_empty),           cmocka_unit_test(test_extreme_sizes),
        cmocka_unit_test(test_sources_agree),   cmocka_unit_test(test_importance),
        cmocka_unit_test(test_threads),         cmocka_unit_test(test_known_bytes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
