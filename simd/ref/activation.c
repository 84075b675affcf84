/* SiLU (of the experts), GELU with tanh (of the vision tower) and with erf (of the projector). */
#include "simd/ref/ref.h"

#include <math.h>

void silu_mul_ref(const float *gate, const float *up, float *out, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        out[i] = gate[i] / (1.0f + expf(-gate[i])) * up[i];
    }
}

void gelu_tanh_ref(float *x, size_t n)
{
    const float root = 0.79788456f; /* sqrt(2 / pi) */
    for (size_t i = 0; i < n; i++) {
        float inner = root * (x[i] + 0.044715f * (x[i] * x[i] * x[i]));
        x[i] = 0.5f * x[i] * (1.0f + tanhf(inner));
    }
}

void gelu_erf_ref(float *x, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        x[i] = 0.5f * x[i] * (1.0f + erff(x[i] * 0.70710678f));
    }
}
