/* The kernels of simd/lanes/packed_many.h for this ISA. */
#include "simd/arm/dot_neon.h"
#include "simd/arm/words_neon.h"

#define MANY_BATCH  3
#define MANY_PANELS 1

#include "simd/lanes/many_dots.h"
#include "simd/lanes/packed_many.h"
