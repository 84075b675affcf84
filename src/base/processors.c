#include "base/processors.h"

#include <limits.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define LINE_MOST 4096

/* The first line of a file without its line end; false if there is none. */
static bool read_line(const char *path, char line[LINE_MOST])
{
    FILE *file = fopen(path, "re");
    if (file == NULL) {
        return false;
    }
    bool found = fgets(line, LINE_MOST, file) != NULL;
    fclose(file);
    if (found) {
        line[strcspn(line, "\n")] = '\0';
    }
    return found;
}

/* ------------------------------------------------------------------------------- cores */

static bool has(const processor_set *set, unsigned long processor)
{
    return processor < PROCESSORS_MOST && CPU_ISSET_S(processor, sizeof(set->words), set->words);
}

/* The lowest member of `allowed` in a list such as "0-1,64-65"; PROCESSORS_MOST if there is
 * none. */
static unsigned long lowest_of_list(const char *list, const processor_set *allowed)
{
    for (const char *at = list; *at >= '0' && *at <= '9';) {
        char *end;
        unsigned long first = strtoul(at, &end, 10), last = first;
        if (*end == '-') {
            last = strtoul(end + 1, &end, 10);
        }
        for (unsigned long i = first; i <= last && i < PROCESSORS_MOST; i++) {
            if (has(allowed, i)) {
                return i;
            }
        }
        at = *end == ',' ? end + 1 : end;
    }
    return PROCESSORS_MOST;
}

/* Whether the processor stands for its core: no allowed one below it shares it. */
static bool leads_core(const char *root, unsigned long processor, const processor_set *allowed)
{
    static const char *const names[] = {"core_cpus_list", "thread_siblings_list"};
    for (int i = 0; i < 2; i++) {
        char path[PATH_MAX], line[LINE_MOST];
        snprintf(path, sizeof(path), "%s/sys/devices/system/cpu/cpu%lu/topology/%s", root,
                 processor, names[i]);
        if (read_line(path, line)) {
            return lowest_of_list(line, allowed) >= processor;
        }
    }
    return true;
}

int processors_cores(const char *root, const processor_set *allowed)
{
    int cores = 0;
    for (unsigned long i = 0; i < PROCESSORS_MOST; i++) {
        cores += has(allowed, i) && leads_core(root, i, allowed);
    }
    return cores;
}

/* ------------------------------------------------------------------------------- quotas */

/* Processors of one version 2 group; 0 without a quota. */
static int quota_unified(const char *folder)
{
    char path[PATH_MAX + 32], line[LINE_MOST];
    long quota, period;
    snprintf(path, sizeof(path), "%s/cpu.max", folder);
    /* "max 100000" has no number in the first place. */
    if (read_line(path, line) && sscanf(line, "%ld %ld", &quota, &period) == 2 && quota > 0 &&
        period > 0) {
        return (int)(quota / period + (quota % period != 0));
    }
    return 0;
}

/* The same of a version 1 group. */
static int quota_legacy(const char *folder)
{
    char path[PATH_MAX + 32], line[LINE_MOST];
    snprintf(path, sizeof(path), "%s/cpu.cfs_quota_us", folder);
    long quota = read_line(path, line) ? atol(line) : 0;
    snprintf(path, sizeof(path), "%s/cpu.cfs_period_us", folder);
    long period = read_line(path, line) ? atol(line) : 0;
    return quota > 0 && period > 0 ? (int)(quota / period + (quota % period != 0)) : 0;
}

static int smaller_quota(int a, int b)
{
    return a == 0 || (b > 0 && b < a) ? b : a;
}

/* The smallest quota of a group and those above it, where `mount` shows them. */
static int quota_along(const char *mount, const char *group, int (*read)(const char *folder))
{
    char folder[PATH_MAX];
    int quota = 0, size = snprintf(folder, sizeof(folder), "%s%s", mount, group);
    if (size < 0 || (size_t)size >= sizeof(folder)) {
        return 0;
    }
    while (strlen(folder) > strlen(mount)) {
        quota = smaller_quota(quota, read(folder));
        *strrchr(folder, '/') = '\0';
    }
    return smaller_quota(quota, read(mount));
}

/* Whether a line's controllers, "cpu,cpuacct", have cpu among them. */
static bool controls_cpu(const char *controllers, size_t size)
{
    for (const char *at = controllers; at < controllers + size;) {
        size_t length = strcspn(at, ",:");
        if (length == 3 && strncmp(at, "cpu", 3) == 0) {
            return true;
        }
        at += length + 1;
    }
    return false;
}

int processors_quota(const char *root)
{
    char path[PATH_MAX], line[LINE_MOST];
    snprintf(path, sizeof(path), "%s/proc/self/cgroup", root);
    FILE *file = fopen(path, "re");
    int quota = 0;
    while (file != NULL && fgets(line, sizeof(line), file) != NULL) {
        line[strcspn(line, "\n")] = '\0';
        /* "0::/group" of version 2, "4:cpu,cpuacct:/group" of version 1 */
        char *controllers = strchr(line, ':');
        char *group = controllers != NULL ? strchr(controllers + 1, ':') : NULL;
        if (group == NULL || group[1] != '/') {
            continue;
        }
        if (group == controllers + 1) {
            snprintf(path, sizeof(path), "%s/sys/fs/cgroup", root);
            quota = smaller_quota(quota, quota_along(path, group + 1, quota_unified));
        } else if (controls_cpu(controllers + 1, (size_t)(group - controllers - 1))) {
            snprintf(path, sizeof(path), "%s/sys/fs/cgroup/cpu", root);
            quota = smaller_quota(quota, quota_along(path, group + 1, quota_legacy));
        }
    }
    if (file != NULL) {
        fclose(file);
    }
    return quota;
}

int processors_available(const char *root)
{
    processor_set allowed;
    int cores;
    if (sched_getaffinity(0, sizeof(allowed.words), allowed.words) == 0) {
        cores = processors_cores(root, &allowed);
    } else {
        cores = (int)sysconf(_SC_NPROCESSORS_ONLN);
    }
    int quota = processors_quota(root);
    if (quota > 0 && quota < cores) {
        cores = quota;
    }
    return cores > 0 ? cores : 1;
}
