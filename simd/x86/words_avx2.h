/* The vocabulary of simd/lanes/many_chunk.h and many_words.h in AVX2. */
#ifndef SIMD_X86_WORDS_AVX2_H
#define SIMD_X86_WORDS_AVX2_H

#include "simd/x86/bytes_avx2.h"

typedef __m256i words;
typedef __m256i ints;

static inline words words_even(bytes a)
{
    return _mm256_srai_epi16(_mm256_slli_epi16(a, 8), 8);
}
static inline words words_odd(bytes a)
{
    return _mm256_srai_epi16(a, 8);
}
static inline words words_raise_even(bytes a)
{
    return _mm256_slli_epi16(a, 8);
}
static inline words words_raise_odd(bytes a)
{
    return _mm256_and_si256(a, _mm256_set1_epi16(-256));
}
static inline bytes words_weave(words even, words odd)
{
    return _mm256_blendv_epi8(even, _mm256_slli_epi16(odd, 8), _mm256_set1_epi16(-256));
}
static inline words words_from(lanes a)
{
    const __m256i wide = _mm256_cvtps_epi32(a);
    return _mm256_blend_epi16(wide, _mm256_slli_epi32(wide, 16), 0xaa);
}
static inline words words_load(const void *p)
{
    return _mm256_loadu_si256(p);
}
static inline void words_store(void *p, words a)
{
    _mm256_storeu_si256(p, a);
}
static inline words words_multiply_high(words a, words b)
{
    return _mm256_mulhrs_epi16(a, b);
}
static inline words words_broadcast(const void *pair)
{
    int number;
    memcpy(&number, pair, sizeof(number));
    return _mm256_set1_epi32(number);
}
static inline ints ints_zero(void)
{
    return _mm256_setzero_si256();
}
static inline ints ints_dot(ints sums, words a, words b)
{
    return add_in_place(sums, _mm256_madd_epi16(a, b));
}
static inline lanes ints_floats(ints a)
{
    return _mm256_cvtepi32_ps(a);
}

#endif
