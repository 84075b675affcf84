/* The sampler against the semantics of transformers 4.38.2 (generation/logits_process.py),
 * written out once more here in double precision. */
#include "test.h"

#include "model/order.h"
#include "model/sampler.h"

#include <math.h>
#include <string.h>

#define VOCABULARY 150

static const vl2_sampling plain = {.temperature = 1, .top_k = 0, .top_p = 1, .min_p = 0,
                                   .repetition_penalty = 1};

static void make_logits(uint64_t seed, float *logits)
{
    uint64_t state = seed * 977 + 5;
    for (int i = 0; i < VOCABULARY; i++) {
        state = state * 6364136223846793005u + 1442695040888963407u;
        /* Quarters: many ties. */
        logits[i] = (float)((int)(state >> 59) - 16) / 4;
    }
}

static sampler open_sampler(const vl2_sampling *options, size_t vocabulary)
{
    sampler s;
    assert_int_equal(sampler_open(options, vocabulary, &s, NULL), VL2_OK);
    return s;
}

/* ---------------------------------------------------------------------------- the filters again */

static double total(const double *scores, double largest)
{
    double sum = 0;
    for (int i = 0; i < VOCABULARY; i++) {
        sum += exp(scores[i] - largest);
    }
    return sum;
}

static double largest_of(const double *scores)
{
    double largest = -INFINITY;
    for (int i = 0; i < VOCABULARY; i++) {
        largest = fmax(largest, scores[i]);
    }
    return largest;
}

/* How many are above: a score's rank, ties by id. */
static int rank_of(const double *scores, int id)
{
    int rank = 0;
    for (int i = 0; i < VOCABULARY; i++) {
        rank += scores[i] > scores[id] || (scores[i] == scores[id] && i < id);
    }
    return rank;
}

/* TopKLogitsWarper: scores below the k-th largest go; its equals stay. */
static void expected_top_k(double *scores, int k)
{
    for (int i = 0; i < VOCABULARY && k > 0; i++) {
        if (rank_of(scores, i) == k - 1) {
            double least = scores[i];
            for (int j = 0; j < VOCABULARY; j++) {
                scores[j] = scores[j] < least ? -INFINITY : scores[j];
            }
            return;
        }
    }
}

/* TopPLogitsWarper: from the least probable, those whose running sum is at most 1 - p go; not
 * the last. */
static void expected_top_p(double *scores, double p)
{
    double largest = largest_of(scores), sum = total(scores, largest), running = 0;
    bool drop[VOCABULARY] = {false};
    for (int rank = VOCABULARY - 1; rank > 0; rank--) {
        for (int i = 0; i < VOCABULARY; i++) {
            if (rank_of(scores, i) == rank) {
                running += exp(scores[i] - largest) / sum;
                drop[i] = running <= 1 - p;
            }
        }
    }
    for (int i = 0; i < VOCABULARY; i++) {
        scores[i] = drop[i] ? -INFINITY : scores[i];
    }
}

static void expected_min_p(double *scores, double p)
{
    double largest = largest_of(scores);
    for (int i = 0; i < VOCABULARY; i++) {
        scores[i] = exp(scores[i] - largest) < p ? -INFINITY : scores[i];
    }
}

static void expect_filters(const vl2_sampling *options, const float *logits, const int32_t *noted,
                           size_t noted_count)
{
    double scores[VOCABULARY];
    sampler s = open_sampler(options, VOCABULARY);
    for (int i = 0; i < VOCABULARY; i++) {
        scores[i] = (double)logits[i];
    }
    for (size_t i = 0; i < noted_count; i++) {
        sampler_note(&s, noted[i]);
        sampler_note(&s, noted[i]); /* once, however often */
        double x = (double)logits[noted[i]];
        double penalty = options->repetition_penalty;
        scores[noted[i]] = x < 0 ? x * penalty : x / penalty;
    }
    for (int i = 0; i < VOCABULARY; i++) {
        scores[i] /= options->temperature;
    }
    expected_top_k(scores, options->top_k);
    if (options->top_p < 1) {
        expected_top_p(scores, options->top_p);
    }
    if (options->min_p > 0) {
        expected_min_p(scores, options->min_p);
    }
    double largest = largest_of(scores), sum = total(scores, largest);
    size_t survivors = 0, count = sampler_filter(&s, logits);
    for (int i = 0; i < VOCABULARY; i++) {
        survivors += scores[i] > -INFINITY;
    }
    assert_int_equal(count, survivors);
    for (size_t i = 0; i < count; i++) {
        int id = s.order[i];
        assert_int_equal(rank_of(scores, id), i);
        assert_true(fabs((double)s.probabilities[i] - exp(scores[id] - largest) / sum) < 1e-6);
    }
    sampler_close(&s);
}

