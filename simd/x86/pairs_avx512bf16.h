/* The vocabulary of simd/lanes/attention_pairs.h in AVX-512 BF16. Subnormal numbers count as 0. */
#ifndef SIMD_X86_PAIRS_AVX512BF16_H
#define SIMD_X86_PAIRS_AVX512BF16_H

#include "simd/x86/lanes_avx512.h"
#include "simd/x86/split_avx512bf16.h"

#define PRODUCT_PAIRS

/* In assembler, with the sum in its place: gcc moves 24 of them around. */
static inline lanes lanes_dot_pairs(lanes a, lanes b, lanes sum)
{
    __asm__("vdpbf16ps %2, %1, %0" : "+v"(sum) : "v"(a), "v"(b));
    return sum;
}
static inline lanes lanes_weave_pairs(lanes first, lanes second)
{
    return _mm512_castsi512_ps(split_weave(first, second));
}
static inline lanes lanes_round_pairs(lanes first, lanes second)
{
    return (lanes)_mm512_cvtne2ps_pbh(second, first);
}

#endif
