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
    KERNEL_AMXBF16_SLOTS(KERNEL_FILL)
#undef KERNEL_FILL
}

int main(void)
{
    test_table table = {.mask = "amx, emulated"};
    cpu_features features = cpu_detect_features();
    if (!cpu_has(features, CPU_NEEDS_VNNI)) {
        printf("this processor has no AVX-512 with VNNI\n");
        return SKIP;
    }
    kernels_select(features, &table.kernels);
    table.kernels.matmul_packed_many = matmul_packed_many_amx; /* that of emulated_amx.c */
    test_packed(&table);
    if (cpu_has(features, CPU_SET(AVX512BF16))) {
        use_attention(&table.kernels);
        test_attention(&table);
    } else {
        printf("this processor has no AVX512-BF16: attention is not tested\n");
    }
    printf("%-14s %8zu checks, %zu failed\n", table.mask, checks_made(), checks_failed());
    return checks_made() > 0 && checks_failed() == 0 ? 0 : 1;
}