static void test_filters(void **state)
{
    (void)state;
    float logits[VOCABULARY];
    static const int32_t noted[] = {0, 5, 17, 149};
    static const int top_ks[] = {0, 1, 3, 50, 149, 150, 5000};
    static const double top_ps[] = {1, 0.903, 0.511, 0.01, 0};
    static const double min_ps[] = {0, 0.0501, 0.7003};
    for (uint64_t round = 0; round < 7; round++) {
        make_logits(round, logits);
        for (size_t p = 0; p < 5; p++) {
            for (size_t m = 0; m < 3; m++) {
                vl2_sampling options = plain;
                options.temperature = round % 2 ? 0.6 : 1.7;
                options.repetition_penalty = round % 3 ? 1.1 : 1;
                options.top_k = top_ks[round];
                options.top_p = top_ps[p];
                options.min_p = min_ps[m];
                expect_filters(&options, logits, noted, 4);
            }
        }
    }
}

/* Values by hand: the two equal to the third are kept by top_k 3. */
static void test_top_k_keeps_ties(void **state)
{
    (void)state;
    const float logits[6] = {1, 4, 1, 3, 1, 0};
    vl2_sampling options = plain;
    options.top_k = 3;
    sampler s = open_sampler(&options, 6);
    assert_int_equal(sampler_filter(&s, logits), 5);
    static const int32_t order[5] = {1, 3, 0, 2, 4};
    assert_memory_equal(s.order, order, sizeof(order));
    sampler_close(&s);
}

/* ------------------------------------------------------------------------ greedy and penalty */

static void test_greedy(void **state)
{
    (void)state;
    const float logits[4] = {1, 7, 7, -3};
    vl2_sampling options = plain;
    options.temperature = 0;
    options.top_k = 50;
    options.repetition_penalty = 2;
    sampler s = open_sampler(&options, 4);
    assert_int_equal(sampler_next(&s, logits), 1); /* a tie goes to the lower id */
    sampler_note(&s, 1);
    assert_int_equal(sampler_next(&s, logits), 2);
    sampler_note(&s, 1); /* once per id: 3.5, and not 1.75 */
    sampler_note(&s, 2);
    assert_int_equal(sampler_next(&s, logits), 1);
    sampler_note(&s, -1); /* outside: ignored */
    sampler_note(&s, 4);
    assert_true(logits[1] == 7); /* the caller's logits stay */
    sampler_close(&s);
    const float negative[2] = {-3, -4};
    s = open_sampler(&options, 2);
    sampler_note(&s, 0); /* -6 */
    assert_int_equal(sampler_next(&s, negative), 1);
    sampler_close(&s);
}

/* ---------------------------------------------------------------------------- drawing */

static void test_seed(void **state)
{
    (void)state;
    float logits[VOCABULARY];
    make_logits(3, logits);
    vl2_sampling options = plain;
    options.seed = 42;
    sampler a = open_sampler(&options, VOCABULARY), b = open_sampler(&options, VOCABULARY);
    options.seed = 43;
    sampler c = open_sampler(&options, VOCABULARY);
    int different = 0;
    for (int i = 0; i < 200; i++) {
        int32_t drawn = sampler_next(&a, logits);
        assert_int_equal(drawn, sampler_next(&b, logits));
        different += drawn != sampler_next(&c, logits);
    }
    assert_true(different > 100);
    sampler_close(&a);
    sampler_close(&b);
    sampler_close(&c);
}

/* Chi-square over 20000 draws: beyond 27.9 comes once in a thousand for 9 degrees of freedom. */
static void test_distribution(void **state)
{
    (void)state;
    float logits[10];
    double expected[10], sum = 0, statistic = 0;
    int drawn[10] = {0};
    for (int i = 0; i < 10; i++) {
        logits[i] = 0.35f * (float)(i * 7 % 10);
        expected[i] = exp((double)logits[i] / 1.3);
        sum += expected[i];
    }
    vl2_sampling options = plain;
    options.temperature = 1.3;
    for (uint64_t seed = 1; seed <= 5; seed++) {
        options.seed = seed;
        sampler s = open_sampler(&options, 10);
        memset(drawn, 0, sizeof(drawn));
        for (int i = 0; i < 20000; i++) {
            drawn[sampler_next(&s, logits)]++;
        }
        statistic = 0;
        for (int i = 0; i < 10; i++) {
            double want = 20000 * expected[i] / sum;
            statistic += (drawn[i] - want) * (drawn[i] - want) / want;
        }
        assert_true(statistic < 27.9);
        assert_true(statistic > 0.5); /* too even would not be random either */
        sampler_close(&s);
    }
}

/* ---------------------------------------------------------------------------- odd input */

