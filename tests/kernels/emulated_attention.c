/* Attention for AMX with tiles in C instead of the processor's; the rest of it needs AVX-512 with
 * bf16. */
#include <immintrin.h>

#include "tests/kernels/emulated_amx.h"

#include "simd/x86/attention_amx.c"
