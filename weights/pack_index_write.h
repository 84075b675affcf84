/* The head of a packed file: header and index, made from a plan. */
#ifndef WEIGHTS_PACK_INDEX_WRITE_H
#define WEIGHTS_PACK_INDEX_WRITE_H

#include "base/buffer.h"
#include "weights/pack_plan.h"

/* Where everything lies. */
typedef struct pack_contents {
    const char *const *blob_names; /* [blob_count] */
    size_t blob_count;
    const char *meta;               /* JSON; NULL: no META section */
    const pack_frame_entry *frames; /* [blob_count + plan->frame_count] */
} pack_contents;

/* Fills an empty buffer with the index. Its size depends on the plan, the names and `meta` alone,
 * so that it can be asked for with `frames` NULL (all zero) before anything is known.
 * VL2_ERROR_MODEL if there are more names or tensors than the format can count, VL2_ERROR_MEMORY.
 */
vl2_status pack_index_make(const pack_plan *plan, const pack_contents *contents, buffer *index,
                           vl2_error *error);

/* The header of a file with this index. VL2_ERROR_MEMORY. */
vl2_status pack_header_make(const buffer *index, uint64_t file_size, pack_header *header,
                            vl2_error *error);

/* The next multiple of PACK_PAGE or PACK_ALIGNMENT at or behind an offset. */
static inline uint64_t pack_align(uint64_t offset, uint64_t unit)
{
    return (offset + unit - 1) / unit * unit;
}

#endif
