/* int4 with a zero point of 4 bits: weight = scale * (code - zero), code and zero 0 to 15. */
#include "weights/quantize_linear.h"

#include <math.h>

static const float parts[] = {0.80f, 0.85f, 0.90f, 0.95f, 1.0f, 1.05f};
#define PARTS (sizeof(parts) / sizeof(parts[0]))

static void find_range(const float *weights, size_t count, float *least, float *most)
{
    *least = 0;
    *most = 0;
    for (size_t i = 0; i < count; i++) {
        *least = weights[i] < *least ? weights[i] : *least;
        *most = weights[i] > *most ? weights[i] : *most;
    }
}

/* For each part of the scale that just covers the range, the zero that the range's end gives and
 * its neighbours. */
static float search_group(const float *weights, const float *importance, size_t count,
                          uint8_t *zero)
{
    float least, most, best = -1, scale = 0;
    find_range(weights, count, &least, &most);
    *zero = 0;
    if (most - least < QUANTIZE_EMPTY) {
        return 0;
    }
    for (size_t i = 0; i < PARTS; i++) {
        float inverse = 15.0f / ((most - least) * parts[i]);
        int middle = (int)rintf(7.5f - (most + least) / 2 * inverse);
        for (int z = middle - 1; z <= middle + 1; z++) {
            if (z < 0 || z > 15) {
                continue;
            }
            linear_sums sums =
                linear_measure(weights, importance, count, inverse, (float)-z, (float)(15 - z));
            if (sums.square > 0 && sums.mixed * sums.mixed > best * sums.square) {
                best = sums.mixed * sums.mixed / sums.square;
                scale = sums.mixed / sums.square;
                *zero = (uint8_t)z;
            }
        }
    }
    return scale;
}

static double try_scale(const quantize_row *row, size_t group, float scale, int8_t *codes)
{
    size_t first = group * row->layout->group;
    float zero = (float)row->zeros[group];
    return linear_error(row->weights + first, row->importance + first,
                        quantize_group_size(row, group), scale, -zero, 15.0f - zero, zero, codes);
}

void quantize_asymmetric(quantize_row *row)
{
    for (size_t g = 0; g < row->groups; g++) {
        size_t first = g * row->layout->group;
        row->ideal[g] = search_group(row->weights + first, row->importance + first,
                                     quantize_group_size(row, g), &row->zeros[g]);
    }
    row->row_scale = quantize_row_scale(row->ideal, row->groups);
    quantize_settle(row, try_scale);
}
