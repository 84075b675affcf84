/* The kernels of simd/lanes/widen.h for this ISA. */
#include "simd/x86/lanes_avx512.h"
#include "simd/lanes/widen.h"
