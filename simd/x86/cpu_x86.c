/* CPUID, XCR0 and the AMX permission (Intel SDM volume 2 CPUID, volume 1 chapters 13 and 18;
 * Linux Documentation/arch/x86/xstate.rst). */
#include "simd/arch.h"

#include <cpuid.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#define ARCH_REQ_XCOMP_PERM 0x1023
#define XFEATURE_XTILEDATA  18

/* State components that the operating system saves. */
#define XCR0_AVX    0x6u     /* SSE, upper halves of YMM */
#define XCR0_AVX512 0xe6u    /* and opmask, upper halves of ZMM 0-15, ZMM 16-31 */
#define XCR0_AMX    0x60000u /* tile configuration, tile data */

typedef struct cpuid_registers {
    unsigned eax, ebx, ecx, edx;
} cpuid_registers;

/* All zero for a leaf that the processor does not have. */
static cpuid_registers cpuid(unsigned leaf, unsigned subleaf)
{
    cpuid_registers r = {0, 0, 0, 0};
    if (!__get_cpuid_count(leaf, subleaf, &r.eax, &r.ebx, &r.ecx, &r.edx)) {
        memset(&r, 0, sizeof(r));
    }
    return r;
}

/* Needs the OSXSAVE flag. */
static unsigned xcr0(void)
{
    unsigned low, high;
    __asm__ volatile("xgetbv" : "=a"(low), "=d"(high) : "c"(0));
    return low;
}

static bool amx_permitted(void)
{
    return syscall(SYS_arch_prctl, ARCH_REQ_XCOMP_PERM, XFEATURE_XTILEDATA) == 0;
}

/* `set` if bit `bit` of `word` is on. */
static cpu_features flag(unsigned word, int bit, cpu_features set)
{
    return (word >> bit & 1u) != 0 ? set : 0;
}

cpu_features arch_features(void)
{
    cpuid_registers basic = cpuid(1, 0), extended = cpuid(7, 0), more = cpuid(7, 1);
    cpu_features set = flag(basic.edx, 26, CPU_HAS(SSE2)) | flag(basic.ecx, 9, CPU_HAS(SSSE3)) |
                       flag(basic.ecx, 19, CPU_HAS(SSE41));
    unsigned saved = (basic.ecx >> 27 & 1u) != 0 ? xcr0() : 0;
    if ((saved & XCR0_AVX) == XCR0_AVX) {
        set |= flag(basic.ecx, 28, CPU_HAS(AVX)) | flag(basic.ecx, 12, CPU_HAS(FMA)) |
               flag(basic.ecx, 29, CPU_HAS(F16C)) | flag(extended.ebx, 5, CPU_HAS(AVX2)) |
               flag(more.eax, 4, CPU_HAS(AVXVNNI));
    }
    if ((saved & XCR0_AVX512) == XCR0_AVX512) {
        set |= flag(extended.ebx, 16, CPU_HAS(AVX512F)) |
               flag(extended.ebx, 17, CPU_HAS(AVX512DQ)) |
               flag(extended.ebx, 30, CPU_HAS(AVX512BW)) |
               flag(extended.ebx, 31, CPU_HAS(AVX512VL)) |
               flag(extended.ecx, 11, CPU_HAS(AVX512VNNI)) |
               flag(more.eax, 5, CPU_HAS(AVX512BF16));
    }
    if ((saved & XCR0_AMX) == XCR0_AMX && (extended.edx >> 24 & 1u) != 0 && amx_permitted()) {
        set |= CPU_HAS(AMXTILE) | flag(extended.edx, 25, CPU_HAS(AMXINT8)) |
               flag(extended.edx, 22, CPU_HAS(AMXBF16));
    }
    return set;
}

void arch_brand(char *brand, size_t size)
{
    char text[49] = "";
    for (unsigned i = 0; i < 3; i++) {
        cpuid_registers r = cpuid(0x80000002u + i, 0);
        memcpy(text + 16 * i, &r, sizeof(r));
    }
    text[48] = '\0';
    const char *start = text + strspn(text, " ");
    size_t length = strnlen(start, size - 1);
    memcpy(brand, start, length);
    brand[length] = '\0';
}
