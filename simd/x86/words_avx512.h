/* The vocabulary of simd/lanes/many_chunk.h and many_words.h in AVX-512 (F, BW). */
#ifndef SIMD_X86_WORDS_AVX512_H
#define SIMD_X86_WORDS_AVX512_H

#include "simd/x86/bytes_avx512.h"

typedef __m512i words;
typedef __m512i ints;

static inline words words_even(bytes a)
{
    return _mm512_srai_epi16(_mm512_slli_epi16(a, 8), 8);
}
static inline words words_odd(bytes a)
{
    return _mm512_srai_epi16(a, 8);
}
static inline words words_raise_even(bytes a)
{
    return _mm512_slli_epi16(a, 8);
}
static inline words words_raise_odd(bytes a)
{
    return _mm512_and_si512(a, _mm512_set1_epi16(-256));
}
static inline bytes words_weave(words even, words odd)
{
    return _mm512_mask_blend_epi8(0xaaaaaaaaaaaaaaaau, even, _mm512_slli_epi16(odd, 8));
}
static inline words words_from(lanes a)
{
    const __m512i wide = _mm512_cvtps_epi32(a);
    return _mm512_mask_blend_epi16(0xaaaaaaaau, wide, _mm512_slli_epi32(wide, 16));
}
static inline words words_load(const void *p)
{
    return _mm512_loadu_si512(p);
}
static inline void words_store(void *p, words a)
{
    _mm512_storeu_si512(p, a);
}
static inline words words_multiply_high(words a, words b)
{
    return _mm512_mulhrs_epi16(a, b);
}
static inline words words_broadcast(const void *pair)
{
    int number;
    memcpy(&number, pair, sizeof(number));
    return _mm512_set1_epi32(number);
}
static inline ints ints_zero(void)
{
    return _mm512_setzero_si512();
}
static inline ints ints_dot(ints sums, words a, words b)
{
    return _mm512_add_epi32(sums, _mm512_madd_epi16(a, b));
}
static inline lanes ints_floats(ints a)
{
    return _mm512_cvtepi32_ps(a);
}

#endif
