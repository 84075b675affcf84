/* Random weights and what was lost of them, for the tests of quantization and its table. */
#ifndef QUANTIZE_DATA_H
#define QUANTIZE_DATA_H

#include <math.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#define DATA_PI 3.14159265358979323846

/* splitmix64 (Steele, Lea, Flood 2014), to (0, 1). */
static inline double data_uniform(uint64_t *state)
{
    uint64_t z = (*state += 0x9e3779b97f4a7c15u);
    z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9u;
    z = (z ^ z >> 27) * 0x94d049bb133111ebu;
    z ^= z >> 31;
    return ((double)(z >> 11) + 0.5) * 0x1p-53;
}

static inline double data_normal(uint64_t *state)
{
    double radius = sqrt(-2 * log(data_uniform(state)));
    return radius * cos(2 * DATA_PI * data_uniform(state));
}

/* Student's t with 6 degrees of freedom: normal / sqrt(chi^2 of 6 / 6); chi^2 of 2 is -2 log u. */
static inline double data_student6(uint64_t *state)
{
    double chi = -2 * log(data_uniform(state) * data_uniform(state) * data_uniform(state));
    return data_normal(state) / sqrt(chi / 6);
}

/* Rounded to bf16, to nearest even. */
static inline uint16_t data_bf16(double number)
{
    float value = (float)number;
    uint32_t bits;
    memcpy(&bits, &value, sizeof(bits));
    return (uint16_t)((bits + 0x7fffu + (bits >> 16 & 1u)) >> 16);
}

static inline float data_from_bf16(uint16_t half)
{
    uint32_t bits = (uint32_t)half << 16;
    float value;
    memcpy(&value, &bits, sizeof(value));
    return value;
}

/* Normal, but one weight in 2048 is 16 times as large: about one in each row of a network. */
static inline double data_outlier(uint64_t *state)
{
    return data_normal(state) * (data_uniform(state) < 1.0 / 2048 ? 16 : 1);
}

typedef double data_source(uint64_t *state);

/* Fills weights[count] in bf16, of the size that networks have. */
static inline void data_fill(data_source *source, uint64_t seed, size_t count, uint16_t *weights)
{
    for (size_t i = 0; i < count; i++) {
        weights[i] = data_bf16(0.02 * source(&seed));
    }
}

#endif
