/* Packed weight layouts: the one contract between weights/, which writes them, and simd/, which
 * computes with them. This header needs libc only.
 *
 * A matrix W[N, K] (N outputs, K inputs, as in a safetensors file) is padded with zeros: N to
 * LAYOUT_ROWS, K to LAYOUT_COLUMNS. Its parts lie in planes of their own, without gaps inside, each
 * at a multiple of 64 bytes where kernels read it. Multi-byte numbers are little-endian.
 *
 *   W[n, k] = row_scale[n] * (float)(scale[n, k / group] * value(code[n, k]))
 *
 * The product in brackets is an exact integer below 2^24, so that decoding rounds once. Layouts
 * without group scales take 1 for them. What value() is:
 *
 *   int8, int6, int4-symmetric   the code itself, a number in two's complement
 *   int4-asymmetric              the code, 0 to 15, minus zero[n, k / group]
 *   int4-codebook                codebook[code], a table of 16 numbers of int8, one for the matrix
 *
 * Ranges: int8 -127 to 127 (never -128: |value| must fit where an ISA multiplies unsigned by
 * signed); int6 -32 to 31; int4 -8 to 7; codebook and scales -127 to 127. Scales are signed: each
 * group may turn a lopsided range round. Row scales are finite and at least 0.
 * A padded input decodes to 0: its code is 0 (in int4-asymmetric the zero of its group), and
 * codebook[0] is 0. Padded rows have 0 for codes, scales, zeros and row scales.
 *
 * CODES: one panel of 16 rows after the other. A panel is a run of units. A unit is 4 inputs of 16
 * rows: 64 codes, what one VNNI instruction of AVX-512 or four SDOT multiply by 4 activations, and
 * one row of an AMX tile.
 *
 *   unit u of panel p:  [n = 16p : k = 4u .. 4u+3] [n = 16p + 1 : k = 4u .. 4u+3] ... 16 times 4
 *
 * int8 has a byte for each code: [N/16][K/4][16][4]. int4 has two units in 64 bytes: of what one
 * load brings, `& 15` is the even unit and `>> 4` (then & 15) the odd one, both in the order of
 * int8. No ISA has to move anything between lanes, and a table lookup (pshufb, tbl) can follow:
 *
 *   byte        0      1      2      3      4     ...     63
 *   bits 0-3  n0 k0  n0 k1  n0 k2  n0 k3  n1 k0   ...   n15 k3     unit 2j
 *   bits 4-7  n0 k4  n0 k5  n0 k6  n0 k7  n1 k4   ...   n15 k7     unit 2j + 1
 *
 * int6 has its bits 0-3 like int4 (CODES), and its bits 4-5 (HIGH) with four units in 64 bytes:
 *
 *   byte        0       1      ...     63
 *   bits 0-1  n0 k0   n0 k1    ...   n15 k3      unit 4j
 *   bits 2-3  n0 k4   n0 k5    ...   n15 k7      unit 4j + 1
 *   bits 4-5  n0 k8   n0 k9    ...   n15 k11     unit 4j + 2
 *   bits 6-7  n0 k12  n0 k13   ...   n15 k15     unit 4j + 3
 *
 * SCALES: int8 [N/16][groups][16], so that 16 scales belong to the 16 sums of a panel.
 * ZEROS: 4 bits, [N/16][groups][8]: byte i has row i in bits 0-3 and row i + 8 in bits 4-7.
 * ROW_SCALES: f32 [N]. TABLE, the codebook: int8 [16], by code. */
#ifndef SIMD_LAYOUT_H
#define SIMD_LAYOUT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define LAYOUT_ROWS     ((size_t)16) /* rows of a panel */
#define LAYOUT_COLUMNS  ((size_t)32) /* to whose multiple the inputs are padded */
#define LAYOUT_UNIT     ((size_t)4)  /* inputs of a unit */
#define LAYOUT_CODEBOOK ((size_t)16) /* entries of a codebook */

