/* The kernels of x86-64, one set per ISA. */
#ifndef SIMD_X86_H
#define SIMD_X86_H

#include "simd/kernels.h"

#define KERNEL_DECLARE(type, slot)                                                                 \
    type slot##_avx2;                                                                              \
    type slot##_avx512;
KERNEL_SLOTS(KERNEL_DECLARE)
#undef KERNEL_DECLARE

/* What the ISAs with dot products of bytes have of their own. */
#define KERNEL_DOT_SLOTS(X)                                                                        \
    X(kernel_matmul_packed, matmul_packed)                                                         \
    X(kernel_matmul_packed, matmul_packed_many)

#define KERNEL_DECLARE(type, slot)                                                                 \
    type slot##_avxvnni;                                                                           \
    type slot##_vnni;
KERNEL_DOT_SLOTS(KERNEL_DECLARE)
#undef KERNEL_DECLARE

kernel_matmul_packed matmul_packed_many_amx;
kernel_matmul_many matmul_many_bf16_amx;

/* What has pairs of bf16 as operands. */
#define KERNEL_PAIRS_SLOTS(X)                                                                    \
    X(kernel_attention_begin, attention_begin)                                                     \
    X(kernel_attention_step, attention_step)                                                       \
    X(kernel_attention_fold, attention_fold)                                                       \
    X(kernel_attention_end, attention_end)

#define KERNEL_DECLARE(type, slot)                                                                 \
    type slot##_avx512bf16;                                                                        \
    type slot##_amx;
KERNEL_PAIRS_SLOTS(KERNEL_DECLARE)
#undef KERNEL_DECLARE

#endif
