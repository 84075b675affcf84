/* The kernels of simd/lanes/packed_many.h for this ISA. */
#include "simd/x86/words_avx2.h"

#define MANY_BATCH  6
#define MANY_PANELS 1

#include "simd/lanes/many_words.h"
#include "simd/lanes/packed_many.h"
