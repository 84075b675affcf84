#include "weights/pack_encode.h"

#include "base/alloc.h"
#include "weights/quantize.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#define PIECE_ELEMENTS ((size_t)1 << 18)    /* numbers of one task */
#define STEP_BYTES     ((uint64_t)16 << 20) /* of the source, between two looks at `step` */
#define NAME_SIZE      280

typedef struct encoding {
    const pack_planned_tensor *tensor;
    const tensor_view *source;
    const float *importance;
    const team *team;
    uint8_t *const *planes;
    size_t first, count; /* of the piece between two steps: elements, or rows of a matrix */
} encoding;

static const uint8_t *source_at(const encoding *job, size_t element)
{
    return (const uint8_t *)job->source->data + element * data_type_size(job->source->type);
}

/* ------------------------------------------------------------------------------- plain numbers */

static void convert_piece(void *context, size_t task, int worker)
{
    (void)worker;
    const encoding *job = context;
    size_t begin = task * PIECE_ELEMENTS, left = job->count - begin;
    size_t count = left < PIECE_ELEMENTS ? left : PIECE_ELEMENTS, first = job->first + begin;
    if (job->tensor->layout == PACK_PLAIN_F32) {
        numbers_widen(source_at(job, first), job->source->type, count,
                      (float *)(void *)(job->planes[0] + first * sizeof(float)));
    } else {
        pack_split(source_at(job, first), count, job->planes[0] + first, job->planes[1] + first);
    }
}

static vl2_status convert(encoding *job, vl2_error *error)
{
    (void)error;
    team_run(job->team, (job->count + PIECE_ELEMENTS - 1) / PIECE_ELEMENTS, convert_piece, job);
    return VL2_OK;
}

/* ------------------------------------------------------------------------------- matrices */

/* Packs some rows: panels lie one behind the other in every plane but the codebook. */
static vl2_status quantize(encoding *job, vl2_error *error)
{
    const pack_planned_tensor *tensor = job->tensor;
    size_t columns = (size_t)(tensor->elements / tensor->shape[0]);
    char name[NAME_SIZE];
    snprintf(name, sizeof(name), job->first > 0 ? "%.200s, counted from row %zu" : "%.200s",
             job->source->name, job->first);
    tensor_view rows = {.name = name,
                        .data = source_at(job, job->first * columns),
                        .type = job->source->type,
                        .rank = 2,
                        .shape = {(int64_t)job->count, (int64_t)columns}};
    layout_sizes before = {0};
    uint8_t *planes[LAYOUT_PLANES] = {NULL};
    if (job->first > 0) {
        layout_measure(tensor->layout, job->first, columns, &before);
    }
    for (int i = 0; i < tensor->frame_count; i++) {
        uint32_t plane = tensor->plane[i];
        planes[plane] = job->planes[i] + (plane == LAYOUT_TABLE ? 0 : before.plane[plane]);
    }
    return quantize_matrix(&rows, (layout_id)tensor->layout, job->importance, job->team, planes,
                           error);
}

vl2_status pack_encode(const pack_planned_tensor *tensor, const tensor_view *source,
                       const float *importance, const team *team, pack_step *step, void *user,
                       uint8_t *const planes[PACK_MAX_PLANES], vl2_error *error)
{
    encoding job = {tensor, source, importance, team, planes, 0, 0};
    bool matrix = layout_find(tensor->layout) != NULL;
    /* A piece is a whole number of panels, so that pieces fit together. */
    size_t total = (size_t)(matrix ? tensor->shape[0] : tensor->elements);
    size_t unit_bytes = (size_t)(tensor->elements / total) * data_type_size(source->type);
    size_t units = (size_t)(STEP_BYTES / unit_bytes) / LAYOUT_ROWS * LAYOUT_ROWS;
    units = units > 0 ? units : LAYOUT_ROWS;
    vl2_status status = VL2_OK;
    while (status == VL2_OK && job.first < total) {
        job.count = total - job.first < units ? total - job.first : units;
        status = matrix ? quantize(&job, error) : convert(&job, error);
        job.first += job.count;
        if (status == VL2_OK && step != NULL && !step(job.count * unit_bytes, user)) {
            status = VL2_ERROR_CANCELLED;
        }
    }
    return status;
}
