/* How a team shares out tasks while its threads are there: one caller publishes jobs, workers take
 * tasks until the crew is told to end. Nothing here starts threads; team.c does, with OpenMP.
 *
 * Whoever waits spins for tens of microseconds, which bridges the gap between two matrices, and
 * then sleeps, so that a processor that somebody else could use is not burnt. The caller never
 * waits for a worker that holds no task: one that the system has not scheduled yet misses the job
 * and no more. */
#ifndef BASE_CREW_H
#define BASE_CREW_H

#include "base/team.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

struct crew {
    /* generation << 32 | tasks that nobody has taken yet. A worker takes a task by exchanging the
     * state for one less. The generation, one more for each job, makes that exchange fail if the
     * fields below were read of another job; they are written only while no task is left to
     * take. */
    _Alignas(64) _Atomic uint64_t state;
    _Atomic(team_task) task;
    _Atomic(void *) context;
    atomic_uint count;
    _Alignas(64) atomic_uint unfinished; /* tasks of the job that have not returned */
    /* Set before the last look at `state` or `unfinished`, and read after writing those, all in one
     * total order: either the sleeper sees the news or the news' bringer sees the sleeper. */
    _Alignas(64) atomic_uint sleepers;
    atomic_bool caller_sleeps;
    pthread_mutex_t mutex;
    pthread_cond_t published, finished;
    bool inside; /* between crew_begin and crew_end; the caller's own note */
};

void crew_open(struct crew *crew);
void crew_close(struct crew *crew);

/* The caller: crew_begin before any worker enters crew_work; then crew_run as often as it likes;
 * crew_end sends the workers home. The crew must live until each crew_work has returned. */
void crew_begin(struct crew *crew);
void crew_end(struct crew *crew);

/* Runs task 0 to count - 1, the caller as worker 0, and returns when all are done. Not from a
 * task. */
void crew_run(struct crew *crew, size_t count, team_task task, void *context);

/* Another thread, as worker 1 or above, each number once: takes tasks until crew_end. */
void crew_work(struct crew *crew, int worker);

#endif
