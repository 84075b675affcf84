/* The vocabulary of simd/lanes/ in NEON as every ARMv8-A has it: 8 floats in two registers, so that
 * a chain of additions is as long as on AVX2 and two multiplications are in flight. */
#ifndef SIMD_ARM_LANES_NEON_H
#define SIMD_ARM_LANES_NEON_H

#include "simd/arm/arm.h"

#include <arm_neon.h>
#include <string.h>

#ifndef KERNEL /* an ISA with some kernels of its own names them before */
#define KERNEL(slot) slot##_neon
#endif
#define LANES        8
#define MATVEC_ROWS  4
#define MATMUL_ROWS  3
#define MATMUL_BATCH 3
#define PRODUCT_ROWS 6
#define PRODUCT_REMAINDERS(X) X(1) X(2) X(3) X(4) X(5)

typedef float32x4x2_t lanes;
typedef struct lanes_f64 {
    float64x2_t sums[4];
} lanes_f64;

static inline lanes lanes_pair(float32x4_t low, float32x4_t high)
{
    lanes pair;
    pair.val[0] = low;
    pair.val[1] = high;
    return pair;
}

static inline lanes lanes_load(const float *p)
{
    return lanes_pair(vld1q_f32(p), vld1q_f32(p + 4));
}
static inline lanes lanes_load_first(const float *p, size_t n)
{
    float copy[LANES] = {0};
    memcpy(copy, p, n * sizeof(float));
    return lanes_load(copy);
}
static inline void lanes_store(float *p, lanes a)
{
    vst1q_f32(p, a.val[0]);
    vst1q_f32(p + 4, a.val[1]);
}
static inline void lanes_store_first(float *p, lanes a, size_t n)
{
    float copy[LANES];
    lanes_store(copy, a);
    memcpy(p, copy, n * sizeof(float));
}
/* Loaded as bytes: the numbers may be unaligned. */
static inline uint16x8_t load_16(const void *p)
{
    return vreinterpretq_u16_u8(vld1q_u8(p));
}
static inline lanes lanes_load_bf16(const void *p)
{
    uint16x8_t bits = load_16(p);
    return lanes_pair(vreinterpretq_f32_u32(vshll_n_u16(vget_low_u16(bits), 16)),
                      vreinterpretq_f32_u32(vshll_n_u16(vget_high_u16(bits), 16)));
}
static inline lanes lanes_load_f16(const void *p)
{
    float16x8_t halves = vreinterpretq_f16_u16(load_16(p));
    return lanes_pair(vcvt_f32_f16(vget_low_f16(halves)), vcvt_f32_f16(vget_high_f16(halves)));
}
/* c0 c0 c1 c1 c2 c2 c3 c3 */
static inline lanes lanes_load_twice(const float *p)
{
    float32x4_t four = vld1q_f32(p);
    return lanes_pair(vzip1q_f32(four, four), vzip2q_f32(four, four));
}
static inline lanes lanes_set(float a)
{
    return lanes_pair(vdupq_n_f32(a), vdupq_n_f32(a));
}
static inline lanes lanes_add(lanes a, lanes b)
{
    return lanes_pair(vaddq_f32(a.val[0], b.val[0]), vaddq_f32(a.val[1], b.val[1]));
}
static inline lanes lanes_subtract(lanes a, lanes b)
{
    return lanes_pair(vsubq_f32(a.val[0], b.val[0]), vsubq_f32(a.val[1], b.val[1]));
}
static inline lanes lanes_multiply(lanes a, lanes b)
{
    return lanes_pair(vmulq_f32(a.val[0], b.val[0]), vmulq_f32(a.val[1], b.val[1]));
}
static inline lanes lanes_divide(lanes a, lanes b)
{
    return lanes_pair(vdivq_f32(a.val[0], b.val[0]), vdivq_f32(a.val[1], b.val[1]));
}
static inline lanes lanes_fma(lanes a, lanes b, lanes c)
{
    return lanes_pair(vfmaq_f32(c.val[0], a.val[0], b.val[0]),
                      vfmaq_f32(c.val[1], a.val[1], b.val[1]));
}
static inline lanes lanes_fnma(lanes a, lanes b, lanes c)
{
    return lanes_pair(vfmsq_f32(c.val[0], a.val[0], b.val[0]),
                      vfmsq_f32(c.val[1], a.val[1], b.val[1]));
}
static inline lanes lanes_fma_alternate(lanes a, lanes b, lanes c)
{
    const float signs[4] = {-1.0f, 1.0f, -1.0f, 1.0f};
    float32x4_t sign = vld1q_f32(signs);
    return lanes_pair(vfmaq_f32(vmulq_f32(c.val[0], sign), a.val[0], b.val[0]),
                      vfmaq_f32(vmulq_f32(c.val[1], sign), a.val[1], b.val[1]));
}
static inline lanes lanes_swap_pairs(lanes a)
{
    return lanes_pair(vrev64q_f32(a.val[0]), vrev64q_f32(a.val[1]));
}
static inline lanes lanes_minimum(lanes a, lanes b)
{
    return lanes_pair(vminq_f32(a.val[0], b.val[0]), vminq_f32(a.val[1], b.val[1]));
}
static inline lanes lanes_maximum(lanes a, lanes b)
{
    return lanes_pair(vmaxq_f32(a.val[0], b.val[0]), vmaxq_f32(a.val[1], b.val[1]));
}
static inline lanes lanes_absolute(lanes a)
{
    return lanes_pair(vabsq_f32(a.val[0]), vabsq_f32(a.val[1]));
}
static inline lanes lanes_copy_sign(lanes magnitude, lanes sign)
{
    uint32x4_t bit = vdupq_n_u32(0x80000000u);
    return lanes_pair(vbslq_f32(bit, sign.val[0], magnitude.val[0]),
                      vbslq_f32(bit, sign.val[1], magnitude.val[1]));
}
static inline lanes lanes_select_less(lanes a, lanes b, lanes yes, lanes no)
{
    return lanes_pair(vbslq_f32(vcltq_f32(a.val[0], b.val[0]), yes.val[0], no.val[0]),
                      vbslq_f32(vcltq_f32(a.val[1], b.val[1]), yes.val[1], no.val[1]));
}
static inline lanes lanes_round(lanes a)
{
    return lanes_pair(vrndnq_f32(a.val[0]), vrndnq_f32(a.val[1]));
}
static inline float32x4_t power_of_two(float32x4_t n)
{
    int32x4_t biased = vaddq_s32(vcvtq_s32_f32(n), vdupq_n_s32(127));
    return vreinterpretq_f32_s32(vshlq_n_s32(biased, 23));
}
static inline lanes lanes_power_of_two(lanes n)
{
    return lanes_pair(power_of_two(n.val[0]), power_of_two(n.val[1]));
}
static inline float lanes_sum(lanes a)
{
    return vaddvq_f32(vaddq_f32(a.val[0], a.val[1]));
}
static inline float lanes_largest(lanes a)
{
    return vmaxvq_f32(vmaxq_f32(a.val[0], a.val[1]));
}
static inline lanes_f64 lanes_f64_zero(void)
{
    lanes_f64 zero;
    for (int i = 0; i < 4; i++) {
        zero.sums[i] = vdupq_n_f64(0);
    }
    return zero;
}
static inline lanes_f64 lanes_f64_add(lanes_f64 sum, lanes a)
{
    for (int i = 0; i < 2; i++) {
        sum.sums[2 * i] = vaddq_f64(sum.sums[2 * i], vcvt_f64_f32(vget_low_f32(a.val[i])));
        sum.sums[2 * i + 1] = vaddq_f64(sum.sums[2 * i + 1], vcvt_high_f64_f32(a.val[i]));
    }
    return sum;
}
static inline lanes_f64 lanes_f64_add_square(lanes_f64 sum, lanes a)
{
    for (int i = 0; i < 2; i++) {
        float64x2_t low = vcvt_f64_f32(vget_low_f32(a.val[i]));
        float64x2_t high = vcvt_high_f64_f32(a.val[i]);
        sum.sums[2 * i] = vfmaq_f64(sum.sums[2 * i], low, low);
        sum.sums[2 * i + 1] = vfmaq_f64(sum.sums[2 * i + 1], high, high);
    }
    return sum;
}
static inline double lanes_f64_sum(lanes_f64 sum)
{
    return vaddvq_f64(vaddq_f64(vaddq_f64(sum.sums[0], sum.sums[1]),
                                vaddq_f64(sum.sums[2], sum.sums[3])));
}
static inline lanes lanes_bf16_even(lanes pairs)
{
    return lanes_pair(
        vreinterpretq_f32_u32(vshlq_n_u32(vreinterpretq_u32_f32(pairs.val[0]), 16)),
        vreinterpretq_f32_u32(vshlq_n_u32(vreinterpretq_u32_f32(pairs.val[1]), 16)));
}
static inline lanes lanes_bf16_odd(lanes pairs)
{
    const uint32x4_t upper = vdupq_n_u32(0xffff0000u);
    return lanes_pair(
        vreinterpretq_f32_u32(vandq_u32(vreinterpretq_u32_f32(pairs.val[0]), upper)),
        vreinterpretq_f32_u32(vandq_u32(vreinterpretq_u32_f32(pairs.val[1]), upper)));
}
/* Of four rows the lower or upper four columns, as rows. */
static inline __attribute__((always_inline)) void transpose_four(const lanes *rows, size_t half,
                                                                 float32x4_t out[4])
{
    const float32x4_t even = vtrn1q_f32(rows[0].val[half], rows[1].val[half]);
    const float32x4_t odd = vtrn2q_f32(rows[0].val[half], rows[1].val[half]);
    const float32x4_t even_below = vtrn1q_f32(rows[2].val[half], rows[3].val[half]);
    const float32x4_t odd_below = vtrn2q_f32(rows[2].val[half], rows[3].val[half]);
    out[0] = vcombine_f32(vget_low_f32(even), vget_low_f32(even_below));
    out[1] = vcombine_f32(vget_low_f32(odd), vget_low_f32(odd_below));
    out[2] = vcombine_f32(vget_high_f32(even), vget_high_f32(even_below));
    out[3] = vcombine_f32(vget_high_f32(odd), vget_high_f32(odd_below));
}
static inline __attribute__((always_inline)) void lanes_transpose(lanes rows[LANES])
{
    float32x4_t quarters[2][2][4]; /* [columns][rows]: four by four */
    for (size_t half = 0; half < 2; half++) {
        transpose_four(rows, half, quarters[half][0]);
        transpose_four(rows + 4, half, quarters[half][1]);
    }
    for (size_t i = 0; i < LANES; i++) {
        rows[i] = lanes_pair(quarters[i / 4][0][i % 4], quarters[i / 4][1][i % 4]);
    }
}

#endif
