/* The kernels of simd/lanes/packed_many.h for AVX-512 VNNI. */
#define KERNEL(slot) slot##_vnni
#include "simd/x86/dot_vnni.h"

#define MANY_BATCH 8

#include "simd/lanes/many_dots.h"
#include "simd/lanes/packed_many.h"
