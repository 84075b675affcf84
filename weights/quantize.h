/* Weights in fewer bits: a matrix in f32, f16 or bf16 becomes the planes of a layout of
 * simd/layout.h. What the layouts cost and what they keep is measured in weights/QUANTIZATION.md.
 */
#ifndef WEIGHTS_QUANTIZE_H
#define WEIGHTS_QUANTIZE_H

#include "base/error.h"
#include "base/team.h"
#include "base/tensor.h"
#include "simd/layout.h"

/* The largest magnitude that a weight may have; a row whose largest magnitude is below the smallest
 * becomes a row of zeros. Both are far outside what networks hold, and keep scales normal floats.
 */
#define QUANTIZE_LARGEST  0x1p120f
#define QUANTIZE_SMALLEST 0x1p-110f

/* Packs `matrix` [rows, columns] into `planes`, of the sizes of layout_measure and at any byte;
 * planes that the layout does not have may be NULL. All bytes of the planes are written. The search
 * minimises, group by group, sum over k of importance[k] * (W[n, k] - decoded[n, k])^2.
 * `importance` [columns] is the mean squared activation of each input, finite and at least 0, in
 * any unit; an input has at least 2^-10 of the mean. NULL, or all 0, counts all inputs alike. int8
 * layouts with one scale for the row do not search.
 *
 * The bytes depend on the arguments alone, not on the number of threads nor on the processor.
 * Memory: per thread 21 bytes for each padded column. Errors: VL2_ERROR_MODEL for infinities, NaN
 * or magnitudes above QUANTIZE_LARGEST (the first row and column are named); VL2_ERROR_ARGUMENT
 * (not a matrix, unknown layout, importance out of range), VL2_ERROR_MEMORY. After an error the
 * planes hold anything. */
vl2_status quantize_matrix(const tensor_view *matrix, layout_id layout, const float *importance,
                           const team *team, uint8_t *const planes[LAYOUT_PLANES],
                           vl2_error *error);

#endif
