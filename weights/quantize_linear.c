/* Even grids: int8 with one scale for the row, and int8, int6 and int4 with a scale for each group.
 * Four sums side by side, always in this order: the same numbers on every processor. */
#include "weights/quantize_linear.h"

#include <math.h>

#define ROUND 12582912.0f /* 1.5 * 2^23: adding and taking it off again rounds to an integer */

void linear_values(const float *weights, float inverse, float lowest, float highest, float *values)
{
    for (size_t i = 0; i < LAYOUT_COLUMNS; i++) {
        float value = weights[i] * inverse;
        value = value < lowest ? lowest : value;
        value = value > highest ? highest : value;
        values[i] = (value + ROUND) - ROUND;
    }
}

linear_sums linear_measure(const float *weights, const float *importance, size_t count,
                           float inverse, float lowest, float highest)
{
    float mixed[4] = {0}, square[4] = {0};
    for (size_t first = 0; first < count; first += LAYOUT_COLUMNS) {
        float values[LAYOUT_COLUMNS];
        linear_values(weights + first, inverse, lowest, highest, values);
        for (size_t i = 0; i < LAYOUT_COLUMNS; i += 4) {
            for (size_t j = 0; j < 4; j++) {
                float weighted = importance[first + i + j] * values[i + j];
                mixed[j] += weighted * weights[first + i + j];
                square[j] += weighted * values[i + j];
            }
        }
    }
    return (linear_sums){(mixed[0] + mixed[1]) + (mixed[2] + mixed[3]),
                         (square[0] + square[1]) + (square[2] + square[3])};
}

double linear_error(const float *weights, const float *importance, size_t count, float scale,
                    float lowest, float highest, float offset, int8_t *codes)
{
    float sums[4] = {0};
    float inverse = scale == 0 ? 0 : 1.0f / scale;
    for (size_t first = 0; first < count; first += LAYOUT_COLUMNS) {
        float values[LAYOUT_COLUMNS];
        linear_values(weights + first, inverse, lowest, highest, values);
        for (size_t i = 0; i < LAYOUT_COLUMNS; i += 4) {
            for (size_t j = 0; j < 4; j++) {
                float error = weights[first + i + j] - scale * values[i + j];
                sums[j] += importance[first + i + j] * error * error;
            }
        }
        for (size_t i = 0; i < LAYOUT_COLUMNS; i++) {
            codes[first + i] = (int8_t)(int)(values[i] + offset);
        }
    }
    return (double)((sums[0] + sums[1]) + (sums[2] + sums[3]));
}

float linear_largest(const float *weights, size_t count)
{
    float largest[4] = {0};
    for (size_t i = 0; i < count; i += 4) {
        for (size_t j = 0; j < 4; j++) {
            float magnitude = fabsf(weights[i + j]);
            largest[j] = magnitude > largest[j] ? magnitude : largest[j];
        }
    }
    return fmaxf(fmaxf(largest[0], largest[1]), fmaxf(largest[2], largest[3]));
}

void quantize_int8_row(quantize_row *row)
{
    float largest = linear_largest(row->weights, row->columns);
    row->row_scale = largest / 127.0f;
    float inverse = largest == 0 ? 0 : 127.0f / largest;
    for (size_t first = 0; first < row->columns; first += LAYOUT_COLUMNS) {
        float values[LAYOUT_COLUMNS];
        linear_values(row->weights + first, inverse, -127.0f, 127.0f, values);
        for (size_t i = 0; i < LAYOUT_COLUMNS; i++) {
            row->codes[first + i] = (int8_t)(int)values[i];
        }
    }
}

/* A grid and the scales to try, as parts of the one that puts the largest weight on `lowest`. */
typedef struct linear_grid {
    float lowest, highest;
    const float *parts;
    size_t count;
} linear_grid;

static const float int8_parts[] = {1.0f};
static const float int6_parts[] = {0.94f, 0.97f, 1.0f, 1.03f};
static const float int4_parts[] = {0.76f, 0.81f, 0.86f, 0.90f, 0.94f, 0.98f, 1.02f, 1.07f, 1.12f};
static const linear_grid int8_grid = {-127.0f, 127.0f, int8_parts, 1};
static const linear_grid int6_grid = {-32.0f, 31.0f, int6_parts, 4};
static const linear_grid int4_grid = {-8.0f, 7.0f, int4_parts, 9};

static const linear_grid *grid_of(const layout_info *layout)
{
    return layout->bits == 8 ? &int8_grid : layout->bits == 6 ? &int6_grid : &int4_grid;
}

/* The scale, of either sign where the grid is lopsided, that leaves the least error: the codes
 * which a trial scale gives have a best scale of their own, mixed / square, which takes mixed^2 /
 * square off the error. */
static float search_group(const linear_grid *grid, const float *weights, const float *importance,
                          size_t count)
{
    float largest = linear_largest(weights, count), best = -1, scale = 0;
    if (largest < QUANTIZE_EMPTY) {
        return 0;
    }
    for (size_t i = 0; i < grid->count; i++) {
        float inverse = -grid->lowest / (largest * grid->parts[i]);
        int signs = grid->highest == -grid->lowest ? 1 : 2;
        for (int s = 0; s < signs; s++, inverse = -inverse) {
            linear_sums sums =
                linear_measure(weights, importance, count, inverse, grid->lowest, grid->highest);
            if (sums.square > 0 && sums.mixed * sums.mixed > best * sums.square) {
                best = sums.mixed * sums.mixed / sums.square;
                scale = sums.mixed / sums.square;
            }
        }
    }
    return scale;
}

static double try_scale(const quantize_row *row, size_t group, float scale, int8_t *codes)
{
    const linear_grid *grid = grid_of(row->layout);
    size_t first = group * row->layout->group;
    return linear_error(row->weights + first, row->importance + first,
                        quantize_group_size(row, group), scale, grid->lowest, grid->highest, 0,
                        codes);
}

void quantize_linear(quantize_row *row)
{
    const linear_grid *grid = grid_of(row->layout);
    for (size_t g = 0; g < row->groups; g++) {
        size_t first = g * row->layout->group;
        row->ideal[g] = search_group(grid, row->weights + first, row->importance + first,
                                     quantize_group_size(row, g));
    }
    row->row_scale = quantize_row_scale(row->ideal, row->groups);
    quantize_settle(row, try_scale);
}
