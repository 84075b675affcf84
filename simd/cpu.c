/* The mask, and what Linux tells about caches and cores alike on every architecture. */
#include "simd/cpu.h"
#include "simd/arch.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static const char *const feature_names[CPU_FEATURE_COUNT] = {
#define CPU_FEATURE_TEXT(constant, name) name,
    CPU_FEATURE_LIST(CPU_FEATURE_TEXT)
#undef CPU_FEATURE_TEXT
};

#define LEVEL_GENERIC CPU_HAS(SSE2)
#define LEVEL_AVX2                                                                                 \
    (LEVEL_GENERIC | CPU_HAS(SSSE3) | CPU_HAS(SSE41) | CPU_HAS(AVX) | CPU_NEEDS_AVX2)
#define LEVEL_AVX512  (LEVEL_AVX2 | CPU_NEEDS_AVX512)
#define LEVEL_VNNI    (LEVEL_AVX512 | CPU_HAS(AVXVNNI) | CPU_HAS(AVX512VNNI))
#define LEVEL_AMX                                                                                  \
    (LEVEL_VNNI | CPU_HAS(AVX512BF16) | CPU_HAS(AMXTILE) | CPU_HAS(AMXINT8) | CPU_HAS(AMXBF16))
#define LEVEL_NEON    CPU_NEEDS_NEON
#define LEVEL_DOTPROD (LEVEL_NEON | CPU_HAS(DOTPROD))
#define LEVEL_I8MM    (LEVEL_DOTPROD | CPU_HAS(I8MM) | CPU_HAS(BF16))

/* `added` is what -LEVEL takes away: what stands above the level below. */
static const struct level {
    const char *name;
    cpu_features members, added;
} levels[] = {
    {"generic", LEVEL_GENERIC, LEVEL_GENERIC},
    {"avx2", LEVEL_AVX2, LEVEL_AVX2 & ~LEVEL_GENERIC},
    {"avx512", LEVEL_AVX512, LEVEL_AVX512 & ~LEVEL_AVX2},
    {"vnni", LEVEL_VNNI, LEVEL_VNNI & ~LEVEL_AVX512},
    {"amx", LEVEL_AMX, LEVEL_AMX & ~LEVEL_VNNI},
    {"neon", LEVEL_NEON, LEVEL_NEON},
    {"dotprod", LEVEL_DOTPROD, CPU_HAS(DOTPROD)},
    {"i8mm", LEVEL_I8MM, LEVEL_I8MM & ~LEVEL_DOTPROD},
    {"native", ~(cpu_features)0, ~(cpu_features)0},
};

const char *cpu_feature_name(int feature)
{
    return feature >= 0 && feature < CPU_FEATURE_COUNT ? feature_names[feature] : NULL;
}

static bool word_is(const char *word, size_t size, const char *name)
{
    return strlen(name) == size && memcmp(word, name, size) == 0;
}

static const struct level *find_level(const char *word, size_t size)
{
    for (size_t i = 0; i < sizeof(levels) / sizeof(levels[0]); i++) {
        if (word_is(word, size, levels[i].name)) {
            return &levels[i];
        }
    }
    return NULL;
}

/* The features that a word after + or - stands for; none if it is unknown. A word that names both a
 * feature and a level is the feature. */
static cpu_features named_features(const char *word, size_t size)
{
    for (int i = 0; i < CPU_FEATURE_COUNT; i++) {
        if (word_is(word, size, feature_names[i])) {
            return (cpu_features)1 << i;
        }
    }
    const struct level *level = find_level(word, size);
    return level != NULL ? level->added : 0;
}

/* Applies one word to *set; false if it is unknown. */
static bool apply_word(const char *word, size_t size, cpu_features available, cpu_features *set)
{
    if (size > 1 && (word[0] == '-' || word[0] == '+')) {
        cpu_features named = named_features(word + 1, size - 1);
        *set = word[0] == '-' ? *set & ~named : *set | (named & available);
        return named != 0;
    }
    const struct level *level = find_level(word, size);
    if (level != NULL) {
        *set &= level->members;
    }
    return level != NULL;
}

