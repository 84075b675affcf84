/* The loops of simd/peak.h: NEON as every ARMv8-A has it, and the instructions that came later,
 * whose names the assembler is told. */
#include "simd/arm/peak.h"

#define STEP(step)                                                                                 \
    step(0) step(1) step(2) step(3) step(4) step(5) step(6) step(7) step(8) step(9) step(10)       \
        step(11) step(12) step(13) step(14) step(15)
#define CHAINS 16

#define CLEAR(n)      "movi v" #n ".4s, #0\n\t"
#define STEP_FMA(n)   "fmla v" #n ".4s, v24.4s, v25.4s\n\t"
#define STEP_BYTES(n) "smull v26.8h, v24.8b, v25.8b\n\tsadalp v" #n ".4s, v26.8h\n\t"
#define STEP_SDOT(n)  "sdot v" #n ".4s, v24.16b, v25.16b\n\t"
#define STEP_SMMLA(n) "smmla v" #n ".4s, v24.16b, v25.16b\n\t"
#define STEP_BF16(n)  "bfmmla v" #n ".4s, v24.8h, v25.8h\n\t"

#define LOOP(extension, step, rounds)                                                              \
    do {                                                                                           \
        size_t left = (rounds);                                                                    \
        __asm__ volatile(extension STEP(CLEAR) CLEAR(24) CLEAR(25) "1:\n\t" STEP(step)             \
                         "subs %0, %0, #1\n\tb.ne 1b"                                              \
                         : "+r"(left)                                                              \
                         :                                                                         \
                         : "v0", "v1", "v2", "v3", "v4", "v5", "v6", "v7", "v8", "v9", "v10",      \
                           "v11", "v12", "v13", "v14", "v15", "v24", "v25", "v26", "cc");          \
    } while (0)

double peak_f32_neon(size_t rounds)
{
    LOOP("", STEP_FMA, rounds);
    return (double)rounds * CHAINS * 4 * 2;
}

double peak_int8_neon(size_t rounds)
{
    LOOP("", STEP_BYTES, rounds);
    return (double)rounds * CHAINS * 8 * 2;
}

double peak_int8_dotprod(size_t rounds)
{
    LOOP(".arch armv8.2-a+dotprod\n\t", STEP_SDOT, rounds);
    return (double)rounds * CHAINS * 16 * 2;
}

double peak_int8_i8mm(size_t rounds)
{
    LOOP(".arch armv8.2-a+i8mm\n\t", STEP_SMMLA, rounds);
    return (double)rounds * CHAINS * 32 * 2;
}

double peak_bf16_neon(size_t rounds)
{
    LOOP(".arch armv8.2-a+bf16\n\t", STEP_BF16, rounds);
    return (double)rounds * CHAINS * 16 * 2;
}
