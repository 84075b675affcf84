/* The reference of every slot: scalar C, sums in double, libm. All other kernels are tested against
 * these, and these are what runs on a processor without any of the known ISAs. */
#ifndef SIMD_REF_H
#define SIMD_REF_H

#include "simd/kernels.h"

#define KERNEL_DECLARE(type, slot) type slot##_ref;
KERNEL_SLOTS(KERNEL_DECLARE)
#undef KERNEL_DECLARE

/* The number at `source`, which may be unaligned. */
float read_bf16(const void *source);
float read_f16(const void *source);
float read_f32(const void *source);

#endif
