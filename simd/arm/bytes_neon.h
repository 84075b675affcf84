/* The vocabulary of simd/lanes/bytes.h in NEON: 8 rows of 4 bytes in two registers. */
#ifndef SIMD_ARM_BYTES_NEON_H
#define SIMD_ARM_BYTES_NEON_H

#include "simd/arm/lanes_neon.h"

typedef uint8x16x2_t bytes;

static inline bytes bytes_pair(uint8x16_t low, uint8x16_t high)
{
    bytes pair;
    pair.val[0] = low;
    pair.val[1] = high;
    return pair;
}
static inline bytes bytes_load(const void *p)
{
    return bytes_pair(vld1q_u8(p), vld1q_u8((const uint8_t *)p + 16));
}
static inline void bytes_store(void *p, bytes a)
{
    vst1q_u8(p, a.val[0]);
    vst1q_u8((uint8_t *)p + 16, a.val[1]);
}
static inline bytes bytes_set(int a)
{
    return bytes_pair(vdupq_n_u8((uint8_t)a), vdupq_n_u8((uint8_t)a));
}
static inline bytes bytes_broadcast(const void *four)
{
    uint32_t number;
    memcpy(&number, four, sizeof(number));
    const uint8x16_t all = vreinterpretq_u8_u32(vdupq_n_u32(number));
    return bytes_pair(all, all);
}
static inline bytes bytes_spread(const void *p)
{
    const uint8x8_t once = vld1_u8(p);
    const uint8x8_t twice_low = vzip1_u8(once, once), twice_high = vzip2_u8(once, once);
    return bytes_pair(vcombine_u8(vzip1_u8(twice_low, twice_low), vzip2_u8(twice_low, twice_low)),
                      vcombine_u8(vzip1_u8(twice_high, twice_high),
                                  vzip2_u8(twice_high, twice_high)));
}
static inline bytes bytes_field(bytes a, int shift, int mask)
{
    const int8x16_t right = vdupq_n_s8((int8_t)-shift);
    const uint8x16_t bits = vdupq_n_u8((uint8_t)mask);
    return bytes_pair(vandq_u8(vshlq_u8(a.val[0], right), bits),
                      vandq_u8(vshlq_u8(a.val[1], right), bits));
}
static inline bytes bytes_shift_left(bytes a, int shift)
{
    const int8x16_t left = vdupq_n_s8((int8_t)shift);
    return bytes_pair(vshlq_u8(a.val[0], left), vshlq_u8(a.val[1], left));
}
static inline bytes bytes_or(bytes a, bytes b)
{
    return bytes_pair(vorrq_u8(a.val[0], b.val[0]), vorrq_u8(a.val[1], b.val[1]));
}
static inline bytes bytes_xor(bytes a, bytes b)
{
    return bytes_pair(veorq_u8(a.val[0], b.val[0]), veorq_u8(a.val[1], b.val[1]));
}
static inline bytes bytes_subtract(bytes a, bytes b)
{
    return bytes_pair(vsubq_u8(a.val[0], b.val[0]), vsubq_u8(a.val[1], b.val[1]));
}
static inline bytes bytes_absolute(bytes a)
{
    return bytes_pair(vreinterpretq_u8_s8(vabsq_s8(vreinterpretq_s8_u8(a.val[0]))),
                      vreinterpretq_u8_s8(vabsq_s8(vreinterpretq_s8_u8(a.val[1]))));
}
static inline bytes bytes_maximum(bytes a, bytes b)
{
    return bytes_pair(vmaxq_u8(a.val[0], b.val[0]), vmaxq_u8(a.val[1], b.val[1]));
}
static inline lanes lanes_largest_byte(bytes a)
{
    const uint8x16_t pairs = vpmaxq_u8(a.val[0], a.val[1]);
    const uint8x8_t rows = vpmax_u8(vget_low_u8(pairs), vget_high_u8(pairs));
    const uint16x8_t wide = vmovl_u8(rows);
    return lanes_pair(vcvtq_f32_u32(vmovl_u16(vget_low_u16(wide))),
                      vcvtq_f32_u32(vmovl_u16(vget_high_u16(wide))));
}
static inline bytes bytes_table(const void *p)
{
    return bytes_pair(vld1q_u8(p), vld1q_u8(p));
}
static inline bytes bytes_lookup(bytes table, bytes index)
{
    return bytes_pair(vqtbl1q_u8(table.val[0], index.val[0]),
                      vqtbl1q_u8(table.val[1], index.val[1]));
}
/* LANES int8 as int32. */
static inline int32x4x2_t load_wide(const void *p)
{
    const int16x8_t words = vmovl_s8(vld1_s8(p));
    int32x4x2_t wide;
    wide.val[0] = vmovl_s16(vget_low_s16(words));
    wide.val[1] = vmovl_s16(vget_high_s16(words));
    return wide;
}
static inline lanes lanes_load_int8(const void *p)
{
    const int32x4x2_t wide = load_wide(p);
    return lanes_pair(vcvtq_f32_s32(wide.val[0]), vcvtq_f32_s32(wide.val[1]));
}
static inline void lanes_store_int8(void *p, lanes a)
{
    const int16x4_t low = vqmovn_s32(vcvtnq_s32_f32(a.val[0]));
    const int16x4_t high = vqmovn_s32(vcvtnq_s32_f32(a.val[1]));
    vst1_s8(p, vqmovn_s16(vcombine_s16(low, high)));
}

#endif
