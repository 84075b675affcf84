#include "base/team.h"

#include "base/alloc.h"
#include "base/crew.h"
#include "base/processors.h"

#ifdef _OPENMP
#include <omp.h>
#endif

vl2_status team_open(team *team, int threads, vl2_error *error)
{
    *team = (struct team){.threads = threads};
    if (threads > 1) {
        team->crew = base_alloc_aligned(1, sizeof(*team->crew));
        if (team->crew == NULL) {
            return vl2_fail_memory(error, "the thread team", sizeof(*team->crew));
        }
        crew_open(team->crew);
    }
    return VL2_OK;
}

void team_close(team *team)
{
    if (team->crew != NULL) {
        crew_close(team->crew);
        base_free(team->crew);
        team->crew = NULL;
    }
}

void team_enter(const team *team, team_phase phase, void *context)
{
    struct crew *crew = team->crew;
    if (team->threads <= 1 || crew == NULL || crew->inside) {
        phase(context);
        return;
    }
    crew_begin(crew);
#ifdef _OPENMP
#pragma omp parallel num_threads(team->threads)
    {
        int worker = omp_get_thread_num();
        if (worker > 0) {
            crew_work(crew, worker);
        } else {
            phase(context);
            crew_end(crew); /* before the barrier, where this thread waits for the others */
        }
    }
#else
    phase(context);
    crew_end(crew);
#endif
}

/* A team_run that is a phase of its own. */
typedef struct single_run {
    const team *team;
    size_t count;
    team_task task;
    void *context;
} single_run;

static void run_phase(void *context)
{
    const single_run *run = context;
    crew_run(run->team->crew, run->count, run->task, run->context);
}

static void run_alone(const team *team, size_t count, team_task task, void *context)
{
    struct crew crew;
    struct team once = {.threads = (size_t)team->threads < count ? team->threads : (int)count,
                        .crew = &crew};
    crew_open(&crew);
    team_enter(&once, run_phase, &(single_run){&once, count, task, context});
    crew_close(&crew);
}

void team_run(const team *team, size_t count, team_task task, void *context)
{
    if (team->threads <= 1 || count <= 1) {
        for (size_t i = 0; i < count; i++) {
            task(context, i, 0);
        }
    } else if (team->crew != NULL && team->crew->inside) {
        crew_run(team->crew, count, task, context);
    } else {
        run_alone(team, count, task, context);
    }
}

int team_processors(void)
{
    return processors_available("");
}
