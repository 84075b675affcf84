/* The kernels of ARMv8-A, one set per ISA. */
#ifndef SIMD_ARM_H
#define SIMD_ARM_H

#include "simd/kernels.h"

#define KERNEL_DECLARE(type, slot) type slot##_neon;
KERNEL_SLOTS(KERNEL_DECLARE)
#undef KERNEL_DECLARE

kernel_matmul_packed matmul_packed_dotprod;
kernel_matmul_packed matmul_packed_many_dotprod;
kernel_matmul_packed matmul_packed_many_i8mm;
kernel_matmul_many matmul_many_bf16_bf16;

/* What has pairs of bf16 as operands. */
#define KERNEL_PAIRS_SLOTS(X)                                                                      \
    X(kernel_attention_begin, attention_begin)                                                     \
    X(kernel_attention_step, attention_step)                                                       \
    X(kernel_attention_fold, attention_fold)                                                       \
    X(kernel_attention_end, attention_end)

#define KERNEL_DECLARE(type, slot) type slot##_bf16;
KERNEL_PAIRS_SLOTS(KERNEL_DECLARE)
#undef KERNEL_DECLARE

#endif
