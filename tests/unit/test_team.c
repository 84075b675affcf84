/* The thread team. The tests of the crew drive it with POSIX threads and without OpenMP, so that
 * ThreadSanitizer, which knows nothing of libgomp, can watch it:
 *   gcc -std=gnu11 -g -O1 -fsanitize=thread -Isrc -Itests -DTEST_SOURCE_DIR='"."' -o test_team \
 *       tests/unit/test_team.c src/base/{alloc,crew,error,processors,team}.c -lcmocka -lpthread */
#include "test.h"

#include "base/crew.h"
#include "base/team.h"

#include <string.h>
#include <time.h>

#define MOST_THREADS 8
#define MOST_TASKS   64

/* What jobs of a test leave behind. */
typedef struct record {
    const team *team;
    struct crew *crew;
    size_t jobs, count, seed;
    uint64_t values[MOST_TASKS];   /* of the last job */
    uint64_t sum;                  /* over all jobs */
    atomic_uint faults;            /* tasks that should not have run, or not like that */
    atomic_bool busy[MOST_THREADS];
    atomic_uint met;
} record;

static void wait_milliseconds(long milliseconds)
{
    nanosleep(&(struct timespec){milliseconds / 1000, milliseconds % 1000 * 1000000}, NULL);
}

static uint64_t mixed(uint64_t seed, uint64_t task)
{
    uint64_t x = (seed * 0x9e3779b97f4a7c15u) ^ (task + 1) * 0xbf58476d1ce4e5b9u;
    return x ^ x >> 29;
}

/* Marks its worker as busy, so that a worker number given twice at once is noticed. */
static void mix_task(void *context, size_t task, int worker)
{
    record *r = context;
    if (worker < 0 || worker >= MOST_THREADS || task >= r->count ||
        atomic_exchange(&r->busy[worker], true)) {
        atomic_fetch_add(&r->faults, 1);
        return;
    }
    r->values[task] += mixed(r->seed, task);
    atomic_store(&r->busy[worker], false);
}

/* Sizes of the jobs: all from none to MOST_TASKS, small ones oftener. */
static size_t size_of_job(size_t job)
{
    return job % 7 == 0 ? job % (MOST_TASKS + 1) : job % 5;
}

static uint64_t expected_sum(size_t jobs)
{
    uint64_t sum = 0;
    for (size_t job = 0; job < jobs; job++) {
        for (size_t task = 0; task < size_of_job(job); task++) {
            sum += mixed(job, task);
        }
    }
    return sum;
}

static void run_jobs(record *r)
{
    for (size_t job = 0; job < r->jobs; job++) {
        r->count = size_of_job(job);
        r->seed = job;
        memset(r->values, 0, sizeof(r->values));
        if (r->crew != NULL) {
            crew_run(r->crew, r->count, mix_task, r);
        } else {
            team_run(r->team, r->count, mix_task, r);
        }
        for (size_t task = 0; task < r->count; task++) {
            r->sum += r->values[task]; /* a task run twice or not at all changes it */
        }
    }
}

static void run_jobs_phase(void *context)
{
    run_jobs(context);
}

static void check_jobs(const team *team, size_t jobs, bool phase)
{
    record r = {.team = team, .jobs = jobs};
    if (phase) {
        team_enter(team, run_jobs_phase, &r);
    } else {
        run_jobs(&r);
    }
    assert_int_equal(atomic_load(&r.faults), 0);
    assert_true(r.sum == expected_sum(jobs));
}

static team opened(int threads)
{
    team team;
    vl2_error error = {VL2_OK, ""};
    if (team_open(&team, threads, &error) != VL2_OK) {
        fail_msg("%s", error.message);
    }
    return team;
}

/* ------------------------------------------------------------------------------- the team */

static void test_many_small_jobs(void **state)
{
    (void)state;
    for (int threads = 1; threads <= MOST_THREADS; threads++) {
        team team = opened(threads);
        check_jobs(&team, 3000, true);
        check_jobs(&team, 50, true); /* a second phase of the same team */
        team_close(&team);
        assert_null(team.crew);
    }
}

