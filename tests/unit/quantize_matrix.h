/* A packed matrix with planes of its own, for tests. */
#ifndef QUANTIZE_MATRIX_H
#define QUANTIZE_MATRIX_H

#include "quantize_data.h"
#include "test.h"

#include "base/alloc.h"
#include "simd/ref/quantized.h"
#include "weights/quantize.h"

typedef struct owned_matrix {
    packed_matrix packed;
    layout_sizes sizes;
    uint8_t
        *plane[LAYOUT_PLANES]; /* of exactly their size, so that a sanitizer sees what is beyond */
} owned_matrix;

static const layout_id all_layouts[] = {
#define LAYOUT_ID(constant, number, name, bits, group, zeros, codebook) constant,
    LAYOUTS(LAYOUT_ID)
#undef LAYOUT_ID
};
#define LAYOUT_COUNT (sizeof(all_layouts) / sizeof(all_layouts[0]))

/* Planes filled with a byte that no layout leaves behind. */
static inline owned_matrix matrix_open(layout_id layout, size_t rows, size_t columns)
{
    owned_matrix matrix = {.packed = {.layout = layout, .rows = rows, .columns = columns}};
    assert_true(layout_measure((uint32_t)layout, rows, columns, &matrix.sizes));
    for (int i = 0; i < LAYOUT_PLANES; i++) {
        matrix.plane[i] = base_malloc(matrix.sizes.plane[i], 1);
        assert_non_null(matrix.plane[i]);
        memset(matrix.plane[i], 0xa5, matrix.sizes.plane[i]);
        matrix.packed.plane[i] = matrix.plane[i];
    }
    return matrix;
}

static inline void matrix_close(owned_matrix *matrix)
{
    for (int i = 0; i < LAYOUT_PLANES; i++) {
        base_free(matrix->plane[i]);
    }
}

static inline tensor_view matrix_view(const void *data, data_type type, size_t rows, size_t columns)
{
    return (tensor_view){"layer.weight", data, type, 2, {(int64_t)rows, (int64_t)columns}};
}

/* Packs bf16 weights with `threads` threads; must succeed. */
static inline owned_matrix matrix_pack(layout_id layout, const uint16_t *weights, size_t rows,
                                       size_t columns, const float *importance, int threads)
{
    owned_matrix matrix = matrix_open(layout, rows, columns);
    tensor_view view = matrix_view(weights, DATA_BF16, rows, columns);
    team team = {.threads = threads};
    vl2_error error = {0};
    vl2_status status = quantize_matrix(&view, layout, importance, &team, matrix.plane, &error);
    if (status != VL2_OK) {
        fail_msg("%s", error.message);
    }
    return matrix;
}

static inline bool matrix_equal(const owned_matrix *a, const owned_matrix *b)
{
    for (int i = 0; i < LAYOUT_PLANES; i++) {
        if (a->sizes.plane[i] != b->sizes.plane[i] ||
            memcmp(a->plane[i], b->plane[i], a->sizes.plane[i]) != 0) {
            return false;
        }
    }
    return true;
}

#endif
