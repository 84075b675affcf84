/* Rows of weights times rows of activations. Eight partial sums, so that a compiler may keep them
 * in registers; products of floats are exact in double. */
#include "simd/ref/ref.h"

typedef float read_weight(const void *source);

static inline __attribute__((always_inline)) float dot_row(read_weight *read, size_t size,
                                                           const char *weight, const float *x,
                                                           size_t k)
{
    double sums[8] = {0};
    size_t i = 0;
    for (; i + 8 <= k; i += 8) {
        for (size_t j = 0; j < 8; j++) {
            sums[j] += (double)read(weight + (i + j) * size) * (double)x[i + j];
        }
    }
    for (; i < k; i++) {
        sums[i % 8] += (double)read(weight + i * size) * (double)x[i];
    }
    return (float)(((sums[0] + sums[1]) + (sums[2] + sums[3])) +
                   ((sums[4] + sums[5]) + (sums[6] + sums[7])));
}

static inline __attribute__((always_inline)) void
matmul(read_weight *read, size_t size, const void *weight, size_t row_stride, size_t rows,
       size_t k, const float *x, size_t x_stride, size_t batch, float *y, size_t y_stride)
{
    for (size_t r = 0; r < rows; r++) {
        const char *row = (const char *)weight + r * row_stride * size;
        for (size_t b = 0; b < batch; b++) {
            y[b * y_stride + r] = dot_row(read, size, row, x + b * x_stride, k);
        }
    }
}

static inline __attribute__((always_inline)) void many(read_weight *read, size_t size,
                                                      const many_call *call)
{
    for (size_t r = 0; r < call->rows; r++) {
        const char *row = (const char *)call->weight + r * call->row_stride * size;
        for (size_t b = 0; b < call->batch; b++) {
            float *y = &call->y[b * call->y_stride + r];
            float sum = dot_row(read, size, row, call->x + b * call->x_stride, call->k);
            *y = call->add ? *y + sum : sum;
        }
    }
}

/* The three slots of one weight type. */
#define MATMUL_SLOTS(type, size)                                                                   \
    void matvec_##type##_ref(const void *weight, size_t row_stride, size_t rows, size_t k,         \
                             const float *x, float *y)                                             \
    {                                                                                              \
        matmul(read_##type, size, weight, row_stride, rows, k, x, 0, 1, y, 0);                     \
    }                                                                                              \
    void matmul_few_##type##_ref(const void *weight, size_t row_stride, size_t rows, size_t k,     \
                                 const float *x, size_t x_stride, size_t batch, float *y,          \
                                 size_t y_stride)                                                  \
    {                                                                                              \
        matmul(read_##type, size, weight, row_stride, rows, k, x, x_stride, batch, y, y_stride);   \
    }                                                                                              \
    void matmul_many_##type##_ref(const many_call *call)                                           \
    {                                                                                              \
        many(read_##type, size, call);                                                             \
    }

MATMUL_SLOTS(f32, 4)
MATMUL_SLOTS(bf16, 2)
MATMUL_SLOTS(f16, 2)

float dot_f32_ref(const float *a, const float *b, size_t n)
{
    return dot_row(read_f32, 4, (const char *)a, b, n);
}
