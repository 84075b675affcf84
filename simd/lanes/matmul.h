/* Few rows of activations times many rows of weights; dot_f32. See simd/kernels.h.
 *
 * Every output is one chain of LANES partial sums, over k in steps of LANES, and then their sum in
 * a fixed order: so it does not matter in which block of rows and batch it was computed. A block
 * keeps rows x batch such chains in registers to hide the latency of the multiply-add. */
#include "simd/lanes/weights.h"

/* What a call multiplies. */
typedef struct matmul_task {
    const char *weight;
    size_t row_bytes, k;
    const float *x;
    size_t x_stride;
    float *y;
    size_t y_stride;
} matmul_task;

#define BLOCK_MAX (MATMUL_ROWS > MATVEC_ROWS ? MATMUL_ROWS : MATVEC_ROWS)

typedef struct block_sums {
    lanes of[BLOCK_MAX][MATMUL_BATCH];
} block_sums;

LANES_INLINE lanes load_column(const float *x, size_t n)
{
    return n == LANES ? lanes_load(x) : lanes_load_first(x, n);
}

/* Numbers i to i + n - 1 of k; n is LANES (and constant) or less. `weight` and `x` are the
 * block's. */
LANES_INLINE void multiply_step(weight_type type, const matmul_task *task, const char *weight,
                                const float *x, size_t i, size_t n, size_t rows, size_t batch,
                                block_sums *sums)
{
    const size_t offset = i * weight_size(type);
    lanes weights[BLOCK_MAX];
    if (batch == 1) { /* a weight is used once: no need for all of them in registers */
        const lanes column = load_column(x + i, n);
#pragma GCC unroll 8
        for (size_t r = 0; r < rows; r++) {
            weights[0] = load_weights(type, weight + r * task->row_bytes + offset, n);
            sums->of[r][0] = lanes_fma(weights[0], column, sums->of[r][0]);
        }
        return;
    }
#pragma GCC unroll 8
    for (size_t r = 0; r < rows; r++) {
        weights[r] = load_weights(type, weight + r * task->row_bytes + offset, n);
    }
#pragma GCC unroll 8
    for (size_t b = 0; b < batch; b++) {
        const lanes column = load_column(x + b * task->x_stride + i, n);
#pragma GCC unroll 8
        for (size_t r = 0; r < rows; r++) {
            sums->of[r][b] = lanes_fma(weights[r], column, sums->of[r][b]);
        }
    }
}

/* Asks for the same place in the next block of rows, a cache line of each row. The processor's own
 * prefetcher follows each row but stops at its end; at a short row that costs a third of the
 * bandwidth. */
LANES_INLINE void prefetch_next(const char *weight, size_t row_bytes, size_t offset, size_t bytes,
                                size_t rows)
{
#pragma GCC unroll 8
    for (size_t r = 0; r < rows; r++) {
        /* as a number: the next block may not exist, and then this asks in vain */
        uintptr_t at = (uintptr_t)weight + (rows + r) * row_bytes + offset;
#pragma GCC unroll 4
        for (size_t line = 0; line < bytes; line += 64) {
            __builtin_prefetch((const void *)(at + line), 0, 2);
        }
    }
}

/* Outputs [first_b, row] to [first_b + batch - 1, row + rows - 1]; rows and batch are constants. */
LANES_INLINE void multiply_block(weight_type type, const matmul_task *task, size_t row,
                                 size_t first_b, size_t rows, size_t batch)
{
    const char *weight = task->weight + row * task->row_bytes;
    const float *x = task->x + first_b * task->x_stride;
    block_sums sums;
#pragma GCC unroll 8
    for (size_t r = 0; r < rows; r++) {
#pragma GCC unroll 8
        for (size_t b = 0; b < batch; b++) {
            sums.of[r][b] = lanes_set(0);
        }
    }
    size_t i = 0;
    for (; i + 4 * LANES <= task->k; i += 4 * LANES) {
        if (first_b == 0) {
            prefetch_next(weight, task->row_bytes, i * weight_size(type),
                          4 * LANES * weight_size(type), rows);
        }
#pragma GCC unroll 4
        for (size_t step = 0; step < 4; step++) {
            multiply_step(type, task, weight, x, i + step * LANES, LANES, rows, batch, &sums);
        }
    }
    for (; i + LANES <= task->k; i += LANES) {
        multiply_step(type, task, weight, x, i, LANES, rows, batch, &sums);
    }
    if (i < task->k) {
        multiply_step(type, task, weight, x, i, task->k - i, rows, batch, &sums);
    }
#pragma GCC unroll 8
    for (size_t r = 0; r < rows; r++) {
#pragma GCC unroll 8
        for (size_t b = 0; b < batch; b++) {
            task->y[(first_b + b) * task->y_stride + row + r] = lanes_sum(sums.of[r][b]);
        }
    }
}

