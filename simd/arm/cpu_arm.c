/* Hardware capabilities from the auxiliary vector (Linux
 * Documentation/arch/arm64/elf_hwcaps.rst). */
#include "simd/arch.h"

#include <stdio.h>
#include <string.h>
#include <sys/auxv.h>

/* Named here because older headers lack the newer ones. */
#define BIT_ASIMD   (1ul << 1)
#define BIT_ASIMDDP (1ul << 20)
#define BIT_SVE     (1ul << 22)
#define BIT2_I8MM   (1ul << 13)
#define BIT2_BF16   (1ul << 14)

cpu_features arch_features(void)
{
    unsigned long first = getauxval(AT_HWCAP), second = getauxval(AT_HWCAP2);
    cpu_features set = 0;
    set |= (first & BIT_ASIMD) != 0 ? CPU_HAS(NEON) : 0;
    set |= (first & BIT_ASIMDDP) != 0 ? CPU_HAS(DOTPROD) : 0;
    set |= (first & BIT_SVE) != 0 ? CPU_HAS(SVE) : 0;
    set |= (second & BIT2_I8MM) != 0 ? CPU_HAS(I8MM) : 0;
    set |= (second & BIT2_BF16) != 0 ? CPU_HAS(BF16) : 0;
    return set;
}

/* Implementer 0x41 of the main identification register (Arm, "MIDR_EL1"). */
static const struct arm_part {
    unsigned part;
    const char *name;
} arm_parts[] = {
    {0xd03, "Cortex-A53"},   {0xd05, "Cortex-A55"},   {0xd08, "Cortex-A72"},
    {0xd0b, "Cortex-A76"},   {0xd0c, "Neoverse N1"},  {0xd40, "Neoverse V1"},
    {0xd49, "Neoverse N2"},  {0xd4f, "Neoverse V2"},  {0xd41, "Cortex-A78"},
};

static const char *part_name(unsigned implementer, unsigned part)
{
    for (size_t i = 0; implementer == 0x41 && i < sizeof(arm_parts) / sizeof(arm_parts[0]); i++) {
        if (arm_parts[i].part == part) {
            return arm_parts[i].name;
        }
    }
    return NULL;
}

void arch_brand(char *brand, size_t size)
{
    brand[0] = '\0';
    FILE *file = fopen("/proc/cpuinfo", "re");
    if (file == NULL) {
        return;
    }
    char line[256];
    unsigned implementer = 0, part = 0;
    while (fgets(line, sizeof(line), file) != NULL) {
        sscanf(line, "CPU implementer : %x", &implementer);
        sscanf(line, "CPU part : %x", &part);
    }
    fclose(file);
    const char *name = part_name(implementer, part);
    if (name != NULL) {
        snprintf(brand, size, "%s", name);
    } else if (implementer != 0) {
        snprintf(brand, size, "implementer 0x%02x part 0x%03x", implementer, part);
    }
}
