#include "weights/loader.h"

#include "base/alloc.h"
#include "base/clock.h"
#include "weights/direct.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

typedef struct load_queue {
    load *first, *last;
} load_queue;

struct loader {
    direct_file file;
    pthread_t threads[LOADER_THREADS];
    int started;
    pthread_mutex_t mutex; /* over all below */
    pthread_cond_t work;
    load_queue urgent, idle;
    size_t urgent_reads;             /* blocks of urgent loads that are being read */
    int busy, depth;                 /* threads that read; how many may */
    double bandwidth;                /* of loader_measure */
    double busy_since, busy_seconds; /* when a thread began to read while none did; in all */
    uint64_t bytes;                  /* that have been read */
    bool ends;
};

/* ------------------------------------------------------------------------------- queues */

static void append(load_queue *queue, load *added)
{
    added->next = NULL;
    *(queue->first != NULL ? &queue->last->next : &queue->first) = added;
    queue->last = added;
    added->queued = true;
}

static void take_out(load_queue *queue, load *taken)
{
    load *before = NULL;
    for (load *at = queue->first; at != taken; at = at->next) {
        before = at;
    }
    *(before != NULL ? &before->next : &queue->first) = taken->next;
    if (queue->last == taken) {
        queue->last = before;
    }
    taken->queued = false;
}

static load_queue *queue_of(loader *loader, const load *load)
{
    return load->urgent ? &loader->urgent : &loader->idle;
}

void loader_submit(loader *loader, load *load, bool urgent)
{
    pthread_mutex_lock(&loader->mutex);
    load->given = 0;
    load->unfinished = 0;
    load->reason = 0;
    load->urgent = urgent;
    append(queue_of(loader, load), load);
    pthread_cond_broadcast(&loader->work);
    pthread_mutex_unlock(&loader->mutex);
}

void loader_hurry(loader *loader, load *load)
{
    pthread_mutex_lock(&loader->mutex);
    if (!load->urgent && load->queued) {
        take_out(&loader->idle, load);
        append(&loader->urgent, load);
        pthread_cond_broadcast(&loader->work);
    }
    if (!load->urgent) {
        load->urgent = true;
        loader->urgent_reads += load->unfinished;
    }
    pthread_mutex_unlock(&loader->mutex);
}

bool loader_withdraw(loader *loader, load *load)
{
    pthread_mutex_lock(&loader->mutex);
    bool withdrawn = load->queued && load->given == 0;
    if (withdrawn) {
        take_out(queue_of(loader, load), load);
    }
    pthread_mutex_unlock(&loader->mutex);
    return withdrawn;
}

/* ------------------------------------------------------------------------------- reading */

/* The load whose next block is to be read now, or NULL. */
static load *choose(const loader *loader)
{
    if (loader->busy >= loader->depth) {
        return NULL;
    }
    if (loader->urgent.first != NULL) {
        return loader->urgent.first;
    }
    return loader->urgent_reads == 0 ? loader->idle.first : NULL;
}

/* Reads one block. Called and left with the mutex held. */
static void read_block(loader *loader, load *load)
{
    size_t at = load->given, left = load->size - at;
    size_t now = left < LOADER_BLOCK ? left : LOADER_BLOCK;
    load->given += now;
    load->unfinished++;
    if (load->given == load->size) {
        take_out(queue_of(loader, load), load);
    }
    if (loader->busy++ == 0) {
        loader->busy_since = clock_seconds();
    }
    loader->urgent_reads += load->urgent;
    pthread_mutex_unlock(&loader->mutex);
    int reason = direct_read(&loader->file, load->offset + at, now, load->to + at);
    pthread_mutex_lock(&loader->mutex);
    if (--loader->busy == 0) {
        loader->busy_seconds += clock_seconds() - loader->busy_since;
    }
    loader->bytes += now;
    loader->urgent_reads -= load->urgent;
    load->reason = load->reason != 0 ? load->reason : reason;
    if (reason != 0 && load->queued) { /* the rest would be of no use */
        take_out(queue_of(loader, load), load);
        load->given = load->size;
    }
    bool done = --load->unfinished == 0 && load->given == load->size;
    pthread_cond_broadcast(&loader->work);
    if (done) {
        reason = load->reason;
        pthread_mutex_unlock(&loader->mutex);
        load->done(load, reason);
        pthread_mutex_lock(&loader->mutex);
    }
}

