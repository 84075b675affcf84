/* simd: product_f32, widen_int8, and attention block by block. */
#include "tests/kernels/harness.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#define BYTES_MAX ((size_t)16 << 20)

static void fill(float *x, size_t n, double spread)
{
    for (size_t i = 0; i < n; i++) {
        x[i] = (float)random_uniform(-spread, spread);
    }
}

/* a has its numbers at a_row * r + a_column * i without gaps in one of the two. */
static void check_product(const test_table *table, guarded memory[3], size_t rows, size_t columns,
                          size_t k, bool by_columns, bool add)
{
    size_t c_stride = columns + 3;
    float *a = guarded_place(&memory[0], rows * k * 4, 0);
    float *b = guarded_place(&memory[1], k * columns * 4, 0);
    size_t c_floats = rows == 0 ? 0 : (rows - 1) * c_stride + columns;
    float *c = guarded_place(&memory[2], c_floats * 4, 0);
    fill(a, rows * k, 2);
    fill(b, k * columns, 2);
    fill(c, c_floats, 1);
    float *before = malloc(c_floats * 4 + 4);
    memcpy(before, c, c_floats * 4);
    product_call call = {.a = a, .b = b, .c = c, .a_row = by_columns ? 1 : k,
                         .a_column = by_columns ? rows : 1, .b_stride = columns,
                         .c_stride = c_stride, .rows = rows, .columns = columns, .k = k,
                         .add = add};
    table->kernels.product_f32(&call);
    for (size_t i = 0; i < c_floats; i++) {
        size_t r = i / c_stride, n = i % c_stride;
        double sum = add ? (double)before[i] : 0, size = fabs(sum);
        if (n >= columns) {
            check_true(c[i] == before[i], "product_f32 wrote between rows");
            continue;
        }
        for (size_t j = 0; j < k; j++) {
            double term = (double)a[r * call.a_row + j * call.a_column] *
                          (double)b[j * columns + n];
            sum += term;
            size += fabs(term);
        }
        check_near((double)c[i], sum, (double)(k + 1) * EPSILON * size,
                   "product_f32 [%zu, %zu] of k %zu at %zu, %zu", rows, columns, k, r, n);
    }
    free(before);
    guarded_check(&memory[2], "product_f32");
}

static void test_product(const test_table *table, guarded memory[3])
{
    for (size_t rows = 0; rows <= 29; rows++) {
        for (size_t columns = 0; columns <= 67; columns += columns < 20 ? 1 : 7) {
            check_product(table, memory, rows, columns, (rows * 7 + columns) % 19, rows % 2 == 0,
                          columns % 3 == 0);
        }
    }
    check_product(table, memory, 1, 300, 129, false, true);
    check_product(table, memory, 3, 130, 64, false, false);
    check_product(table, memory, 64, 32, 576, true, false);
}

static void check_widen(const test_table *table, guarded memory[3], size_t rows, size_t columns,
                        size_t row_step, size_t column_step)
{
    size_t scales = (rows - 1) * row_step + (columns - 1) * column_step + 1;
    int8_t *codes = guarded_place(&memory[0], rows * columns, 0);
    float *scale = guarded_place(&memory[1], scales * 4, 0);
    float *out = guarded_place(&memory[2], rows * columns * 4, 0);
    for (size_t i = 0; i < rows * columns; i++) {
        codes[i] = (int8_t)(i * 37 % 256);
    }
    fill(scale, scales, 1);
    table->kernels.widen_int8(codes, scale, row_step, column_step, rows, columns, out);
    for (size_t i = 0; i < rows * columns; i++) {
        float factor = scale[i / columns * row_step + i % columns * column_step];
        check_true(out[i] == (float)codes[i] * factor, "widen_int8 [%zu, %zu] at %zu", rows,
                   columns, i);
    }
    guarded_check(&memory[2], "widen_int8");
}

/* One case of attention: keys and values of `positions`, queries of rows x heads. */
typedef struct attention_case {
    size_t rows, heads, depth, value_depth, positions;
    ptrdiff_t visible; /* to the first row */
    bool by_depth;     /* keys [depth, positions of a block] instead of [positions, depth] */
    bool dense, transposed_values;
    size_t fold; /* blocks until the state is folded into another; 0: never */
    double spread;
    bool rounded;  /* the state may be */
    bool of_bf16;  /* queries, keys and values are bf16, which rounding leaves as they are */
} attention_case;

/* What a case reads and writes. Blocks of keys and values lie one after the other, each with room
 * for ATTENTION_KEYS positions. */
typedef struct attention_data {
    float *q, *keys, *values, *out;
    float *state, *total;
} attention_data;

