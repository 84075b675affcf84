/* What dot_neon.h and dot_dotprod.h have in common: weights as they are, scales in int32. */
#ifndef SIMD_ARM_DOT_OPERANDS_H
#define SIMD_ARM_DOT_OPERANDS_H

#include "simd/arm/bytes_neon.h"

typedef struct dot_weight {
    int8x16_t of[2];
} dot_weight;
typedef struct dot_scale {
    int32x4x2_t wide;
} dot_scale;

static inline dot_weight dot_prepare(bytes values)
{
    return (dot_weight){{vreinterpretq_s8_u8(values.val[0]), vreinterpretq_s8_u8(values.val[1])}};
}
#define DOT_KEEPS false
static inline bytes dot_keep(bytes values)
{
    return values;
}
static inline dot_weight dot_kept(bytes values)
{
    return dot_prepare(values);
}
/* Signed by signed: all sums begin with 0. */
static inline void dot_starts(const int32_t *sums, int32_t *starts)
{
    (void)sums;
    (void)starts;
}
static inline dot_scale dot_load_scale(const void *p)
{
    return (dot_scale){load_wide(p)};
}
static inline dot_scale dot_scale_one(void)
{
    dot_scale one;
    one.wide.val[0] = one.wide.val[1] = vdupq_n_s32(1);
    return one;
}

#endif
