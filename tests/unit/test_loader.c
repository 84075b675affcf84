/* Reading parts of a file, with io_uring and with threads, and the policy of what stays in memory.
 * ring_wait goes through this file (--wrap), which can hold it up. */
#include "test_folder.h"

#include "base/alloc.h"
#include "weights/direct.h"
#include "weights/loader.h"
#include "weights/residency.h"
#include "weights/ring.h"

#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <unistd.h>

/* While it is locked, no read of the ring ends. */
static pthread_mutex_t ring_gate = PTHREAD_MUTEX_INITIALIZER;

size_t __real_ring_wait(ring *ring, int *result);
size_t __wrap_ring_wait(ring *ring, int *result);

size_t __wrap_ring_wait(ring *ring, int *result)
{
    size_t index = __real_ring_wait(ring, result);
    pthread_mutex_lock(&ring_gate);
    pthread_mutex_unlock(&ring_gate);
    return index;
}

#define FILE_BYTES ((size_t)5 * LOADER_BLOCK + 12345)

static uint8_t byte_at(size_t offset)
{
    return (uint8_t)(offset * 2654435761u >> 13 ^ offset >> 20);
}

static void write_file(const char *path)
{
    uint8_t *bytes = malloc(FILE_BYTES);
    assert_non_null(bytes);
    for (size_t i = 0; i < FILE_BYTES; i++) {
        bytes[i] = byte_at(i);
    }
    FILE *file = fopen(path, "wb");
    assert_non_null(file);
    assert_int_equal(fwrite(bytes, 1, FILE_BYTES, file), FILE_BYTES);
    assert_int_equal(fclose(file), 0);
    free(bytes);
}

/* One load and what became of it. */
typedef struct part {
    load load;
    atomic_int *order; /* counts the loads that are done */
    atomic_int place;  /* 1: was done first; 0: not done */
    int reason;
} part;

static void note_done(load *load, int reason)
{
    part *p = (part *)load;
    p->reason = reason;
    atomic_store(&p->place, atomic_fetch_add(p->order, 1) + 1);
}

static void prepare(part *p, size_t offset, size_t size, atomic_int *order)
{
    *p = (part){.load = {.offset = offset,
                         .size = size,
                         .done = note_done,
                         .to = base_alloc_pages(direct_round_up(size))},
                .order = order};
    assert_non_null(p->load.to);
}

static void wait_for(part *p)
{
    for (int i = 0; i < 20000 && atomic_load(&p->place) == 0; i++) {
        usleep(500);
    }
    assert_int_not_equal(atomic_load(&p->place), 0);
}

static void check_bytes(const part *p)
{
    for (size_t i = 0; i < p->load.size; i++) {
        if (p->load.to[i] != byte_at(p->load.offset + i)) {
            fail_msg("byte %zu of the part at %zu", i, (size_t)p->load.offset);
        }
    }
}

/* Opens a loader of a file in the test's folder that does without io_uring, or has it if there is
 * one. */
static loader *open_loader(void **state, bool threads)
{
    char path[64];
    vl2_error error;
    loader *opened;
    snprintf(path, sizeof(path), "%s/file", (const char *)*state);
    write_file(path);
    assert_int_equal(setenv("VL2_URING", threads ? "0" : "", 1), 0);
    if (loader_open(path, &opened, &error) != VL2_OK) {
        fail_msg("%s", error.message);
    }
    assert_false(threads && loader_uses_ring(opened));
    return opened;
}

static void check_parts(void **state, bool threads)
{
    vl2_error error;
    loader *loader = open_loader(state, threads);
    static const size_t cuts[][2] = {/* offset, size */
                                     {0, FILE_BYTES},           {4096, 1},
                                     {8192, LOADER_BLOCK},      {4096, LOADER_BLOCK + 1},
                                     {5 * LOADER_BLOCK, 12345}, {5 * LOADER_BLOCK + 8192, 4153}};
    enum { COUNT = sizeof(cuts) / sizeof(cuts[0]) };
    part parts[COUNT];
    for (int urgent = 0; urgent < 2; urgent++) {
        atomic_int order = 0;
        for (size_t i = 0; i < COUNT; i++) {
            prepare(&parts[i], cuts[i][0], cuts[i][1], &order);
            loader_submit(loader, &parts[i].load, urgent == 1);
        }
        for (size_t i = 0; i < COUNT; i++) {
            wait_for(&parts[i]);
            assert_int_equal(parts[i].reason, 0);
            check_bytes(&parts[i]);
            base_free(parts[i].load.to);
        }
    }
    part beyond;
    atomic_int order = 0;
    prepare(&beyond, 5 * LOADER_BLOCK, 12346, &order);
    loader_submit(loader, &beyond.load, true);
    wait_for(&beyond);
    assert_int_equal(beyond.reason, ENODATA);
    base_free(beyond.load.to);

    assert_int_equal(loader_measure(loader, 0, 4 * LOADER_BLOCK, &error), VL2_OK);
    assert_true(loader_bandwidth(loader) > 0);
    assert_in_range(loader_depth(loader), 1, LOADER_DEPTH);
    loader_close(loader);
    assert_int_equal(loader_open("/nonexistent/file", &loader, &error), VL2_ERROR_MODEL);
}

