/* What the kernel tests share. They need libc only, so that they can be built for another
 * architecture without its libraries and run under an emulator. */
#ifndef TESTS_KERNELS_HARNESS_H
#define TESTS_KERNELS_HARNESS_H

#include "simd/kernels.h"

/* Half a unit in the last place of a float near 1: `e` of simd/kernels.h. */
#define EPSILON 0x1p-24

/* A table to test, and the VL2_CPU text that gives it. */
typedef struct test_table {
    const char *mask;
    kernels kernels;
} test_table;

#define TEST_TABLES_MAX 16

/* Every different table that a mask gives on this processor, the reference first. */
int test_tables(test_table tables[TEST_TABLES_MAX]);

/* Sizes to test: 0 to 67 and some big ones, of which the largest is TEST_SIZE_MAX. */
#define TEST_SIZE_MAX 4099
int test_sizes_count(void);
size_t test_size(int index);

/* Memory that ends `slack` bytes before a page that faults; canaries stand on both sides. */
typedef struct guarded {
    unsigned char *map, *data;
    size_t map_size, size, slack;
} guarded;

void guarded_open(guarded *memory, size_t capacity);
void guarded_close(guarded *memory);
/* Room for `size` bytes, filled with a pattern; the room before is given up. */
void *guarded_place(guarded *memory, size_t size, size_t slack);
/* Counts a failure if a canary was overwritten. */
void guarded_check(const guarded *memory, const char *what);

/* The same numbers on every machine: xorshift64*. */
double random_uniform(double low, double high);
/* Bell-shaped, with a few values ten times as large. */
float random_activation(void);
uint16_t to_bf16(float value);
uint16_t to_f16(float value); /* of a number that f16 can hold, rounded toward zero */

/* Writes a weight in the type of the name, rounded; the value that was stored. */
float write_f32(float value, unsigned char *bytes);
float write_bf16(float value, unsigned char *bytes);
float write_f16(float value, unsigned char *bytes);

/* Counts a failure, and prints the first of them, unless |computed - exact| <= tolerance. */
void check_near(double computed, double exact, double tolerance, const char *format, ...)
    __attribute__((format(printf, 4, 5)));
void check_true(bool holds, const char *format, ...) __attribute__((format(printf, 2, 3)));
/* How often a check was made and how often it failed, since the start. */
size_t checks_made(void);
size_t checks_failed(void);

/* One source file of tests each; they test all slots of one file of simd/. */
void test_cpu(void);
void test_widen(const test_table *table);
void test_matmul(const test_table *table);
void test_many(const test_table *table);
void test_norm(const test_table *table);
void test_softmax(const test_table *table);
void test_activation(const test_table *table);
void test_vector(const test_table *table);
void test_packed(const test_table *table);
void test_attention(const test_table *table);

#endif
