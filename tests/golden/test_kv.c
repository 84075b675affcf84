/* The kinds of numbers of the KV cache against a cache of floats, on the reference's cases: what
 * each changes in the logits and in the tokens that would be chosen. Prints the table of
 * weights/QUANTIZATION.md.
 *   test_kv [CASE...]           only these own cases: "small/text_only"
 *   test_kv --full              also those of the full reference data (some minutes) */
#include "golden/golden_case.h"

#include "engine/session.h"

#include <math.h>
#include <string.h>

enum { F32, BF16, F16, INT8, KINDS };

/* Measured over the 24 cases of the table: 0.017, 0.0015 and 0.135 at most, and of the tokens of a
 * model 0.99, 1.00 and 0.96 at least. Another ISA or another order of sums may turn a choice of the
 * router round: bounds are at least twice as wide. */
static const struct kind {
    const char *name;
    vl2_kv_type type;
    double error;  /* most, of the last position's logits, relative RMS */
    double agreed; /* least share of greedy tokens that stay, over the cases of a model */
} kinds[KINDS] = {
    [F32] = {"f32", VL2_KV_F32, 0, 1},
    [BF16] = {"bf16", VL2_KV_BF16, 0.05, 0.9},
    [F16] = {"f16", VL2_KV_F16, 0.01, 0.95},
    [INT8] = {"int8", VL2_KV_INT8, 0.3, 0.85},
};

typedef struct kv_sums {
    size_t steps, agreed[KINDS];
    double worst[KINDS];
} kv_sums;

static void need(vl2_status status, const vl2_error *error, const char *what)
{
    if (status != VL2_OK) {
        print_error("%s: %s\n", what, error->message);
        fail();
    }
}

/* A session with the prompt of a case read. */
static vl2_session *read_prompt(vl2_model *model, vl2_kv_type type, const golden_case *c)
{
    vl2_error error = {VL2_OK, ""};
    char file[4200];
    vl2_session_options options;
    vl2_session *session;
    vl2_conversation *conversation;
    prepared_prompt prepared;
    size_t encoded;
    vl2_session_options_defaults(&options);
    options.threads = 2;
    options.kv_type = type;
    snprintf(file, sizeof(file), "%s/case.json", c->folder);
    need(vl2_session_open(model, &options, &session, &error), &error, c->name);
    assert_int_equal(session->decoder.cache.type, type);
    need(vl2_conversation_load(file, 0, &conversation, &error), &error, file);
    need(session_prepare(session, conversation, &prepared, &error), &error, file);
    need(session_encode(session, &prepared, 0, &encoded, NULL, &error), &error, file);
    need(session_prefill(session, &prepared, 0, NULL, &error), &error, file);
    prepared_prompt_free(&prepared);
    vl2_conversation_close(conversation);
    return session;
}

static size_t best(const float *logits, size_t count)
{
    size_t found = 0;
    for (size_t i = 1; i < count; i++) {
        found = logits[i] > logits[found] ? i : found;
    }
    return found;
}

/* The logits behind the prompt are copied to `logits`. How many greedy tokens are the reference's,
 * its own tokens being read on. */
static size_t run_kind(vl2_model *model, vl2_kv_type type, const golden_case *c, float *logits)
{
    const json_t *tokens = json_object_get(json_object_get(c->expected, "greedy"), "tokens");
    size_t vocabulary = (size_t)model->config.language.vocabulary, agreed = 0;
    vl2_session *session = read_prompt(model, type, c);
    memcpy(logits, session->logits, vocabulary * sizeof(*logits));
    for (size_t i = 0; i < json_array_size(tokens); i++) {
        vl2_error error;
        int32_t token = (int32_t)json_integer_value(json_array_get(tokens, i));
        agreed += best(session->logits, vocabulary) == (size_t)token;
        if (i + 1 < json_array_size(tokens)) {
            need(session_step(session, token, NULL, &error), &error, c->name);
        }
    }
    vl2_session_close(session);
    return agreed;
}

static void run_case(const char *model_folder, const char *case_folder, const char *name,
                     void *user)
{
    kv_sums *sums = user;
    golden_case c;
    vl2_error error;
    vl2_model *model;
    golden_case_open(case_folder, name, &c);
    need(vl2_model_open(model_folder, NULL, &model, &error), &error, model_folder);
    size_t vocabulary = (size_t)model->config.language.vocabulary;
    size_t steps = json_array_size(
        json_object_get(json_object_get(c.expected, "greedy"), "tokens"));
    float *logits[KINDS];
    print_message("| %s", name);
    sums->steps += steps;
    for (int k = 0; k < KINDS; k++) {
        logits[k] = malloc(vocabulary * sizeof(float));
        assert_non_null(logits[k]);
        size_t agreed = run_kind(model, kinds[k].type, &c, logits[k]);
        double rms = relative_l2(logits[k], logits[F32], vocabulary);
        sums->agreed[k] += agreed;
        sums->worst[k] = fmax(sums->worst[k], rms);
        if (k == F32) {
            assert_int_equal(agreed, steps);
        } else {
            print_message(" | %.5f, %zu of %zu", rms, agreed, steps);
            assert_true(rms > 0); /* else it was not this kind */
        }
    }
    print_message(" |\n");
    for (int k = 0; k < KINDS; k++) {
        free(logits[k]);
    }
    vl2_model_close(model);
    golden_case_close(&c);
}

static void begin(void)
{
    print_message("\n| case |");
    for (int k = BF16; k < KINDS; k++) {
        print_message(" `%s` |", kinds[k].name);
    }
    print_message("\n|---|---|---|---|\n");
}

static void finish(const kv_sums *sums)
{
    for (int k = BF16; k < KINDS && sums->steps > 0; k++) {
        double share = (double)sums->agreed[k] / (double)sums->steps;
        if (sums->worst[k] > kinds[k].error || share < kinds[k].agreed) {
            print_error("%s: relative error %g, at most %g expected; %.3f of the tokens, at least "
                        "%g expected\n",
                        kinds[k].name, sums->worst[k], kinds[k].error, share, kinds[k].agreed);
            fail();
        }
    }
}

typedef struct own_cases {
    const char *checkpoint;
    const char *const *only;
} own_cases;

static void test_own(void **state)
{
    const own_cases *cases = *state;
    kv_sums sums = {0};
    begin();
    golden_run_own(cases->checkpoint, cases->only, run_case, &sums);
    finish(&sums);
}

static void test_full(void **state)
{
    golden_or_skip();
    kv_sums sums = {0};
    begin();
    golden_run_full(*state, run_case, &sums);
    finish(&sums);
}

int main(int argc, char **argv)
{
    bool all = argc > 1 && strcmp(argv[1], "--full") == 0;
    const char *const *only = golden_arguments(argv + 1 + all);
    own_cases small = {"small", only}, tiny = {"tiny", only}, base = {"base", only};
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
    int failed = cmocka_run_group_tests_name("kv", own, NULL, NULL);
    return failed + (all ? cmocka_run_group_tests_name("kv full", full, NULL, NULL) : 0);
}
