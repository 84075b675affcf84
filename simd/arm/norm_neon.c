/* The kernels of simd/lanes/norm.h for this ISA. */
#include "simd/arm/lanes_neon.h"
#include "simd/lanes/norm.h"
