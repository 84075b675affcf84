/* simd: matmul_many. */
#include "tests/kernels/harness.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#define ROWS_MAX  (MATMUL_MANY_OUTPUTS + 70)
#define BATCH_MAX 70
#define TOLERANCE 2e-6
#define SMALL_MAX 4 /* rows, where the inputs are many */

typedef struct variant {
    const char *name;
    size_t size;
    float (*write)(float value, unsigned char *bytes);
    kernel_matmul_many *run;
    double floor; /* see the contract: times the sum of the operands */
} variant;

typedef struct fixture {
    guarded weight, x, y, scratch;
    double *values; /* the weights as they were stored */
} fixture;

/* The matrices of a check: outputs, inputs, rows of x; numbers between the rows. */
typedef struct shape {
    size_t rows, k, batch, gap;
    bool add;
} shape;

/* Bytes of `rows` rows, the last without what lies behind it. */
static size_t span(size_t rows, size_t stride, size_t k)
{
    return rows == 0 ? 0 : (rows - 1) * stride + k;
}

static float before(const shape *s, size_t b, size_t r)
{
    return 0.25f * (float)((b * s->rows + r) % 17) - 2;
}

static void fill(fixture *f, const variant *v, const shape *s)
{
    float *x = (float *)(void *)f->x.data, *y = (float *)(void *)f->y.data;
    for (size_t b = 0; b < s->batch; b++) {
        for (size_t i = 0; i < s->k; i++) {
            x[b * (s->k + s->gap) + i] = random_activation();
        }
        for (size_t r = 0; s->add && r < s->rows; r++) {
            y[b * (s->rows + s->gap) + r] = before(s, b, r);
        }
    }
    for (size_t r = 0; r < s->rows; r++) {
        for (size_t i = 0; i < s->k; i++) {
            unsigned char *place = f->weight.data + (r * (s->k + s->gap) + i) * v->size;
            f->values[r * s->k + i] = (double)v->write(random_activation() * 0.05f, place);
        }
    }
}

/* Output r of row b: within the tolerance of the result in double? */
static void check_output(const fixture *f, const variant *v, const shape *s, size_t b, size_t r)
{
    const float *x = (const float *)(const void *)f->x.data + b * (s->k + s->gap);
    const float *y = (const float *)(const void *)f->y.data + b * (s->rows + s->gap);
    double exact = s->add ? (double)before(s, b, r) : 0, sum = fabs(exact), operands = 0;
    for (size_t i = 0; i < s->k; i++) {
        double weight = f->values[r * s->k + i], product = weight * (double)x[i];
        exact += product;
        sum += fabs(product);
        operands += fabs(weight) + fabs((double)x[i]);
    }
    check_near((double)y[r], exact, TOLERANCE * sum + v->floor * operands,
               "matmul_many_%s rows %zu k %zu batch %zu add %d: [%zu, %zu]", v->name, s->rows, s->k,
               s->batch, s->add, b, r);
}

/* The same call in parts: outputs from `row` and rows of x from `b`, as many as there are. */
static void run_part(const fixture *f, const variant *v, const shape *s, size_t row, size_t rows,
                     size_t b, size_t batch)
{
    const many_call call = {.weight = f->weight.data + row * (s->k + s->gap) * v->size,
                            .row_stride = s->k + s->gap, .rows = rows, .k = s->k,
                            .x = (float *)(void *)f->x.data + b * (s->k + s->gap),
                            .x_stride = s->k + s->gap, .batch = batch,
                            .y = (float *)(void *)f->y.data + b * (s->rows + s->gap) + row,
                            .y_stride = s->rows + s->gap, .add = s->add,
                            .scratch = f->scratch.data};
    memset(f->scratch.data, 0x7f, f->scratch.size);
    v->run(&call);
}

/* In four parts the bits are the same. */
static void check_parts(fixture *f, const variant *v, const shape *s)
{
    float *y = (float *)(void *)f->y.data;
    const size_t count = span(s->batch, s->rows + s->gap, s->rows);
    float *whole = malloc((count + 1) * sizeof(float));
    memcpy(whole, y, count * sizeof(float));
    for (size_t b = 0; b < s->batch; b++) {
        for (size_t r = 0; r < s->rows; r++) {
            y[b * (s->rows + s->gap) + r] = s->add ? before(s, b, r) : 1;
        }
    }
    const size_t row = s->rows / 3, b = s->batch / 5;
    run_part(f, v, s, 0, row, 0, b);
    run_part(f, v, s, row, s->rows - row, 0, b);
    run_part(f, v, s, 0, row, b, s->batch - b);
    run_part(f, v, s, row, s->rows - row, b, s->batch - b);
    check_true(memcmp(whole, y, count * sizeof(float)) == 0,
               "matmul_many_%s rows %zu k %zu batch %zu: other bits in parts", v->name, s->rows,
               s->k, s->batch);
    free(whole);
}

