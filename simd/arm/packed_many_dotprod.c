/* The kernels of simd/lanes/packed_many.h for NEON with dot products. */
#define KERNEL(slot) slot##_dotprod
#include "simd/arm/dot_dotprod.h"
#include "simd/arm/words_neon.h"

#define MANY_BATCH  6
#define MANY_PANELS 1

#include "simd/lanes/many_dots.h"
#include "simd/lanes/packed_many.h"
