/* Values of packed weights in registers, for all ISAs.
 *
 * A source file <op>_<isa>.c includes its ISA's bytes_<isa>.h before this one. Its vocabulary, in
 * which bytes is 4 * LANES bytes: LANES rows of one unit (simd/layout.h), a part of the unit's 16:
 *   bytes_load / _store           unaligned
 *   bytes_set, bytes_broadcast    one byte, or four, in all places
 *   bytes_spread(p)               LANES bytes, each 4 times in a row
 *   bytes_field(a, shift, mask)   (a >> shift) & mask in each byte; constants
 *   bytes_shift_left(a, shift)    where no bit leaves its byte
 *   bytes_or, bytes_xor, bytes_subtract
 *   bytes_absolute, bytes_maximum unsigned; of -128 the magnitude is 128
 *   lanes_largest_byte(a)         of the 4 unsigned bytes of each row, as floats
 *   bytes_table(p), bytes_lookup  16 bytes; those whose numbers (0 to 15) stand in a register
 *   lanes_load_int8, _store_int8  LANES bytes as floats; floats as bytes, ties to even */
#ifndef SIMD_LANES_BYTES_H
#define SIMD_LANES_BYTES_H

#include "simd/lanes/common.h"

#define PARTS       (LAYOUT_ROWS / LANES)        /* of a unit */
#define PART_BYTES  (LANES * LAYOUT_UNIT)
#define UNIT_BYTES  (LAYOUT_ROWS * LAYOUT_UNIT)
#define BLOCK_UNITS (LAYOUT_COLUMNS / LAYOUT_UNIT) /* a block: LAYOUT_COLUMNS inputs of a panel */

/* How codes become values. A table serves both kinds of int4 without zeros. */
typedef enum packed_kind {
    PACKED_INT8,
    PACKED_INT6,
    PACKED_TABLE,
    PACKED_ZEROS
} packed_kind;

/* A matrix with what its layout and shape say. */
typedef struct packed_reader {
    const uint8_t *codes, *high, *zeros, *scales, *row_scales;
    uint8_t table[LAYOUT_CODEBOOK];
    packed_kind kind;
    size_t blocks;       /* of a panel */
    unsigned group_shift; /* 2 to its power blocks share a scale, if there are `groups` */
    size_t groups;        /* of a row; 0: no scales */
    size_t block_codes, block_high; /* bytes of a block */
    bool rescale;        /* a run of activations has several groups */
} packed_reader;

static inline packed_kind packed_kind_of(const layout_info *layout)
{
    return layout->bits == 8   ? PACKED_INT8
           : layout->bits == 6 ? PACKED_INT6
           : layout->zeros     ? PACKED_ZEROS
                               : PACKED_TABLE;
}

/* False for a layout that does not exist or sizes that overflow. */
static inline bool packed_open(packed_reader *reader, const packed_matrix *matrix)
{
    static const int8_t symmetric[LAYOUT_CODEBOOK] = {0,  1,  2,  3,  4,  5,  6,  7,
                                                      -8, -7, -6, -5, -4, -3, -2, -1};
    const layout_info *layout = layout_find((uint32_t)matrix->layout);
    layout_sizes sizes;
    if (!layout_measure((uint32_t)matrix->layout, matrix->rows, matrix->columns, &sizes)) {
        return false;
    }
    *reader = (packed_reader){
        .codes = matrix->plane[LAYOUT_CODES],
        .high = matrix->plane[LAYOUT_HIGH],
        .zeros = matrix->plane[LAYOUT_ZEROS],
        .scales = matrix->plane[LAYOUT_SCALES],
        .row_scales = matrix->plane[LAYOUT_ROW_SCALES],
        .kind = packed_kind_of(layout),
        .blocks = sizes.columns / LAYOUT_COLUMNS,
        .group_shift =
            layout->group == 0 ? 0 : (unsigned)__builtin_ctzll(layout->group / LAYOUT_COLUMNS),
        .groups = sizes.groups,
        .block_codes = BLOCK_UNITS * UNIT_BYTES * (layout->bits == 8 ? 2 : 1) / 2,
        .block_high = layout->bits == 6 ? BLOCK_UNITS * UNIT_BYTES / 4 : 0,
        .rescale = layout->group != 0 && layout->group < ACTIVATION_GROUP,
    };
    const void *table = layout->codebook ? (const void *)matrix->plane[LAYOUT_TABLE] : symmetric;
    memcpy(reader->table, table, sizeof(reader->table));
    return true;
}

/* One block where it lies. */
typedef struct packed_block {
    const uint8_t *codes, *high, *scales; /* scales: of 16 rows; NULL if there are none */
    uint8_t zeros[LAYOUT_ROWS];
} packed_block;

LANES_INLINE packed_block packed_find_block(packed_kind kind, const packed_reader *reader,
                                            size_t panel, size_t index)
{
    size_t place = panel * reader->blocks + index, group = 0;
    packed_block block;
    block.codes = reader->codes + place * reader->block_codes;
    block.high = kind == PACKED_INT6 ? reader->high + place * reader->block_high : NULL;
    block.scales = NULL;
    if (reader->groups != 0) {
        group = panel * reader->groups + (index >> reader->group_shift);
        block.scales = reader->scales + group * LAYOUT_ROWS;
    }
    if (kind == PACKED_ZEROS) { /* byte i has row i and row i + 8 */
        uint64_t zeros;
        memcpy(&zeros, reader->zeros + group * sizeof(zeros), sizeof(zeros));
        const uint64_t low = zeros & 0x0f0f0f0f0f0f0f0fu, high = zeros >> 4 & 0x0f0f0f0f0f0f0f0fu;
        memcpy(block.zeros, &low, sizeof(low));
        memcpy(block.zeros + sizeof(low), &high, sizeof(high));
    }
    return block;
}

/* What all units of a part share. */
LANES_INLINE bytes packed_constant(packed_kind kind, const packed_reader *reader,
                                   const packed_block *block, size_t part)
{
    switch (kind) {
    case PACKED_TABLE:
        return bytes_table(reader->table);
    case PACKED_ZEROS:
        return bytes_spread(block->zeros + part * LANES);
    default:
        return bytes_set(32);
    }
}

/* The values of one part of one unit of the block; kind, unit and part are constants. */
LANES_INLINE bytes packed_values(packed_kind kind, const packed_block *block, bytes constant,
                                 size_t unit, size_t part)
{
    if (kind == PACKED_INT8) {
        return bytes_load(block->codes + unit * UNIT_BYTES + part * PART_BYTES);
    }
    const bytes pair = bytes_load(block->codes + unit / 2 * UNIT_BYTES + part * PART_BYTES);
    const bytes low = bytes_field(pair, (int)(unit % 2 * 4), 15);
    if (kind == PACKED_TABLE) {
        return bytes_lookup(constant, low);
    }
    if (kind == PACKED_ZEROS) {
        return bytes_subtract(low, constant);
    }
    /* Two's complement of 6 bits: turning the upper bit round and taking 32 off extends it. */
    const bytes four = bytes_load(block->high + unit / 4 * UNIT_BYTES + part * PART_BYTES);
    const bytes high = bytes_shift_left(bytes_field(four, (int)(unit % 4 * 2), 3), 4);
    return bytes_subtract(bytes_xor(bytes_or(high, low), constant), constant);
}

#endif
