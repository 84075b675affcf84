/* The vocabulary of simd/lanes/bytes.h in AVX2: 8 rows of 4 bytes. */
#ifndef SIMD_X86_BYTES_AVX2_H
#define SIMD_X86_BYTES_AVX2_H

#include "simd/x86/lanes_avx2.h"

typedef __m256i bytes;

/* sum + a, in 32 bits, where sum was. Left to itself, gcc adds a whole block up as a tree, for
 * which there are not enough registers. */
static inline __m256i add_in_place(__m256i sum, __m256i a)
{
    __asm__("vpaddd %1, %0, %0" : "+x"(sum) : "x"(a));
    return sum;
}

static inline bytes bytes_load(const void *p)
{
    return _mm256_loadu_si256(p);
}
static inline void bytes_store(void *p, bytes a)
{
    _mm256_storeu_si256(p, a);
}
static inline bytes bytes_set(int a)
{
    return _mm256_set1_epi8((char)a);
}
static inline bytes bytes_broadcast(const void *four)
{
    int number;
    memcpy(&number, four, sizeof(number));
    return _mm256_set1_epi32(number);
}
static inline bytes bytes_spread(const void *p)
{
    return _mm256_mullo_epi32(_mm256_cvtepu8_epi32(_mm_loadl_epi64(p)),
                              _mm256_set1_epi32(0x01010101));
}
/* Shifts of 16 bits do: the mask takes away what came from the neighbour. */
static inline bytes bytes_field(bytes a, int shift, int mask)
{
    return _mm256_and_si256(_mm256_srli_epi16(a, shift), bytes_set(mask));
}
static inline bytes bytes_shift_left(bytes a, int shift)
{
    return _mm256_slli_epi16(a, shift);
}
static inline bytes bytes_or(bytes a, bytes b)
{
    return _mm256_or_si256(a, b);
}
static inline bytes bytes_xor(bytes a, bytes b)
{
    return _mm256_xor_si256(a, b);
}
static inline bytes bytes_subtract(bytes a, bytes b)
{
    return _mm256_sub_epi8(a, b);
}
static inline bytes bytes_absolute(bytes a)
{
    return _mm256_abs_epi8(a);
}
static inline bytes bytes_maximum(bytes a, bytes b)
{
    return _mm256_max_epu8(a, b);
}
static inline lanes lanes_largest_byte(bytes a)
{
    a = _mm256_max_epu8(a, _mm256_srli_epi32(a, 16));
    a = _mm256_max_epu8(a, _mm256_srli_epi32(a, 8));
    return _mm256_cvtepi32_ps(_mm256_and_si256(a, _mm256_set1_epi32(255)));
}
static inline bytes bytes_table(const void *p)
{
    return _mm256_broadcastsi128_si256(_mm_loadu_si128(p));
}
static inline bytes bytes_lookup(bytes table, bytes index)
{
    return _mm256_shuffle_epi8(table, index);
}
static inline lanes lanes_load_int8(const void *p)
{
    return _mm256_cvtepi32_ps(_mm256_cvtepi8_epi32(_mm_loadl_epi64(p)));
}
static inline void lanes_store_int8(void *p, lanes a)
{
    __m256i wide = _mm256_cvtps_epi32(a);
    __m128i low = _mm256_castsi256_si128(wide), high = _mm256_extracti128_si256(wide, 1);
    __m128i words = _mm_packs_epi32(low, high);
    _mm_storel_epi64(p, _mm_packs_epi16(words, words));
}

#endif