static attention_tile tile_of(const float *blocks, size_t block, size_t depth, bool by_depth)
{
    const float *data = blocks + block * ATTENTION_KEYS * depth;
    return by_depth ? (attention_tile){data, 1, ATTENTION_KEYS, data}
                    : (attention_tile){data, depth, 1, data};
}

/* Rows first to first + rows - 1 of the case, into out [rows, heads, value_depth]. */
static void run_case(const kernels *k, const attention_case *c, const attention_data *d,
                     size_t first, size_t rows)
{
    size_t width = c->heads * c->depth, value_width = c->heads * c->value_depth;
    attention_state total = {rows * c->heads, c->depth, c->value_depth, c->dense, d->total,
                             c->rounded};
    attention_state part = total;
    attention_queries queries = {d->q + first * width, rows, c->heads, width, c->depth, 0.125f};
    if (c->fold > 0) {
        part.memory = d->state;
        k->attention_begin(&total, &queries);
    }
    k->attention_begin(&part, &queries);
    size_t blocks = (c->positions + ATTENTION_KEYS - 1) / ATTENTION_KEYS;
    for (size_t block = 0; block < blocks; block++) {
        size_t start = block * ATTENTION_KEYS, left = c->positions - start;
        attention_tile keys = tile_of(d->keys, block, c->depth, c->by_depth);
        attention_tile values =
            tile_of(d->values, block, c->value_depth, c->transposed_values);
        k->attention_step(&part, &keys, &values, left < ATTENTION_KEYS ? left : ATTENTION_KEYS,
                          c->visible + (ptrdiff_t)first - (ptrdiff_t)start, c->heads);
        if (c->fold > 0 && (block + 1) % c->fold == 0) {
            k->attention_fold(&total, &part);
            k->attention_begin(&part, NULL); /* the same again */
        }
    }
    if (c->fold > 0) {
        k->attention_fold(&total, &part);
    }
    k->attention_end(&total, c->heads, d->out + first * value_width, value_width, c->value_depth);
}

static float number_at(const float *blocks, size_t p, size_t k, size_t depth, bool by_depth)
{
    attention_tile tile = tile_of(blocks, p / ATTENTION_KEYS, depth, by_depth);
    return tile.data[p % ATTENTION_KEYS * tile.position_stride + k * tile.depth_stride];
}

#define POSITIONS_MAX 400

/* Exact scores of a query, and the largest sum of magnitudes that stands in the tolerance. */
static double score_exactly(const attention_case *c, const attention_data *d, size_t query,
                            size_t seen, double *scores)
{
    double most = -(double)INFINITY, largest_size = 0;
    for (size_t p = 0; p < seen; p++) {
        double size = 0;
        scores[p] = 0;
        for (size_t k = 0; k < c->depth; k++) {
            double term = 0.125 * (double)d->q[query * c->depth + k] *
                          (double)number_at(d->keys, p, k, c->depth, c->by_depth);
            scores[p] += term;
            size += fabs(term);
        }
        most = fmax(most, scores[p]);
        largest_size = fmax(largest_size, size);
    }
    double sum = 0;
    for (size_t p = 0; p < seen; p++) {
        scores[p] = exp(scores[p] - most);
        sum += scores[p];
    }
    for (size_t p = 0; p < seen; p++) {
        scores[p] /= sum;
    }
    return largest_size;
}

/* How the kernels take floats, see kernels.h. */
typedef enum precision {
    WHOLE,
    SPLIT,  /* as two bf16 */
    ROUNDED /* as one */
} precision;

/* What a case may be wrong by because of its precision, for sum p |v| = 1; `size` as in
 * score_exactly. */
static double precision_error(const attention_case *c, precision precision, double size)
{
    const double u = 0x1p-8;
    switch (precision) {
    case WHOLE:
        return 0;
    case SPLIT:
        return EPSILON * (1024 * size + 512);
    case ROUNDED:
        return c->of_bf16 ? 1.01 * u : expm1(4.01 * u * size) + 2.02 * u;
    }
    return 0;
}

