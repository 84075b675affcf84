/* Times matmul_many beside matmul_few, and beside sgemm of OpenBLAS with weights widened to f32
 * before each call, as whoever calls it has to: Gflop/s of one thread, a multiplication and an
 * addition being two. They take turns in one loop, the best of each counts. */
#include "tests/kernels/bench.h"

#include <cblas.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define BATCH_MAX  512
#define INPUTS_MAX 4096
#define TURNS 9

typedef struct many_bench {
    const kernels *k;
    int slot;
    many_call call;
    float *widened; /* [outputs, inputs] */
} many_bench;

static void run_many(const many_bench *b)
{
    (b->slot == KERNEL_matmul_many_f32    ? b->k->matmul_many_f32
     : b->slot == KERNEL_matmul_many_bf16 ? b->k->matmul_many_bf16
                                          : b->k->matmul_many_f16)(&b->call);
}

static void run_few(const many_bench *b)
{
    const many_call *c = &b->call;
    (b->slot == KERNEL_matmul_many_f32    ? b->k->matmul_few_f32
     : b->slot == KERNEL_matmul_many_bf16 ? b->k->matmul_few_bf16
                                          : b->k->matmul_few_f16)(
        c->weight, c->row_stride, c->rows, c->k, c->x, c->x_stride, c->batch, c->y, c->y_stride);
}

static void run_sgemm(const many_bench *b)
{
    const many_call *c = &b->call;
    const float *w = b->widened;
    switch (b->slot) {
    case KERNEL_matmul_many_bf16:
        b->k->widen_bf16(c->weight, b->widened, c->rows * c->k);
        break;
    case KERNEL_matmul_many_f16:
        b->k->widen_f16(c->weight, b->widened, c->rows * c->k);
        break;
    default:
        w = c->weight;
    }
    cblas_sgemm(CblasRowMajor, CblasNoTrans, CblasTrans, (int)c->batch, (int)c->rows, (int)c->k,
                1.0f, c->x, (int)c->x_stride, w, (int)c->row_stride, 0.0f, c->y, (int)c->y_stride);
}

/* Every run goes to other weights, so that they come from memory as those of a model do. */
static void bench_shape(many_bench *b, unsigned char *big, size_t rows, size_t inputs, size_t batch)
{
    static void (*const runs[])(const many_bench *) = {run_many, run_few, run_sgemm};
    const size_t bytes = rows * inputs * (b->slot == KERNEL_matmul_many_f32 ? 4 : 2);
    double best[3] = {1e9, 1e9, 1e9};
    b->call.rows = rows;
    b->call.k = b->call.row_stride = b->call.x_stride = inputs;
    b->call.batch = batch;
    b->call.y_stride = rows;
    for (size_t turn = 0; turn < 3 * TURNS; turn++) {
        b->call.weight = big + turn * bytes;
        double start = bench_now();
        runs[turn % 3](b);
        double seconds = bench_now() - start;
        best[turn % 3] = seconds < best[turn % 3] ? seconds : best[turn % 3];
    }
    const double operations = 2e-9 * (double)rows * (double)inputs * (double)batch;
    printf("%-16s %-7s [%zu, %4zu] batch %3zu  %7.1f Gflop/s, few %6.1f, sgemm %6.1f: %5.2f\n",
           kernel_name(b->slot), b->k->isa[b->slot], rows, inputs, batch, operations / best[0],
           operations / best[1], operations / best[2], best[2] / best[0]);
}

void bench_matmul_many(const kernels *table, unsigned char *big, const char *prefix)
{
    static const size_t inputs[] = {896, 2048, 4096}, batches[] = {12, 24, 32, 48, 64, 96, 128};
    many_bench b = {.k = table};
    float *x = bench_memory((size_t)BATCH_MAX * INPUTS_MAX, sizeof(float));
    b.call.x = x;
    b.call.y = bench_memory(BATCH_MAX * MATMUL_MANY_OUTPUTS, sizeof(float));
    b.call.scratch = aligned_alloc(64, MATMUL_MANY_SCRATCH);
    b.widened = bench_memory(MATMUL_MANY_OUTPUTS * INPUTS_MAX, sizeof(float));
    for (size_t i = 0; i < (size_t)BATCH_MAX * INPUTS_MAX; i++) {
        x[i] = 1e-3f * (float)(i % 89);
    }
    openblas_set_num_threads(1);
    for (b.slot = KERNEL_matmul_many_f32; b.slot <= KERNEL_matmul_many_f16; b.slot++) {
        if (strncmp(kernel_name(b.slot), prefix, strlen(prefix)) != 0 || b.call.scratch == NULL) {
            continue;
        }
        for (size_t i = 0; i < 3; i++) {
            for (size_t j = 0; j < 7; j++) {
                bench_shape(&b, big, batches[j] > 48 ? MATMUL_MANY_OUTPUTS : 128, inputs[i],
                            batches[j]);
            }
        }
    }
    free(x);
    free(b.call.y);
    free(b.call.scratch);
    free(b.widened);
}
