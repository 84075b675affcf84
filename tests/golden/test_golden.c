/* Whole requests against the reference's intermediate results: every stage, every chunk size, one
 * and two threads. The project's own cases lie under tests/checkpoints (unpacked by make); all
 * others run when the full reference data is on this machine.
 *   test_golden [--once] [CASE...]    only these own cases: "small/text_only"; --once: one trace
 *                                     of each, on two threads, and no more */
#include "golden/golden_case.h"

#include "model/sampler.h"

#include <math.h>
#include <string.h>

static vl2_model *open_model(const char *folder)
{
    vl2_error error;
    vl2_model *model;
    if (vl2_model_open(folder, NULL, &model, &error) != VL2_OK) {
        print_error("%s\n", error.message);
        fail();
    }
    return model;
}

static vl2_session *open_session(vl2_model *model, int chunk, int threads)
{
    vl2_session_options options;
    vl2_session *session;
    vl2_error error;
    vl2_session_options_defaults(&options);
    options.chunk = chunk;
    options.threads = threads;
    if (vl2_session_open(model, &options, &session, &error) != VL2_OK) {
        print_error("%s\n", error.message);
        fail();
    }
    return session;
}

/* The same trace, byte for byte: what the number of threads must not change. */
static void expect_same_arrays(const golden_case *c, const char *a, const json_t *trace_a,
                               const char *b, const json_t *trace_b)
{
    static const char *const names[] = {"logits_last", "hidden_last", "layer_l2", "embeds"};
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        size_t count_a, count_b;
        float *x = golden_array(a, trace_a, names[i], &count_a);
        float *y = golden_array(b, trace_b, names[i], &count_b);
        if (count_a != count_b || memcmp(x, y, count_a * sizeof(float)) != 0) {
            print_error("%s: %s depends on the number of threads\n", c->name, names[i]);
            fail();
        }
        free(x);
        free(y);
    }
    assert_true(json_equal(trace_a, trace_b));
}

static void expect_tokens(const golden_case *c, vl2_session *session, const char *key,
                          const vl2_sampling *sampling)
{
    const json_t *expected = json_object_get(json_object_get(c->expected, key), "tokens");
    if (expected == NULL) {
        return;
    }
    char path[4200];
    vl2_error error;
    vl2_conversation *conversation;
    snprintf(path, sizeof(path), "%s/case.json", c->folder);
    assert_int_equal(vl2_conversation_load(path, 0, &conversation, &error), VL2_OK);
    vl2_generate_options options;
    vl2_generate_options_defaults(&options);
    options.sampling = *sampling;
    options.max_tokens = (int)json_array_size(expected);
    options.ignore_end = true;
    vl2_answer answer;
    if (vl2_session_generate(session, conversation, &options, NULL, NULL, &answer, &error) !=
        VL2_OK) {
        print_error("%s: %s\n", c->name, error.message);
        fail();
    }
    assert_int_equal(answer.token_count, json_array_size(expected));
    for (size_t i = 0; i < answer.token_count; i++) {
        if (answer.tokens[i] != json_integer_value(json_array_get(expected, i))) {
            print_error("%s: %s: token %zu differs\n", c->name, key, i);
            fail();
        }
    }
    vl2_answer_clear(&answer);
    vl2_conversation_close(conversation);
}

/* Repetition penalty, temperature, top-k and top-p on the reference's own logits. */
static void expect_filters(const golden_case *c)
{
    const json_t *rows = json_object_get(c->expected, "sampling_filter");
    size_t vocabulary;
    float *logits = golden_array(c->folder, c->expected, "logits_last", &vocabulary);
    for (size_t i = 0; i < json_array_size(rows); i++) {
        const json_t *row = json_array_get(rows, i);
        vl2_sampling options = {
            .temperature = json_number_value(json_object_get(row, "temperature")),
            .top_k = (int)json_integer_value(json_object_get(row, "top_k")),
            .top_p = json_number_value(json_object_get(row, "top_p")),
            .repetition_penalty = json_number_value(json_object_get(row, "repetition_penalty"))};
        sampler sampler;
        assert_int_equal(sampler_open(&options, vocabulary, &sampler, NULL), VL2_OK);
        const json_t *prompt = json_object_get(c->expected, "input_ids");
        for (size_t t = 0; t < json_array_size(prompt); t++) {
            sampler_note(&sampler, (int32_t)json_integer_value(json_array_get(prompt, t)));
        }
        size_t count = sampler_filter(&sampler, logits);
        const json_t *ids = json_object_get(row, "ids"), *probs = json_object_get(row, "probs");
        if (count != json_array_size(ids)) {
            print_error("%s: filter %zu: %zu candidates, expected %zu\n", c->name, i, count,
                        json_array_size(ids));
            fail();
        }
        for (size_t t = 0; t < count; t++) {
            assert_int_equal(sampler.order[t], json_integer_value(json_array_get(ids, t)));
            assert_true(fabs(sampler.probabilities[t] -
                             json_number_value(json_array_get(probs, t))) <= 1e-4);
        }
        sampler_close(&sampler);
    }
    free(logits);
}