static void check_shape(fixture *f, const variant *v, shape s, size_t slack)
{
    guarded_place(&f->weight, span(s.rows, s.k + s.gap, s.k) * v->size, slack);
    guarded_place(&f->x, span(s.batch, s.k + s.gap, s.k) * 4, 0);
    guarded_place(&f->y, span(s.batch, s.rows + s.gap, s.rows) * 4, 0);
    guarded_place(&f->scratch, MATMUL_MANY_SCRATCH, 0);
    fill(f, v, &s);
    run_part(f, v, &s, 0, s.rows, 0, s.batch);
    for (size_t b = 0; b < s.batch; b++) {
        for (size_t r = 0; r < s.rows; r++) {
            check_output(f, v, &s, b, r);
        }
    }
    guarded_check(&f->weight, "many weights");
    guarded_check(&f->x, "many x");
    guarded_check(&f->y, "many y");
    guarded_check(&f->scratch, "many scratch");
    check_parts(f, v, &s);
}

static void check_variant(fixture *f, const variant *v)
{
    for (int i = 0; i < test_sizes_count(); i++) {
        size_t k = test_size(i);
        check_shape(f, v, (shape){.rows = SMALL_MAX, .k = k, .batch = 9, .gap = k % 3}, k % 2);
        check_shape(f, v, (shape){.rows = 19, .k = k, .batch = 3, .add = true}, 1);
    }
    for (size_t n = 0; n <= BATCH_MAX; n++) {
        check_shape(f, v, (shape){.rows = n, .k = 37, .batch = 13, .gap = n % 3}, 3);
        check_shape(f, v, (shape){.rows = 33, .k = 40, .batch = n, .add = n % 2 != 0}, 0);
        check_shape(f, v, (shape){.rows = n, .k = 65, .batch = BATCH_MAX - n, .gap = 1}, 0);
    }
    for (size_t rows = MATMUL_MANY_OUTPUTS - 1; rows <= ROWS_MAX; rows += 71) {
        check_shape(f, v, (shape){.rows = rows, .k = 261, .batch = 14, .add = true}, 1);
    }
}

/* An infinite weight reaches its own output only; what was NaN before is not read unless asked. */
static void check_infinity(fixture *f, const variant *v)
{
    const shape s = {.rows = 35, .k = 70, .batch = 11};
    guarded_place(&f->weight, s.rows * s.k * v->size, 0);
    float *x = guarded_place(&f->x, s.batch * s.k * 4, 0);
    float *y = guarded_place(&f->y, s.batch * s.rows * 4, 0);
    guarded_place(&f->scratch, MATMUL_MANY_SCRATCH, 0);
    for (size_t i = 0; i < s.rows * s.k; i++) {
        v->write(0.5f, f->weight.data + i * v->size);
    }
    for (size_t i = 0; i < s.batch * s.k; i++) {
        x[i] = 1;
    }
    const uint32_t bits =
        v->size == 4 ? 0x7f800000u : strcmp(v->name, "f16") == 0 ? 0x7c00u : 0x7f80u;
    memcpy(f->weight.data + (33 * s.k + 69) * v->size, &bits, v->size);
    run_part(f, v, &s, 0, s.rows, 0, s.batch);
    bool right = true;
    for (size_t i = 0; i < s.batch * s.rows; i++) {
        right &= i % s.rows == 33 ? !isfinite(y[i]) : y[i] == 35;
    }
    check_true(right, "matmul_many_%s with an infinite weight", v->name);
}

void test_many(const test_table *table)
{
    const kernels *k = &table->kernels;
    const char *isa = k->isa[KERNEL_matmul_many_bf16];
    const bool split = strcmp(isa, "amx") == 0 || strcmp(isa, "bf16") == 0;
    const variant variants[] = {
        {"f32", 4, write_f32, k->matmul_many_f32, 0},
        {"bf16", 2, write_bf16, k->matmul_many_bf16, split ? 0x1p-125 : 0},
        {"f16", 2, write_f16, k->matmul_many_f16, 0},
    };
    static fixture f;
    guarded_open(&f.weight, ROWS_MAX * 300 * 4);
    guarded_open(&f.x, BATCH_MAX * (TEST_SIZE_MAX + 4) * 4);
    guarded_open(&f.y, BATCH_MAX * (ROWS_MAX + 4) * 4);
    guarded_open(&f.scratch, MATMUL_MANY_SCRATCH);
    f.values = malloc(ROWS_MAX * 300 * sizeof(double));
    for (size_t i = 0; f.values != NULL && i < sizeof(variants) / sizeof(variants[0]); i++) {
        check_variant(&f, &variants[i]);
        check_infinity(&f, &variants[i]);
    }
    free(f.values);
    guarded_close(&f.weight);
    guarded_close(&f.x);
    guarded_close(&f.y);
    guarded_close(&f.scratch);
}
