#include "base/team.h"

#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>
#ifdef _OPENMP
#include <omp.h>
#endif

void team_run(const team *team, size_t count, team_task task, void *context)
{
    if (team->threads <= 1 || count <= 1) {
        for (size_t i = 0; i < count; i++) {
            task(context, i, 0);
        }
        return;
    }
#ifdef _OPENMP
    int threads = (size_t)team->threads < count ? team->threads : (int)count;
#pragma omp parallel for schedule(dynamic, 1) num_threads(threads)
    for (size_t i = 0; i < count; i++) {
        task(context, i, omp_get_thread_num());
    }
#endif
}

/* Processors that a control group's quota is worth, rounded up; 0 if there is no quota. */
static int quota_processors(void)
{
    FILE *file = fopen("/sys/fs/cgroup/cpu.max", "re");
    if (file == NULL) {
        return 0;
    }
    char quota[32];
    long period;
    int processors = 0;
    if (fscanf(file, "%31s %ld", quota, &period) == 2 && strcmp(quota, "max") != 0 && period > 0) {
        long allowed;
        if (sscanf(quota, "%ld", &allowed) == 1 && allowed > 0) {
            processors = (int)((allowed + period - 1) / period);
        }
    }
    fclose(file);
    return processors;
}

int team_processors(void)
{
    int processors = (int)sysconf(_SC_NPROCESSORS_ONLN);
    cpu_set_t allowed;
    if (sched_getaffinity(0, sizeof(allowed), &allowed) == 0) {
        processors = CPU_COUNT(&allowed);
    }
    int quota = quota_processors();
    if (quota > 0 && quota < processors) {
        processors = quota;
    }
    return processors > 0 ? processors : 1;
}
