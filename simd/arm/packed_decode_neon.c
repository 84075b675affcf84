/* The kernels of simd/lanes/packed_decode.h for this ISA. */
#include "simd/arm/bytes_neon.h"
#include "simd/lanes/packed_decode.h"
