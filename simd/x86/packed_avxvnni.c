/* The kernels of simd/lanes/packed.h for AVX-VNNI. */
#define KERNEL(slot) slot##_avxvnni
#include "simd/x86/dot_avxvnni.h"
#include "simd/lanes/packed.h"
