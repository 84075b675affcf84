#include "model/linear.h"

#include <cblas.h>

#include <string.h>

#define QUANTIZE_ROWS 4 /* rows of one task */

static size_t outputs_of(weight w)
{
    return w->tensor.rank > 0 ? (size_t)w->tensor.shape[0] : 1;
}

static size_t inputs_of(weight w)
{
    size_t inputs = 1;
    for (int i = 1; i < w->tensor.rank; i++) {
        inputs *= (size_t)w->tensor.shape[i];
    }
    return inputs;
}

static kernel_slot many_slot(data_type type)
{
    return type == DATA_BF16  ? KERNEL_matmul_many_bf16
           : type == DATA_F16 ? KERNEL_matmul_many_f16
                              : KERNEL_matmul_many_f32;
}

/* Whether there is a matmul_many for the type that is faster than OpenBLAS. */
static bool has_many(const kernels *kernels, data_type type)
{
    return kernels_few_rows(kernels, many_slot(type)) != SIZE_MAX;
}

/* Whether so many rows are few. */
static bool is_few(const kernels *kernels, weight w, size_t rows)
{
    size_t few = kernels_few_rows(kernels, many_slot(w->tensor.type));
    return rows <= (few == SIZE_MAX ? LINEAR_FEW : few);
}

/* What many_rows needs: the kernels' scratch, or a panel widened for OpenBLAS. */
static size_t many_floats(const kernels *kernels, size_t inputs)
{
    bool own = has_many(kernels, DATA_F32) && has_many(kernels, DATA_BF16) &&
               has_many(kernels, DATA_F16);
    return own ? MATMUL_MANY_SCRATCH / sizeof(float) : LINEAR_WIDE_PANEL * inputs;
}

/* That, or a result that is to be added; then a bias. */
vl2_status linear_reserve(compute *compute, size_t rows, size_t inputs, vl2_error *error)
{
    size_t widened = many_floats(compute->kernels, inputs);
    size_t block = (size_t)LINEAR_PANEL * (rows < LINEAR_ROW_BLOCK ? rows : LINEAR_ROW_BLOCK);
    vl2_status status =
        compute_reserve(compute, (widened > block ? widened : block) + LINEAR_WIDE_PANEL, error);
    return status == VL2_OK ? compute_reserve_rows(compute, rows, inputs, error) : status;
}

void weight_widen(const kernels *kernels, weight w, size_t first, size_t count, float *out)
{
    if (w->packed.layout != 0) {
        size_t columns = w->packed.columns;
        kernels->packed_decode_rows(&w->packed, first / columns, count / columns, out, columns);
        return;
    }
    const char *source = (const char *)w->tensor.data + first * data_type_size(w->tensor.type);
    switch (w->tensor.type) {
    case DATA_BF16:
        kernels->widen_bf16(source, out, count);
        break;
    case DATA_F16:
        kernels->widen_f16(source, out, count);
        break;
    default:
        memcpy(out, source, count * sizeof(float));
        break;
    }
}

/* A few rows of x: the weights are read once, as they are. */
static void few_rows(const compute *compute, const linear_call *call, size_t first, size_t count,
                     float *out, size_t out_stride)
{
    const kernels *k = compute->kernels;
    size_t inputs = inputs_of(call->w);
    data_type type = call->w->tensor.type;
    const char *w = (const char *)call->w->tensor.data + first * inputs * data_type_size(type);
    switch (type) {
    case DATA_BF16:
        k->matmul_few_bf16(w, inputs, count, inputs, call->x, call->x_stride, call->rows, out,
                           out_stride);
        break;
    case DATA_F16:
        k->matmul_few_f16(w, inputs, count, inputs, call->x, call->x_stride, call->rows, out,
                          out_stride);
        break;
    default:
        k->matmul_few_f32(w, inputs, count, inputs, call->x, call->x_stride, call->rows, out,
                          out_stride);
        break;
    }
}

/* Where the outputs of a panel go. */
static float *panel_outputs(const linear_call *call, size_t first)
{
    return call->y_panel ? call->y : call->y + first;
}

/* Adds rows that lie LINEAR_PANEL floats apart. */
static void add_rows(const kernels *k, const linear_call *call, size_t first, size_t count,
                     const float *from)
{
    float *y = panel_outputs(call, first);
    for (size_t row = 0; row < call->rows; row++) {
        k->axpy_f32(1, from + row * LINEAR_PANEL, y + row * call->y_stride, count);
    }
}

