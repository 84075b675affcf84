#include "base/crew.h"

#include <time.h>

/* How long to spin before sleeping: several times what a sleep and a wake-up cost. */
#define SPIN_NANOSECONDS 50000
#define TURNS_PER_LOOK   16 /* pauses between two looks at the clock */

/* In the place of the tasks left: the workers are to go home. */
#define GO_HOME UINT32_MAX

typedef struct spinner {
    unsigned turns;
    int64_t until;
} spinner;

static int64_t nanoseconds(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000000000 + now.tv_nsec;
}

static void pause_processor(void)
{
#if defined(__x86_64__) || defined(__i386__)
    __builtin_ia32_pause();
#elif defined(__aarch64__)
    __asm__ volatile("yield" ::: "memory");
#endif
}

/* Waits a moment; false when it is time to sleep. */
static bool keep_spinning(spinner *spinner)
{
    pause_processor();
    if (++spinner->turns % TURNS_PER_LOOK != 0) {
        return true;
    }
    int64_t now = nanoseconds();
    if (spinner->until == 0) {
        spinner->until = now + SPIN_NANOSECONDS;
    }
    return now < spinner->until;
}

static uint32_t tasks_left(uint64_t state)
{
    return (uint32_t)state;
}

static uint64_t next_generation(uint64_t state, uint32_t tasks)
{
    return ((state >> 32) + 1) << 32 | tasks;
}

void crew_open(struct crew *crew)
{
    atomic_init(&crew->state, 0);
    atomic_init(&crew->task, NULL);
    atomic_init(&crew->context, NULL);
    atomic_init(&crew->count, 0);
    atomic_init(&crew->unfinished, 0);
    atomic_init(&crew->sleepers, 0);
    atomic_init(&crew->caller_sleeps, false);
    pthread_mutex_init(&crew->mutex, NULL);
    pthread_cond_init(&crew->published, NULL);
    pthread_cond_init(&crew->finished, NULL);
    crew->inside = false;
}

void crew_close(struct crew *crew)
{
    pthread_cond_destroy(&crew->finished);
    pthread_cond_destroy(&crew->published);
    pthread_mutex_destroy(&crew->mutex);
}

/* Shows the workers a new state and wakes as many as have something to do. */
static void publish(struct crew *crew, uint32_t tasks, unsigned useful)
{
    uint64_t state = atomic_load_explicit(&crew->state, memory_order_relaxed);
    atomic_store(&crew->state, next_generation(state, tasks));
    unsigned sleepers = atomic_load(&crew->sleepers);
    if (sleepers == 0) {
        return;
    }
    /* Whoever counted itself as a sleeper is by now asleep, or will see the state. */
    pthread_mutex_lock(&crew->mutex);
    pthread_mutex_unlock(&crew->mutex);
    if (sleepers <= useful) {
        pthread_cond_broadcast(&crew->published);
        return;
    }
    for (unsigned i = 0; i < useful; i++) {
        pthread_cond_signal(&crew->published);
    }
}

void crew_begin(struct crew *crew)
{
    uint64_t state = atomic_load_explicit(&crew->state, memory_order_relaxed);
    atomic_store(&crew->state, next_generation(state, 0));
    crew->inside = true;
}

void crew_end(struct crew *crew)
{
    crew->inside = false;
    publish(crew, GO_HOME, UINT32_MAX);
}

/* Takes tasks until none is left. */
static void work_off(struct crew *crew, int worker)
{
    unsigned done = 0;
    uint64_t state = atomic_load_explicit(&crew->state, memory_order_acquire);
    while (tasks_left(state) != 0 && tasks_left(state) != GO_HOME) {
        /* Acquiring: if a field is a later job's, then that job's predecessor is seen as used up,
         * too. */
        team_task task = atomic_load_explicit(&crew->task, memory_order_acquire);
        void *context = atomic_load_explicit(&crew->context, memory_order_acquire);
        unsigned count = atomic_load_explicit(&crew->count, memory_order_acquire);
        if (atomic_compare_exchange_strong_explicit(&crew->state, &state, state - 1,
                                                    memory_order_acq_rel, memory_order_acquire)) {
            task(context, count - tasks_left(state), worker);
            done++;
            state = atomic_load_explicit(&crew->state, memory_order_acquire);
        }
    }
    if (done > 0 && atomic_fetch_sub(&crew->unfinished, done) == done &&
        atomic_load(&crew->caller_sleeps)) {
        pthread_mutex_lock(&crew->mutex);
        pthread_mutex_unlock(&crew->mutex);
        pthread_cond_signal(&crew->finished);
    }
}

static void await_finish(struct crew *crew)
{
    spinner spinner = {0, 0};
    do {
        if (atomic_load_explicit(&crew->unfinished, memory_order_acquire) == 0) {
            return;
        }
    } while (keep_spinning(&spinner));
    pthread_mutex_lock(&crew->mutex);
    atomic_store(&crew->caller_sleeps, true);
    while (atomic_load(&crew->unfinished) != 0) {
        pthread_cond_wait(&crew->finished, &crew->mutex);
    }
    atomic_store(&crew->caller_sleeps, false);
    pthread_mutex_unlock(&crew->mutex);
}

void crew_run(struct crew *crew, size_t count, team_task task, void *context)
{
    if (count <= 1 || count >= GO_HOME) {
        for (size_t i = 0; i < count; i++) {
            task(context, i, 0);
        }
        return;
    }
    atomic_store_explicit(&crew->task, task, memory_order_release);
    atomic_store_explicit(&crew->context, context, memory_order_release);
    atomic_store_explicit(&crew->count, (unsigned)count, memory_order_release);
    atomic_store_explicit(&crew->unfinished, (unsigned)count, memory_order_relaxed);
    publish(crew, (uint32_t)count, (unsigned)count - 1);
    work_off(crew, 0);
    await_finish(crew);
}

/* Waits until there is something to take, or the end. */
static uint64_t await_state(struct crew *crew)
{
    spinner spinner = {0, 0};
    uint64_t state;
    do {
        state = atomic_load_explicit(&crew->state, memory_order_acquire);
        if (tasks_left(state) != 0) {
            return state;
        }
    } while (keep_spinning(&spinner));
    pthread_mutex_lock(&crew->mutex);
    atomic_fetch_add(&crew->sleepers, 1);
    while (tasks_left(state = atomic_load(&crew->state)) == 0) {
        pthread_cond_wait(&crew->published, &crew->mutex);
    }
    atomic_fetch_sub(&crew->sleepers, 1);
    pthread_mutex_unlock(&crew->mutex);
    return state;
}

void crew_work(struct crew *crew, int worker)
{
    while (tasks_left(await_state(crew)) != GO_HOME) {
        work_off(crew, worker);
    }
}