static void test_outside_of_a_phase(void **state)
{
    (void)state;
    for (int threads = 1; threads <= 4; threads++) {
        team team = opened(threads);
        check_jobs(&team, 40, false);
        team_close(&team);
        check_jobs(&(struct team){.threads = threads}, 40, false);
        check_jobs(&(struct team){.threads = threads}, 40, true);
    }
}

static void inner_phase(void *context)
{
    record *r = context;
    r->jobs = 20;
    run_jobs(r);
}

static void outer_phase(void *context)
{
    record *r = context;
    inner_phase(r);
    team_enter(r->team, inner_phase, r);
    inner_phase(r); /* the inner phase's end is not that of the outer one */
}

static void test_phase_in_a_phase(void **state)
{
    (void)state;
    team team = opened(4);
    record r = {.team = &team};
    team_enter(&team, outer_phase, &r);
    assert_true(r.sum == 3 * expected_sum(20));
    team_close(&team);
}

/* Two tasks that wait for each other: they return only if two threads run them at once. */
static void meet_task(void *context, size_t task, int worker)
{
    (void)task;
    (void)worker;
    record *r = context;
    atomic_fetch_add(&r->met, 1);
    for (int i = 0; atomic_load(&r->met) < 2 && i < 20000; i++) {
        wait_milliseconds(1);
    }
    if (atomic_load(&r->met) < 2) {
        atomic_fetch_add(&r->faults, 1);
    }
}

#ifdef _OPENMP
static void meet_phase(void *context)
{
    record *r = context;
    for (int i = 0; i < 20; i++) {
        atomic_store(&r->met, 0);
        team_run(r->team, 2, meet_task, r);
        if (i % 4 == 0) {
            wait_milliseconds(2); /* the workers go to sleep and must be woken */
        }
    }
}

static void test_tasks_run_at_once(void **state)
{
    (void)state;
    team team = opened(2);
    record r = {.team = &team};
    team_enter(&team, meet_phase, &r);
    assert_int_equal(atomic_load(&r.faults), 0);
    team_close(&team);
}
#endif

static double processor_seconds(void)
{
    struct timespec now;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &now);
    return (double)now.tv_sec + 1e-9 * (double)now.tv_nsec;
}

static void idle_phase(void *context)
{
    wait_milliseconds(20); /* OpenMP has its threads running by then */
    double before = processor_seconds();
    wait_milliseconds(400);
    *(double *)context = processor_seconds() - before;
}

static void test_idle_workers_sleep(void **state)
{
    (void)state;
    team team = opened(4);
    double used;
    team_enter(&team, idle_phase, &used);
    assert_true(used < 0.2); /* spinning would use 0.4 on one processor, 1.2 on three */
    team_close(&team);
}

static void *jobs_thread(void *context)
{
    record *r = context;
    team_enter(r->team, run_jobs_phase, r);
    return NULL;
}

static void test_teams_at_once(void **state)
{
    (void)state;
    enum { TEAMS = 4 };
    pthread_t threads[TEAMS];
    team teams[TEAMS];
    record records[TEAMS];
    for (int i = 0; i < TEAMS; i++) {
        teams[i] = opened(i + 1);
        records[i] = (record){.team = &teams[i], .jobs = 3000};
        assert_int_equal(pthread_create(&threads[i], NULL, jobs_thread, &records[i]), 0);
    }
    for (int i = 0; i < TEAMS; i++) {
        pthread_join(threads[i], NULL);
        team_close(&teams[i]);
        assert_int_equal(atomic_load(&records[i].faults), 0);
        assert_true(records[i].sum == expected_sum(3000));
    }
}

static void test_stress(void **state)
{
    (void)state;
    team team = opened(4);
    check_jobs(&team, 100000, true);
    team_close(&team);
}

