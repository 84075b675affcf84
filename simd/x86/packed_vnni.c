/* The kernels of simd/lanes/packed.h for AVX-512 VNNI. */
#define KERNEL(slot) slot##_vnni
#include "simd/x86/dot_vnni.h"
#include "simd/lanes/packed.h"
