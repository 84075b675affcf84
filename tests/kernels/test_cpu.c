/* simd: the VL2_CPU mask and the choice of kernels. */
#include "tests/kernels/harness.h"

#include "simd/peak.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define AVX2_PARTS                                                                                 \
    (CPU_HAS(SSE2) | CPU_HAS(SSSE3) | CPU_HAS(SSE41) | CPU_HAS(AVX) | CPU_HAS(AVX2) |              \
     CPU_HAS(FMA) | CPU_HAS(F16C))
#define AVX512_PARTS                                                                               \
    (AVX2_PARTS | CPU_HAS(AVX512F) | CPU_HAS(AVX512BW) | CPU_HAS(AVX512DQ) | CPU_HAS(AVX512VL))
#define VNNI_PARTS (AVX512_PARTS | CPU_HAS(AVX512VNNI) | CPU_HAS(AVXVNNI))
/* Sapphire Rapids */
#define LARGE_X86                                                                                  \
    (VNNI_PARTS | CPU_HAS(AVX512BF16) | CPU_HAS(AMXTILE) | CPU_HAS(AMXINT8) | CPU_HAS(AMXBF16))
/* Neoverse V1 */
#define LARGE_ARM                                                                                  \
    (CPU_HAS(NEON) | CPU_HAS(DOTPROD) | CPU_HAS(I8MM) | CPU_HAS(BF16) | CPU_HAS(SVE))

static const struct mask_case {
    const char *text;
    cpu_features available, expected;
} mask_cases[] = {
    {NULL, LARGE_X86, LARGE_X86},
    {"", LARGE_X86, LARGE_X86},
    {"native", LARGE_X86, LARGE_X86},
    {"generic", LARGE_X86, CPU_HAS(SSE2)},
    {"avx2", LARGE_X86, AVX2_PARTS},
    {"avx512", LARGE_X86, AVX512_PARTS},
    {"vnni", LARGE_X86, VNNI_PARTS},
    {"amx", LARGE_X86, LARGE_X86},
    {"amx", AVX2_PARTS, AVX2_PARTS},
    {"neon", LARGE_X86, 0},
    {"avx2,-fma", LARGE_X86, AVX2_PARTS & ~CPU_HAS(FMA)},
    {"-amx-bf16", LARGE_X86, LARGE_X86 & ~CPU_HAS(AMXBF16)},
    {"-amx", LARGE_X86, VNNI_PARTS},
    {"-avx2,+avx2", LARGE_X86, LARGE_X86},
    {"-vnni,+avxvnni", LARGE_X86, LARGE_X86 & ~CPU_HAS(AVX512VNNI)},
    {"avx2,+avx512vnni", LARGE_X86, AVX2_PARTS | CPU_HAS(AVX512VNNI)},
    {"avx2,+avx512vnni", AVX2_PARTS, AVX2_PARTS},
    {"generic", LARGE_ARM, 0},
    {"neon", LARGE_ARM, CPU_HAS(NEON)},
    {"dotprod", LARGE_ARM, CPU_HAS(NEON) | CPU_HAS(DOTPROD)},
    {"i8mm", LARGE_ARM, LARGE_ARM & ~CPU_HAS(SVE)},
    {"-i8mm", LARGE_ARM, LARGE_ARM & ~CPU_HAS(I8MM)},
    {"-dotprod,-sve", LARGE_ARM, CPU_HAS(NEON) | CPU_HAS(I8MM) | CPU_HAS(BF16)},
};

static const struct bad_case {
    const char *text;
    size_t at; /* of the bad word */
} bad_cases[] = {
    {"avx3", 0},      {"AVX2", 0},    {"avx2,", 5}, {",avx2", 0},       {"avx2,nothing", 5},
    {"-", 0},         {"+", 0},       {"--fma", 0}, {"avx2,-fm", 5},    {"avx2 ", 0},
    {"native,,-fma", 7}, {"fma", 0},  {"-,avx2", 0},
};

static void test_masks(void)
{
    for (size_t i = 0; i < sizeof(mask_cases) / sizeof(mask_cases[0]); i++) {
        const struct mask_case *c = &mask_cases[i];
        cpu_features out = 12345;
        const char *bad_word = "untouched";
        bool known = cpu_parse_mask(c->text, c->available, &out, &bad_word);
        check_true(known && out == c->expected, "VL2_CPU=%s gives 0x%llx, not 0x%llx",
                   c->text != NULL ? c->text : "(none)", (unsigned long long)out,
                   (unsigned long long)c->expected);
    }
    for (size_t i = 0; i < sizeof(bad_cases) / sizeof(bad_cases[0]); i++) {
        const char *bad_word = NULL;
        cpu_features out = 12345;
        bool known = cpu_parse_mask(bad_cases[i].text, LARGE_X86, &out, &bad_word);
        check_true(!known && out == 12345 && bad_word == bad_cases[i].text + bad_cases[i].at,
                   "VL2_CPU=%s is refused at %zu", bad_cases[i].text, bad_cases[i].at);
        check_true(!cpu_parse_mask(bad_cases[i].text, 0, &out, NULL), "without bad_word");
    }
}

/* Each feature has a name, and -NAME takes away just that. */
static void test_names(void)
{
    for (int f = 0; f < CPU_FEATURE_COUNT; f++) {
        char text[32];
        cpu_features out = 0, all = ((cpu_features)1 << CPU_FEATURE_COUNT) - 1;
        snprintf(text, sizeof(text), "-%s", cpu_feature_name(f));
        check_true(cpu_parse_mask(text, all, &out, NULL) &&
                       (out & ((cpu_features)1 << f)) == 0,
                   "%s", text);
    }
    check_true(cpu_feature_name(-1) == NULL && cpu_feature_name(CPU_FEATURE_COUNT) == NULL,
               "names outside the list");
    for (int slot = 0; slot < KERNEL_COUNT; slot++) {
        check_true(kernel_name(slot) != NULL, "slot %d has a name", slot);
    }
    check_true(strcmp(kernel_name(KERNEL_matvec_bf16), "matvec_bf16") == 0, "name of matvec_bf16");
    check_true(kernel_name(-1) == NULL && kernel_name(KERNEL_COUNT) == NULL, "no such slot");
}

