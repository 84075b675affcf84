/* The packed weight file in C: weights/FORMAT.md defines it, this header spells it for the writer
 * and the reader. The structures have no holes and are copied byte by byte, so that they need no
 * alignment in the file; vl2 runs on little-endian machines only. */
#ifndef WEIGHTS_PACK_FORMAT_H
#define WEIGHTS_PACK_FORMAT_H

#include "base/tensor.h"
#include "simd/layout.h"

#define PACK_MAGIC     "\x89VL2\r\n\x1a\n" /* 8 bytes, without the NUL */
#define PACK_VERSION   1u
#define PACK_PAGE      ((uint64_t)4096) /* records and the index begin at a multiple */
#define PACK_ALIGNMENT ((uint64_t)64)   /* frames do */
#define PACK_MAX_RANK  4
#define PACK_MAX_NAME  ((size_t)1024) /* bytes of a tensor's or blob's name, without the NUL */
#define PACK_MAX_INDEX ((uint64_t)256 << 20) /* bytes */
#define PACK_MAX_WINDOW ((uint64_t)128 << 20) /* bytes that zstd may have to remember */

typedef struct pack_header {
    uint8_t magic[8];
    uint32_t version, flags;
    uint64_t file_size, index_offset, index_size, data_offset;
    uint64_t file_hash[2]; /* XXH3-128 (low, high) of the 48 bytes before it and the index */
} pack_header;

#define PACK_HASHED_HEADER 48 /* bytes of the header that file_hash covers */

typedef struct pack_section {
    char tag[4];
    uint32_t flags; /* PACK_SECTION_REQUIRED */
    uint64_t size;  /* of the payload, which follows and is padded to a multiple of 8 */
} pack_section;

#define PACK_SECTION_REQUIRED 1u

typedef struct pack_table { /* in front of the entries of BLOB, RECD, TENS and FRAM */
    uint32_t entry_size, count;
} pack_table;

typedef struct pack_blob_entry {
    uint32_t name, frame;
} pack_blob_entry;

typedef struct pack_record_entry {
    uint64_t offset, size;
    uint32_t first_tensor, tensor_count;
    int32_t layer, expert; /* -1: none */
    uint64_t uses; /* tokens of answers that chose the expert in calibration; 0: unknown */
} pack_record_entry;

#define PACK_RECORD_LEAST ((size_t)32) /* bytes of an entry without `uses` */

typedef struct pack_tensor_entry {
    uint32_t name, type, layout, source, group, rank, first_frame, frame_count;
    uint64_t shape[PACK_MAX_RANK];
} pack_tensor_entry;

typedef struct pack_frame_entry {
    uint64_t offset, stored, content, hash;
    uint32_t plane, codec;
} pack_frame_entry;

_Static_assert(sizeof(pack_header) == 64 && sizeof(pack_section) == 16 &&
                   sizeof(pack_table) == 8 && sizeof(pack_blob_entry) == 8 &&
                   sizeof(pack_record_entry) == 40 && sizeof(pack_tensor_entry) == 64 &&
                   sizeof(pack_frame_entry) == 40,
               "the structures of the file have no holes");

/* X(constant, number, name): types of numbers. The first three are data_type + 1. */
#define PACK_TYPES(X)                                                                              \
    X(PACK_F32, 1, "f32")                                                                          \
    X(PACK_F16, 2, "f16")                                                                          \
    X(PACK_BF16, 3, "bf16")                                                                        \
    X(PACK_INT8, 4, "int8")                                                                        \
    X(PACK_INT6, 5, "int6")                                                                        \
    X(PACK_INT4, 6, "int4")

typedef enum pack_type {
#define PACK_CONSTANT(constant, number, name) constant = number,
    PACK_TYPES(PACK_CONSTANT)
#undef PACK_CONSTANT
} pack_type;

/* Layouts beside those of simd/layout.h (1 to 8). */
typedef enum pack_layout {
    PACK_PLAIN_F32 = 64,
    PACK_SPLIT_BF16 = 65,
    PACK_SPLIT_F16 = 66
} pack_layout;

/* Planes beside layout_plane (0 to 5). */
typedef enum pack_plane {
    PACK_NUMBERS = 16,
    PACK_LOW = 17,
    PACK_HIGH = 18,
    PACK_BLOB = 32
} pack_plane;

typedef enum pack_codec {
    PACK_RAW = 0,
    PACK_ZSTD = 1
} pack_codec;

#define PACK_MAX_PLANES LAYOUT_PLANES /* of one tensor */

/* What a tensor of this layout and shape consists of: its planes by rising number, and the bytes
 * of each. Returns their number, or 0 for an unknown layout, a dimension of 0, a rank that the
 * layout does not take (1 to 8: 2 to 4; others 0 to 4) or sizes that overflow. */
int pack_planes(uint32_t layout, int rank, const uint64_t *shape, uint32_t plane[PACK_MAX_PLANES],
                uint64_t bytes[PACK_MAX_PLANES]);

/* The type of a layout, 0 for an unknown one; its name ("int4-codebook", "split-bf16") or NULL; the
 * name of a type ("int4") or NULL. */
uint32_t pack_layout_type(uint32_t layout);
const char *pack_layout_name(uint32_t layout);
const char *pack_type_name(uint32_t type);

/* True for PACK_SPLIT_BF16 and PACK_SPLIT_F16. */
bool pack_layout_is_split(uint32_t layout);

/* The planes of a split layout: numbers of two bytes [count] from or to their low and high bytes.
 * The arrays do not overlap. */
void pack_split(const uint8_t *numbers, size_t count, uint8_t *low, uint8_t *high);
void pack_join(const uint8_t *low, const uint8_t *high, size_t count, uint8_t *numbers);

/* "codes", ..., "numbers", "low", "high", "blob"; NULL for an unknown plane. */
const char *pack_plane_name(uint32_t plane);

#endif
