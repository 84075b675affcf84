#include "weights/loader_internal.h"

#include "base/alloc.h"
#include "base/clock.h"

#include <stdlib.h>
#include <string.h>

/* ------------------------------------------------------------------------------- queues */

static void give_blocks(loader *loader);

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
    give_blocks(loader);
    pthread_mutex_unlock(&loader->mutex);
}

void loader_hurry(loader *loader, load *load)
{
    pthread_mutex_lock(&loader->mutex);
    if (!load->urgent && load->queued) {
        take_out(&loader->idle, load);
        append(&loader->urgent, load);
    }
    if (!load->urgent) {
        load->urgent = true;
        loader->urgent_reads += load->unfinished;
    }
    give_blocks(loader);
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
    if (loader->busy >= loader->depth || loader->ends) {
        return NULL;
    }
    if (loader->urgent.first != NULL) {
        return loader->urgent.first;
    }
    return loader->urgent_reads == 0 ? loader->idle.first : NULL;
}

/* Notes that a block of a load is being read from now on: its index. */
static size_t begin_block(loader *loader, load *load)
{
    size_t index = 0, at = load->given, left = load->size - at;
    size_t size = left < LOADER_BLOCK ? left : LOADER_BLOCK;
    while (loader->blocks[index].load != NULL) { /* fewer are busy than there are */
        index++;
    }
    loader->blocks[index] = (block){load, at, size};
    load->given += size;
    load->unfinished++;
    if (load->given == load->size) {
        take_out(queue_of(loader, load), load);
    }
    if (loader->busy++ == 0) {
        loader->busy_since = clock_seconds();
    }
    loader->urgent_reads += load->urgent;
    return index;
}

/* Notes that it has been read, or not for a reason. */
static void end_block(loader *loader, size_t index, int reason)
{
    load *load = loader->blocks[index].load;
    loader->bytes += loader->blocks[index].size;
    loader->blocks[index].load = NULL;
    if (--loader->busy == 0) {
        loader->busy_seconds += clock_seconds() - loader->busy_since;
    }
    loader->urgent_reads -= load->urgent;
    load->reason = load->reason != 0 ? load->reason : reason;
    if (reason != 0 && load->queued) { /* the rest would be of no use */
        take_out(queue_of(loader, load), load);
        load->given = load->size;
    }
    bool done = --load->unfinished == 0 && load->given == load->size;
    give_blocks(loader);
    if (done) {
        reason = load->reason;
        pthread_mutex_unlock(&loader->mutex);
        load->done(load, reason);
        pthread_mutex_lock(&loader->mutex);
    }
}

/* Reads what is left of a block behind its first `got` bytes, without the mutex. */
static int read_rest(loader *loader, size_t index, size_t got)
{
    const block b = loader->blocks[index];
    pthread_mutex_unlock(&loader->mutex);
    int reason = direct_read(&loader->file, b.load->offset + b.at + got, b.size - got,
                             b.load->to + b.at + got);
    pthread_mutex_lock(&loader->mutex);
    return reason;
}

static bool uses_ring(const loader *loader)
{
    return loader->ring != NULL && direct_is_direct(&loader->file);
}

/* A thread can do something now. */
static bool has_work(const loader *loader)
{
    return (loader->in_ring > 0 && !loader->waits) ||
           (!uses_ring(loader) && choose(loader) != NULL);
}

/* Gives what may be read now to the ring, or has a thread woken for it. */
static void give_blocks(loader *loader)
{
    load *load;
    while (uses_ring(loader) && (load = choose(loader)) != NULL) {
        size_t index = begin_block(loader, load);
        const block *b = &loader->blocks[index];
        loader->in_ring++;
        ring_read(loader->ring, index, loader->file.direct, load->offset + b->at,
                  direct_round_up(b->size), load->to + b->at);
    }
    if (has_work(loader)) {
        pthread_cond_signal(&loader->work);
    }
}

/* Waits for the ring to have read a block. What it could not read is tried as without it. */
static void take_from_ring(loader *loader)
{
    int result;
    loader->waits = true;
    pthread_mutex_unlock(&loader->mutex);
    size_t index = ring_wait(loader->ring, &result);
    pthread_mutex_lock(&loader->mutex);
    loader->waits = false;
    loader->in_ring--;
    size_t got = result > 0 ? (size_t)result : 0;
    int reason = 0;
    if (got < loader->blocks[index].size) {
        give_blocks(loader); /* another waits for the ring meanwhile */
        reason = read_rest(loader, index, got & ~(DIRECT_ALIGNMENT - 1));
    }
    end_block(loader, index, reason);
}

static void *run(void *context)
{
    loader *loader = context;
    pthread_mutex_lock(&loader->mutex);
    for (;;) {
        if (loader->in_ring > 0 && !loader->waits) { /* also when it ends */
            take_from_ring(loader);
        } else if (loader->ends) {
            break;
        } else if (has_work(loader)) {
            size_t index = begin_block(loader, choose(loader));
            give_blocks(loader);
            end_block(loader, index, read_rest(loader, index, 0));
        } else {
            pthread_cond_wait(&loader->work, &loader->mutex);
        }
    }
    pthread_mutex_unlock(&loader->mutex);
    return NULL;
}

/* ------------------------------------------------------------------------------- opening */

static bool wants_ring(void)
{
    const char *wanted = getenv("VL2_URING");
    return wanted == NULL || strcmp(wanted, "0") != 0;
}

vl2_status loader_open(const char *path, loader **opened, vl2_error *error)
{
    loader *loader = base_calloc(1, sizeof(*loader));
    if (loader == NULL) {
        return vl2_fail_memory(error, path, sizeof(*loader));
    }
    pthread_mutex_init(&loader->mutex, NULL);
    pthread_cond_init(&loader->work, NULL);
    loader->depth = LOADER_DEPTH / 2;
    vl2_status status = direct_open(path, &loader->file, error);
    if (status == VL2_OK && loader->file.direct >= 0 && wants_ring()) {
        loader->ring = ring_open(LOADER_DEPTH);
    }
    while (status == VL2_OK && loader->started < LOADER_DEPTH) {
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
    ring_close(loader->ring);
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

bool loader_uses_ring(const loader *loader)
{
    return uses_ring(loader);
}
