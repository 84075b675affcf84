/* Vectors: y += alpha x, and rotary position embedding. dot_f32 is in matmul.c. */
#include "simd/ref/ref.h"

void axpy_f32_ref(float alpha, const float *x, float *y, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        y[i] += alpha * x[i];
    }
}

static void rotate(float *a, float *b, float cosine, float sine)
{
    float first = *a, second = *b;
    *a = first * cosine - second * sine;
    *b = second * cosine + first * sine;
}

void rope_half_ref(float *x, const float *cosine, const float *sine, size_t n)
{
    for (size_t i = 0; i < n / 2; i++) {
        rotate(&x[i], &x[i + n / 2], cosine[i], sine[i]);
    }
}

void rope_interleaved_ref(float *x, const float *cosine, const float *sine, size_t n)
{
    for (size_t i = 0; i < n / 2; i++) {
        rotate(&x[2 * i], &x[2 * i + 1], cosine[i], sine[i]);
    }
}
