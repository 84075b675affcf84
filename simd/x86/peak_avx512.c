/* The loops of simd/peak.h with registers of 512 bits. */
#include "simd/x86/peak.h"

#define STEP_FMA(size, n) "vfmadd231ps %%" #size "13, %%" #size "12, %%" #size #n "\n\t"
#define STEP_BYTES(size, n)                                                                        \
    "vpmaddubsw %%" #size "13, %%" #size "12, %%" #size "14\n\t"                                   \
    "vpmaddwd %%" #size "13, %%" #size "14, %%" #size "14\n\t"                                     \
    "vpaddd %%" #size "14, %%" #size #n ", %%" #size #n "\n\t"
#define STEP_DOT(size, n)  "vpdpbusd %%" #size "13, %%" #size "12, %%" #size #n "\n\t"
#define STEP_BF16(size, n) "vdpbf16ps %%" #size "13, %%" #size "12, %%" #size #n "\n\t"

double peak_f32_avx512(size_t rounds)
{
    PEAK_LOOP(STEP_FMA, zmm, rounds);
    return (double)rounds * PEAK_CHAINS * 16 * 2;
}

double peak_int8_avx512(size_t rounds)
{
    PEAK_LOOP(STEP_BYTES, zmm, rounds);
    return (double)rounds * PEAK_CHAINS * 64 * 2;
}

double peak_int8_vnni(size_t rounds)
{
    PEAK_LOOP(STEP_DOT, zmm, rounds);
    return (double)rounds * PEAK_CHAINS * 64 * 2;
}

double peak_bf16_avx512bf16(size_t rounds)
{
    PEAK_LOOP(STEP_BF16, zmm, rounds);
    return (double)rounds * PEAK_CHAINS * 32 * 2;
}
