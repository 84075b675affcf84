/* The vocabulary of simd/lanes/attention_pairs.h with BFDOT, whose products and sums are rounded to
 * odd, and subnormal numbers count as 0 (unless FEAT_EBF16 is there and asked for). */
#ifndef SIMD_ARM_PAIRS_BF16_H
#define SIMD_ARM_PAIRS_BF16_H

#include "simd/arm/lanes_neon.h"

#define PRODUCT_PAIRS

static inline bfloat16x8_t pairs_of_lanes(float32x4_t a)
{
    return vreinterpretq_bf16_f32(a);
}
static inline lanes lanes_dot_pairs(lanes a, lanes b, lanes sum)
{
    return lanes_pair(
        vbfdotq_f32(sum.val[0], pairs_of_lanes(a.val[0]), pairs_of_lanes(b.val[0])),
        vbfdotq_f32(sum.val[1], pairs_of_lanes(a.val[1]), pairs_of_lanes(b.val[1])));
}
/* Four numbers of each, rounded. */
static inline float32x4_t round_eight(float32x4_t first, float32x4_t second)
{
    return vreinterpretq_f32_bf16(vcvtq_high_bf16_f32(vcvtq_low_bf16_f32(first), second));
}
static inline float32x4_t weave_eight(float32x4_t first, float32x4_t second)
{
    const uint16x8_t rounded = vreinterpretq_u16_f32(round_eight(first, second));
    return vreinterpretq_f32_u16(vzip1q_u16(rounded, vextq_u16(rounded, rounded, 4)));
}
static inline lanes lanes_weave_pairs(lanes first, lanes second)
{
    return lanes_pair(weave_eight(first.val[0], second.val[0]),
                      weave_eight(first.val[1], second.val[1]));
}
static inline lanes lanes_round_pairs(lanes first, lanes second)
{
    return lanes_pair(round_eight(first.val[0], first.val[1]),
                      round_eight(second.val[0], second.val[1]));
}

#endif
