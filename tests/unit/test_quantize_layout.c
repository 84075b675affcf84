/* simd/layout.h: sizes, and every bit of a code where the drawing says. */
#include "quantize_matrix.h"

static void test_numbers_are_for_ever(void **state)
{
    (void)state;
    static const char *const names[] = {"int8-row",        "int8-group32", "int8-group64",
                                        "int8-group128",   "int6",         "int4-symmetric",
                                        "int4-asymmetric", "int4-codebook"};
    for (uint32_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        assert_string_equal(layout_find(i + 1)->name, names[i]);
        assert_int_equal(layout_find_name(names[i])->id, i + 1);
    }
    assert_null(layout_find(0));
    assert_null(layout_find(9));
    assert_null(layout_find(UINT32_MAX));
    assert_null(layout_find_name("int5"));
    assert_string_equal(layout_plane_name(LAYOUT_TABLE), "codebook");
    assert_string_equal(layout_plane_name(LAYOUT_CODES), "codes");
    assert_null(layout_plane_name(LAYOUT_PLANES));
    assert_null(layout_plane_name(-1));
}

static void test_sizes(void **state)
{
    (void)state;
    layout_sizes sizes;
    assert_true(layout_measure(LAYOUT_INT4_CODEBOOK, 1408, 2048, &sizes));
    assert_int_equal(sizes.plane[LAYOUT_CODES], 1408 * 2048 / 2);
    assert_int_equal(sizes.plane[LAYOUT_SCALES], 1408 * 64);
    assert_int_equal(sizes.plane[LAYOUT_ROW_SCALES], 1408 * 4);
    assert_int_equal(sizes.plane[LAYOUT_TABLE], 16);
    assert_int_equal(sizes.plane[LAYOUT_HIGH] + sizes.plane[LAYOUT_ZEROS], 0);
    assert_int_equal(sizes.total, 1408 * 1024 + 1408 * 64 + 1408 * 4 + 16);
    assert_true(layout_measure(LAYOUT_INT6, 17, 4304, &sizes));
    assert_int_equal(sizes.rows, 32);
    assert_int_equal(sizes.columns, 4320);
    assert_int_equal(sizes.groups, 135);
    assert_int_equal(sizes.plane[LAYOUT_CODES], 32 * 4320 / 2);
    assert_int_equal(sizes.plane[LAYOUT_HIGH], 32 * 4320 / 4);
    assert_true(layout_measure(LAYOUT_INT8_GROUP_128, 16, 4304, &sizes));
    assert_int_equal(sizes.groups, 34); /* the last has 96 inputs */
    assert_true(layout_measure(LAYOUT_INT4_ASYMMETRIC, 1, 1, &sizes));
    assert_int_equal(sizes.plane[LAYOUT_ZEROS], 8);
    assert_true(layout_measure(LAYOUT_INT8_ROW, 0, 0, &sizes));
    assert_int_equal(sizes.total, 0);
}

static void test_sizes_refused(void **state)
{
    (void)state;
    static const size_t bad[][2] = {{SIZE_MAX, 1},
                                    {1, SIZE_MAX},
                                    {SIZE_MAX - 20, SIZE_MAX - 40},
                                    {(size_t)1 << 32, (size_t)1 << 32},
                                    {SIZE_MAX / 8, 1},
                                    {SIZE_MAX / 34, 32}};
    layout_sizes sizes;
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        assert_false(layout_measure(LAYOUT_INT8_GROUP_32, bad[i][0], bad[i][1], &sizes));
        assert_int_equal(sizes.total, 0);
    }
    assert_false(layout_measure(0, 16, 32, &sizes));
    assert_false(layout_measure(9, 16, 32, &sizes));
}

/* 32 rows, 64 inputs, scales of 1: one code is set where the drawing has it, and only that weight
 * is not 0. */