static void *run(void *context)
{
    loader *loader = context;
    pthread_mutex_lock(&loader->mutex);
    while (!loader->ends) {
        load *load = choose(loader);
        if (load != NULL) {
            read_block(loader, load);
        } else {
            pthread_cond_wait(&loader->work, &loader->mutex);
        }
    }
    pthread_mutex_unlock(&loader->mutex);
    return NULL;
}

/* ------------------------------------------------------------------------------- opening */

vl2_status loader_open(const char *path, loader **opened, vl2_error *error)
{
    loader *loader = base_calloc(1, sizeof(*loader));
    if (loader == NULL) {
        return vl2_fail_memory(error, path, sizeof(*loader));
    }
    pthread_mutex_init(&loader->mutex, NULL);
    pthread_cond_init(&loader->work, NULL);
    loader->depth = LOADER_THREADS / 2;
    vl2_status status = direct_open(path, &loader->file, error);
    while (status == VL2_OK && loader->started < LOADER_THREADS) {
        if (pthread_create(&loader->threads[loader->started], NULL, run, loader) != 0) {
            status = vl2_fail(error, VL2_ERROR_MEMORY, "%s: no thread to read it with", path);
            break;
        }
        loader->started++;
    }
    if (status != VL2_OK) {
        loader_close(loader);
        return status;
    }
    *opened = loader;
    return VL2_OK;
}

void loader_close(loader *loader)
{
    if (loader == NULL) {
        return;
    }
    pthread_mutex_lock(&loader->mutex);
    loader->ends = true;
    pthread_cond_broadcast(&loader->work);
    pthread_mutex_unlock(&loader->mutex);
    for (int i = 0; i < loader->started; i++) {
        pthread_join(loader->threads[i], NULL);
    }
    direct_close(&loader->file);
    pthread_cond_destroy(&loader->work);
    pthread_mutex_destroy(&loader->mutex);
    base_free(loader);
}

int loader_depth(const loader *loader)
{
    return loader->depth;
}

double loader_bandwidth(loader *loader)
{
    pthread_mutex_lock(&loader->mutex);
    double seen = loader->busy_seconds > 0 ? (double)loader->bytes / loader->busy_seconds : 0;
    double best = seen > loader->bandwidth ? seen : loader->bandwidth;
    pthread_mutex_unlock(&loader->mutex);
    return best;
}

bool loader_is_direct(const loader *loader)
{
    return direct_is_direct(&loader->file);
}

/* ------------------------------------------------------------------------------- measuring */

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
    measured_load loads[LOADER_THREADS];
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

vl2_status loader_measure(loader *loader, uint64_t offset, size_t bytes, vl2_error *error)
{
    static const int depths[] = {1, 2, 4, LOADER_THREADS};
    enum { DEPTHS = sizeof(depths) / sizeof(depths[0]) };
    uint8_t *space = aligned_alloc(DIRECT_ALIGNMENT, LOADER_THREADS * LOADER_BLOCK);
    if (space == NULL) {
        return vl2_fail_memory(error, "measuring the storage", LOADER_THREADS * LOADER_BLOCK);
    }
    measurement m = {.loader = loader, .next = offset, .end = offset + bytes};
    pthread_mutex_init(&m.mutex, NULL);
    pthread_cond_init(&m.finished, NULL);
    for (int i = 0; i < LOADER_THREADS; i++) {
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
