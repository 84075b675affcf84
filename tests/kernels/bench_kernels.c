/* Times every slot of every table with one thread, beside what reading memory costs.
 *
 *   bench_kernels [SLOT-PREFIX]
 *
 * Matrix slots are timed on weights that no cache holds (GB/s of weights, share of the read
 * bandwidth) and on weights in L2 (Gflop/s); the others on one row of 2048 numbers (ns, numbers per
 * ns). Best of several. Packed weights: bench_packed.c;
 * many rows of x: bench_many.c. */
#include "tests/kernels/bench.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define BIG_BYTES BENCH_BIG_BYTES
#define ROW       2048
#define K_BIG     2560
#define K_SMALL   1024
#define ROWS_L2   64
#define BATCH_MAX 8
#define REPEATS   BENCH_REPEATS

typedef struct bench {
    unsigned char *big; /* BIG_BYTES */
    float *x, *y;       /* [BATCH_MAX, K_BIG]; [BATCH_MAX, rows of big] */
    float *a, *b, *c;   /* [2 * ROW] */
    double read_bandwidth; /* bytes per second */
    const char *prefix;
} bench;

double bench_now(void)
{
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return (double)time.tv_sec + 1e-9 * (double)time.tv_nsec;
}

double bench_pieces(bench_piece *run, void *context)
{
    double best[BENCH_PIECES], sum = 0;
    for (int i = 0; i < BENCH_REPEATS; i++) {
        for (size_t piece = 0; piece < BENCH_PIECES; piece++) {
            double start = bench_now();
            run(context, piece);
            double seconds = bench_now() - start;
            best[piece] = i == 0 || seconds < best[piece] ? seconds : best[piece];
        }
    }
    for (size_t piece = 0; piece < BENCH_PIECES; piece++) {
        sum += best[piece];
    }
    return sum;
}

double bench_once(bench_piece *run, void *context)
{
    double best = 1e9;
    for (size_t i = 0; i < 50 * BENCH_REPEATS; i++) {
        double start = bench_now();
        run(context, i);
        double seconds = bench_now() - start;
        best = seconds < best ? seconds : best;
    }
    return best;
}

/* The C library's search for a byte that is not there: its widest loads, and nothing else to do. */
static void read_piece(void *context, size_t piece)
{
    const size_t bytes = BIG_BYTES / BENCH_PIECES;
    if (memchr((unsigned char *)context + piece * bytes, 0xff, bytes) != NULL) {
        fprintf(stderr, "bench_kernels: memory holds what it should not\n");
        exit(1);
    }
}

/* Runs one slot once. */
typedef void run_slot(const bench *b, const kernels *k, int slot, size_t rows, size_t columns,
                      size_t batch);

static size_t weight_size(int slot)
{
    return slot == KERNEL_matvec_f32 || slot == KERNEL_matmul_few_f32 ? 4 : 2;
}

static void run_matrix(const bench *b, const kernels *k, int slot, size_t rows, size_t columns,
                       size_t batch)
{
    kernel_matvec *matvec = slot == KERNEL_matvec_f32    ? k->matvec_f32
                            : slot == KERNEL_matvec_bf16 ? k->matvec_bf16
                                                         : k->matvec_f16;
    kernel_matmul_few *few = slot == KERNEL_matmul_few_f32    ? k->matmul_few_f32
                             : slot == KERNEL_matmul_few_bf16 ? k->matmul_few_bf16
                                                              : k->matmul_few_f16;
    if (slot >= KERNEL_matmul_few_f32) {
        few(b->big, columns, rows, columns, b->x, columns, batch, b->y, rows);
    } else {
        matvec(b->big, columns, rows, columns, b->x, b->y);
    }
}

static void run_row(const bench *b, const kernels *k, int slot, size_t rows, size_t n, size_t batch)
{
    (void)rows;
    (void)batch;
    switch (slot) {
    case KERNEL_widen_bf16:
        k->widen_bf16(b->a, b->c, n);
        break;
    case KERNEL_widen_f16:
        k->widen_f16(b->a, b->c, n);
        break;
    case KERNEL_rms_norm:
        k->rms_norm(b->a, b->b, 1e-6f, n, b->c);
        break;
    case KERNEL_layer_norm:
        k->layer_norm(b->a, b->b, b->b, 1e-6f, n, b->c);
        break;
    case KERNEL_softmax:
        k->softmax(b->a, n, 0.1f);
        break;
    case KERNEL_silu_mul:
        k->silu_mul(b->a, b->b, b->c, n);
        break;
    case KERNEL_gelu_tanh:
        k->gelu_tanh(b->a, n);
        break;
    case KERNEL_gelu_erf:
        k->gelu_erf(b->a, n);
        break;
    case KERNEL_dot_f32:
        b->c[0] = k->dot_f32(b->a, b->b, n);
        break;
    case KERNEL_axpy_f32:
        k->axpy_f32(1e-3f, b->a, b->c, n);
        break;
    case KERNEL_rope_half:
        k->rope_half(b->a, b->b, b->b + n / 2, n);
        break;
    default:
        k->rope_interleaved(b->a, b->b, b->b + n / 2, n);
    }
}

