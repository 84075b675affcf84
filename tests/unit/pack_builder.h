/* A second writer of packed files, for tests: small, slow, and written from weights/FORMAT.md
 * alone, so that it checks the specification. It writes whatever it is told to, right or wrong;
 * sizes and offsets of frames follow from the planes, and can be changed in the finished bytes. */
#ifndef PACK_BUILDER_H
#define PACK_BUILDER_H

#include "test.h"

#include <stdbool.h>

enum {
    RAW = 0,
    ZSTD = 1
};

typedef struct built_run { /* a growing run of bytes */
    uint8_t *bytes;
    size_t size;
} built_run;

typedef struct pack_builder {
    built_run text, blobs, records, tensors, frames; /* entries of the tables */
    built_run data;                                  /* from data_offset on */
    built_run extra;                                 /* sections of other tags, whole */
    const char *meta;                                /* NULL: no section META */
    uint32_t blob_count, record_count, tensor_count, frame_count;
    size_t more; /* bytes that each entry has beyond what the format says; a multiple of 8 */
} pack_builder;

/* All zero is an empty builder. */
void builder_blob(pack_builder *builder, const char *name, const void *content, size_t size,
                  int codec);
void builder_record(pack_builder *builder, int layer, int expert);
void builder_tensor(pack_builder *builder, const char *name, uint32_t type, uint32_t layout,
                    uint32_t source, uint32_t group, int rank, const uint64_t *shape);
/* Of the last tensor; planes of one tensor in rising order. */
void builder_plane(pack_builder *builder, uint32_t plane, const void *content, size_t size,
                   int codec);
void builder_section(pack_builder *builder, const char *tag, uint32_t flags, const void *payload,
                     size_t size);

/* The file, sealed; free it with free. The builder is empty afterwards. */
uint8_t *builder_finish(pack_builder *builder, size_t *size);

/* Computes the file's hash again, after the head was changed. Nothing happens if the index does not
 * lie within the bytes. */
void pack_seal(uint8_t *bytes, size_t size);

/* Offsets in a finished file: of a section's 16 bytes in front of its payload, and of an entry of a
 * table. */
size_t pack_section_at(const uint8_t *bytes, const char *tag);
size_t pack_entry_at(const uint8_t *bytes, const char *tag, size_t index);

uint64_t pack_get(const uint8_t *bytes, size_t at, size_t size);
void pack_put(uint8_t *bytes, size_t at, size_t size, uint64_t number);

/* A small model's worth: four blobs, and six records with every layout, ranks 0 to 4 and both
 * codecs. Record 3 is expert 1 of layer 1. What the planes hold is within its ranges. */
uint8_t *build_sample(size_t *size);
/* The same with something special: entries of `more` bytes more, and an optional unknown
 * section. */
uint8_t *build_later_sample(size_t more, size_t *size);
/* The smallest one that has everything: one blob, one record, two frames. */
uint8_t *build_tiny(size_t *size);

#endif
