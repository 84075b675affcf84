/* The kernels of simd/lanes/packed_many.h for this ISA. */
#include "simd/x86/words_avx512.h"
#include "simd/lanes/many_words.h"
#include "simd/lanes/packed_many.h"
