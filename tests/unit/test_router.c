/* The gate against the oracle on random logits, and what the reference leaves open or does
 * oddly. */
#include "oracle.h"

#include "model/router.h"

#include <math.h>
#include <string.h>

#define MOST_EXPERTS 64

static double uniform(uint64_t *state)
{
    *state = *state * 6364136223846793005u + 1442695040888963407u;
    return (double)(*state >> 11) * 0x1p-53;
}

static const char *const method_names[] = {"greedy", "group_limited_greedy", "noaux_tc"};

static void expect_like_oracle(const gate_config *gate, const float *logits, const float *bias,
                               size_t *skipped)
{
    double wide[MOST_EXPERTS], wide_bias[MOST_EXPERTS], scores[MOST_EXPERTS];
    double expected[MOST_EXPERTS], by_expert[MOST_EXPERTS] = {0};
    int chosen[MOST_EXPERTS];
    float changed[MOST_EXPERTS], space[2 * MOST_EXPERTS], weights[MOST_EXPERTS];
    int32_t ids[MOST_EXPERTS];
    for (int i = 0; i < gate->experts; i++) {
        changed[i] = logits[i];
        wide[i] = (double)logits[i];
        wide_bias[i] = (double)bias[i];
    }
    const oracle_gate truth = {gate->scoring == GATE_SIGMOID, gate->normalize,
                               method_names[gate->method], gate->experts,
                               gate->experts_per_token, gate->groups, gate->groups_per_token,
                               (double)gate->scaling};
    if (oracle_route(&truth, wide, wide_bias, scores, chosen, expected) < 1e-6) {
        (*skipped)++; /* float32 may choose otherwise */
        return;
    }
    router_choose(gate, changed, gate->method == GATE_NOAUX_TC ? bias : NULL, space, ids, weights);
    for (int i = 0; i < gate->experts; i++) {
        assert_true(fabs((double)changed[i] - scores[i]) <= 1e-6);
    }
    for (int i = 0; i < gate->experts_per_token; i++) {
        by_expert[chosen[i]] = expected[i];
    }
    for (int i = 0; i < gate->experts_per_token; i++) {
        assert_in_range(ids[i], 0, gate->experts - 1);
        if (fabs((double)weights[i] - by_expert[ids[i]]) > 4e-6 * fabs((double)gate->scaling)) {
            fail_msg("%s: expert %d weighs %g, expected %g", method_names[gate->method],
                     (int)ids[i], (double)weights[i], by_expert[ids[i]]);
        }
        assert_true(i == 0 || weights[i] <= weights[i - 1] || gate->scaling < 0);
        for (int j = 0; j < i; j++) {
            assert_int_not_equal(ids[i], ids[j]);
        }
    }
}

/* Every method and scoring; the biases are mostly negative, so that masked experts, which
 * compete with a score of 0, win against chosen ones. */
static void test_random(void **state)
{
    (void)state;
    static const int sizes[][4] = {/* experts, groups, groups per token, k */
                                   {8, 1, 1, 2},  {8, 4, 2, 3},   {8, 4, 1, 4}, {12, 3, 2, 12},
                                   {64, 8, 3, 6}, {64, 1, 1, 64}, {6, 2, 1, 1}, {18, 9, 8, 6}};
    uint64_t random = 1;
    size_t skipped = 0, tried = 0;
    for (int method = 0; method < 3; method++) {
        for (int options = 0; options < 4; options++) {
            for (size_t s = 0; s < sizeof(sizes) / sizeof(sizes[0]); s++) {
                bool grouped = method != GATE_GREEDY;
                gate_config gate = {options & 1 ? GATE_SIGMOID : GATE_SOFTMAX,
                                    (gate_method)method, sizes[s][0], sizes[s][3],
                                    grouped ? sizes[s][1] : 1, grouped ? sizes[s][2] : 1,
                                    (options & 2) != 0, options & 2 ? 2.5f : 1.0f};
                for (int draw = 0; draw < 50; draw++) {
                    float logits[MOST_EXPERTS], bias[MOST_EXPERTS];
                    for (int i = 0; i < gate.experts; i++) {
                        logits[i] = (float)(6 * uniform(&random) - 3);
                        bias[i] = (float)(1.5 * uniform(&random) - 1.2);
                    }
                    expect_like_oracle(&gate, logits, bias, &skipped);
                    tried++;
                }
            }
        }
    }
    assert_true(skipped * 100 < tried);
}

