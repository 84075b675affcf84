/* Times attention on the shapes of the models: Gflop/s with one thread, and beside them those of
 * product_f32 on a block that lies in L1. */
#include "tests/kernels/bench.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

typedef struct attention_bench {
    const kernels *k;
    const char *name;
    size_t rows, heads, depth, value_depth, positions;
    bool dense, transposed_values, rounded;
    float *q, *keys, *values, *out, *memory;
} attention_bench;

static void run_attention(void *context, size_t piece)
{
    (void)piece;
    const attention_bench *b = context;
    attention_state state = {b->rows * b->heads, b->depth, b->value_depth, b->dense, b->memory,
                             b->rounded};
    attention_queries queries = {b->q, b->rows, b->heads, b->heads * b->depth, b->depth, 0.1f};
    b->k->attention_begin(&state, &queries);
    for (size_t start = 0; start < b->positions; start += ATTENTION_KEYS) {
        size_t left = b->positions - start;
        attention_tile keys = {b->keys + start * b->depth, 1, ATTENTION_KEYS, NULL};
        attention_tile values = {b->values + start * b->value_depth, b->value_depth, 1, NULL};
        if (b->transposed_values) {
            values.position_stride = 1;
            values.depth_stride = ATTENTION_KEYS;
        }
        b->k->attention_step(&state, &keys, &values,
                             left < ATTENTION_KEYS ? left : ATTENTION_KEYS, ATTENTION_KEYS,
                             b->heads);
    }
    b->k->attention_end(&state, b->heads, b->out, b->heads * b->value_depth, b->value_depth);
}

static float *random_floats(size_t count)
{
    float *x = bench_memory(count, sizeof(float));
    for (size_t i = 0; i < count; i++) {
        x[i] = (float)random_uniform(-1, 1);
    }
    return x;
}

static void bench_case(attention_bench b)
{
    size_t queries = b.rows * b.heads, padded = (b.positions + 63) / 64 * 64;
    b.q = random_floats(queries * b.depth);
    b.keys = random_floats(padded * b.depth);
    b.values = random_floats(padded * b.value_depth);
    b.out = bench_memory(queries * b.value_depth, sizeof(float));
    b.memory = bench_memory(attention_state_floats(queries, b.depth, b.value_depth),
                            sizeof(float));
    double seconds = bench_once(run_attention, &b);
    double flops = 2.0 * (double)(queries * b.positions * (b.depth + b.value_depth));
    printf("%-16s %-7s %-28s %9.1f us  %7.2f Gflop/s\n", "attention",
           b.k->isa[KERNEL_attention_step], b.name, 1e6 * seconds, 1e-9 * flops / seconds);
    free(b.q);
    free(b.keys);
    free(b.values);
    free(b.out);
    free(b.memory);
}

static void run_product(void *context, size_t piece)
{
    (void)piece;
    const product_call *call = context;
    const kernels *k = *(const kernels *const *)(const void *)(call + 1);
    for (int i = 0; i < 20; i++) {
        k->product_f32(call);
    }
}

static void bench_product(const kernels *table)
{
    struct {
        product_call call;
        const kernels *table;
    } job = {.table = table};
    float *x = random_floats(3 * 64 * 64);
    job.call = (product_call){.a = x, .b = x + 4096, .c = x + 8192, .a_row = 1, .a_column = 48,
                              .b_stride = 32, .c_stride = 32, .rows = 48, .columns = 32, .k = 64};
    double seconds = bench_once(run_product, &job) / 20;
    printf("%-16s %-7s %-28s %9.1f us  %7.2f Gflop/s\n", "product_f32",
           table->isa[KERNEL_product_f32], "[48, 32] of k 64", 1e6 * seconds,
           2e-9 * 48 * 32 * 64 / seconds);
    free(x);
}

void bench_attention(const kernels *table, const char *prefix)
{
    if (strncmp("attention", prefix, strlen(prefix)) != 0 &&
        strncmp("product_f32", prefix, strlen(prefix)) != 0) {
        return;
    }
    bench_product(table);
    attention_bench cases[] = {
        {.name = "vision 364 x 729, 72", .rows = 364, .heads = 1, .depth = 72, .value_depth = 72,
         .positions = 729},
        {.name = "the same, rounded", .rows = 364, .heads = 1, .depth = 72, .value_depth = 72,
         .positions = 729, .rounded = true},
        {.name = "expanded 512 x 1024, 192/128", .rows = 512, .heads = 1, .depth = 192,
         .value_depth = 128, .positions = 1024, .transposed_values = true},
        {.name = "128 x 1024, 192/128, rounded", .rows = 128, .heads = 1, .depth = 192,
         .value_depth = 128, .positions = 1024, .rounded = true},
        {.name = "heads of 128, 128 x 1024", .rows = 128, .heads = 1, .depth = 128,
         .value_depth = 128, .positions = 1024, .dense = true},
        {.name = "heads of 128, 1 x 1024", .rows = 1, .heads = 1, .depth = 128,
         .value_depth = 128, .positions = 1024, .dense = true},
        {.name = "absorbed 1 x 16 x 1024", .rows = 1, .heads = 16, .depth = 576,
         .value_depth = 512, .positions = 1024, .transposed_values = true},
        {.name = "absorbed 8 x 16 x 1024", .rows = 8, .heads = 16, .depth = 576,
         .value_depth = 512, .positions = 1024, .transposed_values = true},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        cases[i].k = table;
        bench_case(cases[i]);
    }
}