static void test_parts(void **state)
{
    check_parts(state, false);
    check_parts(state, true);
}

/* Holds the reading threads up, so that what is submitted waits. */
typedef struct gate {
    load load;
    pthread_mutex_t *mutex;
    atomic_bool there;
} gate;

static void wait_at_gate(load *load, int reason)
{
    gate *g = (gate *)load;
    assert_int_equal(reason, 0);
    atomic_store(&g->there, true);
    pthread_mutex_lock(g->mutex);
    pthread_mutex_unlock(g->mutex);
}

static void test_order(void **state)
{
    loader *loader = open_loader(state, true);
    /* All threads but one stand still. */
    pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
    gate gates[LOADER_DEPTH];
    uint8_t *space = base_alloc_pages(LOADER_DEPTH * 4096);
    pthread_mutex_lock(&mutex);
    for (int i = 0; i < LOADER_DEPTH; i++) {
        gates[i] = (gate){
            .load = {.offset = 0, .size = 10, .to = space + (size_t)i * 4096, .done = wait_at_gate},
            .mutex = &mutex};
        loader_submit(loader, &gates[i].load, true);
    }
    for (int i = 0; i < LOADER_DEPTH; i++) {
        while (!atomic_load(&gates[i].there)) {
            usleep(500);
        }
    }
    atomic_int order = 0;
    part idle[3], urgent, withdrawn;
    for (int i = 0; i < 3; i++) {
        prepare(&idle[i], 4096 * (size_t)i, 100, &order);
        loader_submit(loader, &idle[i].load, false);
    }
    prepare(&withdrawn, 0, 100, &order);
    loader_submit(loader, &withdrawn.load, false);
    prepare(&urgent, 4096, 100, &order);
    loader_submit(loader, &urgent.load, true);
    loader_hurry(loader, &idle[2].load);
    assert_true(loader_withdraw(loader, &withdrawn.load));
    assert_false(loader_withdraw(loader, &withdrawn.load));
    pthread_mutex_unlock(&mutex);
    wait_for(&urgent);
    wait_for(&idle[0]);
    wait_for(&idle[1]);
    wait_for(&idle[2]);
    assert_int_equal(atomic_load(&order), 4);
    assert_int_equal(atomic_load(&withdrawn.place), 0);
    /* Which of two that may run at the same time is done first is open. */
    assert_true(atomic_load(&urgent.place) <= 2);
    assert_true(atomic_load(&idle[2].place) <= 2);
    assert_false(loader_withdraw(loader, &urgent.load));
    loader_hurry(loader, &urgent.load);
    loader_close(loader);
    for (int i = 0; i < 3; i++) {
        base_free(idle[i].load.to);
    }
    base_free(urgent.load.to);
    base_free(withdrawn.load.to);
    base_free(space);
}

