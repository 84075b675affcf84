/* simd: axpy, rope. */
#include "tests/kernels/harness.h"

#include <math.h>

typedef struct fixture {
    guarded x, y, cosine, sine;
    double before[2 * TEST_SIZE_MAX];
} fixture;

static void check_axpy(fixture *f, kernel_axpy *axpy, size_t n)
{
    const float alpha = -0.37f;
    float *x = guarded_place(&f->x, 4 * n, 0), *y = guarded_place(&f->y, 4 * n, 0);
    for (size_t i = 0; i < n; i++) {
        x[i] = random_activation();
        y[i] = random_activation();
        f->before[i] = (double)y[i];
    }
    axpy(alpha, x, y, n);
    for (size_t i = 0; i < n; i++) {
        double product = (double)alpha * (double)x[i];
        check_near((double)y[i], f->before[i] + product,
                   2 * EPSILON * (fabs(product) + fabs(f->before[i])), "axpy_f32(%zu)[%zu]", n, i);
    }
    guarded_check(&f->x, "axpy x");
    guarded_check(&f->y, "axpy y");
}

/* Pair i is (x[i * step], x[i * step + apart]). */
static void check_rope(fixture *f, const char *name, kernel_rope *rope, size_t pairs, size_t step,
                       size_t apart)
{
    float *x = guarded_place(&f->x, 8 * pairs, 0);
    float *cosine = guarded_place(&f->cosine, 4 * pairs, 0);
    float *sine = guarded_place(&f->sine, 4 * pairs, 0);
    for (size_t i = 0; i < 2 * pairs; i++) {
        f->before[i] = (double)(x[i] = random_activation());
    }
    for (size_t i = 0; i < pairs; i++) {
        double angle = random_uniform(0, 7);
        cosine[i] = (float)cos(angle);
        sine[i] = (float)sin(angle);
    }
    rope(x, cosine, sine, 2 * pairs);
    for (size_t i = 0; i < pairs; i++) {
        double a = f->before[i * step], b = f->before[i * step + apart];
        double c = (double)cosine[i], s = (double)sine[i];
        double tolerance = 2 * EPSILON * (fabs(a) + fabs(b));
        check_near((double)x[i * step], a * c - b * s, tolerance, "%s(%zu) a of %zu", name,
                   2 * pairs, i);
        check_near((double)x[i * step + apart], b * c + a * s, tolerance, "%s(%zu) b of %zu", name,
                   2 * pairs, i);
    }
    guarded_check(&f->x, name);
    guarded_check(&f->cosine, name);
    guarded_check(&f->sine, name);
}

void test_vector(const test_table *table)
{
    static fixture f;
    guarded *all[] = {&f.x, &f.y, &f.cosine, &f.sine};
    for (size_t i = 0; i < 4; i++) {
        guarded_open(all[i], TEST_SIZE_MAX * 8);
    }
    for (int index = 0; index < test_sizes_count(); index++) {
        size_t n = test_size(index);
        check_axpy(&f, table->kernels.axpy_f32, n);
        check_rope(&f, "rope_half", table->kernels.rope_half, n, 1, n);
        check_rope(&f, "rope_interleaved", table->kernels.rope_interleaved, n, 2, 1);
    }
    for (size_t i = 0; i < 4; i++) {
        guarded_close(all[i]);
    }
}
