/* The kernels of simd/lanes/packed.h for NEON with dot products. */
#define KERNEL(slot) slot##_dotprod
#include "simd/arm/dot_dotprod.h"
#include "simd/lanes/packed.h"
