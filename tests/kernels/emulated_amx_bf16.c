/* matmul_many_bf16 for AMX with tiles in C instead of the processor's; the rest of it needs AVX-512
 * with BF16. */
#include <immintrin.h>

#include "tests/kernels/emulated_amx.h"

#include "simd/x86/matmul_many_amx.c"
