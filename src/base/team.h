/* Threads for one request: tasks handed out to a team of workers, whose threads OpenMP gives. */
#ifndef BASE_TEAM_H
#define BASE_TEAM_H

#include "base/error.h"

#include <stddef.h>

/* A team without a crew, {.threads = n}, may be used as it is; then each team_run is a phase of its
 * own. */
typedef struct team {
    int threads;       /* at least 1 */
    struct crew *crew; /* of team_open; NULL if there is only one thread or none was opened */
} team;

/* `worker` is 0 to threads - 1 and unique among the tasks that run at the same time: an index for
 * work space. What a task computes must not depend on it, so that results are the same for any
 * number of threads. */
typedef void (*team_task)(void *context, size_t task, int worker);

typedef void (*team_phase)(void *context);

/* A team that can stay together over many calls of team_run. To be used by one thread at a time;
 * any number of teams may be used at once. VL2_ERROR_MEMORY. */
vl2_status team_open(team *team, int threads, vl2_error *error);
void team_close(team *team); /* also of one set to zero */

/* Calls phase(context) on the calling thread, with the team's other threads at hand until it
 * returns: a team_run in it costs about a microsecond to start instead of a parallel region.
 * Threads that find nothing to do for some tens of microseconds sleep. In a phase of the same team,
 * and without a crew, just the call. If OpenMP gives fewer threads than asked for, those do all the
 * work. */
void team_enter(const team *team, team_phase phase, void *context);

/* Runs task 0 to count - 1 and returns when all are done. In a phase it is the phase's thread that
 * may call it, and not from a task. Outside of one it opens one for itself. */
void team_run(const team *team, size_t count, team_task task, void *context);

/* Threads that are worth starting: the physical cores of this process, as processors.h counts
 * them. */
int team_processors(void);

#endif
