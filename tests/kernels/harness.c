/* Guarded memory, random numbers and the counting of failures. */
#include "tests/kernels/harness.h"

#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#define CANARY       0xa5
#define CANARY_BYTES 128
#define PRINTED_MAX  20

static size_t made, failed;

static const char *const masks[] = {"generic", "avx2", "avx512",  "vnni", "amx",
                                    "neon",    "dotprod", "i8mm", "native"};

int test_tables(test_table tables[TEST_TABLES_MAX])
{
    int count = 0;
    for (size_t i = 0; i < sizeof(masks) / sizeof(masks[0]); i++) {
        test_table *table = &tables[count];
        cpu_features features;
        memset(table, 0, sizeof(*table));
        table->mask = masks[i];
        check_true(cpu_parse_mask(masks[i], cpu_detect_features(), &features, NULL),
                   "mask %s is known", masks[i]);
        kernels_select(features, &table->kernels);
        bool known = false;
        for (int other = 0; other < count; other++) {
            known |= memcmp(&tables[other].kernels, &table->kernels, sizeof(kernels)) == 0;
        }
        count += known ? 0 : 1;
    }
    return count;
}

static const size_t big_sizes[] = {72, 80, 96, 127, 128, 255, 576, 1152, 1283, 2047, TEST_SIZE_MAX};

int test_sizes_count(void)
{
    return 68 + (int)(sizeof(big_sizes) / sizeof(big_sizes[0]));
}

size_t test_size(int index)
{
    return index < 68 ? (size_t)index : big_sizes[index - 68];
}

void guarded_open(guarded *memory, size_t capacity)
{
    size_t page = (size_t)sysconf(_SC_PAGESIZE);
    size_t usable = (capacity + 2 * CANARY_BYTES + page - 1) / page * page;
    memset(memory, 0, sizeof(*memory));
    memory->map_size = usable + 2 * page;
    memory->map = mmap(NULL, memory->map_size, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (memory->map == MAP_FAILED ||
        mprotect(memory->map + page, usable, PROT_READ | PROT_WRITE) != 0) {
        perror("guarded memory");
        exit(99);
    }
}

void guarded_close(guarded *memory)
{
    munmap(memory->map, memory->map_size);
}

void *guarded_place(guarded *memory, size_t size, size_t slack)
{
    size_t page = (size_t)sysconf(_SC_PAGESIZE);
    unsigned char *end = memory->map + memory->map_size - page;
    memory->data = end - slack - size;
    memory->size = size;
    memory->slack = slack;
    if (memory->data < memory->map + page + CANARY_BYTES) {
        fprintf(stderr, "guarded memory: %zu bytes do not fit\n", size);
        exit(99);
    }
    memset(memory->data - CANARY_BYTES, CANARY, CANARY_BYTES);
    memset(memory->data, 0x7f, size); /* NaN as floats: reading what was not written shows */
    memset(end - slack, CANARY, slack);
    return memory->data;
}

void guarded_check(const guarded *memory, const char *what)
{
    bool intact = true;
    for (size_t i = 1; i <= CANARY_BYTES; i++) {
        intact &= *(memory->data - i) == CANARY;
    }
    for (size_t i = 0; i < memory->slack; i++) {
        intact &= memory->data[memory->size + i] == CANARY;
    }
    check_true(intact, "%s: canary of %zu bytes", what, memory->size);
}

static uint64_t random_bits(void)
{
    static uint64_t state = 0x9e3779b97f4a7c15u;
    state ^= state >> 12;
    state ^= state << 25;
    state ^= state >> 27;
    return state * 0x2545f4914f6cdd1du;
}

double random_uniform(double low, double high)
{
    return low + (high - low) * ((double)(random_bits() >> 11) * 0x1p-53);
}

float random_activation(void)
{
    double sum = 0;
    for (int i = 0; i < 4; i++) {
        sum += random_uniform(-1, 1);
    }
    return (float)(random_bits() >> 60 == 0 ? 10 * sum : sum);
}

uint16_t to_bf16(float value)
{
    uint32_t bits;
    memcpy(&bits, &value, sizeof(bits));
    return (uint16_t)((bits + 0x8000u) >> 16);
}

uint16_t to_f16(float value)
{
    int exponent;
    double fraction = frexp(fabs((double)value), &exponent); /* [0.5, 1) */
    unsigned sign = signbit(value) ? 0x8000u : 0u;
    if (value == 0 || exponent < -13) {
        return (uint16_t)(sign | (unsigned)ldexp(fabs((double)value), 24));
    }
    return (uint16_t)(sign | ((unsigned)(exponent + 14) << 10) |
                      ((unsigned)ldexp(fraction, 11) & 0x3ffu));
}

float write_f32(float value, unsigned char *bytes)
{
    memcpy(bytes, &value, 4);
    return value;
}

float write_bf16(float value, unsigned char *bytes)
{
    uint16_t half = to_bf16(value);
    uint32_t bits = (uint32_t)half << 16;
    memcpy(bytes, &half, 2);
    memcpy(&value, &bits, 4);
    return value;
}

float write_f16(float value, unsigned char *bytes)
{
    uint16_t half = to_f16(value);
    memcpy(bytes, &half, 2);
    int exponent = half >> 10 & 31, fraction = half & 0x3ff;
    double magnitude = exponent == 0 ? ldexp(fraction, -24) : ldexp(1024 + fraction, exponent - 25);
    return (float)((half & 0x8000) != 0 ? -magnitude : magnitude);
}

static void count(bool holds, const char *format, va_list arguments)
{
    made++;
    if (!holds) {
        failed++;
        if (failed <= PRINTED_MAX) {
            printf("FAILED: ");
            vprintf(format, arguments);
            printf("\n");
        }
    }
}

void check_true(bool holds, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    count(holds, format, arguments);
    va_end(arguments);
}

void check_near(double computed, double exact, double tolerance, const char *format, ...)
{
    bool near = fabs(computed - exact) <= tolerance;
    va_list arguments;
    va_start(arguments, format);
    count(near, format, arguments);
    va_end(arguments);
    if (!near && failed <= PRINTED_MAX) {
        printf("    computed %.9g, exact %.9g, tolerance %.3g, off by %.3g\n", computed, exact,
               tolerance, fabs(computed - exact));
    }
}

size_t checks_made(void)
{
    return made;
}

size_t checks_failed(void)
{
    return failed;
}
