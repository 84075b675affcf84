/* The vocabulary of simd/lanes/many_words.h in AVX2. */
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
static inline words words_scale(const void *p)
{
    __m256i wide = _mm256_cvtepi8_epi32(_mm_loadl_epi64(p));
    return _mm256_blend_epi16(wide, _mm256_slli_epi32(wide, 16), 0xaa);
}
static inline words words_scale_one(void)
{
    return _mm256_set1_epi16(1);
}
static inline words words_load(const void *p)
{
    return _mm256_loadu_si256(p);
}
static inline void words_store(void *p, words a)
{
    _mm256_storeu_si256(p, a);
}
static inline words words_multiply(words a, words b)
{
    return _mm256_mullo_epi16(a, b);
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
