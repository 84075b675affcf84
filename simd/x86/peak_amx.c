/* The loops of simd/peak.h with AMX: four tiles of sums, all of 16 rows of 64 bytes. */
#include "simd/x86/amx_config.h"
#include "simd/x86/peak.h"

#define CHAINS 4

double peak_int8_amx(size_t rounds)
{
    amx_configure(16);
    for (size_t i = 0; i < rounds; i++) {
        __asm__ volatile("tdpbssd %tmm7, %tmm6, %tmm0\n\ttdpbssd %tmm7, %tmm6, %tmm1\n\t"
                         "tdpbssd %tmm7, %tmm6, %tmm2\n\ttdpbssd %tmm7, %tmm6, %tmm3");
    }
    amx_release();
    return (double)rounds * CHAINS * 16 * 16 * 64 * 2;
}

double peak_bf16_amx(size_t rounds)
{
    amx_configure(16);
    for (size_t i = 0; i < rounds; i++) {
        __asm__ volatile("tdpbf16ps %tmm7, %tmm6, %tmm0\n\ttdpbf16ps %tmm7, %tmm6, %tmm1\n\t"
                         "tdpbf16ps %tmm7, %tmm6, %tmm2\n\ttdpbf16ps %tmm7, %tmm6, %tmm3");
    }
    amx_release();
    return (double)rounds * CHAINS * 16 * 16 * 32 * 2;
}
