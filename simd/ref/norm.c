/* RMSNorm (upstream: DeepseekV2RMSNorm of modeling_deepseek.py) and LayerNorm (siglip_vit.py). */
#include "simd/ref/ref.h"

#include <math.h>

void rms_norm_ref(const float *x, const float *weight, float eps, size_t n, float *out)
{
    double sum = 0;
    for (size_t i = 0; i < n; i++) {
        sum += (double)x[i] * (double)x[i];
    }
    double factor = 1 / sqrt(sum / (double)n + (double)eps);
    for (size_t i = 0; i < n; i++) {
        out[i] = (float)((double)x[i] * factor * (double)weight[i]);
    }
}

void layer_norm_ref(const float *x, const float *weight, const float *bias, float eps, size_t n,
                    float *out)
{
    double sum = 0, squares = 0;
    for (size_t i = 0; i < n; i++) {
        sum += (double)x[i];
    }
    double mean = sum / (double)n;
    for (size_t i = 0; i < n; i++) {
        squares += ((double)x[i] - mean) * ((double)x[i] - mean);
    }
    double factor = 1 / sqrt(squares / (double)n + (double)eps);
    for (size_t i = 0; i < n; i++) {
        double offset = bias != NULL ? (double)bias[i] : 0.0;
        out[i] = (float)(((double)x[i] - mean) * factor * (double)weight[i] + offset);
    }
}
