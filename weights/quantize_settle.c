/* Group scales in 8 bits, in units of the row's scale. */
#include "weights/quantize_row.h"

#include <math.h>
#include <string.h>

#define LARGEST_SCALE 127
#define LARGEST_GROUP 128

float quantize_row_scale(const float *ideal, size_t groups)
{
    float largest = 0;
    for (size_t g = 0; g < groups; g++) {
        largest = fmaxf(largest, fabsf(ideal[g]));
    }
    return largest / (float)LARGEST_SCALE;
}

static int clamp_scale(int scale)
{
    return scale < -LARGEST_SCALE ? -LARGEST_SCALE : scale > LARGEST_SCALE ? LARGEST_SCALE : scale;
}

void quantize_scales(const quantize_row *row, size_t group, int8_t scales[2])
{
    int lower = row->row_scale == 0 ? 0 : (int)floorf(row->ideal[group] / row->row_scale);
    scales[0] = (int8_t)clamp_scale(lower);
    scales[1] = (int8_t)clamp_scale(lower + 1);
}

void quantize_settle(quantize_row *row, quantize_try *attempt)
{
    int8_t codes[2][LARGEST_GROUP], scales[2];
    for (size_t g = 0; g < row->groups; g++) {
        double errors[2];
        quantize_scales(row, g, scales);
        for (int i = 0; i < 2; i++) {
            errors[i] = attempt(row, g, (float)scales[i] * row->row_scale, codes[i]);
        }
        int best = errors[1] < errors[0];
        row->scales[g] = scales[best];
        memcpy(row->codes + g * row->layout->group, codes[best], quantize_group_size(row, g));
    }
}