static void check_query(const attention_case *c, const attention_data *d, size_t query,
                        precision precision)
{
    double weights[POSITIONS_MAX];
    ptrdiff_t visible = c->visible + (ptrdiff_t)(query / c->heads);
    size_t seen = (size_t)visible < c->positions ? (size_t)visible : c->positions;
    double size = score_exactly(c, d, query, seen, weights);
    double factor = 8 * (double)c->depth * size + 64 + (double)seen / 4;
    factor += precision_error(c, precision, size) / EPSILON;
    for (size_t k = 0; k < c->value_depth; k++) {
        double exact = 0, sum = 0, plain = 0;
        for (size_t p = 0; p < seen; p++) {
            double value = (double)number_at(d->values, p, k, c->value_depth,
                                             c->transposed_values);
            exact += weights[p] * value;
            sum += weights[p] * fabs(value);
            plain += fabs(value);
        }
        check_near((double)d->out[query * c->value_depth + k], exact,
                   EPSILON * sum * factor + 0x1p-110 * plain,
                   "attention: query %zu of %zu x %zu, depth %zu, value %zu of %zu, positions %zu "
                   "from %td", query, c->rows, c->heads, c->depth, k, c->value_depth,
                   c->positions, c->visible);
    }
}

/* x, or the next bf16 towards 0. The mask is chosen and not the number: "cut ? masked : x" gcc 12.2
 * compiles to x. */
static float cut_to_bf16(float x, bool cut)
{
    uint32_t bits, mask = cut ? 0xffff0000u : 0xffffffffu;
    memcpy(&bits, &x, sizeof(bits));
    bits &= mask;
    memcpy(&x, &bits, sizeof(x));
    return x;
}

/* Places the numbers of a case in guarded memory: six blocks. */
static attention_data place_case(const attention_case *c, guarded memory[6])
{
    size_t queries = c->rows * c->heads, blocks = (c->positions + 63) / 64;
    size_t floats = attention_state_floats(queries, c->depth, c->value_depth);
    attention_data d = {
        .q = guarded_place(&memory[0], queries * c->depth * 4, 0),
        .keys = guarded_place(&memory[1], blocks * 64 * c->depth * 4, 0),
        .values = guarded_place(&memory[2], blocks * 64 * c->value_depth * 4, 0),
        .out = guarded_place(&memory[3], queries * c->value_depth * 4, 0),
        .state = guarded_place(&memory[4], floats * 4, 0),
        .total = guarded_place(&memory[5], floats * 4, 0),
    };
    fill(d.q, queries * c->depth, c->spread);
    for (size_t i = 0; i < queries * c->depth; i++) {
        d.q[i] = cut_to_bf16(d.q[i], c->of_bf16);
    }
    for (size_t p = 0; p < c->positions; p++) { /* what lies behind stays NaN */
        for (size_t k = 0; k < c->depth; k++) {
            attention_tile t = tile_of(d.keys, p / 64, c->depth, c->by_depth);
            float number = (float)random_uniform(-2, 2);
            ((float *)(uintptr_t)t.data)[p % 64 * t.position_stride + k * t.depth_stride] =
                cut_to_bf16(number, c->of_bf16);
        }
        for (size_t k = 0; k < c->value_depth; k++) {
            attention_tile t = tile_of(d.values, p / 64, c->value_depth, c->transposed_values);
            float number = random_activation();
            ((float *)(uintptr_t)t.data)[p % 64 * t.position_stride + k * t.depth_stride] =
                cut_to_bf16(number, c->of_bf16);
        }
    }
    return d;
}

/* Of many queries, and of few that are not dense. */
static precision precision_of(const test_table *table, const attention_case *c)
{
    const char *isa = table->kernels.isa[KERNEL_attention_step];
    const bool amx = strcmp(isa, "amx") == 0;
    if (c->rounded && (amx || strcmp(isa, "avx512bf16") == 0 || strcmp(isa, "bf16") == 0)) {
        return ROUNDED;
    }
    return amx ? SPLIT : WHOLE;
}

static void check_precision(const test_table *table, guarded memory[6], attention_case c)
{
    attention_data d = place_case(&c, memory);
    size_t floats = c.rows * c.heads * c.value_depth;
    run_case(&table->kernels, &c, &d, 0, c.rows);
    for (size_t query = 0; query < c.rows * c.heads; query++) {
        check_query(&c, &d, query, precision_of(table, &c));
    }
    for (int i = 3; i < 6; i++) {
        guarded_check(&memory[i], "attention");
    }
    if (precision_of(table, &c) != WHOLE && c.dense) { /* few are computed in another way */
        c.dense = false;
        run_case(&table->kernels, &c, &d, 0, c.rows);
    }
    float *together = malloc(floats * 4);
    memcpy(together, d.out, floats * 4);
    for (size_t row = 0, step = 1; row < c.rows;
         row += step, step++) { /* 1, 2, 3 ... rows a call */
        run_case(&table->kernels, &c, &d, row, c.rows - row < step ? c.rows - row : step);
    }
    bool equal = true;
    for (size_t i = 0; i < floats; i++) {
        equal &= together[i] == d.out[i];
    }
    check_true(equal, "attention: rows in parts, %zu x %zu, depth %zu, value %zu, positions %zu",
               c.rows, c.heads, c.depth, c.value_depth, c.positions);
    free(together);
}

