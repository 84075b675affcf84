/* Attention with pairs of bf16 where it may be rounded, see simd/kernels.h. */
#define KERNEL(slot) slot##_bf16
#include "simd/arm/pairs_bf16.h"
#include "simd/lanes/attention_block.h"
#include "simd/lanes/attention_pairs.h"
