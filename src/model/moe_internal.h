/* What the files of moe.h share: one run of a layer's feed-forward part. */
#ifndef MODEL_MOE_INTERNAL_H
#define MODEL_MOE_INTERNAL_H

#include "model/moe.h"

typedef struct moe_job {
    const compute *compute;
    moe_workspace *workspace;
    const layer_weights *layer;
    const moe_ahead *ahead; /* NULL: nothing is known of the next layer */
    const float *x;
    float *y;
    size_t count;
    bool has_bias;
    /* In which form the networks want their inputs: some may be packed. */
    bool plain_inputs, packed_inputs;
} moe_job;

/* Adds a network to those at work: that of all tokens, or the active expert with this index. */
void moe_add_common(moe_job *job);
void moe_add_expert(moe_job *job, size_t index);

/* What all networks read: the inputs in the form, and the order, that they want. VL2_ERROR_MEMORY
 */
vl2_status moe_gather(moe_job *job, vl2_error *error);
/* Adds the sums of the experts' outputs to y. */
void moe_reduce(const moe_job *job);

/* The networks of the workspace in two phases, gate and up with SiLU, then down. */
void moe_run_networks(const compute *compute, moe_workspace *workspace);

/* moe_ahead.c: records of the experts that the next layer, job->ahead->next, may want, [experts],
 * what is most likely first: how many. */
size_t moe_foresee(const moe_job *job, uint32_t *records);

/* moe_paged.c: a routed layer of a paged store, from gathering to y. Errors of pager_take. */
vl2_status moe_run_paged(moe_job *job, vl2_error *error);

#endif