static void test_ties(void **state)
{
    (void)state;
    float logits[6] = {1, 3, 3, 1, 3, 1}, space[12], weights[4];
    int32_t ids[4];
    const gate_config gate = {GATE_SOFTMAX, GATE_GREEDY, 6, 4, 1, 1, true, 1};
    router_choose(&gate, logits, NULL, space, ids, weights);
    static const int32_t expected[4] = {1, 2, 4, 0};
    assert_memory_equal(ids, expected, sizeof(expected));
    assert_true(weights[0] == weights[1] && weights[1] == weights[2] && weights[3] < weights[2]);
    assert_true(fabsf(weights[0] + weights[1] + weights[2] + weights[3] - 1) < 1e-6f);
}

/* Sigmoid scores of 0.5 each, biases by hand. Group 0 wins with 0.1 - 0.2; its second expert at
 * -0.2 loses to the 0 of the masked experts, of which the first is taken. The weights have no
 * bias. */
static void test_masked_expert_wins(void **state)
{
    (void)state;
    float logits[4] = {0, 0, 0, 0}, space[8], weights[2];
    const float bias[4] = {-0.4f, -0.7f, -0.8f, -0.9f};
    int32_t ids[2];
    const gate_config gate = {GATE_SIGMOID, GATE_NOAUX_TC, 4, 2, 2, 1, false, 2};
    router_choose(&gate, logits, bias, space, ids, weights);
    assert_int_equal(ids[0], 0);
    assert_int_equal(ids[1], 2);
    assert_true(weights[0] == 1 && weights[1] == 1);
}

/* The same under group_limited_greedy: the masked expert comes in, with the mask's 0 as its
 * weight. */
static void test_groups_exhausted(void **state)
{
    (void)state;
    float logits[4] = {0, 1, 2, 3}, space[8], weights[3];
    int32_t ids[3];
    const gate_config gate = {GATE_SIGMOID, GATE_GROUP_LIMITED_GREEDY, 4, 3, 2, 1, false, 1};
    router_choose(&gate, logits, NULL, space, ids, weights);
    assert_int_equal(ids[0], 3);
    assert_int_equal(ids[1], 2);
    assert_int_equal(ids[2], 0);
    assert_true(weights[2] == 0);
}

/* One expert per token keeps its score, normalized or not. */
static void test_one_expert(void **state)
{
    (void)state;
    float logits[3] = {0, 2, 1}, space[6], weight;
    int32_t id;
    const gate_config gate = {GATE_SIGMOID, GATE_GREEDY, 3, 1, 1, 1, true, 3};
    router_choose(&gate, logits, NULL, space, &id, &weight);
    assert_int_equal(id, 1);
    assert_true(fabs((double)weight - 3 / (1 + exp(-2.0))) < 1e-6);
}

static void test_broken_logits(void **state)
{
    (void)state;
    const float values[] = {NAN, INFINITY, -INFINITY, 1e30f, 0};
    uint64_t random = 7;
    for (int round = 0; round < 3000; round++) {
        float logits[8], bias[8], space[16], weights[5];
        int32_t ids[5];
        for (int i = 0; i < 8; i++) {
            logits[i] = values[(int)(5 * uniform(&random))];
            bias[i] = values[(int)(5 * uniform(&random))];
        }
        int method = round % 3;
        const gate_config gate = {round / 3 % 2 ? GATE_SIGMOID : GATE_SOFTMAX, (gate_method)method,
                                  8, 5, method ? 4 : 1, method ? 2 : 1, true, 1};
        router_choose(&gate, logits, method == GATE_NOAUX_TC ? bias : NULL, space, ids, weights);
        for (int i = 0; i < 5; i++) {
            assert_in_range(ids[i], 0, 7);
        }
    }
}

/* Logits far apart stay finite. */
static void test_large_logits(void **state)
{
    (void)state;
    float logits[3] = {-1e30f, 1e30f, 88000}, space[6], weights[2];
    int32_t ids[2];
    const gate_config gate = {GATE_SOFTMAX, GATE_GREEDY, 3, 2, 1, 1, true, 1};
    router_choose(&gate, logits, NULL, space, ids, weights);
    assert_int_equal(ids[0], 1);
    assert_true(weights[0] == 1 && weights[1] == 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_random),         cmocka_unit_test(test_ties),
        cmocka_unit_test(test_masked_expert_wins), cmocka_unit_test(test_groups_exhausted),
        cmocka_unit_test(test_one_expert),     cmocka_unit_test(test_broken_logits),
        cmocka_unit_test(test_large_logits),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
