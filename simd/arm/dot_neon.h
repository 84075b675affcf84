/* Sums of products of bytes in NEON without dot products: 16-bit products, added in pairs to two
 * sums for each row. */
#ifndef SIMD_ARM_DOT_NEON_H
#define SIMD_ARM_DOT_NEON_H

#include "simd/arm/dot_operands.h"

typedef struct dot_sums {
    int32x4_t total[2], block[4]; /* the latter two for each row */
} dot_sums;

static inline dot_sums dot_zero(void)
{
    dot_sums sums;
    sums.total[0] = sums.total[1] = vdupq_n_s32(0);
    for (int i = 0; i < 4; i++) {
        sums.block[i] = vdupq_n_s32(0);
    }
    return sums;
}
static inline dot_sums dot_begin(dot_sums sums, int32_t codes_sum)
{
    (void)codes_sum;
    for (int i = 0; i < 4; i++) {
        sums.block[i] = vdupq_n_s32(0);
    }
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
    for (int i = 0; i < 2; i++) {
        const int16x8_t low = vmull_s8(vget_low_s8(weight.of[i]), vget_low_s8(codes));
        const int16x8_t high = vmull_high_s8(weight.of[i], codes);
        sums.block[2 * i] = vpadalq_s16(sums.block[2 * i], low);
        sums.block[2 * i + 1] = vpadalq_s16(sums.block[2 * i + 1], high);
    }
    return sums;
}
static inline dot_sums dot_end(dot_sums sums, dot_scale scale)
{
    for (int i = 0; i < 2; i++) {
        const int32x4_t block = vpaddq_s32(sums.block[2 * i], sums.block[2 * i + 1]);
        sums.total[i] = vmlaq_s32(sums.total[i], block, scale.wide.val[i]);
    }
    return sums;
}
static inline lanes dot_block_floats(dot_sums sums)
{
    return lanes_pair(vcvtq_f32_s32(vpaddq_s32(sums.block[0], sums.block[1])),
                      vcvtq_f32_s32(vpaddq_s32(sums.block[2], sums.block[3])));
}
static inline lanes dot_floats(dot_sums sums)
{
    return lanes_pair(vcvtq_f32_s32(sums.total[0]), vcvtq_f32_s32(sums.total[1]));
}

#endif
