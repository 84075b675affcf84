/* The kernels of simd/lanes/packed.h for this ISA. */
#include "simd/x86/dot_avx512.h"
#include "simd/lanes/packed.h"
