#include "base/memory.h"

#include "base/cgroup.h"

#include <inttypes.h>
#include <limits.h>
#ifdef __GLIBC__
#include <malloc.h>
#endif
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* The number behind `key` at the beginning of a line: "MemTotal:  32 kB", "file 4096". */
static uint64_t find_number(const char *path, const char *key)
{
    char line[CGROUP_LINE];
    size_t length = strlen(key);
    uint64_t number = 0;
    FILE *file = fopen(path, "re");
    while (file != NULL && fgets(line, sizeof(line), file) != NULL) {
        if (strncmp(line, key, length) == 0) {
            number = strtoull(line + length, NULL, 10);
            break;
        }
    }
    if (file != NULL) {
        fclose(file);
    }
    return number;
}

static uint64_t find_memory(const char *root, const char *key)
{
    char path[PATH_MAX];
    snprintf(path, sizeof(path), "%s/proc/meminfo", root);
    return find_number(path, key) * 1024;
}

/* False for "max", and where there is no such file. */
static bool read_bytes(const char *folder, const char *name, uint64_t *bytes)
{
    char path[PATH_MAX], line[CGROUP_LINE];
    return cgroup_file(folder, name, path, sizeof(path)) && cgroup_read_line(path, line) &&
           sscanf(line, "%" SCNu64, bytes) == 1;
}

typedef struct group_memory {
    uint64_t total, available;
} group_memory;

static void visit_group(void *context, const char *folder, bool unified)
{
    group_memory *memory = context;
    char path[PATH_MAX];
    uint64_t limit, used;
    if (!read_bytes(folder, unified ? "memory.max" : "memory.limit_in_bytes", &limit) ||
        !read_bytes(folder, unified ? "memory.current" : "memory.usage_in_bytes", &used) ||
        !cgroup_file(folder, "memory.stat", path, sizeof(path))) {
        return;
    }
    uint64_t files = find_number(path, unified ? "file " : "total_cache ");
    used = used > files ? used - files : 0;
    uint64_t left = limit > used ? limit - used : 0;
    memory->total = limit < memory->total ? limit : memory->total;
    memory->available = left < memory->available ? left : memory->available;
}

static group_memory look(const char *root)
{
    group_memory memory = {find_memory(root, "MemTotal:"), find_memory(root, "MemAvailable:")};
    cgroup_each(root, "memory", visit_group, &memory);
    return memory;
}

uint64_t memory_total(const char *root)
{
    return look(root).total;
}

uint64_t memory_available(const char *root)
{
    return look(root).available;
}

uint64_t memory_resident(void)
{
    char line[CGROUP_LINE];
    uint64_t pages = 0;
    if (cgroup_read_line("/proc/self/statm", line)) {
        sscanf(line, "%*u %" SCNu64, &pages);
    }
    return pages * (uint64_t)sysconf(_SC_PAGESIZE);
}

void memory_return_freed(void)
{
#ifdef __GLIBC__
    mallopt(M_MMAP_THRESHOLD, 1 << 20);
    mallopt(M_TRIM_THRESHOLD, 1 << 20);
#endif
}
