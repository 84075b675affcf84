/* The kernels of simd/lanes/packed_many.h for this ISA. */
#include "simd/x86/words_avx512.h"

#define MANY_BATCH  12
#define MANY_PANELS 2

#include "simd/lanes/many_words.h"
#include "simd/lanes/packed_many.h"