/* ------------------------------------------------------------------------------- the crew */

typedef struct crew_worker {
    struct crew *crew;
    int worker;
    pthread_t thread;
} crew_worker;

static void *crew_thread(void *context)
{
    crew_worker *w = context;
    crew_work(w->crew, w->worker);
    return NULL;
}

static void start_worker(crew_worker *w, struct crew *crew, int worker)
{
    *w = (crew_worker){.crew = crew, .worker = worker};
    assert_int_equal(pthread_create(&w->thread, NULL, crew_thread, w), 0);
}

static void test_crew_with_threads(void **state)
{
    (void)state;
    struct crew crew;
    crew_open(&crew);
    for (int threads = 1; threads <= MOST_THREADS; threads++) {
        crew_worker workers[MOST_THREADS];
        crew_begin(&crew);
        for (int i = 1; i < threads; i++) {
            start_worker(&workers[i], &crew, i);
        }
        record r = {.crew = &crew, .jobs = threads == 4 ? 100000 : 5000};
        run_jobs(&r);
        crew_end(&crew);
        for (int i = 1; i < threads; i++) {
            pthread_join(workers[i].thread, NULL);
        }
        assert_int_equal(atomic_load(&r.faults), 0);
        assert_true(r.sum == expected_sum(r.jobs));
    }
    crew_close(&crew);
}

/* Jobs end although no worker has come; those that come later join in, or find that all is over. */
static void test_late_workers(void **state)
{
    (void)state;
    struct crew crew;
    crew_open(&crew);
    crew_begin(&crew);
    record r = {.crew = &crew, .jobs = 200};
    run_jobs(&r);
    crew_worker late, too_late;
    start_worker(&late, &crew, 1);
    run_jobs(&r);
    for (int i = 0; i < 10; i++) { /* needs the late one */
        atomic_store(&r.met, 0);
        crew_run(&crew, 2, meet_task, &r);
        wait_milliseconds(i % 3);
    }
    crew_end(&crew);
    start_worker(&too_late, &crew, 2);
    pthread_join(late.thread, NULL);
    pthread_join(too_late.thread, NULL);
    assert_int_equal(atomic_load(&r.faults), 0);
    assert_true(r.sum == 2 * expected_sum(200));
    crew_close(&crew);
}

/* Task 0 of two is short, the other long: the caller sleeps until the worker has finished. */
static void uneven_task(void *context, size_t task, int worker)
{
    record *r = context;
    meet_task(r, task, worker); /* so that the worker has one of them */
    if (worker != 0) {
        wait_milliseconds(5);
    }
    r->values[task] = 1;
}

static void test_caller_waits_for_running_tasks(void **state)
{
    (void)state;
    struct crew crew;
    crew_worker other;
    crew_open(&crew);
    crew_begin(&crew);
    start_worker(&other, &crew, 1);
    record r = {.crew = &crew};
    for (int i = 0; i < 20; i++) {
        memset(r.values, 0, sizeof(r.values));
        atomic_store(&r.met, 0);
        crew_run(&crew, 2, uneven_task, &r);
        assert_true(r.values[0] == 1 && r.values[1] == 1);
    }
    crew_end(&crew);
    pthread_join(other.thread, NULL);
    assert_int_equal(atomic_load(&r.faults), 0);
    crew_close(&crew);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_many_small_jobs),
        cmocka_unit_test(test_outside_of_a_phase),
        cmocka_unit_test(test_phase_in_a_phase),
#ifdef _OPENMP
        cmocka_unit_test(test_tasks_run_at_once),
#endif
        cmocka_unit_test(test_idle_workers_sleep),
        cmocka_unit_test(test_teams_at_once),
        cmocka_unit_test(test_stress),
        cmocka_unit_test(test_crew_with_threads),
        cmocka_unit_test(test_late_workers),
        cmocka_unit_test(test_caller_waits_for_running_tasks),
    };
    return cmocka_run_group_tests_name("team", tests, NULL, NULL);
}
