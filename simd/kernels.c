/* Fills the table: reference first, then what the features allow. */
#include "simd/kernels.h"
#include "simd/arch.h"
#include "simd/peak.h"
#include "simd/ref/ref.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

void kernels_select(cpu_features features, kernels *table)
{
#define KERNEL_FILL(type, slot)                                                                    \
    table->slot = slot##_ref;                                                                      \
    table->isa[KERNEL_##slot] = "ref";
    KERNEL_SLOTS(KERNEL_FILL)
#undef KERNEL_FILL
    arch_fill(features, table);
}

const char *kernels_default(kernels *table)
{
    cpu_features available = cpu_detect_features(), allowed = available;
    const char *bad_word = NULL;
    cpu_parse_mask(getenv("VL2_CPU"), available, &allowed, &bad_word);
    kernels_select(allowed, table);
    return bad_word;
}

cpu_features cpu_allowed_features(void)
{
    cpu_features available = cpu_detect_features(), allowed = available;
    cpu_parse_mask(getenv("VL2_CPU"), available, &allowed, NULL);
    return allowed;
}

/* Measured, see simd/README.md; those of amx, neon and bf16 are guesses. */
size_t kernels_few_rows(const kernels *table, kernel_slot many)
{
    static const struct {
        const char *isa;
        size_t rows;
    } limits[] = {{"avx2", 48}, {"avx512", 96}, {"amx", 8}, {"neon", 16}, {"bf16", 8}};
    for (size_t i = 0; i < sizeof(limits) / sizeof(limits[0]); i++) {
        if (strcmp(limits[i].isa, table->isa[many]) == 0) {
            return limits[i].rows;
        }
    }
    return SIZE_MAX;
}

const char *kernel_name(int slot)
{
#define KERNEL_TEXT(type, slot) #slot,
    static const char *const names[KERNEL_COUNT] = {KERNEL_SLOTS(KERNEL_TEXT)};
#undef KERNEL_TEXT
    return slot >= 0 && slot < KERNEL_COUNT ? names[slot] : NULL;
}
