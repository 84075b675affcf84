#include "model/rope.h"

#include "base/alloc.h"

#include <math.h>

static double yarn_correction(const rope_config *config, double rotations, size_t width)
{
    return (double)width * log(config->original_positions / (rotations * 2.0 * M_PI)) /
           (2.0 * log(config->theta));
}

/* Share of the interpolated frequency at index i: a ramp from 0 to 1 between two dimensions. */
static float yarn_ramp(const rope_config *config, size_t i, size_t width)
{
    double low = floor(yarn_correction(config, config->beta_fast, width));
    double high = ceil(yarn_correction(config, config->beta_slow, width));
    low = low > 0 ? low : 0;
    high = high < (double)width - 1 ? high : (double)width - 1;
    if (low == high) {
        high += 0.001; /* as the reference, against a division by zero */
    }
    float ramp = ((float)i - (float)low) / (float)(high - low);
    return ramp < 0 ? 0 : ramp > 1 ? 1 : ramp;
}

/* The reference computes these in float32; the rounding points are the same here. */
static float frequency(const rope_config *config, size_t i, size_t width)
{
    float exponent = (float)(2 * i) / (float)width;
    float power = (float)pow(config->theta, (double)exponent);
    float plain = 1.0f / power;
    if (config->scaling != ROPE_YARN) {
        return plain;
    }
    float interpolated = 1.0f / ((float)config->factor * power);
    float keep = 1.0f - yarn_ramp(config, i, width);
    return interpolated * (1.0f - keep) + plain * keep;
}

vl2_status rope_table_open(const rope_config *config, size_t width, size_t positions,
                           rope_table *table, vl2_error *error)
{
    *table = (rope_table){.positions = positions, .half = width / 2};
    size_t count;
    if (base_multiply(positions, table->half, &count)) {
        table->cosines = base_malloc(count, sizeof(float));
        table->sines = base_malloc(count, sizeof(float));
    }
    if (table->cosines == NULL || table->sines == NULL) {
        rope_table_close(table);
        return vl2_fail_memory(error, "the rotary table", positions * width * sizeof(float));
    }
    float mscale = 1;
    if (config->scaling == ROPE_YARN) {
        mscale = (float)(yarn_mscale(config->factor, config->mscale) /
                         yarn_mscale(config->factor, config->mscale_all_dim));
    }
    for (size_t i = 0; i < table->half; i++) {
        float step = frequency(config, i, width);
        for (size_t position = 0; position < positions; position++) {
            float t = (float)position;
            if (config->scaling == ROPE_LINEAR) {
                t /= (float)config->factor;
            }
            float angle = t * step;
            table->cosines[position * table->half + i] = cosf(angle) * mscale;
            table->sines[position * table->half + i] = sinf(angle) * mscale;
        }
    }
    return VL2_OK;
}

void rope_table_close(rope_table *table)
{
    base_free(table->cosines);
    base_free(table->sines);
    *table = (rope_table){NULL, NULL, 0, 0};
}
