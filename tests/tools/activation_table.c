/* Prints the table of activations in simd/README.md: the error of y = W x,
 * sqrt(sum (y - exact)^2 / sum exact^2), with packed weights and activations in floats or in int8
 * with one scale for the row or for each group of inputs; last, what the slot for many rows makes
 * of those with a scale for 128 inputs, as it may round the weights anew. Weights are normal.
 * Activations are normal; the same with one input in 512 that is 30 times as large, as networks
 * have them; and gated, the product of two normal numbers, which is what goes into a down
 * projection. */
#include "quantize_data.h"

#include "base/alloc.h"
#include "simd/kernels.h"
#include "simd/ref/quantized.h"
#include "weights/quantize.h"

#include <stdio.h>
#include <stdlib.h>

#define ROWS    512
#define COLUMNS 2048
#define SAMPLES 32

static double gated(uint64_t *seed)
{
    return data_normal(seed) * data_normal(seed);
}

static double with_outliers(uint64_t *seed, size_t k)
{
    return data_normal(seed) * (k % 512 == 77 ? 30 : 1);
}

static void fill(int kind, uint64_t seed, float *x)
{
    for (size_t k = 0; k < COLUMNS; k++) {
        x[k] = (float)(kind == 0   ? data_normal(&seed)
                       : kind == 1 ? with_outliers(&seed, k)
                                   : gated(&seed));
    }
}

/* x as int8 holds it with a scale for every `group` inputs; 0: as it is. */
static void round_activations(const float *x, size_t group, float *rounded)
{
    for (size_t k = 0; k < COLUMNS; k++) {
        rounded[k] = x[k];
    }
    for (size_t first = 0; group != 0 && first < COLUMNS; first += group) {
        float largest = 0;
        for (size_t k = first; k < first + group; k++) {
            largest = fmaxf(largest, fabsf(x[k]));
        }
        for (size_t k = first; k < first + group; k++) {
            rounded[k] = rintf(x[k] * (127 / largest)) * (largest / 127);
        }
    }
}

typedef struct matrix {
    uint16_t *weights;
    float *decoded; /* [ROWS, COLUMNS] */
    packed_matrix packed;
    uint8_t *planes[LAYOUT_PLANES];
} matrix;

static double exact_product(const uint16_t *weights, const float *x)
{
    double sum = 0;
    for (size_t k = 0; k < COLUMNS; k++) {
        sum += (double)data_from_bf16(weights[k]) * (double)x[k];
    }
    return sum;
}

/* Of the slot itself. */
static double measure_many(const kernels *kernels, const matrix *matrix, int kind)
{
    static float x[COLUMNS], y[ROWS];
    double lost = 0, all = 0;
    uint8_t *row = base_alloc_aligned(activation_size(COLUMNS), 1);
    for (uint64_t sample = 1; row != NULL && sample <= SAMPLES; sample++) {
        fill(kind, 1000000 + sample, x);
        kernels->quantize_activations(x, COLUMNS, row);
        kernels->matmul_packed_many(&matrix->packed, 0, ROWS, row, activation_size(COLUMNS), 1, y,
                                    ROWS);
        for (size_t n = 0; n < ROWS; n++) {
            const double exact = exact_product(matrix->weights + n * COLUMNS, x);
            lost += ((double)y[n] - exact) * ((double)y[n] - exact);
            all += exact * exact;
        }
    }
    base_free(row);
    return sqrt(lost / all);
}

static double measure(const matrix *matrix, int kind, size_t group)
{
    static float x[COLUMNS], rounded[COLUMNS];
    double lost = 0, all = 0;
    for (uint64_t sample = 1; sample <= SAMPLES; sample++) {
        fill(kind, 1000000 + sample, x); /* not the numbers that the weights are */
        round_activations(x, group, rounded);
        for (size_t n = 0; n < ROWS; n++) {
            double exact = exact_product(matrix->weights + n * COLUMNS, x), y = 0;
            for (size_t k = 0; k < COLUMNS; k++) {
                y += (double)matrix->decoded[n * COLUMNS + k] * (double)rounded[k];
            }
            lost += (y - exact) * (y - exact);
            all += exact * exact;
        }
    }
    return sqrt(lost / all);
}

static void *need(void *block)
{
    if (block == NULL) {
        fprintf(stderr, "not enough memory\n");
        exit(1);
    }
    return block;
}

static void pack(matrix *matrix, layout_id layout)
{
    const tensor_view view = {"layer.weight", matrix->weights, DATA_BF16, 2, {ROWS, COLUMNS}};
    const team one = {.threads = 1};
    layout_sizes sizes;
    vl2_error error;
    layout_measure((uint32_t)layout, ROWS, COLUMNS, &sizes);
    matrix->packed = (packed_matrix){.layout = layout, .rows = ROWS, .columns = COLUMNS};
    for (int i = 0; i < LAYOUT_PLANES; i++) {
        base_free(matrix->planes[i]);
        matrix->planes[i] = need(base_alloc_aligned(sizes.plane[i], 1));
        matrix->packed.plane[i] = matrix->planes[i];
    }
    if (quantize_matrix(&view, layout, NULL, &one, matrix->planes, &error) != VL2_OK) {
        fprintf(stderr, "%s\n", error.message);
        exit(1);
    }
    packed_decode_rows_ref(&matrix->packed, 0, ROWS, matrix->decoded, COLUMNS);
}

int main(void)
{
    static const layout_id layouts[] = {LAYOUT_INT4_CODEBOOK, LAYOUT_INT6, LAYOUT_INT8_GROUP_128};
    static const char *const kinds[] = {"normal", "outliers", "gated"};
    static const size_t groups[] = {0, COLUMNS, 32, 128};
    matrix matrix = {.weights = need(base_malloc(ROWS * COLUMNS, sizeof(uint16_t))),
                     .decoded = need(base_malloc(ROWS * COLUMNS, sizeof(float)))};
    kernels kernels;
    kernels_select(0, &kernels);
    data_fill(data_normal, 1, ROWS * COLUMNS, matrix.weights);
    printf("| weights | activations | floats | a scale for the row | for 32 | for 128 "
           "| many rows |\n|---|---|---|---|---|---|---|\n");
    for (size_t i = 0; i < sizeof(layouts) / sizeof(layouts[0]); i++) {
        pack(&matrix, layouts[i]);
        for (int kind = 0; kind < 3; kind++) {
            printf("| `%s` | %s |", layout_find((uint32_t)layouts[i])->name, kinds[kind]);
            for (size_t g = 0; g < sizeof(groups) / sizeof(groups[0]); g++) {
                printf(" %.5f |", measure(&matrix, kind, groups[g]));
            }
            printf(" %.5f |\n", measure_many(&kernels, &matrix, kind));
        }
    }
    for (int i = 0; i < LAYOUT_PLANES; i++) {
        base_free(matrix.planes[i]);
    }
    base_free(matrix.weights);
    base_free(matrix.decoded);
    return 0;
}
