/* The kernels for AMX with tiles in C instead of the processor's; the rest of them needs
 * AVX-512. */
#include <immintrin.h>

#include "tests/kernels/emulated_amx.h"

#include "simd/x86/packed_many_amx.c"
