/* simd: softmax. */
#include "tests/kernels/harness.h"

#include <math.h>

static double exact[TEST_SIZE_MAX], distance[TEST_SIZE_MAX];

/* Exact results; distance is scale * (max x - x). */
static void compute_exact(const float *x, size_t n, double scale)
{
    double largest = -(double)INFINITY, sum = 0;
    for (size_t i = 0; i < n; i++) {
        largest = fmax(largest, (double)x[i]);
    }
    for (size_t i = 0; i < n; i++) {
        distance[i] = scale * (largest - (double)x[i]);
        exact[i] = exp(-distance[i]);
        sum += exact[i];
    }
    for (size_t i = 0; i < n; i++) {
        exact[i] /= sum;
    }
}

/* Every `masked`th number is -infinity, except the first; 0 for none. */
static void check_softmax(guarded *memory, kernel_softmax *softmax, size_t n, float spread,
                          size_t masked)
{
    const float scale = 0.117851130f;
    float *x = guarded_place(memory, 4 * n, 0);
    for (size_t i = 0; i < n; i++) {
        bool drop = masked != 0 && i % masked == masked - 1 && i > 0;
        x[i] = drop ? -INFINITY : (float)random_uniform(-(double)spread, (double)spread);
    }
    compute_exact(x, n, (double)scale);
    softmax(x, n, scale);
    for (size_t i = 0; i < n; i++) {
        double p = exact[i];
        double tolerance = isinf(distance[i]) ? 0
                           : p < 0x1p-120     ? 0x1p-120
                                              : EPSILON * p * (8 + 4 * distance[i]);
        check_near((double)x[i], p, tolerance, "softmax(%zu)[%zu] spread %g masked %zu", n, i,
                   (double)spread, masked);
    }
    guarded_check(memory, "softmax");
}

void test_softmax(const test_table *table)
{
    guarded memory;
    guarded_open(&memory, TEST_SIZE_MAX * 4);
    for (int index = 0; index < test_sizes_count(); index++) {
        check_softmax(&memory, table->kernels.softmax, test_size(index), 10, 0);
        check_softmax(&memory, table->kernels.softmax, test_size(index), 700, 0);
        check_softmax(&memory, table->kernels.softmax, test_size(index), 3e37f, 0);
        check_softmax(&memory, table->kernels.softmax, test_size(index), 30, 3);
    }
    guarded_close(&memory);
}
