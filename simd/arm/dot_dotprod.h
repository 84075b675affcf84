/* Sums of products of bytes in NEON with SDOT. */
#ifndef SIMD_ARM_DOT_DOTPROD_H
#define SIMD_ARM_DOT_DOTPROD_H

#include "simd/arm/dot_operands.h"

typedef struct dot_sums {
    int32x4_t total[2], block[2];
} dot_sums;

static inline dot_sums dot_zero(void)
{
    const int32x4_t zero = vdupq_n_s32(0);
    return (dot_sums){{zero, zero}, {zero, zero}};
}
static inline dot_sums dot_begin(dot_sums sums, int32_t codes_sum)
{
    (void)codes_sum;
    sums.block[0] = sums.block[1] = vdupq_n_s32(0);
    return sums;
}
static inline dot_sums dot_begin_run(const int32_t *start)
{
    (void)start;
    return dot_begin(dot_zero(), 0);
}
static inline dot_sums dot_add(dot_sums sums, dot_weight weight, bytes x, dot_scale scale)
{
    const int8x16_t codes = vreinterpretq_s8_u8(x.val[0]);
    (void)scale;
    sums.block[0] = vdotq_s32(sums.block[0], weight.of[0], codes);
    sums.block[1] = vdotq_s32(sums.block[1], weight.of[1], codes);
    return sums;
}
static inline dot_sums dot_end(dot_sums sums, dot_scale scale)
{
    sums.total[0] = vmlaq_s32(sums.total[0], sums.block[0], scale.wide.val[0]);
    sums.total[1] = vmlaq_s32(sums.total[1], sums.block[1], scale.wide.val[1]);
    return sums;
}
static inline lanes dot_block_floats(dot_sums sums)
{
    return lanes_pair(vcvtq_f32_s32(sums.block[0]), vcvtq_f32_s32(sums.block[1]));
}
static inline lanes dot_floats(dot_sums sums)
{
    return lanes_pair(vcvtq_f32_s32(sums.total[0]), vcvtq_f32_s32(sums.total[1]));
}

#endif
