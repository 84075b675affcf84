/* The vocabulary of simd/lanes/ in AVX2, FMA and F16C: 8 floats. */
#ifndef SIMD_X86_LANES_AVX2_H
#define SIMD_X86_LANES_AVX2_H

#include "simd/x86/x86.h"

#include <immintrin.h>
#include <string.h>

#ifndef KERNEL /* an ISA with some kernels of its own names them before */
#define KERNEL(slot) slot##_avx2
#endif
#define LANES        8
#define MATVEC_ROWS  8
#define MATMUL_ROWS  3
#define MATMUL_BATCH 4
#define PRODUCT_ROWS 6
#define PRODUCT_REMAINDERS(X) X(1) X(2) X(3) X(4) X(5)

typedef __m256 lanes;
typedef struct lanes_f64 {
    __m256d low, high;
} lanes_f64;

static inline __m256i first_lanes(size_t n)
{
    const __m256i index = _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7);
    return _mm256_cmpgt_epi32(_mm256_set1_epi32((int)n), index);
}

static inline lanes lanes_load(const float *p)
{
    return _mm256_loadu_ps(p);
}
static inline lanes lanes_load_first(const float *p, size_t n)
{
    return _mm256_maskload_ps(p, first_lanes(n));
}
static inline void lanes_store(float *p, lanes a)
{
    _mm256_storeu_ps(p, a);
}
static inline void lanes_store_first(float *p, lanes a, size_t n)
{
    _mm256_maskstore_ps(p, first_lanes(n), a);
}
static inline lanes lanes_load_bf16(const void *p)
{
    __m256i wide = _mm256_cvtepu16_epi32(_mm_loadu_si128(p));
    return _mm256_castsi256_ps(_mm256_slli_epi32(wide, 16));
}
static inline lanes lanes_load_f16(const void *p)
{
    return _mm256_cvtph_ps(_mm_loadu_si128(p));
}
/* c0 c0 c1 c1 c2 c2 c3 c3 */
static inline lanes lanes_load_twice(const float *p)
{
    const __m256i index = _mm256_setr_epi32(0, 0, 1, 1, 2, 2, 3, 3);
    return _mm256_permutevar8x32_ps(_mm256_castps128_ps256(_mm_loadu_ps(p)), index);
}
static inline lanes lanes_set(float a)
{
    return _mm256_set1_ps(a);
}
static inline lanes lanes_add(lanes a, lanes b)
{
    return _mm256_add_ps(a, b);
}
static inline lanes lanes_subtract(lanes a, lanes b)
{
    return _mm256_sub_ps(a, b);
}
static inline lanes lanes_multiply(lanes a, lanes b)
{
    return _mm256_mul_ps(a, b);
}
static inline lanes lanes_divide(lanes a, lanes b)
{
    return _mm256_div_ps(a, b);
}
static inline lanes lanes_fma(lanes a, lanes b, lanes c)
{
    return _mm256_fmadd_ps(a, b, c);
}
static inline lanes lanes_fnma(lanes a, lanes b, lanes c)
{
    return _mm256_fnmadd_ps(a, b, c);
}
static inline lanes lanes_fma_alternate(lanes a, lanes b, lanes c)
{
    return _mm256_fmaddsub_ps(a, b, c);
}
static inline lanes lanes_swap_pairs(lanes a)
{
    return _mm256_permute_ps(a, 0xb1);
}
static inline lanes lanes_minimum(lanes a, lanes b)
{
    return _mm256_min_ps(a, b);
}
static inline lanes lanes_maximum(lanes a, lanes b)
{
    return _mm256_max_ps(a, b);
}
static inline lanes lanes_absolute(lanes a)
{
    return _mm256_andnot_ps(_mm256_set1_ps(-0.0f), a);
}
static inline lanes lanes_copy_sign(lanes magnitude, lanes sign)
{
    __m256 bit = _mm256_set1_ps(-0.0f);
    return _mm256_or_ps(_mm256_andnot_ps(bit, magnitude), _mm256_and_ps(bit, sign));
}
static inline lanes lanes_select_less(lanes a, lanes b, lanes yes, lanes no)
{
    return _mm256_blendv_ps(no, yes, _mm256_cmp_ps(a, b, _CMP_LT_OQ));
}
static inline lanes lanes_round(lanes a)
{
    return _mm256_round_ps(a, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC);
}
static inline lanes lanes_power_of_two(lanes n)
{
    __m256i biased = _mm256_add_epi32(_mm256_cvtps_epi32(n), _mm256_set1_epi32(127));
    return _mm256_castsi256_ps(_mm256_slli_epi32(biased, 23));
}
static inline float lanes_sum(lanes a)
{
    __m128 four = _mm_add_ps(_mm256_castps256_ps128(a), _mm256_extractf128_ps(a, 1));
    __m128 two = _mm_add_ps(four, _mm_movehl_ps(four, four));
    return _mm_cvtss_f32(_mm_add_ss(two, _mm_movehdup_ps(two)));
}
static inline float lanes_largest(lanes a)
{
    __m128 four = _mm_max_ps(_mm256_castps256_ps128(a), _mm256_extractf128_ps(a, 1));
    __m128 two = _mm_max_ps(four, _mm_movehl_ps(four, four));
    return _mm_cvtss_f32(_mm_max_ss(two, _mm_movehdup_ps(two)));
}
static inline lanes_f64 lanes_f64_zero(void)
{
    return (lanes_f64){_mm256_setzero_pd(), _mm256_setzero_pd()};
}
static inline lanes_f64 lanes_f64_add(lanes_f64 sum, lanes a)
{
    sum.low = _mm256_add_pd(sum.low, _mm256_cvtps_pd(_mm256_castps256_ps128(a)));
    sum.high = _mm256_add_pd(sum.high, _mm256_cvtps_pd(_mm256_extractf128_ps(a, 1)));
    return sum;
}
static inline lanes_f64 lanes_f64_add_square(lanes_f64 sum, lanes a)
{
    __m256d low = _mm256_cvtps_pd(_mm256_castps256_ps128(a));
    __m256d high = _mm256_cvtps_pd(_mm256_extractf128_ps(a, 1));
    sum.low = _mm256_fmadd_pd(low, low, sum.low);
    sum.high = _mm256_fmadd_pd(high, high, sum.high);
    return sum;
}
static inline double lanes_f64_sum(lanes_f64 sum)
{
    __m256d four = _mm256_add_pd(sum.low, sum.high);
    __m128d two = _mm_add_pd(_mm256_castpd256_pd128(four), _mm256_extractf128_pd(four, 1));
    return _mm_cvtsd_f64(_mm_add_sd(two, _mm_unpackhi_pd(two, two)));
}
static inline lanes lanes_bf16_even(lanes pairs)
{
    return _mm256_castsi256_ps(_mm256_slli_epi32(_mm256_castps_si256(pairs), 16));
}
static inline lanes lanes_bf16_odd(lanes pairs)
{
    const __m256i upper = _mm256_set1_epi32((int)0xffff0000u);
    return _mm256_castsi256_ps(_mm256_and_si256(_mm256_castps_si256(pairs), upper));
}
/* Within 128 bits four rows by four columns, then whole 128 bits. */
static inline __attribute__((always_inline)) void lanes_transpose(lanes rows[LANES])
{
    __m256 two[LANES], four[LANES];
#pragma GCC unroll 4
    for (size_t i = 0; i < LANES; i += 2) {
        two[i] = _mm256_unpacklo_ps(rows[i], rows[i + 1]);
        two[i + 1] = _mm256_unpackhi_ps(rows[i], rows[i + 1]);
    }
#pragma GCC unroll 2
    for (size_t i = 0; i < LANES; i += 4) {
        four[i] = _mm256_shuffle_ps(two[i], two[i + 2], 0x44);
        four[i + 1] = _mm256_shuffle_ps(two[i], two[i + 2], 0xee);
        four[i + 2] = _mm256_shuffle_ps(two[i + 1], two[i + 3], 0x44);
        four[i + 3] = _mm256_shuffle_ps(two[i + 1], two[i + 3], 0xee);
    }
#pragma GCC unroll 4
    for (size_t i = 0; i < 4; i++) {
        rows[i] = _mm256_permute2f128_ps(four[i], four[i + 4], 0x20);
        rows[i + 4] = _mm256_permute2f128_ps(four[i], four[i + 4], 0x31);
    }
}

#endif