/* Seconds of one run: the best of REPEATS, each long enough for the clock. */
static double time_slot(run_slot *run, const bench *b, const kernels *k, int slot, size_t rows,
                        size_t columns, size_t batch)
{
    double best = 1e9;
    size_t times = 1;
    for (int i = 0; i < REPEATS;) {
        for (size_t j = 0; j < 2 * ROW; j++) {
            b->a[j] = (float)(j % 101) * 0.05f - 2.5f;
        }
        double start = bench_now();
        for (size_t t = 0; t < times; t++) {
            run(b, k, slot, rows, columns, batch);
        }
        double seconds = bench_now() - start;
        if (seconds < 2e-3) {
            times *= 2;
            continue;
        }
        best = seconds / (double)times < best ? seconds / (double)times : best;
        i++;
    }
    return best;
}

static void bench_matrix(const bench *b, const kernels *k, int slot, size_t batch)
{
    size_t row_bytes = K_BIG * weight_size(slot), rows = BIG_BYTES / row_bytes;
    double big = time_slot(run_matrix, b, k, slot, rows, K_BIG, batch);
    double bandwidth = (double)(rows * row_bytes) / big;
    double small = time_slot(run_matrix, b, k, slot, ROWS_L2, K_SMALL, batch);
    printf("%-16s %-7s batch %zu  %6.2f GB/s  %4.2f of reading  %7.2f Gflop/s (in L2 %.2f)\n",
           kernel_name(slot), k->isa[slot], batch, bandwidth * 1e-9, bandwidth / b->read_bandwidth,
           2e-9 * (double)(rows * K_BIG * batch) / big,
           2e-9 * (double)(ROWS_L2 * K_SMALL * batch) / small);
}

static void bench_slot(const bench *b, const kernels *k, int slot)
{
    if (slot >= KERNEL_quantize_activations ||
        strncmp(kernel_name(slot), b->prefix, strlen(b->prefix)) != 0) {
        return;
    }
    if (slot >= KERNEL_matmul_few_f32 && slot <= KERNEL_matmul_few_f16) {
        for (size_t batch = 2; batch <= BATCH_MAX; batch *= 2) {
            bench_matrix(b, k, slot, batch);
        }
    } else if (slot >= KERNEL_matvec_f32 && slot <= KERNEL_matvec_f16) {
        bench_matrix(b, k, slot, 1);
    } else {
        double seconds = time_slot(run_row, b, k, slot, 1, ROW, 1);
        printf("%-16s %-7s %8.1f ns for %d numbers, %6.3f numbers/ns\n", kernel_name(slot),
               k->isa[slot], 1e9 * seconds, ROW, ROW / (1e9 * seconds));
    }
}

void *bench_memory(size_t count, size_t size)
{
    void *block = calloc(count, size);
    if (block == NULL) {
        fprintf(stderr, "bench_kernels: not enough memory\n");
        exit(1);
    }
    return block;
}

int main(int argc, char **argv)
{
    bench b = {
        .big = bench_memory(BIG_BYTES, 1),
        .x = bench_memory(BATCH_MAX * K_BIG, 4),
        .y = bench_memory(BATCH_MAX * (BIG_BYTES / 2 / K_BIG + ROWS_L2), 4),
        .a = bench_memory(2 * ROW, 4),
        .b = bench_memory(2 * ROW, 4),
        .c = bench_memory(2 * ROW, 4),
        .prefix = argc > 1 ? argv[1] : "",
    };
    for (size_t i = 0; i < BIG_BYTES / 2; i++) { /* small numbers in every format */
        const uint16_t half = (uint16_t)(0x3c00u + i % 97);
        memcpy(b.big + 2 * i, &half, 2);
    }
    for (size_t i = 0; i < BATCH_MAX * K_BIG; i++) {
        b.x[i] = 1e-3f * (float)(i % 89);
    }
    for (size_t i = 0; i < 2 * ROW; i++) {
        b.b[i] = (float)(i % 64) * 0.01f;
    }
    b.read_bandwidth = (double)BIG_BYTES / bench_pieces(read_piece, b.big);
    printf("reading memory: %.2f GB/s with one thread\n", b.read_bandwidth * 1e-9);
    test_table tables[TEST_TABLES_MAX];
    int count = test_tables(tables);
    for (int slot = 0; slot < KERNEL_COUNT; slot++) {
        for (int i = 0; i < count; i++) {
            bench_slot(&b, &tables[i].kernels, slot);
        }
    }
    for (int i = 0; i < count; i++) {
        if (strcmp(tables[i].kernels.isa[KERNEL_matmul_packed], "ref") != 0) { /* takes hours */
            bench_matmul_many(&tables[i].kernels, b.big, b.prefix);
            bench_attention(&tables[i].kernels, b.prefix);
            bench_packed(&tables[i].kernels, b.big, b.read_bandwidth, b.prefix);
        }
    }
    return 0;
}