/* Many rows of x, by our own kernel: it lays out weights and x in scratch. */
static void many_rows(const compute *compute, const linear_call *call, size_t first, size_t count,
                      float *scratch)
{
    const kernels *k = compute->kernels;
    size_t inputs = inputs_of(call->w);
    data_type type = call->w->tensor.type;
    const many_call many = {
        .weight = (const char *)call->w->tensor.data + first * inputs * data_type_size(type),
        .row_stride = inputs, .rows = count, .k = inputs,
        .x = call->x, .x_stride = call->x_stride, .batch = call->rows,
        .y = panel_outputs(call, first), .y_stride = call->y_stride, .add = call->add,
        .scratch = scratch};
    switch (type) {
    case DATA_BF16:
        k->matmul_many_bf16(&many);
        break;
    case DATA_F16:
        k->matmul_many_f16(&many);
        break;
    default:
        k->matmul_many_f32(&many);
        break;
    }
}

/* Many rows of x, where there is none: the panel is widened into scratch, then multiplied by
 * OpenBLAS. */
static void widened_rows(const compute *compute, const linear_call *call, size_t first,
                         size_t count, float *panel)
{
    size_t inputs = inputs_of(call->w);
    weight_widen(compute->kernels, call->w, first * inputs, count * inputs, panel);
    cblas_sgemm(CblasRowMajor, CblasNoTrans, CblasTrans, (int)call->rows, (int)count, (int)inputs,
                1.0f, call->x, (int)call->x_stride, panel, (int)inputs, call->add ? 1.0f : 0.0f,
                panel_outputs(call, first), (int)call->y_stride);
}

/* A few rows that are added to y, LINEAR_PANEL outputs at a time. */
static void few_rows_added(const compute *compute, const linear_call *call, size_t first,
                           size_t count, float *scratch)
{
    for (size_t done = 0; done < count; done += LINEAR_PANEL) {
        linear_call part = *call;
        size_t some = count - done < LINEAR_PANEL ? count - done : LINEAR_PANEL;
        part.y += call->y_panel ? done : 0;
        few_rows(compute, call, first + done, some, scratch, LINEAR_PANEL);
        add_rows(compute->kernels, &part, first + done, some, scratch);
    }
}

/* Packed weights, any number of rows. */
static void packed_rows(const compute *compute, const linear_call *call, size_t first, size_t count,
                        float *scratch)
{
    const kernels *k = compute->kernels;
    float *y = call->add ? scratch : panel_outputs(call, first);
    size_t stride = call->add ? LINEAR_PANEL : call->y_stride;
    (call->rows > LINEAR_FEW_PACKED ? k->matmul_packed_many : k->matmul_packed)(
        &call->w->packed, first, count, call->quantized, call->quantized_stride, call->rows, y,
        stride);
    if (call->add) {
        add_rows(k, call, first, count, scratch);
    }
}

static void finish_rows(const compute *compute, const linear_call *call, size_t first, size_t count,
                        float *bias)
{
    const kernels *k = compute->kernels;
    if (call->bias == NULL && call->activation == LINEAR_PLAIN) {
        return;
    }
    if (call->bias != NULL) {
        weight_widen(k, call->bias, first, count, bias);
    }
    for (size_t row = 0; row < call->rows; row++) {
        float *y = panel_outputs(call, first) + row * call->y_stride;
        if (call->bias != NULL) {
            k->axpy_f32(1, bias, y, count);
        }
        if (call->activation == LINEAR_GELU_TANH) {
            k->gelu_tanh(y, count);
        } else if (call->activation == LINEAR_GELU_ERF) {
            k->gelu_erf(y, count);
        }
    }
}

void linear_panel(const compute *compute, int worker, const linear_call *call, size_t first,
                  size_t count)
{
    float *scratch = compute_scratch(compute, worker);
    if (linear_is_packed(call->w)) {
        packed_rows(compute, call, first, count, scratch);
    } else if (!is_few(compute->kernels, call->w, call->rows)) {
        (has_many(compute->kernels, call->w->tensor.type) ? many_rows : widened_rows)(
            compute, call, first, count, scratch);
    } else if (call->add) {
        few_rows_added(compute, call, first, count, scratch);
    } else {
        few_rows(compute, call, first, count, panel_outputs(call, first), call->y_stride);
    }
    finish_rows(compute, call, first, count, scratch);
}

/* The products of a group as one list of tasks: those of the first call, then those of the next. */
typedef struct linear_job {
    const compute *compute;
    const linear_call *calls;
    size_t panel[LINEAR_GROUP];    /* outputs of a task */
    size_t blocks[LINEAR_GROUP];   /* tasks of a panel: blocks of rows */
    size_t first[LINEAR_GROUP + 1]; /* task of each call */
} linear_job;

