/* The inside of a pack_file, and the reading of its head: header, sections, tables. Only
 * pack_file.c and pack_index.c look in here. */
#ifndef WEIGHTS_PACK_INDEX_H
#define WEIGHTS_PACK_INDEX_H

#include "base/file.h"
#include "weights/pack_file.h"

typedef struct pack_blob_view {
    const char *name;
    const pack_frame *frame;
} pack_blob_view;

struct pack_file {
    mapped_file mapped; /* all zero if the bytes are borrowed */
    const uint8_t *data;
    uint64_t size;
    char *name;
    pack_header header;
    uint8_t *head; /* the hashed bytes: PACK_HASHED_HEADER of the header, then the index */
    const char *text, *meta; /* in head */
    size_t text_size, meta_size;
    pack_blob_view *blobs;
    pack_record *records;
    pack_tensor *tensors;
    pack_frame *frames;
    size_t blob_count, record_count, tensor_count, frame_count;
    const pack_tensor **by_name; /* [tensor_count], in the order of strcmp */
};

/* Fills everything behind `name`, in a file whose data, size and name are set and whose other
 * fields are zero. What has been allocated when it fails is the caller's to free. VL2_ERROR_MODEL,
 * VL2_ERROR_MEMORY. */
vl2_status pack_index_read(pack_file *file, vl2_error *error);

#endif
