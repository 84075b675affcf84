/* Sums of products of bytes with AVX-VNNI: dot_vnni.h in registers of 256 bits. */
#ifndef SIMD_X86_DOT_AVXVNNI_H
#define SIMD_X86_DOT_AVXVNNI_H

#include "simd/x86/bytes_avx2.h"

/* sum + products, where sum was: see dot_vnni.h. */
static inline __m256i dot_in_place(__m256i sum, __m256i raised, __m256i x)
{
#ifdef __AVXVNNI__
    __asm__("%{vex%} vpdpbusd %2, %1, %0" : "+x"(sum) : "x"(raised), "x"(x));
    return sum;
#else /* whoever emulates the instruction */
    return _mm256_dpbusd_avx_epi32(sum, raised, x);
#endif
}

typedef struct dot_weight {
    __m256i raised;
} dot_weight;
typedef struct dot_scale {
    __m256i scale; /* int32 */
} dot_scale;
typedef struct dot_sums {
    __m256i total, block;
} dot_sums;

static inline dot_weight dot_prepare(bytes values)
{
    return (dot_weight){_mm256_xor_si256(values, _mm256_set1_epi8(-128))};
}
/* As in dot_vnni.h. */
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
    return (dot_scale){_mm256_cvtepi8_epi32(_mm_loadl_epi64(p))};
}
static inline dot_scale dot_scale_one(void)
{
    return (dot_scale){_mm256_set1_epi32(1)};
}
static inline dot_sums dot_zero(void)
{
    return (dot_sums){_mm256_setzero_si256(), _mm256_setzero_si256()};
}
static inline dot_sums dot_begin(dot_sums sums, int32_t codes_sum)
{
    sums.block = _mm256_set1_epi32(-128 * codes_sum);
    return sums;
}
static inline void dot_starts(const int32_t *sums, int32_t *starts)
{
    for (int half = 0; half < 16; half += 8) {
        __m256i sum = _mm256_loadu_si256((const void *)(sums + half));
        sum = _mm256_add_epi32(sum, _mm256_shuffle_epi32(sum, 0x4e));
        sum = _mm256_add_epi32(sum, _mm256_shuffle_epi32(sum, 0xb1));
        sum = _mm256_slli_epi32(_mm256_sub_epi32(_mm256_setzero_si256(), sum), 7);
        _mm256_storeu_si256((void *)(starts + half), sum);
    }
}
static inline dot_sums dot_begin_run(const int32_t *start)
{
    return (dot_sums){_mm256_setzero_si256(), _mm256_set1_epi32(*start)};
}
static inline dot_sums dot_add(dot_sums sums, dot_weight weight, bytes x, dot_scale scale)
{
    (void)scale;
    sums.block = dot_in_place(sums.block, weight.raised, x);
    return sums;
}
static inline dot_sums dot_end(dot_sums sums, dot_scale scale)
{
    sums.total = _mm256_add_epi32(sums.total, _mm256_mullo_epi32(sums.block, scale.scale));
    return sums;
}
static inline lanes dot_block_floats(dot_sums sums)
{
    return _mm256_cvtepi32_ps(sums.block);
}
static inline lanes dot_floats(dot_sums sums)
{
    return _mm256_cvtepi32_ps(sums.total);
}

#endif
