/* Products with weights as they are stored: y = x W^T. Weights in f32, f16 or bf16 take part as
 * they are; packed ones (simd/layout.h) in integers, and then x does so too, in int8. */
#ifndef MODEL_LINEAR_H
#define MODEL_LINEAR_H

#include "model/compute.h"
#include "model/weights.h"

/* Outputs of one task, where x has few rows and in the products of experts. What a task is depends
 * on the sizes alone, never on the number of threads, so that results do not either. */
#define LINEAR_PANEL 128

/* Outputs and rows of one task where x has many rows: both are laid out anew for each task, so
 * pieces are larger. */
#define LINEAR_WIDE_PANEL 384
#define LINEAR_ROW_BLOCK  512

/* Up to this many rows of x the weights are read directly, once; above, packed weights are decoded
 * once for all rows, and plain ones widened for OpenBLAS. With matmul_many instead of OpenBLAS
 * kernels_few_rows says what is few. */
#define LINEAR_FEW        8
#define LINEAR_FEW_PACKED 16

/* Rows of one task where few outputs would make few tasks (the router). */
#define LINEAR_SHORT_BLOCK 64

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
    bool y_panel;       /* for linear_panel: y has the outputs of the panel alone, [rows, count] */
    /* For linear_panel with packed weights: x as linear_quantize made it, rows quantized_stride
     * bytes apart. linear_run sees to it by itself. */
    const uint8_t *quantized;
    size_t quantized_stride;
    linear_activation activation; /* applied last */
} linear_call;

/* Makes room in `compute` for linear_run with up to `rows` rows of x and `inputs` columns.
 * VL2_ERROR_MEMORY. */
vl2_status linear_reserve(compute *compute, size_t rows, size_t inputs, vl2_error *error);

/* Runs the product on the whole team; room must have been reserved. */
void linear_run(const compute *compute, const linear_call *call);

/* Products of the same x, as one list of tasks: x, x_stride and rows of all calls are the same, as
 * are the inputs of their weights. x is quantized once. count <= LINEAR_GROUP. */
#define LINEAR_GROUP 4
void linear_run_group(const compute *compute, const linear_call *calls, size_t count);

/* One panel of it on the calling worker: outputs [first, first + count). count <= LINEAR_PANEL, or
 * LINEAR_WIDE_PANEL if w is not packed. For stages that make task lists of their own. */
void linear_panel(const compute *compute, int worker, const linear_call *call, size_t first,
                  size_t count);

/* True if products with w take quantized inputs. */
static inline bool linear_is_packed(weight w)
{
    return w->packed.layout != 0;
}

/* Rows of task `block` of `blocks`, as even as can be: first row and count. */
static inline void linear_block(size_t rows, size_t blocks, size_t block, size_t *first,
                                size_t *count)
{
    *first = rows * block / blocks;
    *count = rows * (block + 1) / blocks - *first;
}

/* Quantizes count <= ACTIVATION_GROUP inputs x of a row of `columns` into their place in the row;
 * `first`, that of x[0], is a multiple of ACTIVATION_GROUP. The runs of a row may be quantized by
 * several threads. */
void linear_quantize_run(const kernels *kernels, const float *x, size_t first, size_t count,
                         size_t columns, uint8_t *row);

/* Quantizes x [rows, inputs], rows x_stride floats apart, on the whole team: quantized has rows of
 * activation_size(inputs) bytes. */
void linear_quantize(const compute *compute, const float *x, size_t x_stride, size_t rows,
                     size_t inputs, uint8_t *quantized);

static inline size_t linear_panels(size_t outputs)
{
    return (outputs + LINEAR_PANEL - 1) / LINEAR_PANEL;
}

/* Widens `count` numbers of a tensor, starting at element `first`, to f32. */
void weight_widen(const kernels *kernels, weight w, size_t first, size_t count, float *out);

#endif