/* kernels_default obeys the environment and gives the word that it does not know. */
static void test_environment(void)
{
    kernels table, native;
    memset(&table, 0, sizeof(table));
    memset(&native, 0, sizeof(native));
    const char *saved = getenv("VL2_CPU");
    char *copy = saved != NULL ? strdup(saved) : NULL;
    kernels_select(cpu_detect_features(), &native);
    setenv("VL2_CPU", "generic", 1);
    check_true(kernels_default(&table) == NULL, "generic is known");
    for (int slot = 0; slot < KERNEL_COUNT; slot++) {
        check_true(strcmp(table.isa[slot], "ref") == 0, "generic: %s is the reference",
                   kernel_name(slot));
    }
    setenv("VL2_CPU", "generic,what,avx2", 1);
    const char *bad_word = kernels_default(&table);
    check_true(bad_word != NULL && strncmp(bad_word, "what,", 5) == 0, "the unknown word");
    check_true(memcmp(&table, &native, sizeof(table)) == 0, "and the table is native");
    unsetenv("VL2_CPU");
    check_true(kernels_default(&table) == NULL && memcmp(&table, &native, sizeof(table)) == 0,
               "without VL2_CPU the table is native");
    if (copy != NULL) {
        setenv("VL2_CPU", copy, 1);
    }
    free(copy);
}

/* An ISA is used only with all of its parts. */
static void test_whole_isa(void)
{
    static const struct {
        cpu_features needs;
        const char *isa;
    } isas[] = {{CPU_NEEDS_AVX2, "avx2"}, {CPU_NEEDS_AVX512, "avx512"}, {CPU_NEEDS_NEON, "neon"}};
    for (size_t i = 0; i < sizeof(isas) / sizeof(isas[0]); i++) {
        for (int f = 0; f < CPU_FEATURE_COUNT; f++) {
            cpu_features part = (cpu_features)1 << f;
            kernels table;
            kernels_select(isas[i].needs & ~part, &table); /* chooses only, calls nothing */
            check_true((isas[i].needs & part) == 0 || strcmp(table.isa[0], isas[i].isa) != 0,
                       "%s without %s", isas[i].isa, cpu_feature_name(f));
        }
    }
}

/* Under every mask the features that are allowed are those of the mask, and each loop of them does
 * as many operations as it is asked rounds for. How fast, is no matter. */
static void test_peaks(void)
{
    static const char *const masks[] = {"generic", "avx2",    "avx512", "vnni",  "amx",
                                        "neon",    "dotprod", "i8mm",   "native"};
    size_t count, ran = 0;
    const cpu_peak *peaks = cpu_peaks(&count);
    const char *saved = getenv("VL2_CPU");
    char *copy = saved != NULL ? strdup(saved) : NULL;
    for (size_t m = 0; m < sizeof(masks) / sizeof(masks[0]); m++) {
        cpu_features expected;
        setenv("VL2_CPU", masks[m], 1);
        check_true(cpu_parse_mask(masks[m], cpu_detect_features(), &expected, NULL) &&
                       cpu_allowed_features() == expected,
                   "%s: features of peaks", masks[m]);
        for (size_t i = 0; i < count; i++) {
            check_true(peaks[i].needs != 0 &&
                           (m > 0 || !cpu_has(cpu_allowed_features(), peaks[i].needs)),
                       "%s: %s %s needs nothing", masks[m], peaks[i].isa, peaks[i].kind);
            if (cpu_has(cpu_allowed_features(), peaks[i].needs)) {
                double once = peaks[i].run(1), often = peaks[i].run(1000);
                check_true(isfinite(once) && once > 0 && often == 1000 * once,
                           "%s: %s %s: %g operations in a round, %g in 1000", masks[m],
                           peaks[i].isa, peaks[i].kind, once, often);
                ran++;
            }
        }
    }
    kernels table;
    memset(&table, 0, sizeof(table));
    kernels_select(cpu_detect_features(), &table);
    check_true((ran > 0) == (strcmp(table.isa[0], "ref") != 0), "%zu peaks ran", ran);
    unsetenv("VL2_CPU");
    if (copy != NULL) {
        setenv("VL2_CPU", copy, 1);
    }
    free(copy);
}

static void test_detection(void)
{
    cpu_info info;
    cpu_detect(&info);
    check_true(info.features == cpu_detect_features(), "features are the same twice");
    check_true(info.cores >= 1 && info.threads >= info.cores, "%d cores, %d threads", info.cores,
               info.threads);
    check_true(memchr(info.brand, '\0', sizeof(info.brand)) != NULL, "the brand ends");
    printf("%s: %d cores, %d threads, L1d %zu KiB, L2 %zu KiB, L3 %zu KiB:", info.brand, info.cores,
           info.threads, info.l1d >> 10, info.l2 >> 10, info.l3 >> 10);
    for (int f = 0; f < CPU_FEATURE_COUNT; f++) {
        if (cpu_has(info.features, (cpu_features)1 << f)) {
            printf(" %s", cpu_feature_name(f));
        }
    }
    printf("\n");
}

void test_cpu(void)
{
    test_masks();
    test_names();
    test_environment();
    test_whole_isa();
    test_peaks();
    test_detection();
}
