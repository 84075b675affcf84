/* Chooses among the kernels of x86-64. Compiled for the oldest machine: no AVX code in this
 * file. */
#include "simd/arch.h"
#include "simd/x86/x86.h"

#define KERNEL_FILL_AVX2(type, slot)                                                               \
    table->slot = slot##_avx2;                                                                     \
    table->isa[KERNEL_##slot] = "avx2";

#define KERNEL_FILL_AVX512(type, slot)                                                             \
    table->slot = slot##_avx512;                                                                   \
    table->isa[KERNEL_##slot] = "avx512";

#define KERNEL_FILL_AVXVNNI(type, slot)                                                            \
    table->slot = slot##_avxvnni;                                                                  \
    table->isa[KERNEL_##slot] = "avxvnni";

#define KERNEL_FILL_VNNI(type, slot)                                                               \
    table->slot = slot##_vnni;                                                                     \
    table->isa[KERNEL_##slot] = "vnni";

void arch_fill(cpu_features features, kernels *table)
{
    if (cpu_has(features, CPU_NEEDS_AVX2)) {
        KERNEL_SLOTS(KERNEL_FILL_AVX2)
    }
    if (cpu_has(features, CPU_NEEDS_AVX512)) {
        KERNEL_SLOTS(KERNEL_FILL_AVX512)
    }
    if (cpu_has(features, CPU_NEEDS_AVXVNNI)) {
        KERNEL_DOT_SLOTS(KERNEL_FILL_AVXVNNI)
    }
    if (cpu_has(features, CPU_NEEDS_VNNI)) {
        KERNEL_DOT_SLOTS(KERNEL_FILL_VNNI)
    }
    if (cpu_has(features, CPU_NEEDS_AMX)) {
        table->matmul_packed_many = matmul_packed_many_amx;
        table->isa[KERNEL_matmul_packed_many] = "amx";
    }
}
