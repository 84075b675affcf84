/* Going on with an interrupted packed file. Inside the writer. */
#ifndef WEIGHTS_PACK_RESUME_H
#define WEIGHTS_PACK_RESUME_H

#include "base/buffer.h"
#include "base/team.h"
#include "weights/pack_part.h"
#include "weights/pack_write.h"

/* A number for everything that the bytes of the file depend on: index, blobs, compression, names,
 * sizes and times of the files that are read. `index` has no frames yet. VL2_ERROR_IO if one of
 * them cannot be looked at, VL2_ERROR_MEMORY. */
vl2_status pack_fingerprint(const pack_job *job, const buffer *index, uint64_t fingerprint[2],
                            vl2_error *error);

/* Compares the first *records records of the journal with OUT.part: each frame where it must be,
 * with the bytes that its hash says. *position, where the first record may begin, moves behind the
 * last one that is right, and *records is set to their number. Progress is VL2_STAGE_VERIFY.
 * VL2_ERROR_IO if the file cannot be read, VL2_ERROR_MEMORY, VL2_ERROR_CANCELLED. */
vl2_status pack_resume_check(const pack_part *part, const pack_job *job,
                             const pack_frame_entry *frames, uint64_t *position, size_t *records,
                             vl2_error *error);

#endif
