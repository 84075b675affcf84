/* simd: widen. Bits are compared, so that NaN, subnormals and the sign of zero count. */
#include "tests/kernels/harness.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

static uint32_t bits_of(float value)
{
    uint32_t bits;
    memcpy(&bits, &value, sizeof(bits));
    return bits;
}

static uint32_t exact_bf16(uint16_t half)
{
    return (uint32_t)half << 16;
}

/* By the definition of binary16 and in double, unlike the reference. */
static uint32_t exact_f16(uint16_t half)
{
    uint32_t sign = (uint32_t)(half & 0x8000u) << 16;
    int exponent = half >> 10 & 31, fraction = half & 0x3ff;
    if (exponent == 31 && fraction != 0) {
        return sign | 0x7fc00000u | (uint32_t)fraction << 13;
    }
    double magnitude = exponent == 0    ? ldexp(fraction, -24)
                       : exponent == 31 ? (double)INFINITY
                                        : ldexp(1024 + fraction, exponent - 25);
    return sign | bits_of((float)magnitude);
}

typedef uint32_t exact_widen(uint16_t half);

/* `first` is the first of `count` bit patterns. */
static void check_widen(const char *name, kernel_widen *widen, exact_widen *exact, guarded *source,
                        guarded *out, size_t count, unsigned first, size_t slack)
{
    unsigned char *halves = guarded_place(source, 2 * count, slack);
    float *floats = guarded_place(out, 4 * count, 0);
    for (size_t i = 0; i < count; i++) {
        uint16_t half = (uint16_t)(first + i);
        memcpy(halves + 2 * i, &half, 2);
    }
    widen(halves, floats, count);
    for (size_t i = 0; i < count; i++) {
        uint16_t half = (uint16_t)(first + i);
        check_true(bits_of(floats[i]) == exact(half), "%s(%zu): 0x%04x became 0x%08x, not 0x%08x",
                   name, count, half, bits_of(floats[i]), exact(half));
    }
    guarded_check(source, name);
    guarded_check(out, name);
}

void test_widen(const test_table *table)
{
    guarded source, out;
    guarded_open(&source, 2 * 65536 + 16);
    guarded_open(&out, 4 * 65536);
    for (size_t slack = 0; slack < 2; slack++) {
        check_widen("widen_bf16", table->kernels.widen_bf16, exact_bf16, &source, &out, 65536, 0,
                    slack);
        check_widen("widen_f16", table->kernels.widen_f16, exact_f16, &source, &out, 65536, 0,
                    slack);
        for (int i = 0; i < test_sizes_count(); i++) {
            unsigned first = (unsigned)random_uniform(0, 65535);
            check_widen("widen_bf16", table->kernels.widen_bf16, exact_bf16, &source, &out,
                        test_size(i), first, slack);
            check_widen("widen_f16", table->kernels.widen_f16, exact_f16, &source, &out,
                        test_size(i), first, slack);
        }
    }
    guarded_close(&source);
    guarded_close(&out);
}
