/* The kernels of simd/lanes/matmul.h for this ISA. */
#include "simd/x86/lanes_avx2.h"
#include "simd/lanes/matmul.h"
