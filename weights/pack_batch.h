/* Inside the writer of packed files: some records at a time, from the checkpoint to what is stored.
 */
#ifndef WEIGHTS_PACK_BATCH_H
#define WEIGHTS_PACK_BATCH_H

#include "weights/pack_write.h"

/* A plane on its way. */
typedef struct pack_item {
    uint8_t *plane;
    uint64_t content, whole; /* bytes of the plane, and of all planes of its tensor */
    uint32_t number;         /* of the plane */
    pack_stored stored;
    vl2_status status;
} pack_item;

typedef struct pack_batch {
    const pack_job *job;
    size_t first, end; /* records */
    pack_item *items;  /* [item_count], in the order of the file */
    size_t item_count;
    uint8_t *arena;    /* the planes, each at a multiple of PACK_ALIGNMENT */
    float *importance; /* [largest number of columns] */
} pack_batch;

/* Takes the memory that the largest batch needs, if batch follows batch from record `first` on.
 * VL2_ERROR_MEMORY. */
vl2_status pack_batch_open(pack_batch *batch, const pack_job *job, size_t first, vl2_error *error);
void pack_batch_close(pack_batch *batch);

/* Fills the batch with the records from `first` on, as many as a batch may have and at least
 * one: batch->items have their stored bytes until pack_batch_clear. `step` is told of progress.
 * Errors of pack_encode, with file and tensor named; VL2_ERROR_CANCELLED, VL2_ERROR_MEMORY. */
vl2_status pack_batch_fill(pack_batch *batch, size_t first, pack_step *step, void *user,
                           vl2_error *error);
void pack_batch_clear(pack_batch *batch);

#endif