static void run_once(const char *model_folder, const char *case_folder, const char *name,
                     void *user)
{
    (void)user;
    golden_case c;
    char out[64];
    golden_case_open(case_folder, name, &c);
    vl2_model *model = open_model(model_folder);
    golden_check_kernels(model);
    vl2_session *session = open_session(model, 512, 2);
    json_t *trace = golden_trace(session, &c, out, sizeof(out));
    golden_compare(&c, out, trace);
    json_decref(trace);
    golden_remove(out);
    vl2_session_close(session);
    vl2_model_close(model);
    golden_case_close(&c);
    print_message("  %s, once\n", name);
}

static void run_case(const char *model_folder, const char *case_folder, const char *name,
                     void *user)
{
    (void)user;
    golden_case c;
    golden_case_open(case_folder, name, &c);
    vl2_model *model = open_model(model_folder);
    golden_check_kernels(model);
    char one[64], two[64];
    vl2_session *session = open_session(model, 512, 1);
    json_t *trace_one = golden_trace(session, &c, one, sizeof(one));
    vl2_session_close(session);
    session = open_session(model, 512, 2);
    json_t *trace_two = golden_trace(session, &c, two, sizeof(two));
    golden_compare(&c, two, trace_two);
    expect_same_arrays(&c, one, trace_one, two, trace_two);
    vl2_generate_options options;
    vl2_generate_options_defaults(&options);
    /* After the trace the session still has the prompt in its cache: the reuse of a prefix. */
    expect_tokens(&c, session, "greedy", &options.sampling);
    options.sampling.repetition_penalty = 1.1;
    expect_tokens(&c, session, "greedy_repetition_penalty_1.1_generated_only", &options.sampling);
    options.sampling.penalize_prompt = true;
    expect_tokens(&c, session, "greedy_repetition_penalty_1.1_prompt_and_generated",
                  &options.sampling);
    vl2_session_close(session);
    vl2_generate_options_defaults(&options);
    static const int chunks[] = {64, 4096};
    for (int i = 0; i < 2; i++) {
        session = open_session(model, chunks[i], 2);
        expect_tokens(&c, session, "greedy", &options.sampling);
        vl2_session_close(session);
    }
    expect_filters(&c);
    json_decref(trace_one);
    json_decref(trace_two);
    golden_remove(one);
    golden_remove(two);
    vl2_model_close(model);
    golden_case_close(&c);
    print_message("  %s\n", name);
}

typedef struct own_cases {
    const char *checkpoint;
    const char *const *only;
    golden_runner run;
} own_cases;

static void test_own(void **state)
{
    const own_cases *cases = *state;
    golden_run_own(cases->checkpoint, cases->only, cases->run, NULL);
}

static void test_full(void **state)
{
    golden_run_full(*state, run_case, NULL);
}

int main(int argc, char **argv)
{
    bool once = argc > 1 && strcmp(argv[1], "--once") == 0;
    golden_runner run = once ? run_once : run_case;
    const char *const *only = golden_arguments(argv + 1 + once);
    own_cases small = {"small", only, run}, tiny = {"tiny", only, run}, base = {"base", only, run};
    const struct CMUnitTest own[] = {
        {"small", test_own, NULL, NULL, &small},
        {"tiny", test_own, NULL, NULL, &tiny},
        {"base", test_own, NULL, NULL, &base},
    };
    const struct CMUnitTest full[] = {
        {"full small", test_full, NULL, NULL, (void *)"vl2-small-dev"},
        {"full tiny", test_full, NULL, NULL, (void *)"vl2-tiny-dev"},
        {"full base", test_full, NULL, NULL, (void *)"vl2-base-dev"},
    };
    int failed = cmocka_run_group_tests_name("golden", own, NULL, NULL);
    return failed + (argc > 1 ? 0 : cmocka_run_group_tests_name("golden full", full, NULL, NULL));
}
