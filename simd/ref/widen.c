/* bf16 and f16 to float, bit by bit. */
#include "simd/ref/ref.h"

#include <string.h>

static uint32_t read_16(const void *source)
{
    uint16_t bits;
    memcpy(&bits, source, sizeof(bits));
    return bits;
}

static float from_bits(uint32_t bits)
{
    float value;
    memcpy(&value, &bits, sizeof(value));
    return value;
}

float read_f32(const void *source)
{
    float value;
    memcpy(&value, source, sizeof(value));
    return value;
}

float read_bf16(const void *source)
{
    return from_bits(read_16(source) << 16);
}

/* IEEE 754 binary16: 1 sign, 5 exponent (bias 15), 10 fraction bits. */
float read_f16(const void *source)
{
    uint32_t half = read_16(source);
    uint32_t sign = (half & 0x8000u) << 16;
    uint32_t exponent = (half >> 10) & 31u, fraction = half & 0x3ffu;
    if (exponent == 31) {
        uint32_t quiet = fraction != 0 ? 0x400000u : 0u;
        return from_bits(sign | 0x7f800000u | quiet | fraction << 13);
    }
    if (exponent == 0) {
        float magnitude = (float)fraction * 0x1p-24f;
        return sign != 0 ? -magnitude : magnitude;
    }
    return from_bits(sign | (exponent + 112) << 23 | fraction << 13);
}

void widen_bf16_ref(const void *source, float *out, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        out[i] = read_bf16((const char *)source + 2 * i);
    }
}

void widen_f16_ref(const void *source, float *out, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        out[i] = read_f16((const char *)source + 2 * i);
    }
}
