/* Weights as they are stored, in registers of floats. */
#ifndef SIMD_LANES_WEIGHTS_H
#define SIMD_LANES_WEIGHTS_H

#include "simd/lanes/common.h"

typedef enum weight_type {
    WEIGHT_F32,
    WEIGHT_BF16,
    WEIGHT_F16
} weight_type;

LANES_INLINE size_t weight_size(weight_type type)
{
    return type == WEIGHT_F32 ? 4 : 2;
}

/* The first n numbers, n being LANES or less. */
LANES_INLINE lanes load_weights(weight_type type, const char *weight, size_t n)
{
    const float *floats = (const float *)(const void *)weight; /* perhaps unaligned */
    switch (type) {
    case WEIGHT_BF16:
        return n == LANES ? lanes_load_bf16(weight) : lanes_load_bf16_first(weight, n);
    case WEIGHT_F16:
        return n == LANES ? lanes_load_f16(weight) : lanes_load_f16_first(weight, n);
    default:
        return n == LANES ? lanes_load(floats) : lanes_load_first(floats, n);
    }
}

#endif
