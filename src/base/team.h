/* Threads for one call: tasks handed out to a team of workers, by OpenMP. */
#ifndef BASE_TEAM_H
#define BASE_TEAM_H

#include <stddef.h>

typedef struct team {
    int threads; /* at least 1 */
} team;

/* `worker` is 0 to threads - 1 and unique among the tasks that run at the same time: an index for
 * work space. What a task computes must not depend on it, so that results are the same for any
 * number of threads. */
typedef void (*team_task)(void *context, size_t task, int worker);

/* Runs task 0 to count - 1 and returns when all are done. */
void team_run(const team *team, size_t count, team_task task, void *context);

/* Threads that are worth starting: the physical cores of this process, as processors.h counts
 * them. */
int team_processors(void);

#endif
