/* simd: the kernels for AMX, with emulated tiles, against the same results as those of
 * test_kernels; on processors that have AVX-512, for the rest of their instructions. */
#include "simd/x86/x86.h"
#include "tests/kernels/harness.h"

#include <stdio.h>

#define SKIP 77 /* as Automake counts it */

/* That of emulated_attention.c. */
static void use_attention(kernels *table)
{
#define KERNEL_FILL(type, slot)                                                                    \
    table->slot = slot##_amx;                                                                      \
    table->isa[KERNEL_##slot] = "amx";
    KERNEL_PAIRS_SLOTS(KERNEL_FILL)
#undef KERNEL_FILL
}

int main(void)
{
    test_table table = {.mask = "amx, emulated"};
    cpu_features features = cpu_detect_features();
    const bool bytes = cpu_has(features, CPU_NEEDS_VNNI);
    const bool floats = cpu_has(features, CPU_NEEDS_AVX512BF16);
    if (!bytes && !floats) {
        printf("this processor has AVX-512 neither with VNNI nor with BF16\n");
        return SKIP;
    }
    kernels_select(features, &table.kernels);
    if (bytes) {
        table.kernels.matmul_packed_many = matmul_packed_many_amx; /* that of emulated_amx.c */
        test_packed(&table);
    }
    if (floats) {
        table.kernels.matmul_many_bf16 = matmul_many_bf16_amx; /* of emulated_amx_bf16.c */
        table.kernels.isa[KERNEL_matmul_many_bf16] = "amx";
        test_many(&table);
        use_attention(&table.kernels);
        test_attention(&table);
    }
    printf("%-14s %8zu checks, %zu failed\n", table.mask, checks_made(), checks_failed());
    return checks_made() > 0 && checks_failed() == 0 ? 0 : 1;
}
