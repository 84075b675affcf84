/* An architecture without kernels of its own. */
#include "simd/arch.h"
#include "simd/peak.h"

cpu_features arch_features(void)
{
    return 0;
}

void arch_brand(char *brand, size_t size)
{
    (void)size;
    brand[0] = '\0';
}

void arch_fill(cpu_features features, kernels *table)
{
    (void)features;
    (void)table;
}

const cpu_peak *cpu_peaks(size_t *count)
{
    *count = 0;
    return NULL;
}
