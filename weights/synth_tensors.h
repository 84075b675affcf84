/* The list of tensors of a shape, with the distribution of each. */
#ifndef WEIGHTS_SYNTH_TENSORS_H
#define WEIGHTS_SYNTH_TENSORS_H

#include "weights/synth.h"

typedef struct synth_tensor {
    char name[96];
    int rank;
    int64_t shape[4];
    uint64_t elements;
    uint64_t random; /* the first elements are drawn, those behind are zero */
    double mean, deviation;
} synth_tensor;

typedef struct synth_tensors {
    synth_tensor *items; /* [count], in the order of the model */
    size_t count, capacity;
    bool failed; /* memory was short */
} synth_tensors;

/* Refuses a shape that no tensors can be made of. VL2_ERROR_ARGUMENT. */
vl2_status synth_check_shape(const synth_shape *shape, vl2_error *error);

/* VL2_ERROR_MEMORY. Names and shapes as in the published checkpoints. */
vl2_status synth_list_tensors(const synth_shape *shape, synth_tensors *tensors, vl2_error *error);
void synth_free_tensors(synth_tensors *tensors);

#endif
