/* Sums of products of bytes with AVX-512 VNNI, which multiplies unsigned by signed bytes: the
 * weights get 128 added, and 128 times the sum of the activations is taken off beforehand. */
#ifndef SIMD_X86_DOT_VNNI_H
#define SIMD_X86_DOT_VNNI_H

#include "simd/x86/bytes_avx512.h"

/* sum + products, where sum was. Left to itself, gcc moves the sums of a large block around. */
static inline __m512i dot_in_place(__m512i sum, __m512i raised, __m512i x)
{
#ifdef __AVX512VNNI__
    __asm__("vpdpbusd %2, %1, %0" : "+v"(sum) : "v"(raised), "v"(x));
    return sum;
#else /* whoever emulates the instruction */
    return _mm512_dpbusd_epi32(sum, raised, x);
#endif
}

typedef struct dot_weight {
    __m512i raised;
} dot_weight;
typedef struct dot_scale {
    __m512i scale; /* int32 */
} dot_scale;
typedef struct dot_sums {
    __m512i total, block;
} dot_sums;

static inline dot_weight dot_prepare(bytes values)
{
    return (dot_weight){_mm512_xor_si512(values, _mm512_set1_epi8(-128))};
}
/* Weights that wait to be multiplied many times have their 128 already. */
#define DOT_KEEPS true
static inline bytes dot_keep(bytes values)
{
    return dot_prepare(values).raised;
}
static inline dot_weight dot_kept(bytes raised)
{
    return (dot_weight){raised};
}
static inline dot_scale dot_load_scale(const void *p)
{
    return (dot_scale){_mm512_cvtepi8_epi32(_mm_loadu_si128(p))};
}
static inline dot_scale dot_scale_one(void)
{
    return (dot_scale){_mm512_set1_epi32(1)};
}
static inline dot_sums dot_zero(void)
{
    return (dot_sums){_mm512_setzero_si512(), _mm512_setzero_si512()};
}
static inline dot_sums dot_begin(dot_sums sums, int32_t codes_sum)
{
    sums.block = _mm512_set1_epi32(-128 * codes_sum);
    return sums;
}
/* Each sum of four stands in all of their places. */
static inline void dot_starts(const int32_t *sums, int32_t *starts)
{
    __m512i sum = _mm512_loadu_si512(sums);
    sum = _mm512_add_epi32(sum, _mm512_shuffle_epi32(sum, 0x4e));
    sum = _mm512_add_epi32(sum, _mm512_shuffle_epi32(sum, 0xb1));
    sum = _mm512_slli_epi32(_mm512_sub_epi32(_mm512_setzero_si512(), sum), 7);
    _mm512_storeu_si512(starts, sum);
}
static inline dot_sums dot_begin_run(const int32_t *start)
{
    return (dot_sums){_mm512_setzero_si512(), _mm512_set1_epi32(*start)};
}
static inline dot_sums dot_add(dot_sums sums, dot_weight weight, bytes x, dot_scale scale)
{
    (void)scale;
    sums.block = dot_in_place(sums.block, weight.raised, x);
    return sums;
}
static inline dot_sums dot_end(dot_sums sums, dot_scale scale)
{
    sums.total = _mm512_add_epi32(sums.total, _mm512_mullo_epi32(sums.block, scale.scale));
    return sums;
}
static inline lanes dot_block_floats(dot_sums sums)
{
    return _mm512_cvtepi32_ps(sums.block);
}
static inline lanes dot_floats(dot_sums sums)
{
    return _mm512_cvtepi32_ps(sums.total);
}

#endif
