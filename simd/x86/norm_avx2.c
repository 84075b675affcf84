/* The kernels of simd/lanes/norm.h for this ISA. */
#include "simd/x86/lanes_avx2.h"
#include "simd/lanes/norm.h"
