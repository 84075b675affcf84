/* What the folder of one architecture gives to cpu.c and kernels.c. */
#ifndef SIMD_ARCH_H
#define SIMD_ARCH_H

#include "simd/kernels.h"

/* Usable features, see cpu_detect. */
cpu_features arch_features(void);
/* Writes the processor's name, NUL-terminated, "" if unknown. */
void arch_brand(char *brand, size_t size);
/* Overwrites the slots for which `features` allow something better than the reference. */
void arch_fill(cpu_features features, kernels *table);

#endif
