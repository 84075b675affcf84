/* silu_mul, gelu_tanh, gelu_erf: see simd/kernels.h. */
#include "simd/lanes/exponential.h"

LANES_INLINE lanes silu(lanes x)
{
    lanes one = lanes_set(1.0f);
    return lanes_divide(x, lanes_add(one, lanes_exp(lanes_subtract(lanes_set(0), x))));
}

/* x/2 (1 + tanh(u)) = x / (1 + exp(-2u)), which loses nothing where tanh(u) is near -1. */
LANES_INLINE lanes gelu_by_tanh(lanes x)
{
    const lanes linear = lanes_set(-1.59576912f), cubic = lanes_set(-1.59576912f * 0.044715f);
    lanes minus_2u = lanes_multiply(x, lanes_fma(lanes_multiply(x, x), cubic, linear));
    return lanes_divide(x, lanes_add(lanes_set(1.0f), lanes_exp(minus_2u)));
}

LANES_INLINE lanes gelu_by_erf(lanes x)
{
    lanes normal = lanes_add(lanes_set(1.0f), lanes_erf(lanes_multiply(x, lanes_set(0.70710678f))));
    return lanes_multiply(lanes_multiply(lanes_set(0.5f), x), normal);
}

void KERNEL(silu_mul)(const float *gate, const float *up, float *out, size_t n)
{
    size_t i = 0;
    for (; i + LANES <= n; i += LANES) {
        lanes_store(out + i, lanes_multiply(silu(lanes_load(gate + i)), lanes_load(up + i)));
    }
    if (i < n) {
        lanes last = silu(lanes_load_first(gate + i, n - i));
        lanes_store_first(out + i, lanes_multiply(last, lanes_load_first(up + i, n - i)), n - i);
    }
}

void KERNEL(gelu_tanh)(float *x, size_t n)
{
    size_t i = 0;
    for (; i + LANES <= n; i += LANES) {
        lanes_store(x + i, gelu_by_tanh(lanes_load(x + i)));
    }
    if (i < n) {
        lanes_store_first(x + i, gelu_by_tanh(lanes_load_first(x + i, n - i)), n - i);
    }
}

void KERNEL(gelu_erf)(float *x, size_t n)
{
    size_t i = 0;
    for (; i + LANES <= n; i += LANES) {
        lanes_store(x + i, gelu_by_erf(lanes_load(x + i)));
    }
    if (i < n) {
        lanes_store_first(x + i, gelu_by_erf(lanes_load_first(x + i, n - i)), n - i);
    }
}
