/* The kernels of simd/lanes/quantize.h for this ISA. */
#include "simd/arm/bytes_neon.h"
#include "simd/lanes/quantize.h"
