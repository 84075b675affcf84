/* What even grids share. All take weights by the group: counts are multiples of LAYOUT_COLUMNS. */
#ifndef WEIGHTS_QUANTIZE_LINEAR_H
#define WEIGHTS_QUANTIZE_LINEAR_H

#include "weights/quantize_row.h"

/* Of 32 weights: values[i] = weights[i] * inverse, clamped and rounded to the nearest integer. */
void linear_values(const float *weights, float inverse, float lowest, float highest, float *values);

/* Sums over the group of importance * weight * value, and of importance * value^2. */
typedef struct linear_sums {
    float mixed, square;
} linear_sums;
linear_sums linear_measure(const float *weights, const float *importance, size_t count,
                           float inverse, float lowest, float highest);

/* The weighted squared error of the group under this scale; codes[i] = value + offset. Scale 0
 * gives values of 0. */
double linear_error(const float *weights, const float *importance, size_t count, float scale,
                    float lowest, float highest, float offset, int8_t *codes);

float linear_largest(const float *weights, size_t count);

#endif
