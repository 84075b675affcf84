/* Floats as sums of two bf16: x = hi + lo, both rounded to nearest even, within 2^-17 |x|. What
 * stands beyond: subnormal parts are 0, infinities and NaN give NaN, and so do numbers that bf16
 * rounds to infinity (3.39e38 and more). */
#ifndef SIMD_X86_SPLIT_AVX512BF16_H
#define SIMD_X86_SPLIT_AVX512BF16_H

#include <immintrin.h>
#include <stddef.h>
#include <stdint.h>

/* 32 numbers of 16 bits each: the higher and the lower parts. */
typedef struct split_numbers {
    __m512i hi, lo;
} split_numbers;

/* The first of each dword's two, and the second, as floats. */
static inline __m512 split_even(__m512i pairs)
{
    return _mm512_castsi512_ps(_mm512_slli_epi32(pairs, 16));
}
static inline __m512 split_odd(__m512i pairs)
{
    return _mm512_castsi512_ps(_mm512_and_si512(pairs, _mm512_set1_epi32((int)0xffff0000u)));
}

/* first[0], second[0], first[1], second[1], ... */
static inline __m512i split_weave(__m512 first, __m512 second)
{
    /* words 0, 16, 1, 17, ... of what is rounded one after the other */
    const __m512i index = _mm512_add_epi32(
        _mm512_set1_epi32(0x00100000),
        _mm512_mullo_epi32(_mm512_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15),
                           _mm512_set1_epi32(0x00010001)));
    return _mm512_permutexvar_epi16(index, (__m512i)_mm512_cvtne2ps_pbh(second, first));
}
static inline split_numbers split_pairs(__m512 first, __m512 second)
{
    const __m512i hi = split_weave(first, second);
    return (split_numbers){hi, split_weave(_mm512_sub_ps(first, split_even(hi)),
                                           _mm512_sub_ps(second, split_odd(hi)))};
}

/* 16 numbers of bf16 as floats. */
static inline __m512 split_widen(__m256i numbers)
{
    return _mm512_castsi512_ps(_mm512_slli_epi32(_mm512_cvtepu16_epi32(numbers), 16));
}
/* first[0], first[1], ... first[15], second[0], ... */
static inline split_numbers split_row(__m512 first, __m512 second)
{
    const __m512i hi = (__m512i)_mm512_cvtne2ps_pbh(second, first);
    const __m512 low = split_widen(_mm512_castsi512_si256(hi));
    const __m512 high = split_widen(_mm512_extracti64x4_epi64(hi, 1));
    return (split_numbers){hi, (__m512i)_mm512_cvtne2ps_pbh(_mm512_sub_ps(second, high),
                                                            _mm512_sub_ps(first, low))};
}

/* rows[16] of 16 dwords change places with columns. */
static inline __attribute__((always_inline)) void split_transpose(__m512i rows[16])
{
    __m512i t[16], u[16];
#pragma GCC unroll 8
    for (int i = 0; i < 16; i += 2) {
        t[i] = _mm512_unpacklo_epi32(rows[i], rows[i + 1]);
        t[i + 1] = _mm512_unpackhi_epi32(rows[i], rows[i + 1]);
    }
#pragma GCC unroll 4
    for (int i = 0; i < 16; i += 4) {
        u[i] = _mm512_unpacklo_epi64(t[i], t[i + 2]);
        u[i + 1] = _mm512_unpackhi_epi64(t[i], t[i + 2]);
        u[i + 2] = _mm512_unpacklo_epi64(t[i + 1], t[i + 3]);
        u[i + 3] = _mm512_unpackhi_epi64(t[i + 1], t[i + 3]);
    }
    /* quarter q of u[4 i + j] is column 4 q + j of rows 4 i to 4 i + 3 */
#pragma GCC unroll 4
    for (int j = 0; j < 4; j++) {
        const __m512i even = _mm512_shuffle_i32x4(u[j], u[4 + j], 0x88);
        const __m512i odd = _mm512_shuffle_i32x4(u[j], u[4 + j], 0xdd);
        const __m512i even_next = _mm512_shuffle_i32x4(u[8 + j], u[12 + j], 0x88);
        const __m512i odd_next = _mm512_shuffle_i32x4(u[8 + j], u[12 + j], 0xdd);
        rows[j] = _mm512_shuffle_i32x4(even, even_next, 0x88);
        rows[4 + j] = _mm512_shuffle_i32x4(odd, odd_next, 0x88);
        rows[8 + j] = _mm512_shuffle_i32x4(even, even_next, 0xdd);
        rows[12 + j] = _mm512_shuffle_i32x4(odd, odd_next, 0xdd);
    }
}

#endif
