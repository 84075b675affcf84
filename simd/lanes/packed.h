/* Few rows of activations times packed weights: see simd/kernels.h and, for the vocabulary of
 * bytes, simd/lanes/bytes.h. The file that includes this has included its ISA's dot_<isa>.h:
 *   dot_weight dot_prepare(values)       values of LANES rows, in the form that dot_add wants
 *   dot_scale dot_load_scale(p)          of LANES rows, int8; dot_scale_one() where there are none
 *   dot_sums                             LANES sums of int32
 *   dot_zero(), dot_begin(sums, codes_sum), dot_add(sums, weight, x, scale), dot_end(sums, scale)
 *                                        sums += scale * (products of the block between begin and
 *                                        end); codes_sum is that of the block's activations
 *   dot_floats(sums)                     rounded to nearest even
 *
 * Within a run of activations all sums are exact integers; the runs of an output are summed in one
 * chain of multiply-adds, whatever else is computed beside it. */
#include "simd/lanes/bytes.h"

#define RUN_BLOCKS (ACTIVATION_GROUP / LAYOUT_COLUMNS)
#define FEW_BATCH  4 /* rows of activations that go through a panel together */

/* What a call multiplies. */
typedef struct packed_task {
    packed_reader weights;
    const char *x; /* the first row of the batch */
    size_t x_stride, columns;
    float *y;
    size_t y_stride;
} packed_task;

typedef struct panel_sums {
    lanes of[FEW_BATCH][PARTS];
} panel_sums;

/* Asks for codes ahead of those in use: a processor's own prefetcher stops at the end of a page.
 * How far is measured, see simd/README.md. */
LANES_INLINE void prefetch_codes(packed_kind kind, const uint8_t *codes, size_t bytes)
{
    const size_t ahead = kind == PACKED_INT8 ? 2048 : 4096;
#pragma GCC unroll 8
    for (size_t line = 0; line < bytes; line += 64) {
        /* as a number: at the end of the plane this asks in vain */
        __builtin_prefetch((const void *)((uintptr_t)codes + ahead + line), 0, 3);
    }
}

/* Sums of a run, in integers. */
typedef struct run_sums {
    dot_sums of[FEW_BATCH][PARTS];
} run_sums;

/* Unit `unit` of a block; kind, unit and batch are constants. */
LANES_INLINE void multiply_unit(packed_kind kind, const packed_block *block, size_t unit,
                                const bytes constants[PARTS], const dot_scale scales[PARTS],
                                const char *x, size_t x_stride, size_t batch, run_sums *sums)
{
    dot_weight weights[PARTS];
#pragma GCC unroll 2
    for (size_t part = 0; part < PARTS; part++) {
        weights[part] = dot_prepare(packed_values(kind, block, constants[part], unit, part));
    }
#pragma GCC unroll 8
    for (size_t b = 0; b < batch; b++) {
        const bytes codes = bytes_broadcast(x + b * x_stride + unit * LAYOUT_UNIT);
#pragma GCC unroll 2
        for (size_t part = 0; part < PARTS; part++) {
            sums->of[b][part] = dot_add(sums->of[b][part], weights[part], codes, scales[part]);
        }
    }
}

/* One block; kind and batch are constants. */
LANES_INLINE void multiply_block(packed_kind kind, const packed_task *task, size_t panel,
                                 size_t index, const char *x, size_t batch, run_sums *sums)
{
    const packed_block block = packed_find_block(kind, &task->weights, panel, index);
    bytes constants[PARTS];
    dot_scale scales[PARTS];
    prefetch_codes(kind, block.codes, task->weights.block_codes);
#pragma GCC unroll 2
    for (size_t part = 0; part < PARTS; part++) {
        constants[part] = packed_constant(kind, &task->weights, &block, part);
        scales[part] = block.scales == NULL ? dot_scale_one()
                                            : dot_load_scale(block.scales + part * LANES);
#pragma GCC unroll 8
        for (size_t b = 0; b < batch; b++) {
            const char *row = x + b * task->x_stride;
            sums->of[b][part] =
                dot_begin(sums->of[b][part], activation_sums(row, task->columns)[index]);
        }
    }
#pragma GCC unroll 8
    for (size_t unit = 0; unit < BLOCK_UNITS; unit++) {
        multiply_unit(kind, &block, unit, constants, scales, x + index * LAYOUT_COLUMNS,
                      task->x_stride, batch, sums);
    }
#pragma GCC unroll 2
    for (size_t part = 0; part < PARTS; part++) {
#pragma GCC unroll 8
        for (size_t b = 0; b < batch; b++) {
            sums->of[b][part] = dot_end(sums->of[b][part], scales[part]);
        }
    }
}

