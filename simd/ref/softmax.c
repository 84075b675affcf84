/* Softmax of one row. */
#include "simd/ref/ref.h"

#include <math.h>

void softmax_ref(float *x, size_t n, float scale)
{
    float largest = -INFINITY;
    for (size_t i = 0; i < n; i++) {
        largest = x[i] > largest ? x[i] : largest;
    }
    double sum = 0;
    for (size_t i = 0; i < n; i++) {
        x[i] = expf((x[i] - largest) * scale);
        sum += (double)x[i];
    }
    for (size_t i = 0; i < n; i++) {
        x[i] = (float)((double)x[i] / sum);
    }
}
