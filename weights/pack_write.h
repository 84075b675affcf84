/* Writing a packed file (weights/FORMAT.md) from a plan. */
#ifndef WEIGHTS_PACK_WRITE_H
#define WEIGHTS_PACK_WRITE_H

#include "base/team.h"
#include "weights/importance.h"
#include "weights/pack_encode.h"
#include "weights/pack_plan.h"

/* Planes in memory at a time: enough of them for each thread to compress some, and little enough
 * that an interruption costs a second. */
#define PACK_BATCH_THREAD ((uint64_t)16 << 20)
#define PACK_BATCH_MOST   ((uint64_t)128 << 20)

typedef struct pack_blob_source {
    const char *name;
    const void *data;
    size_t size; /* at least 1 */
} pack_blob_source;

/* Changes the numbers of tensors on their way. *changed is a copy of *source; a tensor that changes
 * gets data in fresh memory *owned (base_free), in numbers of `type`, and changed->type. */
typedef vl2_status pack_change(const tensor_view *source, data_type type, const team *team,
                               tensor_view *changed, void **owned, void *user, vl2_error *error);

/* All pointers are borrowed. */
typedef struct pack_job {
    const checkpoint *checkpoint; /* for messages */
    const pack_plan *plan;
    const pack_blob_source *blobs; /* [blob_count] */
    size_t blob_count;
    const char *meta; /* JSON; may be NULL */
    /* Files whose names, sizes and times an interrupted run must find again; the checkpoint's own
     * files do not have to be named. */
    const char *const *inputs;
    size_t input_count;
    const importance *importance; /* may be NULL */
    pack_change *change;          /* may be NULL */
    void *change_user;
    pack_compression compression;
    uint64_t batch_bytes; /* of planes in memory at a time; 0: by the number of threads */
    const char *out;
    bool overwrite, resume;
    const team *team;
    /* VL2_STAGE_PACK; VL2_STAGE_VERIFY while work that is resumed is looked at. May be NULL. */
    vl2_progress_callback progress;
    void *progress_user;
    bool (*cancelled)(void *user); /* may be NULL */
    void *cancelled_user;
} pack_job;

/* Writes the file: some records at a time, each tensor quantized by the whole team, then their
 * planes compressed side by side. Memory: batch_bytes of planes or one record, and what they are
 * compressed to. The bytes depend on plan, numbers, blobs, meta and compression (and the version
 * of zstd), not on the team.
 *
 * OUT.part grows beside OUT and is renamed when it is whole; its header stays zero until then. What
 * is done is noted in OUT.part.journal. When writing ends early both stay, unless nothing is noted
 * yet, and with `resume` the next call goes on behind the last record whose bytes agree with the
 * journal; without it, it begins anew.
 *
 * Errors: those of pack_part.h (OUT is there; busy; another checkpoint or other options than the
 * work that shall be resumed); VL2_ERROR_MODEL: numbers that cannot be packed, with file, tensor,
 * row and column; VL2_ERROR_IO: not enough space on the disk, which is looked at first, or writing
 * failed; VL2_ERROR_MEMORY; VL2_ERROR_CANCELLED. */
vl2_status pack_write(const pack_job *job, vl2_error *error);

#endif