static size_t smaller(size_t a, size_t b)
{
    return a < b ? a : b;
}

static void panel_task(void *context, size_t task, int worker)
{
    const linear_job *job = context;
    size_t i = 0, row;
    while (task >= job->first[i + 1]) {
        i++;
    }
    task -= job->first[i];
    linear_call part = job->calls[i];
    size_t first = task / job->blocks[i] * job->panel[i];
    linear_block(part.rows, job->blocks[i], task % job->blocks[i], &row, &part.rows);
    part.x += row * part.x_stride;
    part.y += row * part.y_stride;
    if (part.quantized != NULL) {
        part.quantized += row * part.quantized_stride;
    }
    linear_panel(job->compute, worker, &part, first,
                 smaller(outputs_of(part.w) - first, job->panel[i]));
}

/* Divides a product into tasks; how many. */
static size_t divide(linear_job *job, size_t i)
{
    const linear_call *call = &job->calls[i];
    bool narrow = linear_is_packed(call->w) || is_few(job->compute->kernels, call->w, call->rows);
    size_t outputs = outputs_of(call->w);
    job->panel[i] = narrow ? LINEAR_PANEL : LINEAR_WIDE_PANEL;
    size_t panels = (outputs + job->panel[i] - 1) / job->panel[i];
    size_t block = panels == 1 ? LINEAR_SHORT_BLOCK : LINEAR_ROW_BLOCK;
    job->blocks[i] = (call->rows + block - 1) / block;
    return panels * job->blocks[i];
}

typedef struct quantize_job {
    const compute *compute;
    const float *x;
    size_t x_stride, rows, inputs;
    uint8_t *quantized;
} quantize_job;

static void quantize_task(void *context, size_t task, int worker)
{
    (void)worker;
    const quantize_job *job = context;
    size_t end = smaller((task + 1) * QUANTIZE_ROWS, job->rows);
    for (size_t row = task * QUANTIZE_ROWS; row < end; row++) {
        job->compute->kernels->quantize_activations(
            job->x + row * job->x_stride, job->inputs,
            job->quantized + row * activation_size(job->inputs));
    }
}

void linear_quantize(const compute *compute, const float *x, size_t x_stride, size_t rows,
                     size_t inputs, uint8_t *quantized)
{
    quantize_job job = {compute, x, x_stride, rows, inputs, quantized};
    team_run(&compute->team, (rows + QUANTIZE_ROWS - 1) / QUANTIZE_ROWS, quantize_task, &job);
}

void linear_quantize_run(const kernels *kernels, const float *x, size_t first, size_t count,
                         size_t columns, uint8_t *row)
{
    uint8_t run[ACTIVATION_GROUP + ACTIVATION_GROUP / LAYOUT_COLUMNS * sizeof(int32_t) + 64]
        __attribute__((aligned(64)));
    size_t padded = activation_padded(columns), filled = activation_padded(count);
    size_t sums = filled / LAYOUT_COLUMNS * sizeof(int32_t);
    kernels->quantize_activations(x, count, run);
    memcpy(row + first, run, filled);
    memcpy(row + padded + first / LAYOUT_COLUMNS * sizeof(int32_t), run + filled, sums);
    memcpy(row + padded + padded / LAYOUT_COLUMNS * sizeof(int32_t) +
               first / ACTIVATION_GROUP * sizeof(float),
           run + filled + sums, sizeof(float));
}

void linear_run_group(const compute *compute, const linear_call *calls, size_t count)
{
    size_t inputs = inputs_of(calls->w), rows = calls->rows;
    linear_call runs[LINEAR_GROUP];
    linear_job job = {.compute = compute, .calls = runs};
    bool quantized = false;
    for (size_t i = 0; i < count; i++) {
        compute_observe(compute, calls[i].w, calls[i].x, calls[i].x_stride, rows);
        runs[i] = calls[i];
        if (linear_is_packed(calls[i].w)) {
            runs[i].quantized = compute->quantized;
            runs[i].quantized_stride = activation_size(inputs);
            quantized = true;
        }
        job.first[i + 1] = job.first[i] + (rows > 0 ? divide(&job, i) : 0);
    }
    if (quantized) {
        linear_quantize(compute, calls->x, calls->x_stride, rows, inputs, compute->quantized);
    }
    team_run(&compute->team, job.first[count], panel_task, &job);
}

void linear_run(const compute *compute, const linear_call *call)
{
    linear_run_group(compute, call, 1);
}
