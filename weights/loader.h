/* Reads parts of a file into memory: what somebody waits for first, then what may be needed soon.
 * The kernel does it on its own (ring.h) where it can and the environment does not say VL2_URING=0,
 * and threads otherwise. */
#ifndef WEIGHTS_LOADER_H
#define WEIGHTS_LOADER_H

#include "base/error.h"

#include <stdbool.h>
#include <stddef.h>

#define LOADER_BLOCK ((size_t)1 << 20) /* bytes that are read with one call */
#define LOADER_DEPTH 8                 /* blocks that are read at once, at most */

typedef struct loader loader;

/* One part of the file. The first four fields are the caller's; all of it stays untouched and where
 * it is from loader_submit to `done`. */
typedef struct load {
    uint64_t offset; /* aligned as direct_read wants it */
    size_t size;
    uint8_t *to; /* aligned; room for direct_round_up(size) */
    /* Called once all is read, by a reading thread that holds no lock: 0, or errno. It may submit
     * this load again, and does what there is to do with the bytes: check, expand. */
    void (*done)(struct load *load, int reason);

    struct load *next; /* in its queue */
    size_t given;      /* bytes that have been begun to be read */
    size_t unfinished; /* blocks that are being read */
    int reason;
    bool urgent, queued;
} load;

/* Opens the file and starts the threads. VL2_ERROR_MODEL, VL2_ERROR_MEMORY. */
vl2_status loader_open(const char *path, loader **loader, vl2_error *error);
void loader_close(loader *loader); /* waits for reads that have begun; drops others, without done */

/* Loads that are not urgent begin only while no urgent one is waiting or being read. */
void loader_submit(loader *loader, load *load, bool urgent);
void loader_hurry(loader *loader, load *load); /* makes it urgent; also right if it is done */
/* Takes a load back if no read of it has begun: true, and `done` is not called. */
bool loader_withdraw(loader *loader, load *load);

/* Finds out with how many reads at once this file is read best, by reading up to `bytes` of
 * it, from `offset`, for each number tried, and no longer than a fraction of a second; from then on
 * that many are used. Not while loads are under way. VL2_ERROR_MEMORY. */
vl2_status loader_measure(loader *loader, uint64_t offset, size_t bytes, vl2_error *error);

int loader_depth(const loader *loader); /* reads at once */
/* Bytes per second: what loader_measure found, or the mean of all reading since if that is more. */
double loader_bandwidth(loader *loader);
bool loader_is_direct(const loader *loader);
bool loader_uses_ring(const loader *loader);

#endif