/* The numbers stand in files: they keep their meaning for ever. X(constant, number, name, bits of a
 * code, group (0: the whole row, no group scales), has zeros, has a codebook) */
#define LAYOUTS(X)                                                                                 \
    X(LAYOUT_INT8_ROW, 1, "int8-row", 8, 0, false, false)                                          \
    X(LAYOUT_INT8_GROUP_32, 2, "int8-group32", 8, 32, false, false)                                \
    X(LAYOUT_INT8_GROUP_64, 3, "int8-group64", 8, 64, false, false)                                \
    X(LAYOUT_INT8_GROUP_128, 4, "int8-group128", 8, 128, false, false)                             \
    X(LAYOUT_INT6, 5, "int6", 6, 32, false, false)                                                 \
    X(LAYOUT_INT4_SYMMETRIC, 6, "int4-symmetric", 4, 32, false, false)                             \
    X(LAYOUT_INT4_ASYMMETRIC, 7, "int4-asymmetric", 4, 32, true, false)                            \
    X(LAYOUT_INT4_CODEBOOK, 8, "int4-codebook", 4, 32, false, true)

typedef enum layout_id {
#define LAYOUT_CONSTANT(constant, number, name, bits, group, zeros, codebook) constant = number,
    LAYOUTS(LAYOUT_CONSTANT)
#undef LAYOUT_CONSTANT
} layout_id;

typedef struct layout_info {
    layout_id id;
    const char *name;
    int bits;     /* of a code */
    size_t group; /* inputs that share a scale, LAYOUT_COLUMNS times a power of 2; 0: no scales */
    bool zeros, codebook;
} layout_info;

typedef enum layout_plane {
    LAYOUT_CODES,
    LAYOUT_HIGH,
    LAYOUT_SCALES,
    LAYOUT_ZEROS,
    LAYOUT_ROW_SCALES,
    LAYOUT_TABLE, /* the codebook */
    LAYOUT_PLANES
} layout_plane;

typedef struct layout_sizes {
    size_t rows, columns;        /* padded */
    size_t groups;               /* scales of a row; the last group may be cut short; 0: none */
    size_t plane[LAYOUT_PLANES]; /* bytes; 0 where the layout has no such plane */
    size_t total;                /* bytes of all planes */
} layout_sizes;

/* A packed matrix where it lies; the planes are borrowed. */
typedef struct packed_matrix {
    layout_id layout;
    size_t rows, columns; /* not padded */
    const uint8_t *plane[LAYOUT_PLANES];
} packed_matrix;

/* Static; NULL for a number that is no layout. */
const layout_info *layout_find(uint32_t id);
const layout_info *layout_find_name(const char *name);

/* "codes", "high", "scales", "zeros", "row-scales", "codebook"; NULL outside. */
const char *layout_plane_name(int plane);

/* Sizes of a matrix [rows, columns]. False for an unknown layout or where a size overflows; then
 * *sizes is all zero. */
bool layout_measure(uint32_t id, size_t rows, size_t columns, layout_sizes *sizes);

/* Place of a code in the order [N/16][K/4][16][4], where K is padded. */
static inline size_t layout_place(size_t padded_columns, size_t row, size_t column)
{
    return row / LAYOUT_ROWS * (padded_columns * LAYOUT_ROWS) +
           column / LAYOUT_UNIT * (LAYOUT_UNIT * LAYOUT_ROWS) + row % LAYOUT_ROWS * LAYOUT_UNIT +
           column % LAYOUT_UNIT;
}

/* Where the scale of a group lies in its plane, and, halved in the rows, its zero. */
static inline size_t layout_scale_place(size_t groups, size_t row, size_t group)
{
    return (row / LAYOUT_ROWS * groups + group) * LAYOUT_ROWS + row % LAYOUT_ROWS;
}
static inline size_t layout_zero_place(size_t groups, size_t row, size_t group)
{
    return (row / LAYOUT_ROWS * groups + group) * (LAYOUT_ROWS / 2) + row % (LAYOUT_ROWS / 2);
}

#endif
