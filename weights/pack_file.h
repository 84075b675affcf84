/* Reading a packed weight file (weights/FORMAT.md): the file is mapped, its index is checked whole
 * when it is opened, and everything in it can be trusted afterwards: each range lies in the file,
 * each plane has the size that its layout and shape call for. The frames' own bytes are checked
 * when they are read. */
#ifndef WEIGHTS_PACK_FILE_H
#define WEIGHTS_PACK_FILE_H

#include "base/error.h"
#include "weights/pack_format.h"
#include "weights/place.h"

#include <stdbool.h>

/* Immutable: may be used by several threads at once. */
typedef struct pack_file pack_file;

typedef struct pack_frame {
    uint64_t offset, stored, content, hash;
    uint32_t plane;
    pack_codec codec;
} pack_frame;

typedef struct pack_tensor {
    const char *name;
    pack_type type, source;
    uint32_t layout, group;
    int rank;
    uint64_t shape[PACK_MAX_RANK]; /* 1 beyond rank */
    const pack_frame *frames;      /* [frame_count], by rising plane */
    int frame_count;
    uint32_t record;
} pack_tensor;

typedef struct pack_record {
    uint64_t offset, size;
    const pack_tensor *tensors; /* [tensor_count] */
    uint32_t tensor_count;
    int layer, expert; /* -1: none */
    uint64_t uses;     /* tokens of answers that chose the expert in calibration; 0: unknown */
} pack_record;

/* True if the file begins with the magic of packed files; false also if it is no regular file or
 * cannot be read. */
bool pack_recognise(const char *path);

/* Maps a file and checks its header and index: one read of its head. VL2_ERROR_MODEL with a message
 * that names file, field, found and expected (not a packed file; truncated; another version; an
 * unknown layout, type or codec ...); VL2_ERROR_MEMORY. */
vl2_status pack_open(const char *path, pack_file **file, vl2_error *error);
/* The same for bytes in memory (at any alignment), borrowed until pack_close; `name` stands in
 * messages. */
vl2_status pack_parse(const uint8_t *data, size_t size, const char *name, pack_file **file,
                      vl2_error *error);
void pack_close(pack_file *file); /* NULL is allowed */

const char *pack_name(const pack_file *file); /* path */
uint64_t pack_size(const pack_file *file);
const uint8_t *pack_data(const pack_file *file); /* the whole mapped file */
const uint64_t *pack_file_hash(const pack_file *file); /* [2], low half first */
/* The META section, not NUL-terminated; NULL with size 0 if there is none. */
const char *pack_meta(const pack_file *file, size_t *size);

size_t pack_record_count(const pack_file *file);
const pack_record *pack_record_get(const pack_file *file, size_t index);
size_t pack_tensor_count(const pack_file *file);
const pack_tensor *pack_tensor_get(const pack_file *file, size_t index);
const pack_tensor *pack_find(const pack_file *file, const char *name); /* NULL: none */

size_t pack_blob_count(const pack_file *file);
const char *pack_blob_name(const pack_file *file, size_t index);
const pack_frame *pack_blob_frame(const pack_file *file, size_t index);
/* The frame of a blob by name; NULL: none. */
const pack_frame *pack_find_blob(const pack_file *file, const char *name);
/* The bytes of a blob by name, checked and expanded, with a NUL behind them: *data (base_free) has
 * *size. A blob of more than 1 GiB is refused. VL2_ERROR_MODEL if it is missing or damaged,
 * VL2_ERROR_MEMORY. */
vl2_status pack_blob(const pack_file *file, const char *name, char **data, size_t *size,
                     vl2_error *error);

/* "layer 3, expert 17, codes of NAME at offset N", "blob config.json at offset N": where a frame
 * lies, for messages. `tensor` is the one it belongs to, NULL for a blob. Writes into text (always
 * NUL-terminated) and returns it. */
#define PACK_DESCRIPTION 352 /* bytes that always suffice */
const char *pack_describe(const pack_file *file, const pack_tensor *tensor, const pack_frame *frame,
                          char *text, size_t size);

/* Compares a frame with its hash. VL2_ERROR_MODEL: "FILE: layer 3, expert 17, codes of NAME at
 * offset N: found checksum X, expected Y". `tensor` is the one it belongs to, NULL for a blob. */
vl2_status pack_check(const pack_file *file, const pack_tensor *tensor, const pack_frame *frame,
                      vl2_error *error);
/* The same with the frame's bytes from elsewhere: stored [frame->stored]. */
vl2_status pack_check_bytes(const pack_file *file, const pack_tensor *tensor,
                            const pack_frame *frame, const uint8_t *stored, vl2_error *error);

/* Writes the content of a frame to `out` [frame->content bytes]; does not look at the hash. Takes
 * less than a megabyte of memory beside `out`. VL2_ERROR_MODEL if the zstd frame is damaged or of
 * another size, with a message as above; VL2_ERROR_MEMORY. */
vl2_status pack_expand(const pack_file *file, const pack_tensor *tensor, const pack_frame *frame,
                       void *out, vl2_error *error);
/* The same with the frame's bytes from elsewhere: stored [frame->stored]. */
vl2_status pack_expand_bytes(const pack_file *file, const pack_tensor *tensor,
                             const pack_frame *frame, const uint8_t *stored, void *out,
                             vl2_error *error);

/* Gives the memory of a frame's mapped bytes back; they are read again when they are touched. For
 * whoever goes through a whole file. */
void pack_release(const pack_file *file, const pack_frame *frame);

#endif
