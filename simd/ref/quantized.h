/* Reference of what is computed with packed weights (simd/layout.h): scalar truth for the kernels.
 *
 * Rules: a matrix has been checked (its layout is known and its planes have the sizes of
 * layout_measure); planes and arrays may lie at any byte their type allows; arrays do not overlap;
 * counts may be 0; nothing outside the named ranges is touched. Codes and scales outside of their
 * ranges (a damaged file) give wrong numbers, never a fault. */
#ifndef SIMD_REF_QUANTIZED_H
#define SIMD_REF_QUANTIZED_H

#include "simd/layout.h"

/* out[rows, columns], rows `stride` floats apart: rows first_row to first_row + rows - 1 of W as
 * simd/layout.h defines it. first_row + rows may reach into the padding, up to the padded rows.
 * Exact: every ISA gives these bits. */
void packed_decode_rows_ref(const packed_matrix *matrix, size_t first_row, size_t rows, float *out,
                            size_t stride);

/* values[K/4][16][4], K padded: value() of the codes of panel `panel`, all of it, for products of
 * integers: int8 -127 to 127, int6 -32 to 31, int4-symmetric -8 to 7, int4-asymmetric -15 to 15,
 * int4-codebook -127 to 127. Exact. */
void packed_decode_panel_ref(const packed_matrix *matrix, size_t panel, int8_t *values);

/* Activations of one row in int8: codes[K], K being `columns` padded to LAYOUT_COLUMNS with code 0,
 * and a scale for every `group` inputs (a multiple of LAYOUT_COLUMNS; the last may be cut short),
 * or one for the row (group 0). With m the largest |x| of the group, all in float:
 *     scale = m / 127,  code = x * (127 / m) rounded to the nearest integer, ties to even.
 * m < 2^-100 gives scale 0 and codes 0. Infinities or NaN give scale NaN and codes 0, so that the
 * result says so. Exact: every ISA gives these bits. */
void quantize_activations_ref(const float *x, size_t columns, size_t group, int8_t *codes,
                              float *scales);

/* Scales that a row of activations has. */
static inline size_t activation_groups(size_t columns, size_t group)
{
    return columns == 0 ? 0 : group == 0 ? 1 : columns / group + (columns % group != 0);
}

/* y[batch, rows], rows of y `y_stride` floats apart:
 *     y[b, n] = row_scale[n] * sum over runs of activation_scale[b, run] * scale[n, run] * P
 *     P = sum over the run of value(n, k) * code[b, k]
 * A run is a longest stretch of inputs that has one scale on either side. P and scale * P are exact
 * integers, below 2^31 where groups have at most 128 inputs, or where a layout without groups has
 * at most 2^17. Activations are as above: codes [batch] rows `code_stride` apart (at least the
 * padded columns), scales [batch] rows `scale_stride` apart. The reference sums the runs in double.
 * Tolerance of kernels: 2e-6 * row_scale * sum over runs of |activation_scale * scale * P|, for K
 * to 16384. */
void matmul_packed_ref(const packed_matrix *matrix, const int8_t *codes, size_t code_stride,
                       const float *scales, size_t scale_stride, size_t activation_group,
                       size_t batch, float *y, size_t y_stride);

#endif
