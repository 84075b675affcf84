/* The numbers of vl2_compare by themselves: divergence, deviation, summary. */
#include "test.h"

#include "engine/compare.h"

#include <math.h>

static void expect_near(double found, double expected, double tolerance, const char *what)
{
    if (!(fabs(found - expected) <= tolerance * (1 + fabs(expected)))) {
        fail_msg("%s: %.12g, expected %.12g", what, found, expected);
    }
}

static void test_logits(void **state)
{
    (void)state;
    const float a[] = {logf(0.25f), logf(0.5f), logf(0.25f), -INFINITY};
    const float b[] = {1, 1, 1, 1 + logf(3)};
    vl2_compared_token token = {.token = -1};
    compare_logits(a, b, 4, &token);
    assert_int_equal(token.token, 1);
    assert_int_equal(token.best_a, 1);
    assert_int_equal(token.best_b, 3);
    expect_near(token.divergence, 0.5 * log(0.5 * 6) + 0.5 * log(0.25 * 6), 1e-6, "divergence");
    expect_near(token.log_a, log(0.5), 1e-6, "log_a");
    expect_near(token.log_b, log(1.0 / 6), 1e-6, "log_b");
    const float large[] = {1e30f, -1e30f, 0, 5};
    token = (vl2_compared_token){.token = 0};
    compare_logits(large, large, 4, &token);
    assert_true(token.divergence == 0 && token.log_a == 0);
    const float broken[] = {NAN, 1, 2, 3};
    compare_logits(broken, b, 4, &token);
    assert_true(isnan(token.divergence));
}

static void test_deviation(void **state)
{
    (void)state;
    vl2_deviation deviation = {0};
    const float a[] = {3, 4, 0, 0, 0, 0}, b[] = {3, 3, 0, 0, 7, 0};
    deviation_add(&deviation, a, b, 1, 2);
    expect_near(deviation.error, 0.2, 1e-12, "1 beside 5");
    deviation_add(&deviation, a + 2, b + 2, 2, 2); /* zero like zero; zero and another */
    assert_int_equal(deviation.rows, 3);
    expect_near(deviation.squares, 1.04, 1e-12, "sum");
    expect_near(deviation.error, sqrt(1.04 / 3), 1e-12, "error");
}

static void test_summary(void **state)
{
    (void)state;
    vl2_compared_token tokens[200];
    for (size_t i = 0; i < 200; i++) { /* divergences 1 to 200 in another order */
        tokens[i] = (vl2_compared_token){.answer = i % 4 == 0, .best_a = 1,
                                         .best_b = i % 10 == 0 ? 2 : 1,
                                         .divergence = (double)(i * 77 % 200 + 1),
                                         .log_a = -log(4), .log_b = -log(i % 2 == 0 ? 2 : 8)};
    }
    vl2_comparison comparison = {.tokens = tokens, .token_count = 200};
    vl2_comparison_summary all, prompt, answer;
    assert_int_equal(vl2_comparison_summarize(&comparison, VL2_COMPARED_ALL, &all, NULL), VL2_OK);
    assert_int_equal(all.tokens, 200);
    expect_near(all.mean, 100.5, 1e-12, "mean");
    expect_near(all.median, 100.5, 1e-12, "median");
    expect_near(all.p99, 198, 0, "p99");
    expect_near(all.max, 200, 0, "max");
    expect_near(all.agreement, 0.9, 1e-12, "agreement");
    expect_near(all.perplexity_a, 4, 1e-12, "perplexity");
    expect_near(all.perplexity_b, 4, 1e-12, "perplexity");
    vl2_comparison_summarize(&comparison, VL2_COMPARED_PROMPT, &prompt, NULL);
    vl2_comparison_summarize(&comparison, VL2_COMPARED_ANSWER, &answer, NULL);
    assert_int_equal(prompt.tokens, 150);
    assert_int_equal(answer.tokens, 50);
    expect_near(0.75 * prompt.mean + 0.25 * answer.mean, all.mean, 1e-12, "parts");
    expect_near(answer.perplexity_b, 2, 1e-12, "perplexity of the answer");
    tokens[7].divergence = NAN;
    vl2_comparison_summarize(&comparison, VL2_COMPARED_ALL, &all, NULL);
    assert_true(isnan(all.mean) && isnan(all.max) && all.p99 >= 198);
    comparison.token_count = 1;
    vl2_comparison_summarize(&comparison, VL2_COMPARED_ALL, &all, NULL);
    assert_true(all.median == tokens[0].divergence && all.p99 == all.median);
    comparison.token_count = 0;
    vl2_comparison_summarize(&comparison, VL2_COMPARED_ALL, &all, NULL);
    assert_true(all.tokens == 0 && all.mean == 0 && all.perplexity_a == 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_logits),
        cmocka_unit_test(test_deviation),
        cmocka_unit_test(test_summary),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
