/* The rotary table against its formulas in double precision (modeling_deepseek.py,
 * DeepseekV2RotaryEmbedding, -LinearScaling- and -Yarn-). */
#include "test.h"

#include "model/rope.h"

#include <math.h>

static double mscale(double factor, double scale)
{
    return factor <= 1 ? 1 : 0.1 * scale * log(factor) + 1;
}

/* Radians per position of pair i, without any rounding. */
static double frequency(const rope_config *config, size_t i, size_t width)
{
    double dim = (double)width, plain = pow(config->theta, -2.0 * (double)i / dim);
    if (config->scaling == ROPE_LINEAR) {
        return plain / config->factor;
    }
    if (config->scaling == ROPE_PLAIN) {
        return plain;
    }
    /* The pair whose wave turns `beta` times within the original context. */
    double fast = dim * log(config->original_positions / (config->beta_fast * 2 * M_PI)) /
                  (2 * log(config->theta));
    double slow = dim * log(config->original_positions / (config->beta_slow * 2 * M_PI)) /
                  (2 * log(config->theta));
    double low = fmax(floor(fast), 0), high = fmin(ceil(slow), dim - 1);
    if (low == high) {
        high += 0.001;
    }
    double ramp = fmin(fmax(((double)i - low) / (high - low), 0), 1);
    return plain * (1 - ramp) + plain / config->factor * ramp;
}

static void expect_table(const rope_config *config, size_t width, size_t positions)
{
    rope_table table;
    assert_int_equal(rope_table_open(config, width, positions, &table, NULL), VL2_OK);
    assert_int_equal(table.half, width / 2);
    double scale = 1;
    if (config->scaling == ROPE_YARN) {
        scale = mscale(config->factor, config->mscale) /
                mscale(config->factor, config->mscale_all_dim);
    }
    for (size_t position = 0; position < positions; position++) {
        for (size_t i = 0; i < width / 2; i++) {
            double angle = (double)position * frequency(config, i, width);
            /* The reference rounds frequency and angle to float32. */
            double tolerance = scale * (angle * 0x1p-21 + 2e-7);
            double cosine = (double)rope_cosines(&table, position)[i];
            double sine = (double)rope_sines(&table, position)[i];
            if (!(fabs(cosine - cos(angle) * scale) <= tolerance) ||
                !(fabs(sine - sin(angle) * scale) <= tolerance)) {
                fail_msg("position %zu, pair %zu: found %g and %g, expected %g and %g", position,
                         i, cosine, sine, cos(angle) * scale, sin(angle) * scale);
            }
        }
    }
    rope_table_close(&table);
}

static void test_plain(void **state)
{
    (void)state;
    rope_config config = {.scaling = ROPE_PLAIN, .theta = 10000, .factor = 1, .mscale = 1};
    expect_table(&config, 64, 4096);
    expect_table(&config, 2, 10);
    config.theta = 1e6;
    expect_table(&config, 34, 700);
}

static void test_linear(void **state)
{
    (void)state;
    rope_config config = {.scaling = ROPE_LINEAR, .theta = 10000, .factor = 4, .mscale = 0.5,
                          .mscale_all_dim = 2};
    expect_table(&config, 64, 2000);
    config.factor = 0.3;
    expect_table(&config, 8, 300);
}

static void test_yarn(void **state)
{
    (void)state;
    rope_config config = {.scaling = ROPE_YARN, .theta = 10000, .factor = 40, .beta_fast = 32,
                          .beta_slow = 1, .mscale = 0.707, .mscale_all_dim = 0.707,
                          .original_positions = 4096};
    expect_table(&config, 64, 6000); /* the numbers of DeepSeek-V2 */
    config.mscale_all_dim = 0;
    expect_table(&config, 64, 100);
    config.mscale = 1;
    config.mscale_all_dim = 0.3;
    config.original_positions = 64;
    expect_table(&config, 8, 500);
    config.beta_fast = config.beta_slow = 2; /* a ramp of one step, or of none */
    expect_table(&config, 16, 500);
    config.original_positions = 10; /* both ends at the first pair */
    expect_table(&config, 16, 50);
    config.original_positions = 1; /* both ends below the first pair */
    expect_table(&config, 16, 50);
    config.factor = 0.5; /* no mscale below one */
    expect_table(&config, 16, 50);
}

/* Fast pairs keep their frequency, slow ones are stretched by the factor. */
static void test_yarn_ends(void **state)
{
    (void)state;
    const rope_config config = {.scaling = ROPE_YARN, .theta = 10000, .factor = 40, .beta_fast = 32,
                                .beta_slow = 1, .mscale = 1, .mscale_all_dim = 1,
                                .original_positions = 4096};
    rope_table table;
    assert_int_equal(rope_table_open(&config, 64, 2, &table, NULL), VL2_OK);
    assert_true(fabs((double)rope_sines(&table, 1)[0] - sin(1.0)) < 1e-7);
    double last = pow(10000, -62.0 / 64) / 40;
    assert_true(fabs((double)rope_sines(&table, 1)[31] - last) < 1e-6 * last);
    rope_table_close(&table);
}

static void test_no_memory(void **state)
{
    (void)state;
    const rope_config config = {.scaling = ROPE_PLAIN, .theta = 10000, .factor = 1};
    vl2_error error = {VL2_OK, ""};
    rope_table table;
    assert_int_equal(rope_table_open(&config, 64, SIZE_MAX / 8, &table, &error), VL2_ERROR_MEMORY);
    assert_int_equal(error.status, VL2_ERROR_MEMORY);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_plain), cmocka_unit_test(test_linear), cmocka_unit_test(test_yarn),
        cmocka_unit_test(test_yarn_ends), cmocka_unit_test(test_no_memory),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
