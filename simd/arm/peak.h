/* The loops of simd/peak.h on ARM. */
#ifndef SIMD_ARM_PEAK_H
#define SIMD_ARM_PEAK_H

#include "simd/peak.h"

peak_loop peak_f32_neon, peak_int8_neon, peak_int8_dotprod, peak_int8_i8mm, peak_bf16_neon;

#endif
