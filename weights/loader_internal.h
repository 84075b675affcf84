/* The inside of a loader: loader.c reads, loader_measure.c finds out how. */
#ifndef WEIGHTS_LOADER_INTERNAL_H
#define WEIGHTS_LOADER_INTERNAL_H

#include "weights/direct.h"
#include "weights/loader.h"
#include "weights/ring.h"

#include <pthread.h>

typedef struct load_queue {
    load *first, *last;
} load_queue;

/* A part of a load that is being read. */
typedef struct block {
    load *load; /* NULL: none */
    size_t at, size;
} block;

struct loader {
    direct_file file;
    ring *ring; /* NULL: threads read */
    pthread_t threads[LOADER_DEPTH];
    int started;
    pthread_mutex_t mutex; /* over all below */
    pthread_cond_t work;
    load_queue urgent, idle;
    block blocks[LOADER_DEPTH];      /* that are being read */
    size_t urgent_reads;             /* blocks of urgent loads among them */
    int busy, depth;                 /* blocks among them; how many there may be */
    int in_ring;                     /* of `busy` */
    bool waits;                      /* a thread waits for the ring */
    double bandwidth;                /* of loader_measure */
    double busy_since, busy_seconds; /* when a block was begun while there was none; in all */
    uint64_t bytes;                  /* that have been read */
    bool ends;
};

#endif
