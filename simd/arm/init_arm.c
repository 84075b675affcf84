/* Chooses among the kernels of ARMv8-A. */
#include "simd/arch.h"
#include "simd/arm/arm.h"

#define KERNEL_FILL_NEON(type, slot)                                                               \
    table->slot = slot##_neon;                                                                     \
    table->isa[KERNEL_##slot] = "neon";

#define KERNEL_FILL_DOTPROD(slot)                                                                  \
    table->slot = slot##_dotprod;                                                                  \
    table->isa[KERNEL_##slot] = "dotprod";

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
}
