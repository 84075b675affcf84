/* simd: norm. */
#include "tests/kernels/harness.h"

#include <math.h>
#include <string.h>

typedef struct fixture {
    guarded x, weight, bias, out;
    double exact[TEST_SIZE_MAX];
} fixture;

static void fill(fixture *f, size_t n, float offset)
{
    float *x = guarded_place(&f->x, 4 * n, 0), *weight = guarded_place(&f->weight, 4 * n, 0);
    float *bias = guarded_place(&f->bias, 4 * n, 0);
    guarded_place(&f->out, 4 * n, 0);
    for (size_t i = 0; i < n; i++) {
        x[i] = offset + random_activation();
        weight[i] = random_activation();
        bias[i] = random_activation();
    }
}

static void check_rms(fixture *f, kernel_rms_norm *rms_norm, size_t n, bool in_place)
{
    fill(f, n, 0);
    float *x = (void *)f->x.data, *weight = (void *)f->weight.data;
    float *out = in_place ? x : (void *)f->out.data;
    const float eps = 1e-6f;
    double squares = 0;
    for (size_t i = 0; i < n; i++) {
        squares += (double)x[i] * (double)x[i];
    }
    double factor = 1 / sqrt(squares / (double)n + (double)eps);
    for (size_t i = 0; i < n; i++) {
        f->exact[i] = (double)x[i] * factor * (double)weight[i];
    }
    rms_norm(x, weight, eps, n, out);
    for (size_t i = 0; i < n; i++) {
        check_near((double)out[i], f->exact[i], 8 * EPSILON * fabs(f->exact[i]),
                   "rms_norm(%zu)[%zu]", n, i);
    }
}

static void check_layer(fixture *f, kernel_layer_norm *layer_norm, size_t n, bool in_place,
                        float offset)
{
    fill(f, n, offset);
    float *x = (void *)f->x.data, *weight = (void *)f->weight.data;
    float *bias = in_place ? NULL : (void *)f->bias.data;
    float *out = in_place ? x : (void *)f->out.data;
    const float eps = 1e-6f;
    double sum = 0, squares = 0, largest = 0;
    for (size_t i = 0; i < n; i++) {
        sum += (double)x[i];
        largest = fmax(largest, fabs((double)x[i]));
    }
    double mean = sum / (double)n;
    for (size_t i = 0; i < n; i++) {
        squares += ((double)x[i] - mean) * ((double)x[i] - mean);
    }
    double factor = 1 / sqrt(squares / (double)n + (double)eps);
    for (size_t i = 0; i < n; i++) {
        double add = bias != NULL ? (double)bias[i] : 0;
        f->exact[i] = ((double)x[i] - mean) * factor * (double)weight[i] + add;
    }
    layer_norm(x, weight, bias, eps, n, out);
    for (size_t i = 0; i < n; i++) {
        double add = bias != NULL ? fabs((double)bias[i]) : 0;
        double tolerance = 8 * EPSILON *
                           (fabs(f->exact[i]) + add + fabs((double)weight[i]) * largest * factor);
        check_near((double)out[i], f->exact[i], tolerance, "layer_norm(%zu)[%zu]", n, i);
    }
}

void test_norm(const test_table *table)
{
    static fixture f;
    guarded *all[] = {&f.x, &f.weight, &f.bias, &f.out};
    for (size_t i = 0; i < 4; i++) {
        guarded_open(all[i], TEST_SIZE_MAX * 4);
    }
    for (int index = 0; index < test_sizes_count(); index++) {
        for (int in_place = 0; in_place < 2; in_place++) {
            check_rms(&f, table->kernels.rms_norm, test_size(index), in_place != 0);
            check_layer(&f, table->kernels.layer_norm, test_size(index), in_place != 0, 0);
            check_layer(&f, table->kernels.layer_norm, test_size(index), in_place != 0, 100);
            for (size_t i = 0; i < 4; i++) {
                guarded_check(all[i], "norm");
            }
        }
    }
    for (size_t i = 0; i < 4; i++) {
        guarded_close(all[i]);
    }
}
