/* Sums of products of bytes in AVX-512 without VNNI, as in dot_avx2.h; a mask takes the place of
 * vpsignb. */
#ifndef SIMD_X86_DOT_AVX512_H
#define SIMD_X86_DOT_AVX512_H

#include "simd/x86/bytes_avx512.h"

typedef struct dot_weight {
    __m512i magnitude;
    __mmask64 negative;
} dot_weight;
typedef struct dot_scale {
    __m512i twice; /* int16, twice for each row */
} dot_scale;
typedef struct dot_sums {
    __m512i total;
} dot_sums;

static inline dot_weight dot_prepare(bytes values)
{
    return (dot_weight){_mm512_abs_epi8(values), _mm512_movepi8_mask(values)};
}
static inline dot_scale dot_load_scale(const void *p)
{
    __m512i wide = _mm512_cvtepi8_epi32(_mm_loadu_si128(p));
    return (dot_scale){
        _mm512_mask_blend_epi16(0xaaaaaaaau, wide, _mm512_slli_epi32(wide, 16))};
}
static inline dot_scale dot_scale_one(void)
{
    return (dot_scale){_mm512_set1_epi16(1)};
}
static inline dot_sums dot_zero(void)
{
    return (dot_sums){_mm512_setzero_si512()};
}
static inline dot_sums dot_begin(dot_sums sums, int32_t codes_sum)
{
    (void)codes_sum;
    return sums;
}
static inline dot_sums dot_add(dot_sums sums, dot_weight weight, bytes x, dot_scale scale)
{
    __m512i turned = _mm512_mask_sub_epi8(x, weight.negative, _mm512_setzero_si512(), x);
    __m512i pairs = _mm512_maddubs_epi16(weight.magnitude, turned);
    sums.total = _mm512_add_epi32(sums.total, _mm512_madd_epi16(pairs, scale.twice));
    return sums;
}
static inline dot_sums dot_end(dot_sums sums, dot_scale scale)
{
    (void)scale;
    return sums;
}
static inline lanes dot_floats(dot_sums sums)
{
    return _mm512_cvtepi32_ps(sums.total);
}

#endif
