/* The kernels of x86-64, one set per ISA. */
#ifndef SIMD_X86_H
#define SIMD_X86_H

#include "simd/kernels.h"

#define KERNEL_DECLARE(type, slot)                                                                 \
    type slot##_avx2;                                                                              \
    type slot##_avx512;
KERNEL_SLOTS(KERNEL_DECLARE)
#undef KERNEL_DECLARE

#endif
