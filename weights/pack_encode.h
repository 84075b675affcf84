/* From a tensor to the planes of its layout, and from a plane to the bytes that are stored. */
#ifndef WEIGHTS_PACK_ENCODE_H
#define WEIGHTS_PACK_ENCODE_H

#include "base/team.h"
#include "weights/pack_plan.h"

/* Told how many bytes of the source are done now; false ends the work. By the calling thread. */
typedef bool pack_step(uint64_t source_bytes, void *user);

/* Writes all planes of a tensor. `source` has the shape and name of tensor->source; its type too,
 * if the layout is split-bf16 or split-f16. `importance` [columns] may be NULL. planes[i] has
 * tensor->content[i] bytes at a multiple of 4. The bytes do not depend on the team. `step` may be
 * NULL.
 * VL2_ERROR_MODEL (numbers that cannot be quantized), VL2_ERROR_MEMORY, VL2_ERROR_CANCELLED
 * (`step` said so; there is no message then). */
vl2_status pack_encode(const pack_planned_tensor *tensor, const tensor_view *source,
                       const float *importance, const team *team, pack_step *step, void *user,
                       uint8_t *const planes[PACK_MAX_PLANES], vl2_error *error);

/* How planes are compressed. */
typedef struct pack_compression {
    double threshold; /* the share of a plane that zstd must save, 0 to 1; 1: never compress */
    int level;        /* of zstd; 0: entropy coding nearly alone, see pack_encode.c */
} pack_compression;

/* A plane as it goes into the file. */
typedef struct pack_stored {
    const uint8_t *bytes; /* `own`, or the plane itself */
    uint8_t *own;         /* base_free */
    uint64_t size, hash;
    pack_codec codec;
} pack_stored;

/* Compresses a plane of `size` bytes, at least 1, or leaves it raw where that saves less than the
 * threshold, or less than 1 % of `whole`, the bytes of all planes of its tensor. The result depends
 * on the arguments and the version of zstd alone. VL2_ERROR_MEMORY. */
vl2_status pack_compress(const uint8_t *plane, uint64_t size, uint64_t whole,
                         const pack_compression *compression, pack_stored *stored,
                         vl2_error *error);

/* For estimates: the share of `size` bytes that compressing them leaves, 0 to 1; 1 if they would be
 * stored raw or memory is short. */
double pack_compressed_share(const uint8_t *plane, uint64_t size,
                             const pack_compression *compression);

#endif
