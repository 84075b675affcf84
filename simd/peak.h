/* What the instruction sets of this processor can do at most: loops of multiply-adds that touch
 * nothing but registers. For vl2 bench, which holds what it measures against them. */
#ifndef SIMD_PEAK_H
#define SIMD_PEAK_H

#include "simd/cpu.h"

/* Does `rounds` rounds of the loop; the operations that were done, a multiplication and an addition
 * being two. */
typedef double peak_loop(size_t rounds);

typedef struct cpu_peak {
    const char *isa;  /* as in kernels.isa, or a name of its own: "avx512bf16" */
    const char *kind; /* "int8", "bf16" or "f32": what is multiplied */
    cpu_features needs;
    peak_loop *run;
} cpu_peak;

/* Those of this architecture, of every feature; *count of them, static. Whoever runs one sees to it
 * that the processor has what it needs, and that VL2_CPU allows it. */
const cpu_peak *cpu_peaks(size_t *count);

/* The features of this processor that VL2_CPU leaves; all of them if it has an unknown word. */
cpu_features cpu_allowed_features(void);

#endif
