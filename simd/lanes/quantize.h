/* quantize_activations: see simd/kernels.h. */
#include "simd/lanes/bytes.h"

#include <math.h>

#define SMALLEST_ACTIVATION 0x1p-100f /* below it 127 / m might overflow */

/* Numbers k to k + LANES - 1 of x; 0 for those that do not exist. */
LANES_INLINE lanes load_padded(const float *x, size_t k, size_t columns)
{
    return k + LANES <= columns ? lanes_load(x + k)
           : k < columns        ? lanes_load_first(x + k, columns - k)
                                : lanes_set(0);
}

/* The largest magnitude from first to end - 1, or NaN if one of them is not finite. */
LANES_INLINE float find_largest(const float *x, size_t first, size_t end)
{
    lanes largest = lanes_set(0), zeros = lanes_set(0);
    for (size_t k = first; k < end; k += LANES) {
        const lanes numbers = load_padded(x, k, end);
        largest = lanes_maximum(largest, lanes_absolute(numbers));
        zeros = lanes_fma(numbers, lanes_set(0), zeros); /* NaN from infinity or NaN */
    }
    return lanes_sum(zeros) == 0 ? lanes_largest(largest) : NAN;
}

/* Codes of the LAYOUT_COLUMNS inputs from k; their sum. */
LANES_INLINE int32_t quantize_block(const float *x, size_t k, size_t columns, float inverse,
                                    int8_t *codes)
{
    lanes sum = lanes_set(0); /* of whole numbers below 2^24: exact */
    for (size_t i = 0; i < LAYOUT_COLUMNS; i += LANES) {
        const lanes numbers = load_padded(x, k + i, columns);
        const lanes rounded = lanes_round(lanes_multiply(numbers, lanes_set(inverse)));
        lanes_store_int8(codes + i, rounded);
        sum = lanes_add(sum, rounded);
    }
    return (int32_t)lanes_sum(sum);
}

void KERNEL(quantize_activations)(const float *x, size_t columns, void *row)
{
    const size_t padded = activation_padded(columns);
    int8_t *codes = row;
    int32_t *sums = (int32_t *)(void *)(codes + padded);
    float *scales = (float *)(void *)(sums + padded / LAYOUT_COLUMNS);
    for (size_t first = 0; first < columns; first += ACTIVATION_GROUP) {
        const size_t end = columns - first < ACTIVATION_GROUP ? columns : first + ACTIVATION_GROUP;
        const float largest = find_largest(x, first, end);
        const bool empty = !(largest >= SMALLEST_ACTIVATION); /* or no number */
        for (size_t k = first; k < end; k += LAYOUT_COLUMNS) {
            if (empty) {
                memset(codes + k, 0, LAYOUT_COLUMNS);
                sums[k / LAYOUT_COLUMNS] = 0;
            } else {
                sums[k / LAYOUT_COLUMNS] =
                    quantize_block(x, k, end, 127.0f / largest, codes + k);
            }
        }
        scales[first / ACTIVATION_GROUP] = isnan(largest) ? NAN : empty ? 0 : largest / 127.0f;
    }
}
