/* The kernels of simd/lanes/matmul_many.h for this ISA. */
#include "simd/x86/lanes_avx512.h"
#include "simd/lanes/matmul_many.h"
