/* The kernels of simd/lanes/activation.h for this ISA. */
#include "simd/arm/lanes_neon.h"
#include "simd/lanes/activation.h"
