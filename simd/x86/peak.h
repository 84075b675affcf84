/* The loops of one ISA: see simd/peak.h. A loop has PEAK_CHAINS sums, more than an instruction
 * takes cycles times how many begin in one. */
#ifndef SIMD_X86_PEAK_H
#define SIMD_X86_PEAK_H

#include "simd/peak.h"

#define PEAK_CHAINS 12

/* Twelve times `step` on registers 0 to 11 of a size: "ymm", "zmm". */
#define PEAK_STEP(step, size)                                                                      \
    step(size, 0) step(size, 1) step(size, 2) step(size, 3) step(size, 4) step(size, 5)            \
        step(size, 6) step(size, 7) step(size, 8) step(size, 9) step(size, 10) step(size, 11)

/* As the sums stay 0 (so do the operands), nothing overflows and no float is subnormal. */
#define PEAK_CLEAR(size, n) "vpxor %%xmm" #n ", %%xmm" #n ", %%xmm" #n "\n\t"
#define PEAK_CLOBBERS                                                                              \
    "xmm0", "xmm1", "xmm2", "xmm3", "xmm4", "xmm5", "xmm6", "xmm7", "xmm8", "xmm9", "xmm10",       \
        "xmm11", "xmm12", "xmm13", "xmm14", "xmm15"

/* `rounds` times all chains of `step`; operands are registers 12 and 13. */
#define PEAK_LOOP(step, size, rounds)                                                              \
    do {                                                                                           \
        size_t left = (rounds);                                                                    \
        __asm__ volatile(PEAK_STEP(PEAK_CLEAR, size) PEAK_CLEAR(size, 12) PEAK_CLEAR(size, 13)     \
                         "1:\n\t" PEAK_STEP(step, size)                                            \
                         "sub $1, %0\n\tjnz 1b\n\tvzeroupper"                                      \
                         : "+r"(left)                                                              \
                         :                                                                         \
                         : PEAK_CLOBBERS, "cc");                                                   \
    } while (0)

peak_loop peak_f32_avx2, peak_int8_avx2, peak_f32_avx512, peak_int8_avx512, peak_int8_avxvnni,
    peak_int8_vnni, peak_bf16_avx512bf16, peak_int8_amx, peak_bf16_amx;

#endif