LANES_INLINE void matvec(weight_type type, const matmul_task *task, size_t rows)
{
    size_t row = 0;
    for (; row + MATVEC_ROWS <= rows; row += MATVEC_ROWS) {
        multiply_block(type, task, row, 0, MATVEC_ROWS, 1);
    }
    for (; row < rows; row++) {
        multiply_block(type, task, row, 0, 1, 1);
    }
}

/* A block of weight rows times all of the batch; the rows stay in the nearest caches. */
LANES_INLINE void multiply_rows(weight_type type, const matmul_task *task, size_t row, size_t rows,
                                size_t batch)
{
    size_t b = 0;
    for (; b + MATMUL_BATCH <= batch; b += MATMUL_BATCH) {
        multiply_block(type, task, row, b, rows, MATMUL_BATCH);
    }
    if (b + 2 <= batch) {
        multiply_block(type, task, row, b, rows, 2);
        b += 2;
    }
    if (b < batch) {
        multiply_block(type, task, row, b, rows, 1);
    }
}

LANES_INLINE void matmul_few(weight_type type, const matmul_task *task, size_t rows, size_t batch)
{
    size_t row = 0;
    for (; row + MATMUL_ROWS <= rows; row += MATMUL_ROWS) {
        multiply_rows(type, task, row, MATMUL_ROWS, batch);
    }
    for (; row < rows; row++) {
        multiply_rows(type, task, row, 1, batch);
    }
}

/* The two slots of one weight type. */
#define MATMUL_SLOTS(name, type)                                                                   \
    void KERNEL(matvec_##name)(const void *weight, size_t row_stride, size_t rows, size_t k,       \
                               const float *x, float *y)                                           \
    {                                                                                              \
        const matmul_task task = {weight, row_stride * weight_size(type), k, x, 0, y, 0};          \
        matvec(type, &task, rows);                                                                 \
    }                                                                                              \
    void KERNEL(matmul_few_##name)(const void *weight, size_t row_stride, size_t rows, size_t k,   \
                                   const float *x, size_t x_stride, size_t batch, float *y,        \
                                   size_t y_stride)                                                \
    {                                                                                              \
        const matmul_task task = {weight, row_stride * weight_size(type), k, x, x_stride, y,       \
                                  y_stride};                                                       \
        matmul_few(type, &task, rows, batch);                                                      \
    }

MATMUL_SLOTS(f32, WEIGHT_F32)
MATMUL_SLOTS(bf16, WEIGHT_BF16)
MATMUL_SLOTS(f16, WEIGHT_F16)

float KERNEL(dot_f32)(const float *a, const float *b, size_t n)
{
    lanes sums[4] = {lanes_set(0), lanes_set(0), lanes_set(0), lanes_set(0)};
    size_t i = 0;
    for (; i + 4 * LANES <= n; i += 4 * LANES) {
        for (size_t j = 0; j < 4; j++) {
            sums[j] = lanes_fma(lanes_load(a + i + j * LANES), lanes_load(b + i + j * LANES),
                                sums[j]);
        }
    }
    for (; i + LANES <= n; i += LANES) {
        sums[0] = lanes_fma(lanes_load(a + i), lanes_load(b + i), sums[0]);
    }
    if (i < n) {
        sums[1] = lanes_fma(lanes_load_first(a + i, n - i), lanes_load_first(b + i, n - i),
                            sums[1]);
    }
    return lanes_sum(lanes_add(lanes_add(sums[0], sums[1]), lanes_add(sums[2], sums[3])));
}
