/* Prints the table of weights/QUANTIZATION.md: for each layout its bits per weight, all planes and
 * padding included; the error on random weights, sqrt(sum (w - decoded)^2 / sum w^2); the error on
 * normal weights with every column's square counted by a log-normal importance, without and with
 * that importance in the search; packing in MB of bf16 per second of one core, without and with
 * importance; decoding by the scalar reference in ns per weight.
 *
 *     tests/tools/quantization_table [ROWS COLUMNS] */
#include "quantize_data.h"

#include "base/alloc.h"
#include "simd/ref/quantized.h"
#include "weights/quantize.h"

#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#define REPEATS 3

typedef struct result {
    double bits, error, unaware_error, weighted_error, encode_rate, weighted_rate, decode_time;
} result;

static void *need(void *block)
{
    if (block == NULL) {
        fprintf(stderr, "not enough memory\n");
        exit(1);
    }
    return block;
}

/* Processor time, since a table is often made on a busy machine. */
static double now(void)
{
    struct timespec time;
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &time);
    return (double)time.tv_sec + (double)time.tv_nsec * 1e-9;
}

/* Relative error; `importance` may be NULL. */
static double measure_error(const tensor_view *matrix, const packed_matrix *packed,
                            const float *importance, float *row)
{
    const uint16_t *weights = matrix->data;
    double lost = 0, all = 0;
    for (size_t n = 0; n < packed->rows; n++) {
        packed_decode_rows_ref(packed, n, 1, row, packed->columns);
        for (size_t k = 0; k < packed->columns; k++) {
            double weight = data_from_bf16(weights[n * packed->columns + k]);
            double factor = importance == NULL ? 1 : importance[k];
            lost += factor * (weight - row[k]) * (weight - row[k]);
            all += factor * weight * weight;
        }
    }
    return sqrt(lost / all);
}

/* The best of REPEATS, in MB/s of bf16. */
static double measure_encode(const tensor_view *matrix, layout_id layout, const float *importance,
                             uint8_t *const planes[LAYOUT_PLANES])
{
    team one = {.threads = 1};
    double best = 1e30, bytes = (double)tensor_elements(matrix) * 2;
    for (int i = 0; i < REPEATS; i++) {
        vl2_error error;
        double start = now();
        if (quantize_matrix(matrix, layout, importance, &one, planes, &error) != VL2_OK) {
            fprintf(stderr, "%s\n", error.message);
            exit(1);
        }
        best = fmin(best, now() - start);
    }
    return bytes / best / 1e6;
}

static result measure(const tensor_view *matrix, const layout_info *layout, const float *importance)
{
    layout_sizes sizes;
    uint8_t *planes[LAYOUT_PLANES];
    size_t rows = (size_t)matrix->shape[0], columns = (size_t)matrix->shape[1];
    packed_matrix packed = {.layout = layout->id, .rows = rows, .columns = columns};
    layout_measure((uint32_t)layout->id, rows, columns, &sizes);
    for (int i = 0; i < LAYOUT_PLANES; i++) {
        packed.plane[i] = planes[i] = need(base_alloc_aligned(sizes.plane[i], 1));
    }
    float *row = need(base_malloc(columns, sizeof(*row)));
    result result = {.bits = 8.0 * (double)sizes.total / ((double)rows * (double)columns)};
    result.weighted_rate = measure_encode(matrix, layout->id, importance, planes);
    result.weighted_error = measure_error(matrix, &packed, importance, row);
    result.encode_rate = measure_encode(matrix, layout->id, NULL, planes);
    result.error = measure_error(matrix, &packed, NULL, row);
    result.unaware_error = measure_error(matrix, &packed, importance, row);
    double start = now();
    for (size_t n = 0; n < rows; n++) {
        packed_decode_rows_ref(&packed, n, 1, row, columns);
    }
    result.decode_time = (now() - start) * 1e9 / ((double)rows * (double)columns);
    for (int i = 0; i < LAYOUT_PLANES; i++) {
        base_free(planes[i]);
    }
    base_free(row);
    return result;
}

/* Kinds of random weights, by column of the table. */
static data_source *const sources[] = {data_normal, data_student6, data_outlier};
#define SOURCES (sizeof(sources) / sizeof(sources[0]))

static void print_row(const layout_info *layout, const tensor_view *matrices,
                      const float *importance)
{
    result results[SOURCES];
    for (size_t i = 0; i < SOURCES; i++) {
        results[i] = measure(&matrices[i], layout, importance);
    }
    printf("| `%s` | %.3f | %.5f | %.5f | %.5f | %.5f | %.5f | %.0f | %.0f | %.1f |\n",
           layout->name, results[0].bits, results[0].error, results[1].error, results[2].error,
           results[0].unaware_error, results[0].weighted_error, results[0].encode_rate,
           results[0].weighted_rate, results[0].decode_time);
    fflush(stdout);
}

static void print_table(const tensor_view *matrices, const float *importance)
{
    static const char *const names[] = {
#define NAME(constant, number, name, bits, group, zeros, codebook) name,
        LAYOUTS(NAME)
#undef NAME
    };
    printf("| layout | bits | normal | Student-t6 | outliers | weighted: without | with | encode | "
           "with | decode |\n|---|---|---|---|---|---|---|---|---|---|\n");
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        print_row(layout_find_name(names[i]), matrices, importance);
    }
}

int main(int argc, char **argv)
{
    int64_t rows = argc > 2 ? atol(argv[1]) : 1024, columns = argc > 2 ? atol(argv[2]) : 2048;
    if ((argc != 1 && argc != 3) || rows < 1 || columns < 1 || rows > 1 << 20 ||
        columns > 1 << 20) {
        fprintf(stderr, "usage: quantization_table [ROWS COLUMNS]\n");
        return 2;
    }
    size_t count = (size_t)rows * (size_t)columns;
    tensor_view matrices[SOURCES];
    uint16_t *weights = need(base_malloc(count, SOURCES * sizeof(*weights)));
    float *importance = need(base_malloc((size_t)columns, sizeof(*importance)));
    for (size_t i = 0; i < SOURCES; i++) {
        data_fill(sources[i], i + 1, count, weights + i * count);
        matrices[i] = (tensor_view){"random", weights + i * count, DATA_BF16, 2, {rows, columns}};
    }
    uint64_t seed = 9;
    for (int64_t k = 0; k < columns; k++) {
        importance[k] =
            (float)exp(data_normal(&seed)); /* mean squares of activations are like that */
    }
    print_table(matrices, importance);
    base_free(weights);
    base_free(importance);
    return 0;
}
