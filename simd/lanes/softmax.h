/* softmax: see simd/kernels.h. */
#include "simd/lanes/exponential.h"

#include <math.h>

static float largest_of(const float *x, size_t n)
{
    lanes largest = lanes_set(-INFINITY);
    size_t i = 0;
    for (; i + LANES <= n; i += LANES) {
        largest = lanes_maximum(largest, lanes_load(x + i));
    }
    float result = lanes_largest(largest);
    for (; i < n; i++) {
        result = x[i] > result ? x[i] : result;
    }
    return result;
}

void KERNEL(softmax)(float *x, size_t n, float scale)
{
    const lanes largest = lanes_set(largest_of(x, n)), factor = lanes_set(scale);
    lanes_f64 sums = lanes_f64_zero();
    size_t i = 0;
    for (; i + LANES <= n; i += LANES) {
        lanes power = lanes_exp(lanes_multiply(lanes_subtract(lanes_load(x + i), largest), factor));
        sums = lanes_f64_add(sums, power);
        lanes_store(x + i, power);
    }
    if (i < n) {
        lanes last = lanes_subtract(lanes_load_first(x + i, n - i), largest);
        lanes_store_first(x + i, lanes_exp(lanes_multiply(last, factor)), n - i);
        /* read again, so that the lanes behind the end count as 0 */
        sums = lanes_f64_add(sums, lanes_load_first(x + i, n - i));
    }
    const lanes share = lanes_set((float)(1.0 / lanes_f64_sum(sums)));
    for (i = 0; i + LANES <= n; i += LANES) {
        lanes_store(x + i, lanes_multiply(lanes_load(x + i), share));
    }
    if (i < n) {
        lanes_store_first(x + i, lanes_multiply(lanes_load_first(x + i, n - i), share), n - i);
    }
}
