/* The kernels of simd/lanes/packed.h for this ISA. */
#include "simd/x86/dot_avx2.h"
#include "simd/lanes/packed.h"
