/* Chooses among the kernels of ARMv8-A. */
#include "simd/arch.h"
#include "simd/arm/arm.h"
#include "simd/arm/peak.h"

#define KERNEL_FILL_NEON(type, slot)                                                               \
    table->slot = slot##_neon;                                                                     \
    table->isa[KERNEL_##slot] = "neon";

#define KERNEL_FILL_DOTPROD(slot)                                                                  \
    table->slot = slot##_dotprod;                                                                  \
    table->isa[KERNEL_##slot] = "dotprod";

#define KERNEL_FILL_BF16(type, slot)                                                               \
    table->slot = slot##_bf16;                                                                     \
    table->isa[KERNEL_##slot] = "bf16";

void arch_fill(cpu_features features, kernels *table)
{
    if (cpu_has(features, CPU_NEEDS_NEON)) {
        KERNEL_SLOTS(KERNEL_FILL_NEON)
    }
    if (cpu_has(features, CPU_NEEDS_DOTPROD)) {
        KERNEL_FILL_DOTPROD(matmul_packed)
        KERNEL_FILL_DOTPROD(matmul_packed_many)
    }
    if (cpu_has(features, CPU_NEEDS_I8MM)) {
        table->matmul_packed_many = matmul_packed_many_i8mm;
        table->isa[KERNEL_matmul_packed_many] = "i8mm";
    }
    if (cpu_has(features, CPU_NEEDS_BF16)) {
        table->matmul_many_bf16 = matmul_many_bf16_bf16;
        table->isa[KERNEL_matmul_many_bf16] = "bf16";
        KERNEL_PAIRS_SLOTS(KERNEL_FILL_BF16)
    }
}

const cpu_peak *cpu_peaks(size_t *count)
{
    static const cpu_peak peaks[] = {
        {"neon", "f32", CPU_NEEDS_NEON, peak_f32_neon},
        {"bf16", "bf16", CPU_NEEDS_BF16, peak_bf16_neon},
        {"neon", "int8", CPU_NEEDS_NEON, peak_int8_neon},
        {"dotprod", "int8", CPU_NEEDS_DOTPROD, peak_int8_dotprod},
        {"i8mm", "int8", CPU_NEEDS_I8MM, peak_int8_i8mm},
    };
    *count = sizeof(peaks) / sizeof(peaks[0]);
    return peaks;
}
