/* Prints the table of activations in simd/README.md: the error of y = W x,
 * sqrt(sum (y - exact)^2 / sum exact^2), with packed weights and activations in floats or in int8
 * with one scale for the row or for each group of inputs. Weights are normal. Activations are
 * normal; the same with one input in 512 that is 30 times as large, as networks have them; and
 * gated, the product of two normal numbers, which is what goes into a down projection. */
#include "quantize_data.h"

#include "base/alloc.h"
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
} matrix;

static double measure(const matrix *matrix, int kind, size_t group)
{
    static float x[COLUMNS], rounded[COLUMNS];
    double lost = 0, all = 0;
    for (uint64_t sample = 1; sample <= SAMPLES; sample++) {
        fill(kind, 1000000 + sample, x); /* not the numbers that the weights are */
        round_activations(x, group, rounded);
        for (size_t n = 0; n < ROWS; n++) {
            double exact = 0, y = 0;
            for (size_t k = 0; k < COLUMNS; k++) {
                size_t place = n * COLUMNS + k;
                exact += (double)data_from_bf16(matrix->weights[place]) * (double)x[k];
                y += (double)matrix->decoded[place] * (double)rounded[k];
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

static void decode(const matrix *matrix, layout_id layout)
{
    const tensor_view view = {"layer.weight", matrix->weights, DATA_BF16, 2, {ROWS, COLUMNS}};
    const team one = {.threads = 1};
    packed_matrix packed = {.layout = layout, .rows = ROWS, .columns = COLUMNS};
    uint8_t *planes[LAYOUT_PLANES];
    layout_sizes sizes;
    vl2_error error;
    layout_measure((uint32_t)layout, ROWS, COLUMNS, &sizes);
    for (int i = 0; i < LAYOUT_PLANES; i++) {
        packed.plane[i] = planes[i] = need(base_alloc_aligned(sizes.plane[i], 1));
    }
    if (quantize_matrix(&view, layout, NULL, &one, planes, &error) != VL2_OK) {
        fprintf(stderr, "%s\n", error.message);
        exit(1);
    }
    packed_decode_rows_ref(&packed, 0, ROWS, matrix->decoded, COLUMNS);
    for (int i = 0; i < LAYOUT_PLANES; i++) {
        base_free(planes[i]);
    }
}

int main(void)
{
    static const layout_id layouts[] = {LAYOUT_INT4_CODEBOOK, LAYOUT_INT8_GROUP_128};
    static const char *const kinds[] = {"normal", "outliers", "gated"};
    static const size_t groups[] = {0, COLUMNS, 128, 32};
    const matrix matrix = {need(base_malloc(ROWS * COLUMNS, sizeof(uint16_t))),
                           need(base_malloc(ROWS * COLUMNS, sizeof(float)))};
    data_fill(data_normal, 1, ROWS * COLUMNS, matrix.weights);
    printf("| weights | activations | floats | a scale for the row | for 128 | for 32 |\n"
           "|---|---|---|---|---|---|\n");
    for (size_t i = 0; i < 2; i++) {
        decode(&matrix, layouts[i]);
        for (int kind = 0; kind < 3; kind++) {
            printf("| `%s` | %s |", layout_find((uint32_t)layouts[i])->name, kinds[kind]);
            for (size_t g = 0; g < 4; g++) {
                printf(" %.5f |", measure(&matrix, kind, groups[g]));
            }
            printf("\n");
        }
    }
    base_free(matrix.weights);
    base_free(matrix.decoded);
    return 0;
}
