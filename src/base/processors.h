/* How many threads this process should compute with. */
#ifndef BASE_PROCESSORS_H
#define BASE_PROCESSORS_H

#include <sched.h>

#define PROCESSORS_MOST 8192 /* processors that are looked at */

/* The processors of an affinity mask. */
typedef struct processor_set {
    cpu_set_t words[PROCESSORS_MOST / CPU_SETSIZE];
} processor_set;

/* Physical cores of `allowed`: processors that share a core (SMT) count once, as threads of one
 * core share the units that do the arithmetic. From
 * /sys/devices/system/cpu/cpuN/topology/core_cpus_list, or thread_siblings_list of older kernels; a
 * processor without either is a core. `root` stands before each path: "", or a test's folder. */
int processors_cores(const char *root, const processor_set *allowed);

/* Processors that the quotas of this process's control groups are worth, rounded up; 0 without a
 * quota. The group is that of /proc/self/cgroup, and each one above it; a container may see its own
 * group as the top. Version 2: cpu.max. Version 1: cpu.cfs_quota_us and cpu.cfs_period_us. */
int processors_quota(const char *root);

/* The cores of this thread's affinity mask, at most the quota. At least 1. */
int processors_available(const char *root);

#endif
