/* rms_norm, layer_norm: see simd/kernels.h. */
#include "simd/lanes/common.h"

#include <math.h>

void KERNEL(rms_norm)(const float *x, const float *weight, float eps, size_t n, float *out)
{
    lanes_f64 sums = lanes_f64_zero();
    size_t i = 0;
    for (; i + LANES <= n; i += LANES) {
        sums = lanes_f64_add_square(sums, lanes_load(x + i));
    }
    if (i < n) {
        sums = lanes_f64_add_square(sums, lanes_load_first(x + i, n - i));
    }
    const double mean = lanes_f64_sum(sums) / (double)n;
    const lanes factor = lanes_set((float)(1 / sqrt(mean + (double)eps)));
    for (i = 0; i + LANES <= n; i += LANES) {
        lanes scaled = lanes_multiply(lanes_load(x + i), factor);
        lanes_store(out + i, lanes_multiply(scaled, lanes_load(weight + i)));
    }
    if (i < n) {
        lanes scaled = lanes_multiply(lanes_load_first(x + i, n - i), factor);
        lanes last = lanes_multiply(scaled, lanes_load_first(weight + i, n - i));
        lanes_store_first(out + i, last, n - i);
    }
}

static double mean_of(const float *x, size_t n)
{
    lanes_f64 sums = lanes_f64_zero();
    size_t i = 0;
    for (; i + LANES <= n; i += LANES) {
        sums = lanes_f64_add(sums, lanes_load(x + i));
    }
    if (i < n) {
        sums = lanes_f64_add(sums, lanes_load_first(x + i, n - i));
    }
    return lanes_f64_sum(sums) / (double)n;
}

static double variance_of(const float *x, float mean, size_t n)
{
    const lanes middle = lanes_set(mean);
    lanes_f64 sums = lanes_f64_zero();
    size_t i = 0;
    for (; i + LANES <= n; i += LANES) {
        sums = lanes_f64_add_square(sums, lanes_subtract(lanes_load(x + i), middle));
    }
    double sum = lanes_f64_sum(sums);
    for (; i < n; i++) {
        double distance = (double)(x[i] - mean);
        sum += distance * distance;
    }
    return sum / (double)n;
}

void KERNEL(layer_norm)(const float *x, const float *weight, const float *bias, float eps, size_t n,
                        float *out)
{
    const float mean = (float)mean_of(x, n);
    const lanes middle = lanes_set(mean);
    const lanes factor = lanes_set((float)(1 / sqrt(variance_of(x, mean, n) + (double)eps)));
    size_t i = 0;
    for (; i + LANES <= n; i += LANES) {
        lanes scaled = lanes_multiply(lanes_subtract(lanes_load(x + i), middle), factor);
        lanes offset = bias != NULL ? lanes_load(bias + i) : lanes_set(0);
        lanes_store(out + i, lanes_fma(scaled, lanes_load(weight + i), offset));
    }
    if (i < n) {
        lanes last = lanes_subtract(lanes_load_first(x + i, n - i), middle);
        lanes offset = bias != NULL ? lanes_load_first(bias + i, n - i) : lanes_set(0);
        lanes scaled = lanes_multiply(last, factor);
        lanes sum = lanes_fma(scaled, lanes_load_first(weight + i, n - i), offset);
        lanes_store_first(out + i, sum, n - i);
    }
}