static void check_place(owned_matrix *matrix, size_t n, size_t k)
{
    size_t panel = n / 16, row = n % 16;
    size_t low = panel * 16 * 64 / 2 + k / 8 * 64 + row * 4 + k % 4;
    size_t high = panel * 16 * 64 / 4 + k / 16 * 64 + row * 4 + k % 4;
    float decoded[32 * 64], expected = 0;
    uint8_t *codes = matrix->plane[LAYOUT_CODES];
    memset(codes, 0, matrix->sizes.plane[LAYOUT_CODES]);
    memset(matrix->plane[LAYOUT_HIGH], 0, matrix->sizes.plane[LAYOUT_HIGH]);
    switch (layout_find((uint32_t)matrix->packed.layout)->bits) {
    case 8:
        codes[panel * 16 * 64 + k / 4 * 64 + row * 4 + k % 4] = (uint8_t)-77;
        expected = -77;
        break;
    case 6:
        codes[low] = (uint8_t)(5 << (k / 4 % 2 * 4));
        matrix->plane[LAYOUT_HIGH][high] = (uint8_t)(2 << (k / 4 % 4 * 2));
        expected = 32 + 5 - 64;
        break;
    default:
        codes[low] = (uint8_t)(13 << (k / 4 % 2 * 4));
        expected = matrix->packed.layout == LAYOUT_INT4_CODEBOOK     ? 101
                   : matrix->packed.layout == LAYOUT_INT4_ASYMMETRIC ? 13
                                                                     : -3;
    }
    packed_decode_rows_ref(&matrix->packed, 0, 32, decoded, 64);
    for (size_t i = 0; i < 32 * 64; i++) {
        assert_true(decoded[i] == (i == n * 64 + k ? expected * 0.5f : 0));
    }
}

static void test_every_place(void **state)
{
    (void)state;
    for (size_t i = 0; i < LAYOUT_COUNT; i++) {
        owned_matrix matrix = matrix_open(all_layouts[i], 32, 64);
        memset(matrix.plane[LAYOUT_SCALES], 1, matrix.sizes.plane[LAYOUT_SCALES]);
        memset(matrix.plane[LAYOUT_ZEROS], 0, matrix.sizes.plane[LAYOUT_ZEROS]);
        memset(matrix.plane[LAYOUT_TABLE], 0, matrix.sizes.plane[LAYOUT_TABLE]);
        if (matrix.sizes.plane[LAYOUT_TABLE] != 0) {
            matrix.plane[LAYOUT_TABLE][13] = 101;
        }
        for (size_t n = 0; n < 32; n++) {
            float half = 0.5f;
            memcpy(matrix.plane[LAYOUT_ROW_SCALES] + 4 * n, &half, sizeof(half));
        }
        for (size_t n = 0; n < 32; n += 5) {
            for (size_t k = 0; k < 64; k++) {
                check_place(&matrix, n, k);
            }
        }
        matrix_close(&matrix);
    }
}

/* Scales and zeros stand by panel, group, row; a row scale by row. */
static void test_scales_and_zeros(void **state)
{
    (void)state;
    owned_matrix matrix = matrix_open(LAYOUT_INT4_ASYMMETRIC, 32, 96);
    memset(matrix.plane[LAYOUT_CODES], 0xff, matrix.sizes.plane[LAYOUT_CODES]);
    for (size_t n = 0; n < 32; n++) {
        float row_scale = (float)(n + 1);
        memcpy(matrix.plane[LAYOUT_ROW_SCALES] + 4 * n, &row_scale, sizeof(row_scale));
        for (size_t g = 0; g < 3; g++) {
            matrix.plane[LAYOUT_SCALES][(n / 16 * 3 + g) * 16 + n % 16] = (uint8_t)(2 * g - n);
            uint8_t *pair = &matrix.plane[LAYOUT_ZEROS][(n / 16 * 3 + g) * 8 + n % 8];
            unsigned zero = (n + g) % 16;
            *pair = (uint8_t)(n % 16 < 8 ? (*pair & 0xf0u) | zero : (*pair & 15u) | zero << 4);
        }
    }
    float decoded[32 * 96];
    packed_decode_rows_ref(&matrix.packed, 0, 32, decoded, 96);
    for (size_t n = 0; n < 32; n++) {
        for (size_t k = 0; k < 96; k++) {
            int g = (int)k / 32, zero = ((int)n + g) % 16;
            float expected = (float)(n + 1) * (float)((2 * g - (int)n) * (15 - zero));
            assert_true(decoded[n * 96 + k] == expected);
        }
    }
    matrix_close(&matrix);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_numbers_are_for_ever), cmocka_unit_test(test_sizes),
        cmocka_unit_test(test_sizes_refused),        cmocka_unit_test(test_every_place),
        cmocka_unit_test(test_scales_and_zeros),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
