/* The kernels of simd/lanes/matmul_many.h for this ISA. */
#include "simd/arm/lanes_neon.h"
#include "simd/lanes/matmul_many.h"
