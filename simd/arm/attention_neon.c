/* The kernels of simd/lanes/attention.h for this ISA. */
#include "simd/arm/bytes_neon.h"
#include "simd/lanes/attention.h"
