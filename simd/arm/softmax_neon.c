/* The kernels of simd/lanes/softmax.h for this ISA. */
#include "simd/arm/lanes_neon.h"
#include "simd/lanes/softmax.h"
