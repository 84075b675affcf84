/* The loops of simd/peak.h with AVX2 and, of the same width, AVX-VNNI. */
#include "simd/x86/peak.h"

#define STEP_FMA(size, n) "vfmadd231ps %%" #size "13, %%" #size "12, %%" #size #n "\n\t"
#define STEP_BYTES(size, n)                                                                        \
    "vpmaddubsw %%" #size "13, %%" #size "12, %%" #size "14\n\t"                                   \
    "vpmaddwd %%" #size "13, %%" #size "14, %%" #size "14\n\t"                                     \
    "vpaddd %%" #size "14, %%" #size #n ", %%" #size #n "\n\t"
#define STEP_DOT(size, n) "%{vex%} vpdpbusd %%" #size "13, %%" #size "12, %%" #size #n "\n\t"

double peak_f32_avx2(size_t rounds)
{
    PEAK_LOOP(STEP_FMA, ymm, rounds);
    return (double)rounds * PEAK_CHAINS * 8 * 2;
}

double peak_int8_avx2(size_t rounds)
{
    PEAK_LOOP(STEP_BYTES, ymm, rounds);
    return (double)rounds * PEAK_CHAINS * 32 * 2;
}

double peak_int8_avxvnni(size_t rounds)
{
    PEAK_LOOP(STEP_DOT, ymm, rounds);
    return (double)rounds * PEAK_CHAINS * 32 * 2;
}
