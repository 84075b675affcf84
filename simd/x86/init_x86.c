/* Chooses among the kernels of x86-64. Compiled for the oldest machine: no AVX code in this
 * file. */
#include "simd/arch.h"
#include "simd/x86/peak.h"
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

#define KERNEL_FILL_AVX512BF16(type, slot)                                                         \
    table->slot = slot##_avx512bf16;                                                               \
    table->isa[KERNEL_##slot] = "avx512bf16";

#define KERNEL_FILL_AMX(type, slot)                                                                \
    table->slot = slot##_amx;                                                                      \
    table->isa[KERNEL_##slot] = "amx";

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
    if (cpu_has(features, CPU_NEEDS_AVX512BF16)) {
        KERNEL_PAIRS_SLOTS(KERNEL_FILL_AVX512BF16)
    }
    if (cpu_has(features, CPU_NEEDS_AMX)) {
        table->matmul_packed_many = matmul_packed_many_amx;
        table->isa[KERNEL_matmul_packed_many] = "amx";
    }
    if (cpu_has(features, CPU_NEEDS_AMXBF16)) {
        table->matmul_many_bf16 = matmul_many_bf16_amx;
        table->isa[KERNEL_matmul_many_bf16] = "amx";
        KERNEL_PAIRS_SLOTS(KERNEL_FILL_AMX)
    }
}

const cpu_peak *cpu_peaks(size_t *count)
{
    static const cpu_peak peaks[] = {
        {"avx2", "f32", CPU_NEEDS_AVX2, peak_f32_avx2},
        {"avx512", "f32", CPU_NEEDS_AVX512, peak_f32_avx512},
        {"avx512bf16", "bf16", CPU_NEEDS_AVX512BF16, peak_bf16_avx512bf16},
        {"amx", "bf16", CPU_NEEDS_AMX | CPU_HAS(AMXBF16), peak_bf16_amx},
        {"avx2", "int8", CPU_NEEDS_AVX2, peak_int8_avx2},
        {"avxvnni", "int8", CPU_NEEDS_AVXVNNI, peak_int8_avxvnni},
        {"avx512", "int8", CPU_NEEDS_AVX512, peak_int8_avx512},
        {"vnni", "int8", CPU_NEEDS_VNNI, peak_int8_vnni},
        {"amx", "int8", CPU_NEEDS_AMX, peak_int8_amx},
    };
    *count = sizeof(peaks) / sizeof(peaks[0]);
    return peaks;
}
