#include "base/tensor.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

size_t data_type_size(data_type type)
{
    return type == DATA_F32 ? 4 : 2;
}

const char *data_type_name(data_type type)
{
    static const char *const names[DATA_TYPE_COUNT] = {"f32", "f16", "bf16"};
    return (unsigned)type < DATA_TYPE_COUNT ? names[type] : "unknown";
}

uint64_t tensor_elements(const tensor_view *tensor)
{
    uint64_t elements = 1;
    for (int i = 0; i < tensor->rank; i++) {
        elements *= (uint64_t)tensor->shape[i];
    }
    return elements;
}

static float from_bits(uint32_t bits)
{
    float value;
    memcpy(&value, &bits, sizeof(value));
    return value;
}

/* IEEE 754 binary16: multiplying by 2^112 puts right the bias of the exponent, and subnormals. */
static float widen_f16(uint16_t half)
{
    uint32_t sign = (uint32_t)(half & 0x8000u) << 16;
    uint32_t magnitude = half & 0x7fffu;
    if (magnitude >= 0x7c00u) {
        return from_bits(sign | 0x7f800000u | (magnitude & 0x3ffu) << 13);
    }
    return from_bits(sign) + (sign != 0 ? -1.0f : 1.0f) * from_bits(magnitude << 13) * 0x1p112f;
}

void numbers_widen(const void *numbers, data_type type, size_t count, float *out)
{
    const char *bytes = numbers;
    if (type == DATA_F32) {
        memcpy(out, numbers, count * sizeof(*out));
        return;
    }
    for (size_t i = 0; i < count; i++) {
        uint16_t bits;
        memcpy(&bits, bytes + 2 * i, sizeof(bits));
        out[i] = type == DATA_BF16 ? from_bits((uint32_t)bits << 16) : widen_f16(bits);
    }
}

static uint16_t to_bf16(float number)
{
    uint32_t bits;
    memcpy(&bits, &number, sizeof(bits));
    if ((bits & 0x7fffffff) > 0x7f800000) { /* rounding might make a number of it */
        return (uint16_t)(bits >> 16 | 0x40);
    }
    return (uint16_t)((bits + 0x7fff + (bits >> 16 & 1)) >> 16);
}

static uint16_t to_f16(float number)
{
    uint32_t bits;
    memcpy(&bits, &number, sizeof(bits));
    uint32_t sign = bits >> 16 & 0x8000, magnitude = bits & 0x7fffffff;
    if (magnitude > 0x7f800000) {
        return (uint16_t)(sign | 0x7e00 | (magnitude >> 13 & 0x1ff));
    }
    if (magnitude >= 0x47800000) { /* 65536 and more */
        return (uint16_t)(sign | 0x7c00);
    }
    if (magnitude < 0x38800000) { /* below 2^-14: subnormal, in steps of 2^-24 */
        return (uint16_t)(sign | (uint32_t)nearbyintf(fabsf(number) * 16777216.0f));
    }
    magnitude -= 0x38000000; /* the exponent's bias: 127 - 15 */
    return (uint16_t)(sign | (magnitude + 0xfff + (magnitude >> 13 & 1)) >> 13);
}

void numbers_narrow(const float *numbers, size_t count, data_type type, void *out)
{
    char *bytes = out;
    if (type == DATA_F32) {
        memcpy(out, numbers, count * sizeof(*numbers));
        return;
    }
    for (size_t i = 0; i < count; i++) {
        uint16_t half = type == DATA_BF16 ? to_bf16(numbers[i]) : to_f16(numbers[i]);
        memcpy(bytes + 2 * i, &half, sizeof(half));
    }
}

const char *tensor_shape_text(const int64_t *shape, int rank, char *text, size_t size)
{
    size_t used = (size_t)snprintf(text, size, "[");
    for (int i = 0; i < rank && used < size; i++) {
        used += (size_t)snprintf(text + used, size - used, "%s%" PRId64, i > 0 ? ", " : "",
                                 shape[i]);
    }
    if (used < size) {
        snprintf(text + used, size - used, "]");
    }
    return text;
}
