/* The kernels of simd/lanes/packed_decode.h for this ISA. */
#include "simd/x86/bytes_avx2.h"
#include "simd/lanes/packed_decode.h"
