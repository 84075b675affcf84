/* What every stage computes with: the kernels, the thread team, and work space per thread. */
#ifndef MODEL_COMPUTE_H
#define MODEL_COMPUTE_H

#include "base/error.h"
#include "base/team.h"
#include "model/stages.h"
#include "simd/kernels.h"

struct weight_view;

/* Told what goes into each product y = x W^T, by the calling thread and before the product:
 * x [rows, inputs of w], rows x_stride floats apart. For whoever wants to know what inputs a matrix
 * sees. */
typedef struct product_observer {
    void (*inputs)(void *user, const struct weight_view *w, const float *x, size_t x_stride,
                   size_t rows);
    void *user;
} product_observer;

typedef struct compute {
    const kernels *kernels; /* borrowed */
    team team;
    float **scratch;        /* [threads]: one block of scratch_floats for each worker */
    size_t scratch_floats;
    uint8_t *quantized;     /* the inputs of the product that runs, as quantize_activations makes
                             * them; shared by all workers */
    size_t quantized_bytes;
    const product_observer *observer; /* NULL: nobody listens */
    stage_clock *stages;              /* borrowed; NULL: nobody counts */
} compute;

/* `threads` at least 1. VL2_ERROR_MEMORY; compute_close is right after that, too. What runs several
 * stages in a row does so in a phase of the team (team_enter): each matrix then finds the threads
 * awake. */
vl2_status compute_open(const kernels *kernels, int threads, compute *compute, vl2_error *error);
void compute_close(compute *compute);

/* Makes each worker's scratch at least this large. The blocks start at a cache line.
 * VL2_ERROR_MEMORY. */
vl2_status compute_reserve(compute *compute, size_t floats, vl2_error *error);

/* Makes `quantized` large enough for `rows` rows of `inputs` numbers. VL2_ERROR_MEMORY. */
vl2_status compute_reserve_rows(compute *compute, size_t rows, size_t inputs, vl2_error *error);

/* The scratch of a worker, inside a team_task. */
static inline float *compute_scratch(const compute *compute, int worker)
{
    return compute->scratch[worker];
}

/* Bytes of all scratch, and of `quantized`. */
size_t compute_memory(const compute *compute);

static inline void compute_observe(const compute *compute, const struct weight_view *w,
                                   const float *x, size_t x_stride, size_t rows)
{
    if (compute->observer != NULL) {
        compute->observer->inputs(compute->observer->user, w, x, x_stride, rows);
    }
}

#endif
