/* The vocabulary of simd/lanes/many_chunk.h in NEON. */
#ifndef SIMD_ARM_WORDS_NEON_H
#define SIMD_ARM_WORDS_NEON_H

#include "simd/arm/bytes_neon.h"

typedef int16x8x2_t words;

static inline words words_pair(int16x8_t low, int16x8_t high)
{
    words pair;
    pair.val[0] = low;
    pair.val[1] = high;
    return pair;
}
static inline words words_raise_even(bytes a)
{
    return words_pair(vshlq_n_s16(vreinterpretq_s16_u8(a.val[0]), 8),
                      vshlq_n_s16(vreinterpretq_s16_u8(a.val[1]), 8));
}
static inline words words_raise_odd(bytes a)
{
    const int16x8_t upper = vdupq_n_s16(-256);
    return words_pair(vandq_s16(vreinterpretq_s16_u8(a.val[0]), upper),
                      vandq_s16(vreinterpretq_s16_u8(a.val[1]), upper));
}
/* Of the two registers the even bytes, in turns. */
static inline bytes words_weave(words even, words odd)
{
    return bytes_pair(
        vtrn1q_u8(vreinterpretq_u8_s16(even.val[0]), vreinterpretq_u8_s16(odd.val[0])),
        vtrn1q_u8(vreinterpretq_u8_s16(even.val[1]), vreinterpretq_u8_s16(odd.val[1])));
}
static inline words words_from(lanes a)
{
    const int16x8_t once = vcombine_s16(vmovn_s32(vcvtq_s32_f32(a.val[0])),
                                        vmovn_s32(vcvtq_s32_f32(a.val[1])));
    return words_pair(vzip1q_s16(once, once), vzip2q_s16(once, once));
}
static inline words words_multiply_high(words a, words b)
{
    return words_pair(vqrdmulhq_s16(a.val[0], b.val[0]), vqrdmulhq_s16(a.val[1], b.val[1]));
}

#endif
