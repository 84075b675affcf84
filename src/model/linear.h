/* Products with weights as the checkpoint stores them: y = x W^T. */
#ifndef MODEL_LINEAR_H
#define MODEL_LINEAR_H

#include "model/compute.h"
#include "model/weights.h"

/* Outputs of one task, where x has few rows and in the products of experts. What a task is depends
 * on the sizes alone, never on the number of threads, so that results do not either. */
#define LINEAR_PANEL 128

/* Outputs and rows of one task where x has many rows: sgemm packs both anew for each task, so
 * pieces are larger. */
#define LINEAR_WIDE_PANEL 384
#define LINEAR_ROW_BLOCK  512

/* Up to this many rows of x the weights are read directly, once; above, a panel is widened to f32
 * and goes through sgemm. */
#define LINEAR_FEW 8

typedef enum linear_activation {
    LINEAR_PLAIN,
    LINEAR_GELU_TANH,
    LINEAR_GELU_ERF
} linear_activation;

typedef struct linear_call {
    weight w;           /* [outputs, inputs], any rank: outputs is the first dimension */
    weight bias;        /* [outputs] or NULL */
    const float *x;     /* [rows, inputs], rows x_stride floats apart */
    size_t x_stride;
    float *y;           /* [rows, outputs], rows y_stride floats apart */
    size_t y_stride;
    size_t rows;
    bool add;           /* y += instead of y = (with LINEAR_PLAIN only) */
    linear_activation activation; /* applied last */
} linear_call;

/* Floats of scratch that one worker needs for products with matrices of up to `inputs` columns. */
size_t linear_scratch(size_t inputs);

/* Runs the product on the whole team; scratch must have been reserved. */
void linear_run(const compute *compute, const linear_call *call);

/* One panel of it on the calling worker: outputs [first, first + count). count <= LINEAR_PANEL, or
 * LINEAR_WIDE_PANEL if there are more than LINEAR_FEW rows. For stages that make task lists of
 * their own. */
void linear_panel(const compute *compute, int worker, const linear_call *call, size_t first,
                  size_t count);

static inline size_t linear_panels(size_t outputs)
{
    return (outputs + LINEAR_PANEL - 1) / LINEAR_PANEL;
}

/* Widens `count` numbers of a tensor, starting at element `first`, to f32. */
void weight_widen(const kernels *kernels, weight w, size_t first, size_t count, float *out);

#endif
