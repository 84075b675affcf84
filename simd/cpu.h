/* What this processor can do: feature flags as a set, caches, cores, name; and the VL2_CPU mask. */
#ifndef SIMD_CPU_H
#define SIMD_CPU_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* X(constant, name as in VL2_CPU and in listings). The sets are independent of each other: VNNI,
 * AMX and i8mm come in any combination. */
#define CPU_FEATURE_LIST(X)                                                                        \
    X(SSE2, "sse2")                                                                                \
    X(SSSE3, "ssse3")                                                                              \
    X(SSE41, "sse4.1")                                                                             \
    X(AVX, "avx")                                                                                  \
    X(AVX2, "avx2")                                                                                \
    X(FMA, "fma")                                                                                  \
    X(F16C, "f16c")                                                                                \
    X(AVXVNNI, "avxvnni")                                                                          \
    X(AVX512F, "avx512f")                                                                          \
    X(AVX512BW, "avx512bw")                                                                        \
    X(AVX512DQ, "avx512dq")                                                                        \
    X(AVX512VL, "avx512vl")                                                                        \
    X(AVX512VNNI, "avx512vnni")                                                                    \
    X(AVX512BF16, "avx512bf16")                                                                    \
    X(AMXTILE, "amx-tile")                                                                         \
    X(AMXINT8, "amx-int8")                                                                         \
    X(AMXBF16, "amx-bf16")                                                                         \
    X(NEON, "neon")                                                                                \
    X(DOTPROD, "dotprod")                                                                          \
    X(I8MM, "i8mm")                                                                                \
    X(BF16, "bf16")                                                                                \
    X(SVE, "sve")

typedef enum cpu_feature {
#define CPU_FEATURE_CONSTANT(constant, name) CPU_##constant,
    CPU_FEATURE_LIST(CPU_FEATURE_CONSTANT)
#undef CPU_FEATURE_CONSTANT
        CPU_FEATURE_COUNT
} cpu_feature;

/* Bit f stands for feature f. */
typedef uint64_t cpu_features;

#define CPU_HAS(feature) ((cpu_features)1 << CPU_##feature)

/* What the kernels of one ISA need, all of it. */
#define CPU_NEEDS_AVX2 (CPU_HAS(AVX2) | CPU_HAS(FMA) | CPU_HAS(F16C))
#define CPU_NEEDS_AVX512                                                                           \
    (CPU_NEEDS_AVX2 | CPU_HAS(AVX512F) | CPU_HAS(AVX512BW) | CPU_HAS(AVX512DQ) | CPU_HAS(AVX512VL))
#define CPU_NEEDS_AVXVNNI (CPU_NEEDS_AVX2 | CPU_HAS(AVXVNNI))
#define CPU_NEEDS_VNNI    (CPU_NEEDS_AVX512 | CPU_HAS(AVX512VNNI))
#define CPU_NEEDS_AVX512BF16 (CPU_NEEDS_AVX512 | CPU_HAS(AVX512BF16))
#define CPU_NEEDS_AMX     (CPU_NEEDS_VNNI | CPU_HAS(AMXTILE) | CPU_HAS(AMXINT8))
#define CPU_NEEDS_AMXBF16                                                                          \
    (CPU_NEEDS_AVX512BF16 | CPU_HAS(AMXTILE) | CPU_HAS(AMXBF16))
#define CPU_NEEDS_NEON    CPU_HAS(NEON)
#define CPU_NEEDS_DOTPROD (CPU_NEEDS_NEON | CPU_HAS(DOTPROD))
#define CPU_NEEDS_I8MM    (CPU_NEEDS_DOTPROD | CPU_HAS(I8MM))
#define CPU_NEEDS_BF16    (CPU_NEEDS_NEON | CPU_HAS(BF16))

typedef struct cpu_info {
    cpu_features features; /* usable: the operating system keeps the registers too */
    char brand[64];        /* "" if unknown */
    size_t l1d, l2, l3;    /* bytes of one such cache; 0 if unknown */
    int cores;             /* physical, online; at least 1 */
    int threads;           /* logical, online; at least 1 */
} cpu_info;

/* AVX, AVX-512 and AMX count only if XCR0 says that their registers are saved; AMX also asks the
 * kernel for the permission to use tiles (arch_prctl), which the whole process then has. */
void cpu_detect(cpu_info *info);
cpu_features cpu_detect_features(void);

/* Whether all of `needs` is in `features`. */
static inline bool cpu_has(cpu_features features, cpu_features needs)
{
    return (features & needs) == needs;
}

/* "avx2"; NULL outside the list. */
const char *cpu_feature_name(int feature);

/* Applies a VL2_CPU text to what is available. Words are separated by commas and read from the
 * left:
 *   generic avx2 avx512 vnni amx | neon dotprod i8mm | native
 *                        at most this level; a level of another architecture leaves nothing
 *   -FEATURE, -LEVEL     without this feature, or without what this level adds to the one below
 *   +FEATURE, +LEVEL     with it again, if it is available
 * NULL or "" is "native". The result is always a subset of `available`. False for an unknown or
 * empty word, with *bad_word (may be NULL) pointing at it within `text` (it ends at a comma or the
 * NUL) and *out unchanged. */
bool cpu_parse_mask(const char *text, cpu_features available, cpu_features *out,
                    const char **bad_word);

#endif
