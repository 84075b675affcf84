/* Packed files against the folder that they were made of, on the reference's cases: the lossless
 * one bit for bit, the others within the errors that are stated here.
 *   test_packed [--few] [CASE...]    only these own cases: "small/text_only"; --few: only the
 *                                    lossless and the mixed form */
#include "golden/golden_case.h"

#include "engine/session.h"

#include <math.h>
#include <string.h>
#include <unistd.h>

/* What a preset may change on these checkpoints. They are as sensitive as can be: random weights of
 * some dozens of columns, where a small change makes the router choose other experts. The
 * reference itself, with noise of 0.1 % on its weights, moves the logits by up to 0.17 and changes
 * a token. */
typedef struct preset {
    const char *name;
    double error;  /* relative RMS of the logits, mean over the steps of a case */
    double agreed; /* least share of greedy tokens that are the same, over all cases of a model */
} preset;

enum { LOSSLESS, MIXED };

static const preset presets[] = {
    [LOSSLESS] = {"bf16", 0, 1}, [MIXED] = {"mixed", 0.2, 0.6}, {"int8", 0.16, 0.65},
    {"int6", 0.26, 0.4},         {"int4", 0.75, 0.08},
};

#define PRESETS (sizeof(presets) / sizeof(presets[0]))

/* A model and its packed forms, each opened once. */
typedef struct packed_models {
    bool few;                    /* only the lossless and the mixed form: many cases follow */
    char packed[PRESETS][128]; /* paths */
    size_t steps[PRESETS], agreed[PRESETS], promised[PRESETS];
    double worst[PRESETS];
} packed_models;

static void need(vl2_status status, const vl2_error *error, const char *what)
{
    if (status != VL2_OK) {
        print_error("%s: %s\n", what, error->message);
        fail();
    }
}

typedef struct runner {
    vl2_model *model;
    vl2_session *session;
    vl2_conversation *conversation;
    prepared_prompt prepared;
} runner;

/* Opens a model and reads the prompt of a case. */
static void runner_open(const char *path, const golden_case *c, runner *r)
{
    vl2_error error;
    char file[4200];
    vl2_session_options options;
    vl2_session_options_defaults(&options);
    options.threads = 2;
    snprintf(file, sizeof(file), "%s/case.json", c->folder);
    need(vl2_model_open(path, NULL, &r->model, &error), &error, path);
    golden_check_kernels(r->model);
    need(vl2_session_open(r->model, &options, &r->session, &error), &error, path);
    need(vl2_conversation_load(file, 0, &r->conversation, &error), &error, file);
    need(session_prepare(r->session, r->conversation, &r->prepared, &error), &error, file);
    size_t encoded;
    need(session_encode(r->session, &r->prepared, 0, &encoded, NULL, &error), &error, path);
    need(session_prefill(r->session, &r->prepared, 0, NULL, &error), &error, path);
}

static void runner_close(runner *r)
{
    prepared_prompt_free(&r->prepared);
    vl2_conversation_close(r->conversation);
    vl2_session_close(r->session);
    vl2_model_close(r->model);
}

static size_t best(const float *logits, size_t count)
{
    size_t found = 0;
    for (size_t i = 1; i < count; i++) {
        found = logits[i] > logits[found] ? i : found;
    }
    return found;
}

/* max - min of the differences: how far two logits can have moved against each other. */
static double shift_of(const float *a, const float *b, size_t count)
{
    double low = INFINITY, high = -INFINITY;
    for (size_t i = 0; i < count; i++) {
        low = fmin(low, (double)a[i] - b[i]);
        high = fmax(high, (double)a[i] - b[i]);
    }
    return high - low;
}

/* The logits of each step of a case, the reference's greedy tokens being forced upon the model:
 * [steps, vocabulary], to be freed. */
static float *run_steps(const char *path, const golden_case *c, size_t *vocabulary)
{
    runner r;
    runner_open(path, c, &r);
    const json_t *tokens = json_object_get(json_object_get(c->expected, "greedy"), "tokens");
    size_t steps = json_array_size(tokens);
    *vocabulary = (size_t)r.model->config.language.vocabulary;
    float *logits = malloc(steps * *vocabulary * sizeof(*logits));
    assert_non_null(logits);
    for (size_t i = 0; i < steps; i++) {
        vl2_error error;
        memcpy(logits + i * *vocabulary, r.session->logits, *vocabulary * sizeof(*logits));
        if (i + 1 < steps) {
            int32_t token = (int32_t)json_integer_value(json_array_get(tokens, i));
            need(session_step(r.session, token, NULL, &error), &error, c->name);
        }
    }
    runner_close(&r);
    return logits;
}

