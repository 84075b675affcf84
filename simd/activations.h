/* Activations in int8: what quantize_activations of simd/kernels.h writes and its products with
 * packed weights read. A row of K inputs, K' being K padded to LAYOUT_COLUMNS, is one block:
 *
 *   codes   int8 [K']          -127 to 127; 0 in the padding
 *   sums    int32 [K' / 32]    of the codes of 32 inputs each: what an ISA that multiplies unsigned
 *                              by signed bytes needs to take its offset off again
 *   scales  f32 [runs]         one for each run of ACTIVATION_GROUP inputs, the last cut short
 *
 * x[k] is about scales[k / ACTIVATION_GROUP] * codes[k]. Rows lie at multiples of 4 bytes (64 is
 * fastest). How the group was chosen: simd/README.md. */
#ifndef SIMD_ACTIVATIONS_H
#define SIMD_ACTIVATIONS_H

#include "simd/layout.h"

#define ACTIVATION_GROUP ((size_t)128)

static inline size_t activation_padded(size_t columns)
{
    return (columns + LAYOUT_COLUMNS - 1) / LAYOUT_COLUMNS * LAYOUT_COLUMNS;
}
static inline size_t activation_runs(size_t columns)
{
    return (columns + ACTIVATION_GROUP - 1) / ACTIVATION_GROUP;
}

/* Bytes of a row of up to SIZE_MAX / 4 inputs, rounded up to 64. */
static inline size_t activation_size(size_t columns)
{
    size_t padded = activation_padded(columns);
    size_t bytes = padded + (padded / LAYOUT_COLUMNS + activation_runs(columns)) * 4;
    return (bytes + 63) / 64 * 64;
}

static inline const int8_t *activation_codes(const void *row)
{
    return row;
}
static inline const int32_t *activation_sums(const void *row, size_t columns)
{
    return (const int32_t *)(const void *)((const char *)row + activation_padded(columns));
}
static inline const float *activation_scales(const void *row, size_t columns)
{
    return (const float *)(const void *)(activation_sums(row, columns) +
                                         activation_padded(columns) / LAYOUT_COLUMNS);
}

#endif
