/* The vocabulary of simd/lanes/ in AVX-512 (F, BW, DQ, VL): 16 floats. */
#ifndef SIMD_X86_LANES_AVX512_H
#define SIMD_X86_LANES_AVX512_H

#include "simd/x86/x86.h"

#include <immintrin.h>
#include <string.h>

#ifndef KERNEL /* an ISA with some kernels of its own names them before */
#define KERNEL(slot) slot##_avx512
#endif
#define LANES        16
#define MATVEC_ROWS  8
#define MATMUL_ROWS  4
#define MATMUL_BATCH 4
#define PRODUCT_ROWS 12
#define PRODUCT_REMAINDERS(X) X(1) X(2) X(3) X(4) X(5) X(6) X(7) X(8) X(9) X(10) X(11)

typedef __m512 lanes;
typedef struct lanes_f64 {
    __m512d low, high;
} lanes_f64;

static inline __mmask16 first_lanes(size_t n)
{
    return (__mmask16)((1u << n) - 1u);
}

static inline lanes lanes_load(const float *p)
{
    return _mm512_loadu_ps(p);
}
static inline lanes lanes_load_first(const float *p, size_t n)
{
    return _mm512_maskz_loadu_ps(first_lanes(n), p);
}
static inline void lanes_store(float *p, lanes a)
{
    _mm512_storeu_ps(p, a);
}
static inline void lanes_store_first(float *p, lanes a, size_t n)
{
    _mm512_mask_storeu_ps(p, first_lanes(n), a);
}
static inline lanes lanes_load_bf16(const void *p)
{
    __m512i wide = _mm512_cvtepu16_epi32(_mm256_loadu_si256(p));
    return _mm512_castsi512_ps(_mm512_slli_epi32(wide, 16));
}
static inline lanes lanes_load_f16(const void *p)
{
    return _mm512_cvtph_ps(_mm256_loadu_si256(p));
}
/* c0 c0 c1 c1 ... c7 c7 */
static inline lanes lanes_load_twice(const float *p)
{
    const __m512i index = _mm512_setr_epi32(0, 0, 1, 1, 2, 2, 3, 3, 4, 4, 5, 5, 6, 6, 7, 7);
    return _mm512_permutexvar_ps(index, _mm512_castps256_ps512(_mm256_loadu_ps(p)));
}
static inline lanes lanes_set(float a)
{
    return _mm512_set1_ps(a);
}
static inline lanes lanes_add(lanes a, lanes b)
{
    return _mm512_add_ps(a, b);
}
static inline lanes lanes_subtract(lanes a, lanes b)
{
    return _mm512_sub_ps(a, b);
}
static inline lanes lanes_multiply(lanes a, lanes b)
{
    return _mm512_mul_ps(a, b);
}
static inline lanes lanes_divide(lanes a, lanes b)
{
    return _mm512_div_ps(a, b);
}
static inline lanes lanes_fma(lanes a, lanes b, lanes c)
{
    return _mm512_fmadd_ps(a, b, c);
}
static inline lanes lanes_fnma(lanes a, lanes b, lanes c)
{
    return _mm512_fnmadd_ps(a, b, c);
}
static inline lanes lanes_fma_alternate(lanes a, lanes b, lanes c)
{
    return _mm512_fmaddsub_ps(a, b, c);
}
static inline lanes lanes_swap_pairs(lanes a)
{
    return _mm512_permute_ps(a, 0xb1);
}
static inline lanes lanes_minimum(lanes a, lanes b)
{
    return _mm512_min_ps(a, b);
}
static inline lanes lanes_maximum(lanes a, lanes b)
{
    return _mm512_max_ps(a, b);
}
static inline lanes lanes_absolute(lanes a)
{
    return _mm512_andnot_ps(_mm512_set1_ps(-0.0f), a);
}
static inline lanes lanes_copy_sign(lanes magnitude, lanes sign)
{
    __m512 bit = _mm512_set1_ps(-0.0f);
    return _mm512_or_ps(_mm512_andnot_ps(bit, magnitude), _mm512_and_ps(bit, sign));
}
static inline lanes lanes_select_less(lanes a, lanes b, lanes yes, lanes no)
{
    return _mm512_mask_blend_ps(_mm512_cmp_ps_mask(a, b, _CMP_LT_OQ), no, yes);
}
static inline lanes lanes_round(lanes a)
{
    return _mm512_roundscale_ps(a, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC);
}
static inline lanes lanes_power_of_two(lanes n)
{
    __m512i biased = _mm512_add_epi32(_mm512_cvtps_epi32(n), _mm512_set1_epi32(127));
    return _mm512_castsi512_ps(_mm512_slli_epi32(biased, 23));
}
static inline __m256 lanes_low(lanes a)
{
    return _mm512_castps512_ps256(a);
}
static inline __m256 lanes_high(lanes a)
{
    return _mm512_extractf32x8_ps(a, 1);
}
static inline float lanes_sum(lanes a)
{
    __m256 eight = _mm256_add_ps(lanes_low(a), lanes_high(a));
    __m128 four = _mm_add_ps(_mm256_castps256_ps128(eight), _mm256_extractf128_ps(eight, 1));
    __m128 two = _mm_add_ps(four, _mm_movehl_ps(four, four));
    return _mm_cvtss_f32(_mm_add_ss(two, _mm_movehdup_ps(two)));
}
static inline float lanes_largest(lanes a)
{
    __m256 eight = _mm256_max_ps(lanes_low(a), lanes_high(a));
    __m128 four = _mm_max_ps(_mm256_castps256_ps128(eight), _mm256_extractf128_ps(eight, 1));
    __m128 two = _mm_max_ps(four, _mm_movehl_ps(four, four));
    return _mm_cvtss_f32(_mm_max_ss(two, _mm_movehdup_ps(two)));
}
static inline lanes_f64 lanes_f64_zero(void)
{
    return (lanes_f64){_mm512_setzero_pd(), _mm512_setzero_pd()};
}
static inline lanes_f64 lanes_f64_add(lanes_f64 sum, lanes a)
{
    sum.low = _mm512_add_pd(sum.low, _mm512_cvtps_pd(lanes_low(a)));
    sum.high = _mm512_add_pd(sum.high, _mm512_cvtps_pd(lanes_high(a)));
    return sum;
}
static inline lanes_f64 lanes_f64_add_square(lanes_f64 sum, lanes a)
{
    __m512d low = _mm512_cvtps_pd(lanes_low(a)), high = _mm512_cvtps_pd(lanes_high(a));
    sum.low = _mm512_fmadd_pd(low, low, sum.low);
    sum.high = _mm512_fmadd_pd(high, high, sum.high);
    return sum;
}
static inline double lanes_f64_sum(lanes_f64 sum)
{
    __m512d eight = _mm512_add_pd(sum.low, sum.high);
    __m256d four = _mm256_add_pd(_mm512_castpd512_pd256(eight), _mm512_extractf64x4_pd(eight, 1));
    __m128d two = _mm_add_pd(_mm256_castpd256_pd128(four), _mm256_extractf128_pd(four, 1));
    return _mm_cvtsd_f64(_mm_add_sd(two, _mm_unpackhi_pd(two, two)));
}
static inline lanes lanes_bf16_even(lanes pairs)
{
    return _mm512_castsi512_ps(_mm512_slli_epi32(_mm512_castps_si512(pairs), 16));
}
static inline lanes lanes_bf16_odd(lanes pairs)
{
    const __m512i upper = _mm512_set1_epi32((int)0xffff0000u);
    return _mm512_castsi512_ps(_mm512_and_si512(_mm512_castps_si512(pairs), upper));
}
/* Within 128 bits four rows by four columns, then whole 128 bits. */
static inline __attribute__((always_inline)) void lanes_transpose(lanes rows[LANES])
{
    __m512 two[LANES];
    __m512d four[LANES];
#pragma GCC unroll 8
    for (size_t i = 0; i < LANES; i += 2) {
        two[i] = _mm512_unpacklo_ps(rows[i], rows[i + 1]);
        two[i + 1] = _mm512_unpackhi_ps(rows[i], rows[i + 1]);
    }
#pragma GCC unroll 4
    for (size_t i = 0; i < LANES; i += 4) {
        const __m512d left = _mm512_castps_pd(two[i]), next = _mm512_castps_pd(two[i + 1]);
        const __m512d right = _mm512_castps_pd(two[i + 2]), last = _mm512_castps_pd(two[i + 3]);
        four[i] = _mm512_unpacklo_pd(left, right);
        four[i + 1] = _mm512_unpackhi_pd(left, right);
        four[i + 2] = _mm512_unpacklo_pd(next, last);
        four[i + 3] = _mm512_unpackhi_pd(next, last);
    }
#pragma GCC unroll 4
    for (size_t i = 0; i < 4; i++) {
        const __m512d even = _mm512_shuffle_f64x2(four[i], four[i + 4], 0x88);
        const __m512d odd = _mm512_shuffle_f64x2(four[i], four[i + 4], 0xdd);
        const __m512d even_below = _mm512_shuffle_f64x2(four[i + 8], four[i + 12], 0x88);
        const __m512d odd_below = _mm512_shuffle_f64x2(four[i + 8], four[i + 12], 0xdd);
        rows[i] = _mm512_castpd_ps(_mm512_shuffle_f64x2(even, even_below, 0x88));
        rows[i + 4] = _mm512_castpd_ps(_mm512_shuffle_f64x2(odd, odd_below, 0x88));
        rows[i + 8] = _mm512_castpd_ps(_mm512_shuffle_f64x2(even, even_below, 0xdd));
        rows[i + 12] = _mm512_castpd_ps(_mm512_shuffle_f64x2(odd, odd_below, 0xdd));
    }
}

#endif
