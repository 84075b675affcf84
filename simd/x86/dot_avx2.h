/* Sums of products of bytes in AVX2, for simd/lanes/packed.h. vpmaddubsw multiplies unsigned by
 * signed bytes and adds pairs in 16 bits: the weight gives its magnitude and the activation takes
 * its sign, and 2 * 128 * 127 is below 2^15. vpmaddwd adds the pairs, and multiplies by the group's
 * scale on the way: a group costs nothing of its own. */
#ifndef SIMD_X86_DOT_AVX2_H
#define SIMD_X86_DOT_AVX2_H

#include "simd/x86/bytes_avx2.h"

typedef struct dot_weight {
    __m256i value, magnitude;
} dot_weight;
typedef struct dot_scale {
    __m256i twice; /* int16, twice for each row */
} dot_scale;
typedef struct dot_sums {
    __m256i total;
} dot_sums;

static inline dot_weight dot_prepare(bytes values)
{
    return (dot_weight){values, _mm256_abs_epi8(values)};
}
static inline dot_scale dot_load_scale(const void *p)
{
    __m256i wide = _mm256_cvtepi8_epi32(_mm_loadl_epi64(p));
    return (dot_scale){_mm256_blend_epi16(wide, _mm256_slli_epi32(wide, 16), 0xaa)};
}
static inline dot_scale dot_scale_one(void)
{
    return (dot_scale){_mm256_set1_epi16(1)};
}
static inline dot_sums dot_zero(void)
{
    return (dot_sums){_mm256_setzero_si256()};
}
static inline dot_sums dot_begin(dot_sums sums, int32_t codes_sum)
{
    (void)codes_sum;
    return sums;
}
static inline dot_sums dot_add(dot_sums sums, dot_weight weight, bytes x, dot_scale scale)
{
    __m256i pairs = _mm256_maddubs_epi16(weight.magnitude, _mm256_sign_epi8(x, weight.value));
    sums.total = add_in_place(sums.total, _mm256_madd_epi16(pairs, scale.twice));
    return sums;
}
static inline dot_sums dot_end(dot_sums sums, dot_scale scale)
{
    (void)scale;
    return sums;
}
static inline lanes dot_floats(dot_sums sums)
{
    return _mm256_cvtepi32_ps(sums.total);
}

#endif
