/* How many reads at once are best for this file. */
#include "weights/loader_internal.h"

#include "base/clock.h"

#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#define HUGE_PAGE       ((size_t)2 << 20)
#define MEASURE_SECONDS 0.15 /* for one depth */
#define GOOD_ENOUGH     0.95 /* of the best bandwidth: fewer reads at once are as good */

typedef struct measured_load {
    load load;
    struct measurement *of;
} measured_load;

typedef struct measurement {
    loader *loader;
    pthread_mutex_t mutex;
    pthread_cond_t finished;
    measured_load loads[LOADER_DEPTH];
    uint64_t next, end; /* of the file, still to be read */
    double began, until;
    size_t bytes; /* that have been read */
    int running, reason;
} measurement;

static void set_depth(loader *loader, int depth)
{
    pthread_mutex_lock(&loader->mutex);
    loader->depth = depth;
    pthread_mutex_unlock(&loader->mutex);
}

/* Lets a load read the next block, if there is one and time for it. */
static void go_on(measured_load *measured)
{
    measurement *m = measured->of;
    if (m->reason != 0 || m->end - m->next < LOADER_BLOCK || clock_seconds() > m->until) {
        m->running--;
        pthread_cond_signal(&m->finished);
        return;
    }
    measured->load.offset = m->next;
    m->next += LOADER_BLOCK;
    loader_submit(m->loader, &measured->load, true);
}

static void measured_block(load *load, int reason)
{
    measured_load *measured = (measured_load *)load;
    measurement *m = measured->of;
    pthread_mutex_lock(&m->mutex);
    m->bytes += LOADER_BLOCK;
    m->reason = m->reason != 0 ? m->reason : reason;
    go_on(measured);
    pthread_mutex_unlock(&m->mutex);
}

/* Bytes per second with `depth` reads at once; 0 if nothing could be read. */
static double measure_depth(measurement *m, int depth, size_t bytes)
{
    pthread_mutex_lock(&m->mutex);
    uint64_t left = m->end - m->next;
    uint64_t end = m->end;
    m->end = m->next + (left < bytes ? left : bytes);
    m->bytes = 0;
    m->began = clock_seconds();
    m->until = m->began + MEASURE_SECONDS;
    m->running = depth;
    set_depth(m->loader, depth);
    for (int i = 0; i < depth; i++) {
        go_on(&m->loads[i]);
    }
    while (m->running > 0) {
        pthread_cond_wait(&m->finished, &m->mutex);
    }
    double seconds = clock_seconds() - m->began;
    m->next = m->end;
    m->end = end;
    double rate = m->reason == 0 && seconds > 0 ? (double)m->bytes / seconds : 0;
    pthread_mutex_unlock(&m->mutex);
    return rate;
}

/* Huge pages, and there already, as those of the experts' slots: how fast the kernel reads into
 * memory depends on it. */
static uint8_t *like_slots(size_t bytes)
{
    uint8_t *space = aligned_alloc(HUGE_PAGE, bytes);
    if (space != NULL) {
        madvise(space, bytes, MADV_HUGEPAGE);
        memset(space, 0, bytes);
    }
    return space;
}

vl2_status loader_measure(loader *loader, uint64_t offset, size_t bytes, vl2_error *error)
{
    static const int depths[] = {1, 2, 4, LOADER_DEPTH};
    enum { DEPTHS = sizeof(depths) / sizeof(depths[0]) };
    uint8_t *space = like_slots(LOADER_DEPTH * LOADER_BLOCK);
    if (space == NULL) {
        return vl2_fail_memory(error, "measuring the storage", LOADER_DEPTH * LOADER_BLOCK);
    }
    measurement m = {.loader = loader, .next = offset, .end = offset + bytes};
    pthread_mutex_init(&m.mutex, NULL);
    pthread_cond_init(&m.finished, NULL);
    for (int i = 0; i < LOADER_DEPTH; i++) {
        m.loads[i] = (measured_load){.load = {.size = LOADER_BLOCK,
                                              .to = space + (size_t)i * LOADER_BLOCK,
                                              .done = measured_block},
                                     .of = &m};
    }
    double rates[DEPTHS], best = 0;
    for (int i = 0; i < DEPTHS; i++) {
        rates[i] = measure_depth(&m, depths[i], bytes / DEPTHS);
        best = rates[i] > best ? rates[i] : best;
    }
    int chosen = DEPTHS - 1;
    for (int i = DEPTHS - 1; i >= 0 && best > 0; i--) {
        chosen = rates[i] >= GOOD_ENOUGH * best ? i : chosen;
    }
    set_depth(loader, depths[chosen]);
    pthread_mutex_lock(&loader->mutex);
    loader->bandwidth = best;
    pthread_mutex_unlock(&loader->mutex);
    pthread_cond_destroy(&m.finished);
    pthread_mutex_destroy(&m.mutex);
    free(space);
    return VL2_OK;
}
