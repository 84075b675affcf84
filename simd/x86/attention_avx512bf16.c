/* Attention with pairs of bf16 where it may be rounded, see simd/kernels.h. */
#define KERNEL(slot) slot##_avx512bf16
#include "simd/x86/pairs_avx512bf16.h"
#include "simd/lanes/attention_block.h"
#include "simd/lanes/attention_pairs.h"