static void check_case(const test_table *table, guarded memory[6], attention_case c)
{
    check_precision(table, memory, c);
    c.rounded = true;
    check_precision(table, memory, c);
    c.of_bf16 = true;
    check_precision(table, memory, c);
}

/* Infinities and NaN among keys and values show in the result of who sees them, and only there. */
static void check_not_finite(const test_table *table, guarded memory[6], bool dense, size_t rows,
                             float bad, bool in_keys, bool rounded)
{
    attention_case c = {rows, 1, 24, 24, rows + 100, 101, true, dense, !dense, 0, 1, rounded,
                        false};
    attention_data d = place_case(&c, memory);
    size_t p = 100 + rows / 2; /* seen by the rows from rows / 2 on */
    size_t place = p / 64 * 64 * 24;
    (in_keys ? d.keys : d.values)[place + (in_keys || !dense ? p % 64 : p % 64 * 24)] = bad;
    run_case(&table->kernels, &c, &d, 0, rows);
    for (size_t row = 0; row < rows; row++) {
        bool finite = true;
        for (size_t k = 0; k < 24; k++) {
            finite &= isfinite(d.out[row * 24 + k]);
        }
        bool harmless = in_keys && isinf(bad) && finite; /* a score of -infinity is a weight of 0 */
        check_true(row >= rows / 2 ? !finite || harmless : finite || !in_keys,
                   "attention: %g in %s, row %zu of %zu", (double)bad,
                   in_keys ? "a key" : "a value", row, rows);
    }
}

static void test_cases(const test_table *table, guarded memory[6])
{
    static const size_t depths[] = {1, 3, 8, 17, 24, 64, 72, 80, 128, 192};
    for (size_t i = 0; i < sizeof(depths) / sizeof(depths[0]); i++) {
        size_t depth = depths[i], value = depths[(i * 3 + 2) % 10];
        for (size_t positions = 1; positions <= 67; positions += positions < 20 ? 3 : 11) {
            size_t rows = 1 + (positions * 5 + i) % 35;
            ptrdiff_t first = positions > rows ? (ptrdiff_t)(positions - rows) + 1 : 1;
            attention_case c = {rows, 1, depth, value, positions, first, true, true, false, 0, 1,
                                false, false};
            check_case(table, memory, c);
            c.dense = false;
            c.by_depth = i % 2 == 0;
            c.transposed_values = i % 3 == 0;
            c.visible = 400; /* everything */
            check_case(table, memory, c);
        }
    }
    for (size_t rows = 1; rows <= 67; rows += rows < 34 ? 1 : 3) {
        check_case(table, memory, (attention_case){rows, 1, 72, 72, 150, 150, false, false, false,
                                                   0, 1, false, false});
        check_case(table, memory, (attention_case){rows, 1, 64, 128, rows + 130, 131, true, true,
                                                   false, 1, 3, false, false});
        check_case(table, memory, (attention_case){1 + rows / 8, 1 + rows % 7, 40, 24,
                                                   200 + rows / 8, 200, true, rows % 2 == 0,
                                                   rows % 2 != 0, 2, 1, false, false});
    }
    check_case(table, memory, (attention_case){2, 16, 576, 512, 333, 332, true, false, true, 2, 1,
                                               false, false});
    check_case(table, memory, (attention_case){5, 3, 128, 128, 130, 126, true, true, false, 0, 60,
                                               false, false});
}

void test_attention(const test_table *table)
{
    guarded memory[6];
    for (int i = 0; i < 6; i++) {
        guarded_open(&memory[i], BYTES_MAX);
    }
    test_product(table, memory);
    for (size_t columns = 1; columns <= 67; columns++) {
        check_widen(table, memory, 3, columns, 0, 1);
        check_widen(table, memory, 3, columns, 1, 0);
    }
    test_cases(table, memory);
    for (size_t rows = 2; rows <= 40; rows += 19) {
        for (int i = 0; i < 4; i++) {
            float bad = i % 2 == 0 ? INFINITY : NAN;
            check_not_finite(table, memory, rows < 8, rows, bad, i < 2, false);
            check_not_finite(table, memory, false, rows, bad, i < 2, false);
            check_not_finite(table, memory, false, rows, bad, i < 2, true);
        }
    }
    for (int i = 0; i < 6; i++) {
        guarded_close(&memory[i]);
    }
}
