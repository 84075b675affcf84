/* What a packed file will hold: records, tensors and frames in the order of the file. */
#ifndef WEIGHTS_PACK_PLAN_H
#define WEIGHTS_PACK_PLAN_H

#include "weights/checkpoint.h"
#include "weights/pack_types.h"

/* Tensors smaller than this in the checkpoint share a record with the others of their place. */
#define PACK_SMALL_BYTES ((uint64_t)64 << 10)

typedef struct pack_planned_tensor {
    const tensor_view *source; /* borrowed from the checkpoint */
    weight_place place;        /* group WEIGHT_UNUSED if the model does not use it */
    uint32_t layout;
    uint64_t shape[PACK_MAX_RANK]; /* 1 beyond rank */
    uint64_t elements, source_bytes;
    int frame_count; /* one for each plane, by rising number */
    uint32_t plane[PACK_MAX_PLANES];
    uint64_t content[PACK_MAX_PLANES]; /* bytes */
    uint64_t content_bytes;            /* of all planes */
} pack_planned_tensor;

typedef struct pack_planned_record {
    size_t first_tensor, tensor_count;
    size_t first_frame, frame_count; /* counted over all tensors */
    uint64_t source_bytes, content_bytes;
    int layer, expert; /* of the decoder; -1 */
    uint64_t uses;     /* 0; for the caller to set: tokens that chose the expert in calibration */
} pack_planned_record;

typedef struct pack_plan {
    pack_planned_tensor *tensors; /* [tensor_count], record after record */
    pack_planned_record *records; /* [record_count] */
    size_t tensor_count, record_count, frame_count;
    uint64_t source_bytes; /* of the tensors that are stored */
    const tensor_view **left_out; /* [left_out_count] */
    size_t left_out_count;
    uint64_t left_out_bytes;
} pack_plan;

/* True if the model uses the tensor of that name. */
typedef bool pack_used(const char *name, const void *user);

/* Plans a file: embedding; vision tower; projector; the decoder's layers, each with attention, its
 * small tensors (norms, biases, router) in one record, dense network or shared experts, routed
 * experts; the last norm; head; unused tensors. Tensors of one place follow one another by name, so
 * that the order does not depend on how the checkpoint is cut into files. `used` may be NULL: what
 * has a known name is used.
 * VL2_ERROR_ARGUMENT: a rule takes no tensor at all. VL2_ERROR_MODEL: nothing to store; an expert
 * without its three matrices; a tensor that is too large. VL2_ERROR_MEMORY. */
vl2_status pack_plan_make(const checkpoint *checkpoint, const pack_types *types, pack_used *used,
                          const void *user, pack_plan *plan, vl2_error *error);
void pack_plan_clear(pack_plan *plan);

#endif
