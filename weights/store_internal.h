/* What a weight_store is made of, for the files weights/store*.c. */
#ifndef WEIGHTS_STORE_INTERNAL_H
#define WEIGHTS_STORE_INTERNAL_H

#include "weights/store.h"

#include <pthread.h>
#include <stdatomic.h>

struct weight_store {
    /* one of the three, the others are NULL */
    checkpoint *checkpoint;
    pack_file *pack;
    struct random_weights *random;
    weight_view *views;         /* [count] */
    const weight_view **sorted; /* [count] by name */
    size_t count;
    /* of a packed file */
    size_t records;
    atomic_bool *ready; /* [records] */
    void **blocks;      /* [records]: what was expanded; NULL where nothing had to be */
    bool check;         /* compare checksums when a record is acquired */
    pthread_mutex_t mutex; /* held while records are made ready */
    uint32_t *pending;     /* [records] those to be made ready now */
    bool *queued;          /* [records] is in pending */
    /* of a paged one */
    struct loader *loader;
    struct pager *pager;
};

/* A store without views. VL2_ERROR_MEMORY. */
vl2_status weight_store_create(const char *path, weight_store **store, vl2_error *error);
/* Room for the views, all zero. VL2_ERROR_MEMORY. */
vl2_status weight_store_allocate(weight_store *store, size_t count, vl2_error *error);
void weight_store_sort(weight_store *store); /* when all views have their names */

/* store_pack.c: the views of store->pack, and what is needed to make its records ready; the latter
 * freed. */
vl2_status weight_store_view_pack(weight_store *store, vl2_error *error);
weight_view *weight_store_views_of(const weight_store *store, uint32_t record); /* its tensors' */
void weight_store_free_records(weight_store *store);

/* store_paged.c: reads the first `count` of store->pending, with the mutex held. */
vl2_status weight_store_read_pending(weight_store *store, size_t count, vl2_error *error);
void weight_store_close_pager(weight_store *store);

/* store_random.c */
void random_weights_free(struct random_weights *random); /* NULL is allowed */
const char *random_weights_type_of(const weight_view *view);
uint64_t random_weights_bytes(const struct random_weights *random);

#endif
