/* The kernels of simd/lanes/packed.h for this ISA. */
#include "simd/arm/dot_neon.h"
#include "simd/lanes/packed.h"
