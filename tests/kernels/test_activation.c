/* simd: activation. */
#include "tests/kernels/harness.h"

#include <math.h>
#include <string.h>

#define SWEEP 40000

/* Sweeps first what matters, then the far tails. */
static float sweep_value(size_t i, size_t n)
{
    double t = 2 * ((double)i + 0.5) / (double)n - 1;
    return (float)(i % 2 == 0 ? 12 * t : i % 4 == 1 ? 130 * t : ldexp(t, -(int)(i % 60)));
}

static double exact_silu(double x)
{
    return x / (1 + exp(-x));
}

/* 1 + tanh(u) = 2 / (1 + exp(-2u)), without the loss near -1. */
static double exact_gelu_tanh(double x)
{
    double u = 0.79788456080286535588 * (x + 0.044715 * x * x * x);
    return x / (1 + exp(-2 * u));
}

static double exact_gelu_erf(double x)
{
    return 0.5 * x * erfc(-x * 0.70710678118654752440);
}

static void check_silu(guarded *gate_memory, guarded *up_memory, kernel_silu_mul *silu_mul,
                       size_t n,
                       int out_is)
{
    static float gates[SWEEP], ups[SWEEP];
    static float result[SWEEP];
    float *gate = guarded_place(gate_memory, 4 * n, 0), *up = guarded_place(up_memory, 4 * n, 0);
    float *out = out_is == 0 ? gate : out_is == 1 ? up : result;
    for (size_t i = 0; i < n; i++) {
        gates[i] = gate[i] = sweep_value(i, n);
        ups[i] = up[i] = (float)random_uniform(-3, 3);
    }
    silu_mul(gate, up, out, n);
    for (size_t i = 0; i < n; i++) {
        double exact = exact_silu((double)gates[i]) * (double)ups[i];
        double tolerance =
            gates[i] < -87 ? 1e-35 * fabs((double)ups[i]) : 8 * EPSILON * fabs(exact) + 1e-45;
        check_near((double)out[i], exact, tolerance, "silu_mul(%zu)[%zu] of %.9g", n, i,
                   (double)gates[i]);
    }
    guarded_check(gate_memory, "silu_mul gate");
    guarded_check(up_memory, "silu_mul up");
}

static void check_gelu(guarded *memory, const char *name, kernel_gelu *gelu,
                       double (*exact)(double),
                       size_t n)
{
    static float values[SWEEP];
    float *x = guarded_place(memory, 4 * n, 0);
    for (size_t i = 0; i < n; i++) {
        values[i] = x[i] = sweep_value(i, n);
    }
    gelu(x, n);
    for (size_t i = 0; i < n; i++) {
        double value = (double)values[i];
        check_near((double)x[i], exact(value), 6 * EPSILON * fabs(value) + 1e-45,
                   "%s(%zu)[%zu] of %.9g", name, n, i, value);
    }
    guarded_check(memory, name);
}

/* Infinities and NaN must come out as such, also next to ordinary numbers. */
static void check_not_finite(const kernels *k)
{
    float values[3] = {NAN, INFINITY, -INFINITY};
    for (size_t v = 0; v < 3; v++) {
        float x[19], y[19], gate[19], up[19];
        for (size_t i = 0; i < 19; i++) {
            x[i] = y[i] = gate[i] = i == 3 || i == 18 ? values[v] : 1.0f;
            up[i] = 1.0f;
        }
        k->gelu_tanh(x, 19);
        k->gelu_erf(y, 19);
        k->silu_mul(gate, up, gate, 19);
        for (size_t i = 0; i < 19; i++) {
            bool odd = i == 3 || i == 18;
            const float results[] = {x[i], y[i], gate[i]};
            for (int r = 0; r < 3; r++) {
                check_true(odd ? !isfinite(results[r]) || results[r] == 0
                               : results[r] > 0.7f && results[r] < 0.9f,
                           "activation %d of %g [%zu]: %g", r, (double)values[v], i,
                           (double)results[r]);
                check_true(!odd || v != 0 || isnan(results[r]), "activation %d of NaN", r);
            }
        }
    }
}

void test_activation(const test_table *table)
{
    const kernels *k = &table->kernels;
    guarded first, second;
    guarded_open(&first, SWEEP * 4);
    guarded_open(&second, SWEEP * 4);
    for (int index = 0; index <= test_sizes_count(); index++) {
        size_t n = index < test_sizes_count() ? test_size(index) : SWEEP;
        for (int out_is = 0; out_is < 3; out_is++) {
            check_silu(&first, &second, k->silu_mul, n, out_is);
        }
        check_gelu(&first, "gelu_tanh", k->gelu_tanh, exact_gelu_tanh, n);
        check_gelu(&first, "gelu_erf", k->gelu_erf, exact_gelu_erf, n);
    }
    check_not_finite(k);
    guarded_close(&first);
    guarded_close(&second);
}
