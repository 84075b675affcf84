/* The inside of a pack_file, and the reading of its head: header, sections, tables. Only
 * pack_file.c, pack_head.c, pack_index.c and pack_verify.c look in here. */
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

/* Reading one file; what all functions pass on. */
typedef struct pack_reading {
    pack_file *file;
    vl2_error *error;
} pack_reading;

/* "FILE: FIELD: found FOUND, expected EXPECTED", VL2_ERROR_MODEL. */
vl2_status pack_fail_number(const pack_reading *reading, const char *field, uint64_t found,
                            const char *expected);

/* False if that overflows. */
static inline bool pack_round_up(uint64_t number, uint64_t step, uint64_t *result)
{
    if (__builtin_add_overflow(number, step - 1, result)) {
        return false;
    }
    *result -= *result % step;
    return true;
}

enum { /* the sections that this program knows */
    PACK_TAG_TEXT,
    PACK_TAG_META,
    PACK_TAG_BLOB,
    PACK_TAG_RECD,
    PACK_TAG_TENS,
    PACK_TAG_FRAM,
    PACK_SECTIONS
};

extern const char *const pack_tags[PACK_SECTIONS];

typedef struct pack_section_view {
    const uint8_t *payload; /* in the file's head; NULL: not there */
    size_t size;
} pack_section_view;

/* Checks the header and the hash, copies the head out of the file, and finds the sections (all zero
 * before). All but META are there afterwards. */
vl2_status pack_head_read(const pack_reading *reading, pack_section_view sections[PACK_SECTIONS]);

/* Fills everything behind `name`, in a file whose data, size and name are set and whose other
 * fields are zero. What has been allocated when it fails is the caller's to free. VL2_ERROR_MODEL,
 * VL2_ERROR_MEMORY. */
vl2_status pack_index_read(pack_file *file, vl2_error *error);

/* Looks at the beginning of a zstd frame: `size` bytes, all of them or at least 18. NULL, or what
 * is wrong: "no size of the content" ... */
const char *pack_check_zstd(const uint8_t *stored, size_t size, uint64_t content);

#endif
