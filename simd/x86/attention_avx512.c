/* The kernels of simd/lanes/attention.h for this ISA. */
#include "simd/x86/bytes_avx512.h"
#include "simd/lanes/attention.h"
