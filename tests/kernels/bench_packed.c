/* Times the slots of packed weights: matrices that no cache holds, for few rows (GB/s of packed
 * weights, share of the read bandwidth); a matrix in L2, for many (GOPS: a multiplication and an
 * addition are two). Whatever lies in memory serves as a matrix. */
#include "tests/kernels/bench.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define COLUMNS   2560
#define ROWS_L2   32
#define BATCH_MAX 96

typedef struct packed_bench {
    const kernels *k;
    packed_matrix matrix;
    kernel_matmul_packed *matmul;
    size_t panels, batch, x_stride;
    float *numbers; /* [COLUMNS] */
    char *x;        /* [BATCH_MAX] rows of activations */
    float *y;
} packed_bench;

static void run_piece(void *context, size_t piece)
{
    const packed_bench *b = context;
    size_t first = b->panels * piece / BENCH_PIECES, end = b->panels * (piece + 1) / BENCH_PIECES;
    b->matmul(&b->matrix, first * LAYOUT_ROWS, (end - first) * LAYOUT_ROWS, b->x, b->x_stride,
              b->batch, b->y, (end - first) * LAYOUT_ROWS);
}

static void run_small(void *context, size_t piece)
{
    const packed_bench *b = context;
    (void)piece;
    b->matmul(&b->matrix, 0, ROWS_L2, b->x, b->x_stride, b->batch, b->y, ROWS_L2);
}

static void run_decode(void *context, size_t piece)
{
    const packed_bench *b = context;
    (void)piece;
    b->k->packed_decode_rows(&b->matrix, 0, ROWS_L2, b->y, COLUMNS);
}

static void run_decode_row(void *context, size_t piece)
{
    const packed_bench *b = context;
    b->k->packed_decode_rows(&b->matrix, piece % ROWS_L2, 1, b->y, COLUMNS);
}

static void run_quantize(void *context, size_t piece)
{
    const packed_bench *b = context;
    (void)piece;
    b->k->quantize_activations(b->numbers, COLUMNS, b->x);
}

/* As many panels of the layout as `bytes` have room for, with sensible row scales. */
static layout_sizes place_matrix(packed_bench *b, layout_id layout, unsigned char *big,
                                 size_t bytes)
{
    layout_sizes sizes;
    layout_measure((uint32_t)layout, LAYOUT_ROWS, COLUMNS, &sizes);
    b->panels = (bytes - 64 * LAYOUT_PLANES) / sizes.total;
    b->matrix = (packed_matrix){
        .layout = layout, .rows = b->panels * LAYOUT_ROWS, .columns = COLUMNS};
    layout_measure((uint32_t)layout, b->matrix.rows, COLUMNS, &sizes);
    for (int i = 0; i < LAYOUT_PLANES; i++) {
        const float scale = 1e-3f;
        for (size_t j = 0; i == LAYOUT_ROW_SCALES && j < b->matrix.rows; j++) {
            memcpy(big + j * sizeof(scale), &scale, sizeof(scale));
        }
        b->matrix.plane[i] = big;
        big += (sizes.plane[i] + 63) / 64 * 64;
    }
    return sizes;
}

static bool wanted(int slot, const char *prefix)
{
    return strncmp(kernel_name(slot), prefix, strlen(prefix)) == 0;
}

static void bench_few(packed_bench *b, const layout_sizes *sizes, double read_bandwidth)
{
    const double weights = (double)b->matrix.rows * COLUMNS;
    b->matmul = b->k->matmul_packed;
    for (b->batch = 1; b->batch <= 8; b->batch *= 2) {
        double seconds = bench_pieces(run_piece, b);
        double bandwidth = (double)sizes->total / seconds;
        printf("matmul_packed      %-7s %-15s batch %zu  %6.2f GB/s  %4.2f of reading  %6.1f "
               "GOPS\n",
               b->k->isa[KERNEL_matmul_packed], layout_find((uint32_t)b->matrix.layout)->name,
               b->batch, bandwidth * 1e-9, bandwidth / read_bandwidth,
               2e-9 * weights * (double)b->batch / seconds);
    }
}

static void bench_many(packed_bench *b)
{
    static const size_t batches[] = {8, 12, 24, 96};
    const double weights = ROWS_L2 * (double)COLUMNS;
    for (size_t i = 0; i < sizeof(batches) / sizeof(batches[0]); i++) {
        b->batch = batches[i];
        b->matmul = b->k->matmul_packed;
        double few = bench_once(run_small, b);
        b->matmul = b->k->matmul_packed_many;
        double many = bench_once(run_small, b);
        printf("matmul_packed_many %-7s %-15s batch %2zu  %6.1f GOPS (matmul_packed %.1f)\n",
               b->k->isa[KERNEL_matmul_packed_many],
               layout_find((uint32_t)b->matrix.layout)->name, b->batch,
               2e-9 * weights * (double)b->batch / many, 2e-9 * weights * (double)b->batch / few);
    }
}

static void bench_decode(packed_bench *b)
{
    double rows = bench_once(run_decode, b), row = bench_once(run_decode_row, b);
    printf("packed_decode_rows %-7s %-15s %6.2f numbers/ns, one row alone %.2f\n",
           b->k->isa[KERNEL_packed_decode_rows], layout_find((uint32_t)b->matrix.layout)->name,
           1e-9 * ROWS_L2 * COLUMNS / rows, 1e-9 * COLUMNS / row);
}

void bench_packed(const kernels *table, unsigned char *big, double read_bandwidth,
                  const char *prefix)
{
    static const layout_id layouts[] = {LAYOUT_INT4_CODEBOOK, LAYOUT_INT4_SYMMETRIC,
                                        LAYOUT_INT4_ASYMMETRIC, LAYOUT_INT6, LAYOUT_INT8_GROUP_128};
    packed_bench b = {.k = table, .x_stride = activation_size(COLUMNS)};
    b.numbers = bench_memory(COLUMNS, sizeof(float));
    b.x = bench_memory(BATCH_MAX, b.x_stride);
    b.y = bench_memory((size_t)BATCH_MAX * COLUMNS, sizeof(float));
    for (size_t i = 0; i < COLUMNS; i++) {
        b.numbers[i] = (float)(i % 89) - 44;
    }
    for (size_t i = 0; i < BATCH_MAX; i++) {
        table->quantize_activations(b.numbers, COLUMNS, b.x + i * b.x_stride);
    }
    if (wanted(KERNEL_quantize_activations, prefix)) {
        double seconds = bench_once(run_quantize, &b);
        printf("quantize_activations %-5s %8.1f ns for %d numbers\n",
               table->isa[KERNEL_quantize_activations], 1e9 * seconds, COLUMNS);
    }
    for (size_t i = 0; i < sizeof(layouts) / sizeof(layouts[0]); i++) {
        layout_sizes sizes = place_matrix(&b, layouts[i], big, BENCH_BIG_BYTES);
        if (wanted(KERNEL_matmul_packed, prefix)) {
            bench_few(&b, &sizes, read_bandwidth);
        }
        if (wanted(KERNEL_matmul_packed_many, prefix)) {
            bench_many(&b);
        }
        if (wanted(KERNEL_packed_decode_rows, prefix)) {
            bench_decode(&b);
        }
    }
    free(b.numbers);
    free(b.x);
    free(b.y);
}
