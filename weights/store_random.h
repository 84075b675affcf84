/* A weight_store of random numbers, for measuring without a checkpoint: the tensors of a published
 * shape, each in the form that vl2 pack would give it, made in memory at once. Nothing is written,
 * and nothing but the planes themselves is held.
 *
 * Packed matrices get random codes, scales and zeros within the ranges of simd/layout.h, with row
 * scales that give each matrix the deviation that vl2 synth gives it. Other tensors have the very
 * numbers of vl2 synth. The bytes depend on shape, types and seed, not on the number of threads. */
#ifndef WEIGHTS_STORE_RANDOM_H
#define WEIGHTS_STORE_RANDOM_H

#include "weights/pack_types.h"
#include "weights/store.h"
#include "weights/synth.h"

typedef struct random_weights_options {
    const synth_shape *shape;
    const pack_types *types;
    uint64_t seed;
    const team *team;
    vl2_progress_callback progress; /* may be NULL; VL2_STAGE_WEIGHTS, bytes */
    void *progress_user;
    bool (*cancelled)(void *user); /* may be NULL; asked every few megabytes */
    void *cancelled_user;
} random_weights_options;

/* Views have no records: all of them can be used at once. Tensors that the model does not use are
 * left out. VL2_ERROR_ARGUMENT (a shape that cannot be), VL2_ERROR_MEMORY, VL2_ERROR_CANCELLED. */
vl2_status weight_store_open_random(const random_weights_options *options, weight_store **store,
                                    vl2_error *error);

#endif
