/* The kernels of simd/lanes/packed_many.h for AVX-512 VNNI. */
#define KERNEL(slot) slot##_vnni
#include "simd/x86/dot_vnni.h"
#include "simd/x86/words_avx512.h"

#define MANY_BATCH  12
#define MANY_PANELS 2

#include "simd/lanes/many_dots.h"
#include "simd/lanes/packed_many.h"
