/* The kernels of simd/lanes/vector.h for this ISA. */
#include "simd/arm/lanes_neon.h"
#include "simd/lanes/vector.h"
