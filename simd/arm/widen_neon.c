/* The kernels of simd/lanes/widen.h for this ISA. */
#include "simd/arm/lanes_neon.h"
#include "simd/lanes/widen.h"