bool cpu_parse_mask(const char *text, cpu_features available, cpu_features *out,
                    const char **bad_word)
{
    cpu_features set = available;
    const char *word = text;
    while (word != NULL && *text != '\0') {
        size_t size = strcspn(word, ",");
        if (!apply_word(word, size, available, &set)) {
            if (bad_word != NULL) {
                *bad_word = word;
            }
            return false;
        }
        word = word[size] == ',' ? word + size + 1 : NULL;
    }
    *out = set;
    return true;
}

cpu_features cpu_detect_features(void)
{
    return arch_features();
}

/* First line of a file below /sys/devices/system/cpu, without its newline. */
static bool read_sys(int cpu, const char *name, char *line, size_t size)
{
    char path[160];
    snprintf(path, sizeof(path), "/sys/devices/system/cpu/cpu%d/%s", cpu, name);
    FILE *file = fopen(path, "re");
    if (file == NULL) {
        return false;
    }
    bool found = fgets(line, (int)size, file) != NULL;
    fclose(file);
    if (found) {
        line[strcspn(line, "\n")] = '\0';
    }
    return found;
}

/* "512K" */
static size_t parse_size(const char *text)
{
    char *end;
    unsigned long long number = strtoull(text, &end, 10);
    int shift = *end == 'K' ? 10 : *end == 'M' ? 20 : *end == 'G' ? 30 : 0;
    return number <= SIZE_MAX >> shift ? (size_t)number << shift : 0;
}

/* From one folder cpu0/cache/indexN; false behind the last. */
static bool read_cache(int index, cpu_info *info)
{
    char name[48], level[32], type[32], size[32];
    snprintf(name, sizeof(name), "cache/index%d/level", index);
    if (!read_sys(0, name, level, sizeof(level))) {
        return false;
    }
    snprintf(name, sizeof(name), "cache/index%d/type", index);
    bool data = read_sys(0, name, type, sizeof(type)) && strcmp(type, "Instruction") != 0;
    snprintf(name, sizeof(name), "cache/index%d/size", index);
    size_t *caches[] = {&info->l1d, &info->l2, &info->l3};
    if (data && level[0] >= '1' && level[0] <= '3' && read_sys(0, name, size, sizeof(size))) {
        *caches[level[0] - '1'] = parse_size(size);
    }
    return true;
}

static size_t cache_from_libc(int name)
{
    long size = sysconf(name);
    return size > 0 ? (size_t)size : 0;
}

static void detect_caches(cpu_info *info)
{
    for (int index = 0; index < 16 && read_cache(index, info); index++) {
    }
#ifdef _SC_LEVEL1_DCACHE_SIZE
    info->l1d = info->l1d != 0 ? info->l1d : cache_from_libc(_SC_LEVEL1_DCACHE_SIZE);
    info->l2 = info->l2 != 0 ? info->l2 : cache_from_libc(_SC_LEVEL2_CACHE_SIZE);
    info->l3 = info->l3 != 0 ? info->l3 : cache_from_libc(_SC_LEVEL3_CACHE_SIZE);
#endif
}

/* A core is counted at the first of its threads: the list of its threads starts with it. */
static void detect_cores(cpu_info *info)
{
    long online = sysconf(_SC_NPROCESSORS_ONLN);
    long configured = sysconf(_SC_NPROCESSORS_CONF);
    info->threads = online > 0 ? (int)online : 1;
    info->cores = 0;
    for (int cpu = 0; cpu < configured; cpu++) {
        char siblings[64];
        if (read_sys(cpu, "topology/thread_siblings_list", siblings, sizeof(siblings)) &&
            atoi(siblings) == cpu) {
            info->cores++;
        }
    }
    if (info->cores == 0) {
        info->cores = info->threads;
    }
}

void cpu_detect(cpu_info *info)
{
    memset(info, 0, sizeof(*info));
    info->features = arch_features();
    arch_brand(info->brand, sizeof(info->brand));
    detect_caches(info);
    detect_cores(info);
}
