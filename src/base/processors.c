#include "base/processors.h"

#include "base/cgroup.h"

#include <limits.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

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
        char path[PATH_MAX], line[CGROUP_LINE];
        snprintf(path, sizeof(path), "%s/sys/devices/system/cpu/cpu%lu/topology/%s", root,
                 processor, names[i]);
        if (cgroup_read_line(path, line)) {
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

static int smaller_quota(int a, int b)
{
    return a == 0 || (b > 0 && b < a) ? b : a;
}

/* "cpu.max" is "QUOTA PERIOD"; "max 100000" has no number in the first place. */
static bool read_unified(const char *folder, long *quota, long *period)
{
    char path[PATH_MAX], line[CGROUP_LINE];
    return cgroup_file(folder, "cpu.max", path, sizeof(path)) &&
           cgroup_read_line(path, line) && sscanf(line, "%ld %ld", quota, period) == 2;
}

static bool read_legacy(const char *folder, long *quota, long *period)
{
    char path[PATH_MAX], line[CGROUP_LINE];
    if (!cgroup_file(folder, "cpu.cfs_quota_us", path, sizeof(path)) ||
        !cgroup_read_line(path, line)) {
        return false;
    }
    *quota = atol(line);
    if (!cgroup_file(folder, "cpu.cfs_period_us", path, sizeof(path)) ||
        !cgroup_read_line(path, line)) {
        return false;
    }
    *period = atol(line);
    return true;
}

static void visit_quota(void *context, const char *folder, bool unified)
{
    int *smallest = context;
    long quota, period;
    if ((unified ? read_unified : read_legacy)(folder, &quota, &period) && quota > 0 &&
        period > 0) {
        *smallest = smaller_quota(*smallest, (int)(quota / period + (quota % period != 0)));
    }
}

int processors_quota(const char *root)
{
    int quota = 0;
    cgroup_each(root, "cpu", visit_quota, &quota);
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
