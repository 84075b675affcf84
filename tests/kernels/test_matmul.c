/* simd: matmul, dot. */
#include "tests/kernels/harness.h"

#include <math.h>
#include <string.h>

#define BATCH_MAX 9
#define TOLERANCE 2e-6

/* One weight type: how a float becomes weight bytes, and its slots. */
typedef struct variant {
    const char *name;
    size_t size;
    float (*write)(float value, unsigned char *bytes); /* the value that was stored */
    kernel_matvec *matvec;
    kernel_matmul_few *matmul_few;
} variant;

typedef struct fixture {
    guarded weight, x, y;
    double exact[BATCH_MAX * 16], sum[BATCH_MAX * 16]; /* [batch, rows]; sums of magnitudes */
} fixture;

/* Fills weights [rows, k], row_stride apart and with NaN between, and x [batch, k]; results in
 * double. */
static void fill(fixture *f, const variant *v, size_t rows, size_t row_stride, size_t k,
                 size_t batch, size_t x_stride)
{
    unsigned char *weight = f->weight.data;
    float *x = (float *)(void *)f->x.data;
    for (size_t b = 0; b < batch; b++) {
        for (size_t i = 0; i < k; i++) {
            x[b * x_stride + i] = random_activation();
        }
    }
    memset(f->exact, 0, sizeof(f->exact));
    memset(f->sum, 0, sizeof(f->sum));
    for (size_t r = 0; r < rows; r++) {
        for (size_t i = 0; i < k; i++) {
            float value = v->write(random_activation() * 0.05f,
                                   weight + (r * row_stride + i) * v->size);
            for (size_t b = 0; b < batch; b++) {
                double product = (double)value * (double)x[b * x_stride + i];
                f->exact[b * rows + r] += product;
                f->sum[b * rows + r] += fabs(product);
            }
        }
    }
}

/* Bytes of `rows` rows, the last without what lies behind it. */
static size_t span(size_t rows, size_t stride, size_t k)
{
    return rows == 0 ? 0 : (rows - 1) * stride + k;
}

static void check_shape(fixture *f, const variant *v, size_t rows, size_t k, size_t batch,
                        size_t gap, size_t slack)
{
    size_t row_stride = k + gap, x_stride = k + gap, y_stride = rows + gap;
    unsigned char *weight =
        guarded_place(&f->weight, span(rows, row_stride, k) * v->size, slack);
    float *x = guarded_place(&f->x, span(batch, x_stride, k) * 4, 0);
    float *y = guarded_place(&f->y, span(batch, y_stride, rows) * 4, 0);
    fill(f, v, rows, row_stride, k, batch, x_stride);
    v->matmul_few(weight, row_stride, rows, k, x, x_stride, batch, y, y_stride);
    for (size_t b = 0; b < batch; b++) {
        for (size_t r = 0; r < rows; r++) {
            check_near((double)y[b * y_stride + r], f->exact[b * rows + r],
                       TOLERANCE * f->sum[b * rows + r],
                       "matmul_few_%s rows %zu k %zu batch %zu: [%zu, %zu]", v->name, rows, k,
                       batch, b, r);
        }
        /* the same numbers from matvec, in two parts */
        float alone[16];
        size_t part = rows / 3;
        v->matvec(weight, row_stride, part, k, x + b * x_stride, alone);
        v->matvec(weight + part * row_stride * v->size, row_stride, rows - part, k,
                  x + b * x_stride, alone + part);
        check_true(memcmp(alone, y + b * y_stride, rows * 4) == 0,
                   "matvec_%s rows %zu k %zu batch %zu: row %zu differs from matmul_few", v->name,
                   rows, k, batch, b);
    }
    guarded_check(&f->weight, "matmul weights");
    guarded_check(&f->x, "matmul x");
    guarded_check(&f->y, "matmul y");
}

static void check_variant(fixture *f, const variant *v)
{
    for (int i = 0; i < test_sizes_count(); i++) {
        size_t k = test_size(i);
        check_shape(f, v, 11, k, 1, 0, k % 2);
        check_shape(f, v, 7, k, 8, 3, 1);
    }
    for (size_t rows = 0; rows <= 13; rows++) {
        for (size_t batch = 0; batch <= BATCH_MAX; batch++) {
            check_shape(f, v, rows, 77, batch, batch % 3, 3);
        }
    }
}

static void check_dot(fixture *f, kernel_dot *dot)
{
    for (int index = 0; index < test_sizes_count(); index++) {
        size_t n = test_size(index);
        float *a = guarded_place(&f->weight, 4 * n, 0), *b = guarded_place(&f->x, 4 * n, 0);
        double exact = 0, sum = 0;
        for (size_t i = 0; i < n; i++) {
            a[i] = random_activation();
            b[i] = random_activation();
            exact += (double)a[i] * (double)b[i];
            sum += fabs((double)a[i] * (double)b[i]);
        }
        check_near((double)dot(a, b, n), exact, TOLERANCE * sum, "dot_f32(%zu)", n);
    }
}

/* An infinite weight must not become something else, nor spill into other rows. */
static void check_infinity(const variant *v, float infinity)
{
    unsigned char weight[2 * 19 * 4];
    float x[19], y[2];
    for (size_t i = 0; i < 2 * 19; i++) {
        v->write(0.5f, weight + i * v->size);
    }
    uint32_t bits = v->size == 4 ? 0x7f800000u : strcmp(v->name, "f16") == 0 ? 0x7c00u : 0x7f80u;
    memcpy(weight + 17 * v->size, &bits, v->size);
    for (size_t i = 0; i < 19; i++) {
        x[i] = 1;
    }
    v->matvec(weight, 19, 2, 19, x, y);
    check_true(y[0] == infinity && y[1] == 9.5f, "matvec_%s with an infinite weight", v->name);
}

void test_matmul(const test_table *table)
{
    const kernels *k = &table->kernels;
    const variant variants[] = {
        {"f32", 4, write_f32, k->matvec_f32, k->matmul_few_f32},
        {"bf16", 2, write_bf16, k->matvec_bf16, k->matmul_few_bf16},
        {"f16", 2, write_f16, k->matvec_f16, k->matmul_few_f16},
    };
    static fixture f;
    guarded_open(&f.weight, 13 * (TEST_SIZE_MAX + 4) * 4);
    guarded_open(&f.x, BATCH_MAX * (TEST_SIZE_MAX + 4) * 4);
    guarded_open(&f.y, BATCH_MAX * 32 * 4);
    for (size_t i = 0; i < sizeof(variants) / sizeof(variants[0]); i++) {
        check_variant(&f, &variants[i]);
        check_infinity(&variants[i], INFINITY);
    }
    check_dot(&f, k->dot_f32);
    guarded_close(&f.weight);
    guarded_close(&f.x);
    guarded_close(&f.y);
}