LANES_INLINE void multiply_run(packed_kind kind, const packed_task *task, size_t panel, size_t run,
                               const char *x, size_t batch, panel_sums *sums)
{
    size_t first = run * RUN_BLOCKS, end = first + RUN_BLOCKS;
    end = end < task->weights.blocks ? end : task->weights.blocks;
    run_sums products;
#pragma GCC unroll 8
    for (size_t b = 0; b < batch; b++) {
#pragma GCC unroll 2
        for (size_t part = 0; part < PARTS; part++) {
            products.of[b][part] = dot_zero();
        }
    }
    for (size_t index = first; index < end; index++) {
        multiply_block(kind, task, panel, index, x, batch, &products);
    }
#pragma GCC unroll 8
    for (size_t b = 0; b < batch; b++) {
        const float scale = activation_scales(x + b * task->x_stride, task->columns)[run];
#pragma GCC unroll 2
        for (size_t part = 0; part < PARTS; part++) {
            sums->of[b][part] =
                lanes_fma(lanes_set(scale), dot_floats(products.of[b][part]), sums->of[b][part]);
        }
    }
}

/* Outputs [b, 16 panel] to [b + batch - 1, 16 panel + count - 1] to y; count <= 16. */
LANES_INLINE void multiply_panel(packed_kind kind, const packed_task *task, size_t panel,
                                 size_t count, size_t first_b, size_t batch, float *y)
{
    const char *x = task->x + first_b * task->x_stride;
    panel_sums sums;
#pragma GCC unroll 8
    for (size_t b = 0; b < batch; b++) {
#pragma GCC unroll 2
        for (size_t part = 0; part < PARTS; part++) {
            sums.of[b][part] = lanes_set(0);
        }
    }
    for (size_t run = 0; run < activation_runs(task->columns); run++) {
        multiply_run(kind, task, panel, run, x, batch, &sums);
    }
    const uint8_t *row_scales = task->weights.row_scales + panel * LAYOUT_ROWS * sizeof(float);
#pragma GCC unroll 2
    for (size_t part = 0; part < PARTS; part++) {
        float copy[LANES];
        memcpy(copy, row_scales + part * sizeof(copy), sizeof(copy)); /* lies at any byte */
        const lanes row_scale = lanes_load(copy);
        const size_t first = part * LANES;
#pragma GCC unroll 8
        for (size_t b = 0; b < batch; b++) {
            float *out = y + (first_b + b) * task->y_stride + first;
            const lanes result = lanes_multiply(row_scale, sums.of[b][part]);
            if (count >= first + LANES) {
                lanes_store(out, result);
            } else if (count > first) {
                lanes_store_first(out, result, count - first);
            }
        }
    }
}

LANES_INLINE void multiply_panels(packed_kind kind, const packed_task *task, size_t first_row,
                                  size_t rows, size_t batch)
{
    for (size_t row = 0; row < rows; row += LAYOUT_ROWS) {
        size_t panel = (first_row + row) / LAYOUT_ROWS, b = 0;
        size_t count = rows - row < LAYOUT_ROWS ? rows - row : LAYOUT_ROWS;
        float *y = task->y + row;
        for (; b + FEW_BATCH <= batch; b += FEW_BATCH) {
            multiply_panel(kind, task, panel, count, b, FEW_BATCH, y);
        }
        if (b + 2 <= batch) {
            multiply_panel(kind, task, panel, count, b, 2, y);
            b += 2;
        }
        if (b < batch) {
            multiply_panel(kind, task, panel, count, b, 1, y);
        }
    }
}

void KERNEL(matmul_packed)(const packed_matrix *matrix, size_t first_row, size_t rows,
                           const void *x, size_t x_stride, size_t batch, float *y, size_t y_stride)
{
    packed_task task = {.x = x, .x_stride = x_stride, .columns = matrix->columns, .y = y,
                        .y_stride = y_stride};
    if (!packed_open(&task.weights, matrix)) {
        return;
    }
    switch (task.weights.kind) {
    case PACKED_INT8:
        multiply_panels(PACKED_INT8, &task, first_row, rows, batch);
        break;
    case PACKED_INT6:
        multiply_panels(PACKED_INT6, &task, first_row, rows, batch);
        break;
    case PACKED_TABLE:
        multiply_panels(PACKED_TABLE, &task, first_row, rows, batch);
        break;
    case PACKED_ZEROS:
        multiply_panels(PACKED_ZEROS, &task, first_row, rows, batch);
        break;
    }
}
