/* Looking at every byte of a packed file: checksums, what compressed planes expand to, ranges of
 * codes and scales, and zeros where the format says zeros. */
#ifndef WEIGHTS_PACK_VERIFY_H
#define WEIGHTS_PACK_VERIFY_H

#include "base/team.h"
#include "weights/pack_file.h"

#define PACK_PROBLEM_SIZE 160

/* One damaged part. */
typedef struct pack_damage {
    const pack_tensor *tensor;       /* whose frame it is; NULL: a blob's, or no frame */
    const pack_frame *frame;         /* NULL: padding, or META */
    uint64_t offset, size;           /* the part in the file, bytes */
    char problem[PACK_PROBLEM_SIZE]; /* "found checksum X, expected Y" */
} pack_damage;

typedef struct pack_verification {
    size_t damaged;    /* parts in all */
    size_t listed;     /* of them in `list`, the first ones of the file */
    pack_damage *list; /* base_free */
} pack_verification;

typedef struct pack_verify_options {
    const team *team;
    size_t most; /* damaged parts to list */
    /* Both may be NULL; called by the calling thread, every megabyte of its own. */
    void (*progress)(void *user, uint64_t done, uint64_t total); /* bytes of the file */
    bool (*cancelled)(void *user);
    void *user;
} pack_verify_options;

/* Reads the file anew, past the mapping, so that a disk's read error is a damaged part as well.
 * What pack_open checks is not looked at again. VL2_OK if all of it was looked at: then `result`
 * says what is damaged. Memory: per thread two megabytes and the window of zstd, which is at most
 * 128 MiB and usually 8. VL2_ERROR_IO (the file cannot be opened again or has changed its size),
 * VL2_ERROR_MEMORY, VL2_ERROR_CANCELLED. */
vl2_status pack_verify(const pack_file *file, const pack_verify_options *options,
                       pack_verification *result, vl2_error *error);

#endif
