#include "base/team.h"

#include "base/processors.h"

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

int team_processors(void)
{
    return processors_available("");
}
