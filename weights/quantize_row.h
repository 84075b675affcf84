/* Between quantize.c, which reads rows and lays codes out, and the schemes, which choose the codes
 * of one row. Inside weights/ only. */
#ifndef WEIGHTS_QUANTIZE_ROW_H
#define WEIGHTS_QUANTIZE_ROW_H

#include "simd/layout.h"

/* A row at work. Columns are padded to LAYOUT_COLUMNS with weights of 0 and importance of 0. */
typedef struct quantize_row {
    const layout_info *layout;
    size_t columns, groups;
    const float *weights; /* [columns], times a power of two that brings the largest to [0.5, 1) */
    const float *importance; /* [columns], mean about 1; never NULL */
    bool weighted;           /* false: all real columns have importance 1 */
    float *ideal;            /* [groups], work space: the best scale of each group */
    /* Results. */
    int8_t *codes;   /* [columns], in two's complement; int4-asymmetric: 0 to 15 */
    int8_t *scales;  /* [groups], for layouts with groups */
    uint8_t *zeros;  /* [groups], for int4-asymmetric */
    float row_scale; /* for the weights as given here */
} quantize_row;

/* A group whose largest magnitude is below this becomes zeros: 1 divided by it stays a normal
 * float, and no scale of 8 bits in units of the row's would reach it. */
#define QUANTIZE_EMPTY 0x1p-40f

/* Inputs of group g, which begin at g * layout->group: a multiple of LAYOUT_COLUMNS. */
static inline size_t quantize_group_size(const quantize_row *row, size_t group)
{
    size_t first = group * row->layout->group;
    return row->columns - first < row->layout->group ? row->columns - first : row->layout->group;
}

/* From the ideal scales to the row's: the largest ideal becomes 127 of its units. 0 if all are 0.
 */
float quantize_row_scale(const float *ideal, size_t groups);

/* The two scales in 8 bits next to the ideal one of a group. */
void quantize_scales(const quantize_row *row, size_t group, int8_t scales[2]);

/* The weighted squared error of a group under this scale, and its codes. */
typedef double quantize_try(const quantize_row *row, size_t group, float scale, int8_t *codes);

/* Settles the scale of each group on one of the two, and fills row->scales and row->codes. */
void quantize_settle(quantize_row *row, quantize_try *attempt);

/* One scale for the whole row. */
void quantize_int8_row(quantize_row *row);
/* int8, int6 and int4 on an even grid with 0. */
void quantize_linear(quantize_row *row);
/* int4 with a zero point. */
void quantize_asymmetric(quantize_row *row);
/* int4 with a table. */
void quantize_codebook(quantize_row *row);
/* The table, by code. */
extern const int8_t quantize_codebook_table[LAYOUT_CODEBOOK];

#endif