static void test_broken_logits(void **state)
{
    (void)state;
    float logits[VOCABULARY];
    vl2_sampling options = plain;
    const float values[] = {-INFINITY, NAN, INFINITY};
    for (int greedy = 0; greedy < 2; greedy++) {
        for (int v = 0; v < 3; v++) {
            for (int i = 0; i < VOCABULARY; i++) {
                logits[i] = values[v];
            }
            options.temperature = greedy ? 0 : 0.7;
            options.top_k = 50;
            options.top_p = 0.9;
            options.min_p = 0.1;
            sampler s = open_sampler(&options, VOCABULARY);
            assert_in_range(sampler_next(&s, logits), 0, VOCABULARY - 1);
            logits[123] = 1; /* one number among them */
            int32_t next = sampler_next(&s, logits);
            assert_in_range(next, 0, VOCABULARY - 1);
            if (v < 2) {
                assert_int_equal(next, 123);
            }
            sampler_close(&s);
        }
    }
}

/* So cold that logits / temperature is beyond float32: like greedy. */
static void test_very_cold(void **state)
{
    (void)state;
    float logits[VOCABULARY];
    make_logits(9, logits);
    logits[77] = 4.5f;
    logits[78] = 4.4f;
    static const double cold[] = {1e-3, 1e-30, 1e-39, 1e-60, 5e-324};
    for (int i = 0; i < 5; i++) {
        vl2_sampling options = plain;
        options.temperature = cold[i];
        options.top_k = i % 2 ? 50 : 0;
        options.top_p = 0.95;
        sampler s = open_sampler(&options, VOCABULARY);
        assert_int_equal(sampler_next(&s, logits), 77);
        sampler_close(&s);
    }
}

static void test_options(void **state)
{
    (void)state;
    const struct {
        const char *name;
        vl2_sampling options;
    } wrong[] = {
        {"temperature", {.temperature = -0.1, .top_p = 1, .repetition_penalty = 1}},
        {"temperature", {.temperature = NAN, .top_p = 1, .repetition_penalty = 1}},
        {"temperature", {.temperature = INFINITY, .top_p = 1, .repetition_penalty = 1}},
        {"top_k", {.top_k = -1, .top_p = 1, .repetition_penalty = 1}},
        {"top_p", {.top_p = 1.01, .repetition_penalty = 1}},
        {"top_p", {.top_p = -0.01, .repetition_penalty = 1}},
        {"top_p", {.top_p = NAN, .repetition_penalty = 1}},
        {"min_p", {.min_p = 1.5, .top_p = 1, .repetition_penalty = 1}},
        {"min_p", {.min_p = -1, .top_p = 1, .repetition_penalty = 1}},
        {"repetition_penalty", {.top_p = 1, .repetition_penalty = 0}},
        {"repetition_penalty", {.top_p = 1, .repetition_penalty = NAN}},
        {"repetition_penalty", {.top_p = 1, .repetition_penalty = -2}},
    };
    for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
        sampler s;
        vl2_error error = {VL2_OK, ""};
        assert_int_equal(sampler_open(&wrong[i].options, 10, &s, &error), VL2_ERROR_ARGUMENT);
        assert_non_null(strstr(error.message, wrong[i].name));
    }
}

/* Any numbers, and parts of the ids only, against their definition. */
static void test_order(void **state)
{
    (void)state;
    enum { COUNT = 5000 };
    static const float special[] = {0.0f,   -0.0f,   INFINITY, -INFINITY,
                                    1e-45f, -1e-45f, 3e38f,    -3e38f};
    static float numbers[COUNT];
    static int32_t ids[COUNT], space[COUNT];
    uint64_t random = 9;
    for (size_t i = 0; i < COUNT; i++) {
        random = random * 6364136223846793005u + 1442695040888963407u;
        numbers[i] = i % 3 == 0   ? special[random >> 61]
                     : i % 3 == 1 ? (float)((int)(random >> 40) - (1 << 23)) * 1e-6f
                                  : (float)((int)(random >> 60) - 8);
    }
    static const size_t counts[] = {0, 1, 2, 63, 1000, COUNT};
    for (size_t c = 0; c < sizeof(counts) / sizeof(counts[0]); c++) {
        for (size_t i = 0; i < counts[c]; i++) {
            ids[i] = (int32_t)(i * (COUNT / (counts[c] + 1) + (counts[c] == COUNT)));
        }
        order_falling(numbers, ids, space, counts[c]);
        for (size_t i = 1; i < counts[c]; i++) {
            float before = numbers[ids[i - 1]], now = numbers[ids[i]];
            assert_true(before > now || (before == now && ids[i - 1] < ids[i]));
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_filters),       cmocka_unit_test(test_top_k_keeps_ties),
        cmocka_unit_test(test_greedy),        cmocka_unit_test(test_seed),
        cmocka_unit_test(test_distribution),  cmocka_unit_test(test_broken_logits),
        cmocka_unit_test(test_very_cold),     cmocka_unit_test(test_options),
        cmocka_unit_test(test_order),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
