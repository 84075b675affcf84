/* The vocabulary of simd/lanes/bytes.h in AVX-512 (F, BW): 16 rows of 4 bytes. */
#ifndef SIMD_X86_BYTES_AVX512_H
#define SIMD_X86_BYTES_AVX512_H

#include "simd/x86/lanes_avx512.h"

typedef __m512i bytes;

static inline bytes bytes_load(const void *p)
{
    return _mm512_loadu_si512(p);
}
static inline void bytes_store(void *p, bytes a)
{
    _mm512_storeu_si512(p, a);
}
static inline bytes bytes_set(int a)
{
    return _mm512_set1_epi8((char)a);
}
static inline bytes bytes_broadcast(const void *four)
{
    int number;
    memcpy(&number, four, sizeof(number));
    return _mm512_set1_epi32(number);
}
static inline bytes bytes_spread(const void *p)
{
    return _mm512_mullo_epi32(_mm512_cvtepu8_epi32(_mm_loadu_si128(p)),
                              _mm512_set1_epi32(0x01010101));
}
/* Shifts of 16 bits do: the mask takes away what came from the neighbour. */
static inline bytes bytes_field(bytes a, int shift, int mask)
{
    return _mm512_and_si512(_mm512_srli_epi16(a, (unsigned)shift), bytes_set(mask));
}
static inline bytes bytes_shift_left(bytes a, int shift)
{
    return _mm512_slli_epi16(a, (unsigned)shift);
}
static inline bytes bytes_or(bytes a, bytes b)
{
    return _mm512_or_si512(a, b);
}
static inline bytes bytes_xor(bytes a, bytes b)
{
    return _mm512_xor_si512(a, b);
}
static inline bytes bytes_subtract(bytes a, bytes b)
{
    return _mm512_sub_epi8(a, b);
}
static inline bytes bytes_absolute(bytes a)
{
    return _mm512_abs_epi8(a);
}
static inline bytes bytes_maximum(bytes a, bytes b)
{
    return _mm512_max_epu8(a, b);
}
static inline lanes lanes_largest_byte(bytes a)
{
    a = _mm512_max_epu8(a, _mm512_srli_epi32(a, 16));
    a = _mm512_max_epu8(a, _mm512_srli_epi32(a, 8));
    return _mm512_cvtepi32_ps(_mm512_and_si512(a, _mm512_set1_epi32(255)));
}
static inline bytes bytes_table(const void *p)
{
    return _mm512_broadcast_i32x4(_mm_loadu_si128(p));
}
static inline bytes bytes_lookup(bytes table, bytes index)
{
    return _mm512_shuffle_epi8(table, index);
}
static inline lanes lanes_load_int8(const void *p)
{
    return _mm512_cvtepi32_ps(_mm512_cvtepi8_epi32(_mm_loadu_si128(p)));
}
static inline void lanes_store_int8(void *p, lanes a)
{
    _mm_storeu_si128(p, _mm512_cvtsepi32_epi8(_mm512_cvtps_epi32(a)));
}

#endif