/* The logits of a packed form against those of the folder. */
static void compare(const golden_case *c, packed_models *models, size_t p, const float *truth)
{
    size_t vocabulary;
    float *logits = run_steps(models->packed[p], c, &vocabulary);
    const json_t *greedy = json_object_get(c->expected, "greedy");
    const json_t *tokens = json_object_get(greedy, "tokens");
    const json_t *margins = json_object_get(greedy, "margins");
    double sum = 0;
    for (size_t i = 0; i < json_array_size(tokens); i++) {
        const float *a = logits + i * vocabulary, *b = truth + i * vocabulary;
        size_t token = (size_t)json_integer_value(json_array_get(tokens, i));
        double margin = json_number_value(json_array_get(margins, i));
        if (p == LOSSLESS) {
            assert_memory_equal(a, b, vocabulary * sizeof(float));
        }
        bool agrees = best(a, vocabulary) == token;
        sum += relative_l2(a, b, vocabulary);
        models->steps[p]++;
        models->agreed[p] += agrees;
        /* Where the reference's margin is larger than the error, the token must be the same. */
        bool promised = margin > shift_of(a, b, vocabulary);
        models->promised[p] += promised;
        if (promised && !agrees) {
            print_error("%s: %s: token %zu is %zu, expected %zu (margin %g)\n", c->name,
                        presets[p].name, i, best(a, vocabulary), token, margin);
            fail();
        }
    }
    free(logits);
    double mean = sum / (double)json_array_size(tokens);
    models->worst[p] = fmax(models->worst[p], mean);
    if (mean > presets[p].error) {
        print_error("%s: %s: relative error of the logits %g, expected at most %g\n", c->name,
                    presets[p].name, mean, presets[p].error);
        fail();
    }
}

static void run_case(const char *model_folder, const char *case_folder, const char *name,
                     void *user)
{
    packed_models *models = user;
    golden_case c;
    golden_case_open(case_folder, name, &c);
    size_t vocabulary;
    float *truth = run_steps(model_folder, &c, &vocabulary);
    for (size_t p = 0; p < PRESETS; p++) {
        if (models->few && p != LOSSLESS && p != MIXED) {
            continue;
        }
        if (models->packed[p][0] == '\0') {
            vl2_pack_options options;
            vl2_error error;
            vl2_pack_options_defaults(&options);
            snprintf(models->packed[p], sizeof(models->packed[p]), "/tmp/vl2-packed-%ld-%s.vl2",
                     (long)getpid(), presets[p].name);
            options.model = model_folder;
            options.out = models->packed[p];
            options.quant = presets[p].name;
            options.overwrite = true;
            need(vl2_pack(&options, &error), &error, model_folder);
        }
        compare(&c, models, p, truth);
    }
    free(truth);
    golden_case_close(&c);
    print_message("  %s\n", name);
}

static void finish(packed_models *models)
{
    for (size_t p = 0; p < PRESETS; p++) {
        if (models->packed[p][0] != '\0') {
            unlink(models->packed[p]);
            print_message("  %-5s  relative RMS error of the logits at most %.4f; %zu of %zu "
                          "greedy tokens equal, %zu of them with a margin above the error\n",
                          presets[p].name, models->worst[p], models->agreed[p], models->steps[p],
                          models->promised[p]);
            assert_true((double)models->agreed[p] >=
                        presets[p].agreed * (double)models->steps[p]);
        }
    }
}

typedef struct own_cases {
    const char *checkpoint;
    const char *const *only;
    bool few;
} own_cases;

static void test_own(void **state)
{
    const own_cases *cases = *state;
    packed_models models = {.few = cases->few};
    golden_run_own(cases->checkpoint, cases->only, run_case, &models);
    finish(&models);
}

static void test_full(void **state)
{
    golden_or_skip();
    packed_models models = {.few = true};
    golden_run_full(*state, run_case, &models);
    finish(&models);
}

int main(int argc, char **argv)
{
    bool few = argc > 1 && strcmp(argv[1], "--few") == 0;
    const char *const *only = golden_arguments(argv + 1 + few);
    own_cases small = {"small", only, few}, tiny = {"tiny", only, few}, base = {"base", only, few};
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
    int failed = cmocka_run_group_tests_name("packed", own, NULL, NULL);
    return failed + (argc > 1 ? 0 : cmocka_run_group_tests_name("packed full", full, NULL, NULL));
}