/* The same where the kernel reads: it has as many blocks as it may while none ends. */
static void test_order_of_ring(void **state)
{
    loader *loader = open_loader(state, false);
    if (!loader_uses_ring(loader)) {
        loader_close(loader);
        print_message("SKIPPED: no io_uring here\n");
        skip();
    }
    atomic_int order = 0;
    part large, urgent, hurried, idle, withdrawn;
    prepare(&large, 0, FILE_BYTES, &order); /* six blocks; four at once */
    prepare(&urgent, 4096, 100, &order);
    prepare(&hurried, 8192, 100, &order);
    prepare(&idle, 4096, 100, &order);
    prepare(&withdrawn, 0, 100, &order);
    pthread_mutex_lock(&ring_gate);
    loader_submit(loader, &large.load, true);
    loader_submit(loader, &hurried.load, false);
    loader_submit(loader, &idle.load, false);
    loader_submit(loader, &withdrawn.load, false);
    loader_submit(loader, &urgent.load, true);
    loader_hurry(loader, &hurried.load);
    assert_int_equal(large.load.given, 4 * LOADER_BLOCK);
    assert_true(urgent.load.given == 0 && hurried.load.given == 0 && idle.load.given == 0);
    assert_true(loader_withdraw(loader, &withdrawn.load));
    assert_false(loader_withdraw(loader, &withdrawn.load));
    assert_false(loader_withdraw(loader, &large.load));
    pthread_mutex_unlock(&ring_gate);
    part *const all[] = {&large, &urgent, &hurried, &idle};
    for (size_t i = 0; i < sizeof(all) / sizeof(all[0]); i++) {
        wait_for(all[i]);
        assert_int_equal(all[i]->reason, 0);
        check_bytes(all[i]);
    }
    assert_int_equal(atomic_load(&withdrawn.place), 0);
    /* What is under way when it is closed ends first, and nothing of it afterwards. */
    atomic_store(&large.place, 0);
    loader_submit(loader, &large.load, true);
    loader_submit(loader, &idle.load, false);
    loader_close(loader);
    for (size_t i = 0; i < sizeof(all) / sizeof(all[0]); i++) {
        base_free(all[i]->load.to);
    }
    base_free(withdrawn.load.to);
}

static void test_residency(void **state)
{
    (void)state;
    residency r;
    assert_true(residency_open(3, 4, &r));
    /* Nothing was used: the one whose layer comes last gives way; the layer at work comes last. */
    assert_true(residency_gives_way(&r, 1 * 4, 2 * 4, 1));
    assert_true(residency_gives_way(&r, 0 * 4, 2 * 4, 1));
    assert_true(residency_gives_way(&r, 1 * 4, 0 * 4, 1));
    /* More uses count more, and late ones more than early ones. */
    for (int i = 0; i < 3; i++) {
        residency_begin(&r, 1);
        residency_use(&r, 4, 1, 1);
    }
    residency_begin(&r, 1);
    residency_use(&r, 5, 1, 1);
    assert_true(residency_gives_way(&r, 5, 4, 0));
    for (int i = 0; i < 3 * 3 * (int)RESIDENCY_HALF_LIFE; i++) {
        residency_begin(&r, 1);
    }
    residency_use(&r, 5, 1, 1);
    assert_true(residency_gives_way(&r, 4, 5, 0)); /* 3 / 8 + a bit against 1 + 1 / 8 */
    /* For ever: counts stay finite. */
    for (int i = 0; i < 200000; i++) {
        residency_begin(&r, 1);
        residency_use(&r, 6, 1, 1);
    }
    assert_true(r.uses[6] > 0 && r.uses[6] < 1e30f);
    assert_true(residency_gives_way(&r, 5, 6, 0));
    /* A long prompt counts for a few tokens. */
    residency_begin(&r, 1000);
    residency_use(&r, 7, 500, 1000);
    assert_true(residency_gives_way(&r, 7, 6, 0));
    /* Spare: all but the most used of a layer, until they are used again. */
    const bool there[4] = {true, true, false, true};
    size_t order[4];
    residency_passed(&r, 1, there, 1, order);
    assert_true(r.spare[4] && r.spare[5] && !r.spare[6] && !r.spare[7]);
    assert_true(residency_gives_way(&r, 5, 0, 0)); /* before one that was never used */
    residency_use(&r, 5, 1, 1);
    assert_false(r.spare[5]);
    residency_close(&r);
}

/* What is known beforehand counts as if it had been used, and fades. */
static void test_known_uses(void **state)
{
    (void)state;
    residency r;
    assert_true(residency_open(2, 4, &r));
    residency_know(&r, 4, 0.75);
    residency_know(&r, 5, 0.25);
    assert_true(residency_gives_way(&r, 5, 4, 0));
    assert_true(residency_gives_way(&r, 6, 5, 0));
    for (int token = 0; token < 1000; token++) {
        if (token < 100) { /* what is known counts for more tokens */
            assert_true(residency_gives_way(&r, 6, 4, 0));
        }
        residency_begin(&r, 1); /* one layer, then the other */
        residency_begin(&r, 1);
        residency_use(&r, 6, 1, 1);
    }
    assert_true(residency_gives_way(&r, 4, 6, 0));
    residency_close(&r);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_parts, make_folder, remove_folder),
        cmocka_unit_test_setup_teardown(test_order, make_folder, remove_folder),
        cmocka_unit_test_setup_teardown(test_order_of_ring, make_folder, remove_folder),
        cmocka_unit_test(test_residency),
        cmocka_unit_test(test_known_uses),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
