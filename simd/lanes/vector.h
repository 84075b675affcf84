/* axpy_f32, rope_half, rope_interleaved: see simd/kernels.h. */
#include "simd/lanes/common.h"

void KERNEL(axpy_f32)(float alpha, const float *x, float *y, size_t n)
{
    const lanes factor = lanes_set(alpha);
    size_t i = 0;
    for (; i + LANES <= n; i += LANES) {
        lanes_store(y + i, lanes_fma(factor, lanes_load(x + i), lanes_load(y + i)));
    }
    if (i < n) {
        lanes last = lanes_load_first(x + i, n - i);
        lanes_store_first(y + i, lanes_fma(factor, last, lanes_load_first(y + i, n - i)), n - i);
    }
}

static void rotate(float *a, float *b, float cosine, float sine)
{
    float first = *a, second = *b;
    *a = first * cosine - second * sine;
    *b = second * cosine + first * sine;
}

void KERNEL(rope_half)(float *x, const float *cosine, const float *sine, size_t n)
{
    const size_t half = n / 2;
    size_t i = 0;
    for (; i + LANES <= half; i += LANES) {
        lanes a = lanes_load(x + i), b = lanes_load(x + half + i);
        lanes c = lanes_load(cosine + i), s = lanes_load(sine + i);
        lanes_store(x + i, lanes_fnma(b, s, lanes_multiply(a, c)));
        lanes_store(x + half + i, lanes_fma(a, s, lanes_multiply(b, c)));
    }
    for (; i < half; i++) {
        rotate(&x[i], &x[half + i], cosine[i], sine[i]);
    }
}

void KERNEL(rope_interleaved)(float *x, const float *cosine, const float *sine, size_t n)
{
    size_t i = 0;
    for (; i + LANES <= n; i += LANES) {
        lanes pairs = lanes_load(x + i);
        lanes c = lanes_load_twice(cosine + i / 2), s = lanes_load_twice(sine + i / 2);
        lanes turned = lanes_multiply(lanes_swap_pairs(pairs), s);
        lanes_store(x + i, lanes_fma_alternate(pairs, c, turned));
    }
    for (; i + 2 <= n; i += 2) {
        rotate(&x[i], &x[i + 1], cosine[i / 2], sine[i / 2]);
    }
}
