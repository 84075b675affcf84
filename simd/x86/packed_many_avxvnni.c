/* The kernels of simd/lanes/packed_many.h for AVX-VNNI. */
#define KERNEL(slot) slot##_avxvnni
#include "simd/x86/dot_avxvnni.h"
#include "simd/x86/words_avx2.h"

#define MANY_BATCH  6
#define MANY_PANELS 1

#include "simd/lanes/many_dots.h"
#include "simd/lanes/packed_many.h"
