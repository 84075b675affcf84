/* Chooses among the kernels of ARMv8-A. */
#include "simd/arch.h"
#include "simd/arm/arm.h"

#define KERNEL_FILL_NEON(type, slot)                                                               \
    table->slot = slot##_neon;                                                                     \
    table->isa[KERNEL_##slot] = "neon";

void arch_fill(cpu_features features, kernels *table)
{
    if (cpu_has(features, CPU_NEEDS_NEON)) {
        KERNEL_SLOTS(KERNEL_FILL_NEON)
    }
}
