/* vl2_compare against what one gets by running each model alone, and its refusals. */
#include "test_model_data.h"

#include "engine/session.h"
#include "model/linear.h"

#include <jansson.h>
#include <math.h>
#include <string.h>

#define MOST_POSITIONS 256
#define ANSWER         "Two squares, I think."

static char folders[2][FOLDER_SIZE]; /* one shape, two seeds */
static vl2_model *models[2];
static vl2_image *images[2];

static int set_up(void **state)
{
    (void)state;
    synth_shape shape;
    miniature(&shape);
    for (int i = 0; i < 2; i++) {
        folder_make(folders[i]);
        miniature_write(&shape, 7 + (uint64_t)i, 0, folders[i]);
        models[i] = model_open_or_fail(folders[i]);
        images[i] = picture_make(60, 28 * (i + 1), 5 + (uint32_t)i);
    }
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    for (int i = 0; i < 2; i++) {
        vl2_model_close(models[i]);
        vl2_image_release(images[i]);
        folder_remove(folders[i]);
    }
    return 0;
}

static vl2_conversation *with_pictures(void)
{
    return conversation_of("<image>What is <image> beside that one?", images, 2);
}

static vl2_conversation *with_answer(void)
{
    vl2_conversation *conversation = with_pictures();
    conversation_add(conversation, "assistant", ANSWER, NULL, 0);
    return conversation;
}

static vl2_session *open_session(vl2_model *model, int chunk, int threads)
{
    return session_open_or_fail(model, MOST_POSITIONS, chunk, threads);
}

/* Compares the models numbered a and b in fresh sessions. */
static void compare(int a, int b, int chunk, int threads, const vl2_conversation *conversation,
                    const vl2_compare_options *options, vl2_comparison *comparison)
{
    vl2_error error = {VL2_OK, ""};
    vl2_session *first = open_session(models[a], chunk, threads);
    vl2_session *second = open_session(models[b], chunk, threads);
    if (vl2_compare(first, second, conversation, options, comparison, &error) != VL2_OK) {
        fail_msg("%s", error.message);
    }
    vl2_session_close(first);
    vl2_session_close(second);
}

/* ---------------------------------------------------------------------------- one model alone */

/* All that a model makes of the tokens that it is given, in one chunk. */
typedef struct alone {
    vl2_session *session;
    prepared_prompt prepared;
    size_t count, hidden, layers, k;
    float *states;    /* [layers + 1, MOST_POSITIONS, hidden] */
    int32_t *choices; /* [layers, MOST_POSITIONS, k] */
    float *features[8], *rows[8];
    size_t tiles;
} alone;

static void alone_layer(void *user, int layer, const float *rows, size_t first, size_t count)
{
    alone *run = user;
    memcpy(run->states + ((size_t)(layer + 1) * MOST_POSITIONS + first) * run->hidden, rows,
           count * run->hidden * sizeof(float));
}

static void alone_router(void *user, int layer, const int32_t *ids, const float *weights,
                         const float *scores, size_t first, size_t count)
{
    (void)weights;
    (void)scores;
    alone *run = user;
    memcpy(run->choices + ((size_t)layer * MOST_POSITIONS + first) * run->k, ids,
           count * run->k * sizeof(*ids));
}

static float *copy_floats(const float *from, size_t count)
{
    float *copy = malloc(count * sizeof(float));
    assert_non_null(copy);
    return memcpy(copy, from, count * sizeof(float));
}

static void alone_tile(void *user, const uint8_t digest[SHA256_SIZE], const float *features,
                       const float *rows, const double *stages)
{
    (void)digest;
    (void)stages;
    alone *run = user;
    const model_config *config = &run->session->model->config;
    assert_true(run->tiles < 8);
    run->features[run->tiles] =
        copy_floats(features, (size_t)(config->vision.grid * config->vision.grid *
                                       config->vision.width));
    run->rows[run->tiles++] =
        copy_floats(rows, (size_t)(config->projector.grid * config->projector.grid) * run->hidden);
}

/* Reads the prompt, then `forced` tokens. */
static void run_alone(alone *run, vl2_model *model, const vl2_conversation *conversation,
                      const int32_t *forced, size_t forced_count)
{
    const language_config *config = &model->config.language;
    *run = (alone){.session = open_session(model, MOST_POSITIONS, 1),
                   .hidden = (size_t)config->hidden, .layers = (size_t)config->layers,
                   .k = (size_t)config->gate.experts_per_token};
    run->states = calloc((run->layers + 1) * MOST_POSITIONS, run->hidden * sizeof(float));
    run->choices = calloc(run->layers * MOST_POSITIONS, run->k * sizeof(int32_t));
    assert_non_null(run->states);
    assert_non_null(run->choices);
    const decoder_observer layers = {alone_layer, alone_router, run};
    const tile_observer tiles = {alone_tile, run};
    size_t encoded;
    assert_int_equal(session_prepare(run->session, conversation, &run->prepared, NULL), VL2_OK);
    assert_int_equal(session_encode(run->session, &run->prepared, 0, &encoded, &tiles, NULL),
                     VL2_OK);
    assert_int_equal(session_prefill(run->session, &run->prepared, 0, &layers, NULL), VL2_OK);
    for (size_t i = 0; i < forced_count; i++) {
        assert_int_equal(session_step(run->session, forced[i], &layers, NULL), VL2_OK);
    }
    run->count = run->session->key_count;
}

static void alone_free(alone *run)
{
    for (size_t i = 0; i < run->tiles; i++) {
        free(run->features[i]);
        free(run->rows[i]);
    }
    free(run->states);
    free(run->choices);
    prepared_prompt_free(&run->prepared);
    vl2_session_close(run->session);
}

static void alone_logits(alone *run, size_t position, float *logits)
{
    decoder_logits(&run->session->decoder,
                   run->states + (run->layers * MOST_POSITIONS + position) * run->hidden, 1,
                   run->session->normed, logits);
}

/* ---------------------------------------------------------------------------- what is expected */

static void expect_near(double found, double expected, double tolerance, const char *what)
{
    if (!(fabs(found - expected) <= tolerance * (1 + fabs(expected)))) {
        fail_msg("%s: %.12g, expected %.12g", what, found, expected);
    }
}

/* The root of the mean of squared errors relative to the row of `a`. */
static double plain_error(const float *a, const float *b, size_t rows, size_t width)
{
    double sum = 0;
    for (size_t row = 0; row < rows; row++) {
        double above = 0, below = 0;
        for (size_t i = row * width; i < (row + 1) * width; i++) {
            above += pow((double)b[i] - (double)a[i], 2);
            below += pow((double)a[i], 2);
        }
        sum += above / below;
    }
    return sqrt(sum / (double)rows);
}

/* log of the sum of exp(logits) */
static long double log_sum(const float *logits, size_t count)
{
    long double sum = 0;
    for (size_t i = 0; i < count; i++) {
        sum += expl((long double)logits[i]);
    }
    return logl(sum);
}

static double plain_divergence(const float *a, const float *b, size_t count)
{
    long double divergence = 0, sum_a = log_sum(a, count), sum_b = log_sum(b, count);
    for (size_t i = 0; i < count; i++) {
        divergence += expl(a[i] - sum_a) * ((a[i] - sum_a) - (b[i] - sum_b));
    }
    return (double)divergence;
}

static void expect_token(const vl2_compared_token *token, alone *a, alone *b)
{
    size_t vocabulary = (size_t)a->session->model->config.language.vocabulary;
    float logits[2][512];
    assert_true(vocabulary <= 512);
    alone_logits(a, token->position, logits[0]);
    alone_logits(b, token->position, logits[1]);
    size_t best[2] = {0, 0};
    for (size_t i = 0; i < vocabulary; i++) {
        for (int side = 0; side < 2; side++) {
            best[side] = logits[side][i] > logits[side][best[side]] ? i : best[side];
        }
    }
    expect_near(token->divergence, plain_divergence(logits[0], logits[1], vocabulary), 1e-4,
                "divergence");
    assert_int_equal(token->best_a, best[0]);
    assert_int_equal(token->best_b, best[1]);
    size_t next = (size_t)token->token;
    expect_near(token->log_a, (double)(logits[0][next] - log_sum(logits[0], vocabulary)), 1e-4,
                "log_a");
    expect_near(token->log_b, (double)(logits[1][next] - log_sum(logits[1], vocabulary)), 1e-4,
                "log_b");
}

static void expect_layers(const vl2_comparison *found, const alone *a, const alone *b)
{
    const language_config *config = &a->session->model->config.language;
    assert_int_equal(found->layer_count, a->layers);
    assert_int_equal(found->embedding.rows, a->count);
    expect_near(found->embedding.error, plain_error(a->states, b->states, a->count, a->hidden),
                1e-5, "embedding");
    for (size_t i = 0; i < a->layers; i++) {
        size_t at = (i + 1) * MOST_POSITIONS * a->hidden, equal = 0;
        assert_int_equal(found->layers[i].hidden.rows, a->count);
        expect_near(found->layers[i].hidden.error,
                    plain_error(a->states + at, b->states + at, a->count, a->hidden), 1e-5,
                    "layer");
        if (!language_config_has_experts(config, (int)i)) {
            assert_int_equal(found->layers[i].choices, 0);
            continue;
        }
        for (size_t position = 0; position < a->count; position++) {
            const int32_t *of_a = a->choices + (i * MOST_POSITIONS + position) * a->k;
            const int32_t *of_b = b->choices + (i * MOST_POSITIONS + position) * a->k;
            uint64_t set_a = 0, set_b = 0;
            for (size_t choice = 0; choice < a->k; choice++) {
                set_a |= 1ull << of_a[choice];
                set_b |= 1ull << of_b[choice];
            }
            equal += (size_t)__builtin_popcountll(set_a & set_b);
        }
        assert_int_equal(found->layers[i].choices, a->count * a->k);
        assert_int_equal(found->layers[i].equal, equal);
        assert_true(equal > 0 && equal < a->count * a->k);
    }
}

static void expect_tiles(const vl2_comparison *found, const alone *a, const alone *b)
{
    const model_config *config = &a->session->model->config;
    size_t patches = (size_t)(config->vision.grid * config->vision.grid);
    size_t cells = (size_t)(config->projector.grid * config->projector.grid);
    double vision = 0, projector = 0;
    assert_true(a->tiles > 2);
    for (size_t i = 0; i < a->tiles; i++) {
        vision += pow(plain_error(a->features[i], b->features[i], patches,
                                  (size_t)config->vision.width), 2);
        projector += pow(plain_error(a->rows[i], b->rows[i], cells, a->hidden), 2);
    }
    assert_int_equal(found->vision.rows, a->tiles * patches);
    assert_int_equal(found->projector.rows, a->tiles * cells);
    expect_near(found->vision.error, sqrt(vision / (double)a->tiles), 1e-5, "vision");
    expect_near(found->projector.error, sqrt(projector / (double)a->tiles), 1e-5, "projector");
}

/* ---------------------------------------------------------------------------- tests */

static void test_two_models(void **state)
{
    (void)state;
    vl2_conversation *conversation = with_pictures();
    for (int chunk = 7; chunk <= 64; chunk += 57) {
        vl2_comparison found = {0};
        const vl2_compare_options options = {.tokens = 6, .positions = 9};
        compare(0, 1, chunk, 2, conversation, &options, &found);
        assert_int_equal(found.conversations, 1);
        assert_int_equal(found.token_count, 9 + 6);
        int32_t forced[6];
        for (size_t i = 0; i < 6; i++) {
            const vl2_compared_token *token = &found.tokens[9 + i];
            assert_true(token->answer && !found.tokens[i].answer);
            assert_int_equal(token->token, token->best_a); /* greedy */
            forced[i] = token->token;
        }
        alone a, b;
        run_alone(&a, models[0], conversation, forced, 5);
        run_alone(&b, models[1], conversation, forced, 5);
        for (size_t i = 0; i < found.token_count; i++) {
            const vl2_compared_token *token = &found.tokens[i];
            expect_token(token, &a, &b);
            assert_int_equal(token->conversation, 0);
            if (!token->answer) {
                assert_int_equal(a.prepared.picture[token->position], SIZE_MAX);
                assert_int_equal(token->token, a.prepared.prompt.ids.ids[token->position + 1]);
            } else {
                assert_int_equal(token->position, a.prepared.prompt.ids.count + i - 9 - 1);
            }
        }
        expect_layers(&found, &a, &b);
        expect_tiles(&found, &a, &b);
        alone_free(&a);
        alone_free(&b);
        vl2_comparison_clear(&found);
    }
    vl2_conversation_close(conversation);
}

/* Text that the assistant is given is the answer, token for token; nothing is generated. */
static void test_given_answer(void **state)
{
    (void)state;
    vl2_conversation *conversation = with_answer();
    int32_t *ids;
    size_t count;
    assert_int_equal(vl2_tokenizer_encode(vl2_model_tokenizer(models[0]), ANSWER, strlen(ANSWER),
                                          &ids, &count, NULL), VL2_OK);
    assert_true(count > 3);
    alone a, b;
    run_alone(&a, models[0], conversation, NULL, 0);
    run_alone(&b, models[1], conversation, NULL, 0);
    static const int limits[] = {0, 1, 5, 1000};
    for (size_t limit = 0; limit < 4; limit++) {
        vl2_comparison found = {0};
        const vl2_compare_options options = {.tokens = 3, .positions = limits[limit]};
        compare(0, 1, 16, 1, conversation, &options, &found);
        size_t answers = 0, prompts = 0;
        for (size_t i = 0; i < found.token_count; i++) {
            const vl2_compared_token *token = &found.tokens[i];
            expect_token(token, &a, &b);
            assert_int_equal(a.prepared.picture[token->position], SIZE_MAX);
            assert_int_equal(a.prepared.picture[token->position + 1], SIZE_MAX);
            assert_int_equal(token->token, a.prepared.prompt.ids.ids[token->position + 1]);
            if (token->answer) {
                assert_int_equal(token->token, ids[answers++]);
            } else {
                prompts++;
            }
        }
        assert_int_equal(answers, count);
        if (limit < 3) {
            assert_int_equal(prompts, limits[limit]);
        } else { /* every pair of neighbours that are text, but for those of the answer */
            size_t pairs = 0;
            for (size_t i = 0; i + 1 < a.count; i++) {
                pairs += a.prepared.picture[i] == SIZE_MAX && a.prepared.picture[i + 1] == SIZE_MAX;
            }
            assert_int_equal(prompts, pairs - count);
        }
        expect_layers(&found, &a, &b);
        vl2_comparison_clear(&found);
    }
    alone_free(&a);
    alone_free(&b);
    vl2_free(ids);
    vl2_conversation_close(conversation);
}

/* A model is as it is: every number says so exactly, whatever the chunk. */
static void test_itself(void **state)
{
    (void)state;
    vl2_conversation *conversation = with_pictures();
    for (int chunk = 5; chunk <= 80; chunk += 75) {
        vl2_comparison found = {0};
        vl2_comparison_summary summary;
        compare(0, 0, chunk, 2, conversation, NULL, &found);
        assert_true(found.token_count > 32);
        for (size_t i = 0; i < found.token_count; i++) {
            assert_true(found.tokens[i].divergence == 0);
            assert_true(found.tokens[i].log_a == found.tokens[i].log_b);
            assert_int_equal(found.tokens[i].best_a, found.tokens[i].best_b);
        }
        for (size_t i = 0; i < found.layer_count; i++) {
            assert_true(found.layers[i].hidden.error == 0);
            assert_int_equal(found.layers[i].equal, found.layers[i].choices);
        }
        assert_true(found.vision.rows > 0 && found.vision.error == 0);
        assert_true(found.projector.error == 0 && found.embedding.error == 0);
        assert_int_equal(vl2_comparison_summarize(&found, VL2_COMPARED_ALL, &summary, NULL),
                         VL2_OK);
        assert_true(summary.mean == 0 && summary.max == 0 && summary.agreement == 1);
        assert_true(summary.perplexity_a == summary.perplexity_b && summary.perplexity_a > 1);
        vl2_comparison_clear(&found);
    }
    vl2_conversation_close(conversation);
}

static void test_threads(void **state)
{
    (void)state;
    vl2_conversation *conversation = with_pictures();
    vl2_comparison found[3] = {{.conversations = 0}};
    for (int i = 0; i < 3; i++) {
        compare(0, 1, 16, i + 1, conversation, NULL, &found[i]);
        assert_int_equal(found[i].token_count, found[0].token_count);
        for (size_t t = 0; t < found[i].token_count; t++) {
            assert_true(found[i].tokens[t].divergence == found[0].tokens[t].divergence);
            assert_true(found[i].tokens[t].log_b == found[0].tokens[t].log_b);
        }
        for (size_t l = 0; l < found[i].layer_count; l++) {
            assert_true(found[i].layers[l].hidden.squares == found[0].layers[l].hidden.squares);
        }
        assert_true(found[i].vision.squares == found[0].vision.squares);
    }
    for (int i = 0; i < 3; i++) {
        vl2_comparison_clear(&found[i]);
    }
    vl2_conversation_close(conversation);
}

/* Several conversations, in the same two sessions, add up: also the pictures that they share. */
static void test_accumulated(void **state)
{
    (void)state;
    vl2_conversation *talks[] = {with_answer(), with_pictures(),
                                 conversation_of("Nothing to see.", NULL, 0)};
    vl2_session *a = open_session(models[0], 16, 1), *b = open_session(models[1], 16, 1);
    vl2_comparison all = {0}, single[3] = {{.conversations = 0}};
    for (int i = 0; i < 3; i++) {
        assert_int_equal(vl2_compare(a, b, talks[i], NULL, &all, NULL), VL2_OK);
        assert_int_equal(all.conversations, i + 1);
        compare(0, 1, 16, 1, talks[i], NULL, &single[i]);
    }
    size_t at = 0, patches = 0;
    vl2_compared_layer layer = {.choices = 0};
    for (size_t i = 0; i < 3; i++) {
        for (size_t t = 0; t < single[i].token_count; t++, at++) {
            assert_int_equal(all.tokens[at].conversation, i);
            assert_int_equal(all.tokens[at].position, single[i].tokens[t].position);
            assert_true(all.tokens[at].divergence == single[i].tokens[t].divergence);
        }
        layer.hidden.rows += single[i].layers[2].hidden.rows;
        layer.hidden.squares += single[i].layers[2].hidden.squares;
        layer.equal += single[i].layers[2].equal;
        patches += single[i].vision.rows;
        vl2_comparison_clear(&single[i]);
        vl2_conversation_close(talks[i]);
    }
    assert_int_equal(all.token_count, at);
    assert_int_equal(all.layers[2].hidden.rows, layer.hidden.rows);
    assert_int_equal(all.layers[2].equal, layer.equal);
    assert_int_equal(all.vision.rows, patches);
    expect_near(all.layers[2].hidden.error,
                sqrt(layer.hidden.squares / (double)layer.hidden.rows), 1e-12, "layer 2");
    vl2_comparison_clear(&all);
    vl2_session_close(a);
    vl2_session_close(b);
}

/* The first divergence of an answer, from the logits that vl2_session_trace writes. */
static void test_traced_logits(void **state)
{
    (void)state;
    vl2_conversation *conversation = with_pictures();
    vl2_comparison found = {0};
    const vl2_compare_options options = {.tokens = 1, .positions = 0};
    compare(0, 1, 64, 1, conversation, &options, &found);
    assert_int_equal(found.token_count, 1);
    float logits[2][288];
    for (int i = 0; i < 2; i++) {
        char out[2 * FOLDER_SIZE + 8], path[2 * FOLDER_SIZE + 40];
        snprintf(out, sizeof(out), "%s/traced", folders[i]);
        snprintf(path, sizeof(path), "%s/logits_last.f32", out);
        vl2_session *session = open_session(models[i], 64, 1);
        assert_int_equal(vl2_session_trace(session, conversation, NULL, out, NULL), VL2_OK);
        FILE *file = fopen(path, "rb");
        assert_non_null(file);
        assert_int_equal(fread(logits[i], sizeof(float), 288, file), 288);
        fclose(file);
        vl2_session_close(session);
    }
    expect_near(found.tokens[0].divergence, plain_divergence(logits[0], logits[1], 288), 1e-5,
                "divergence");
    vl2_comparison_clear(&found);
    vl2_conversation_close(conversation);
}

/* Where the context ends, so does the answer. */
static void test_full_context(void **state)
{
    (void)state;
    vl2_conversation *conversation = conversation_of("Short.", NULL, 0);
    vl2_session *b = open_session(models[1], 16, 1);
    prepared_prompt prepared;
    assert_int_equal(session_prepare(b, conversation, &prepared, NULL), VL2_OK);
    int count = (int)prepared.prompt.ids.count;
    prepared_prompt_free(&prepared);
    vl2_session *a = session_open_or_fail(models[0], count + 3, 16, 1);
    vl2_comparison found = {0};
    const vl2_compare_options options = {.tokens = 50, .positions = 0};
    assert_int_equal(vl2_compare(a, b, conversation, &options, &found, NULL), VL2_OK);
    assert_int_equal(found.token_count, 4);
    assert_int_equal(found.embedding.rows, count + 3);
    vl2_comparison_clear(&found);
    vl2_session_close(a);
    vl2_session_close(b);
    vl2_conversation_close(conversation);
}

/* ---------------------------------------------------------------------------- refusals */

static void expect_refused(vl2_session *a, vl2_session *b, const vl2_compare_options *options,
                           vl2_status status, const char *word)
{
    vl2_error error = {VL2_OK, ""};
    vl2_comparison comparison = {0};
    vl2_conversation *conversation = with_pictures();
    assert_int_equal(vl2_compare(a, b, conversation, options, &comparison, &error), status);
    if (strstr(error.message, word) == NULL) {
        fail_msg("\"%s\" does not name \"%s\"", error.message, word);
    }
    assert_true(comparison.tokens == NULL && comparison.layers == NULL);
    assert_int_equal(comparison.conversations, 0);
    assert_int_equal(vl2_compare(a, b, conversation, options, &comparison, NULL), status);
    vl2_conversation_close(conversation);
}

static void test_other_models(void **state)
{
    (void)state;
    static const struct {
        const char *file, *patch, *word;
    } rows[] = {
        {"config.json", "{\"language_config\": {\"rms_norm_eps\": 1e-5}}", "rms_norm_eps"},
        {"config.json", "{\"language_config\": {\"rope_theta\": 5000}}", "rope_theta"},
        {"config.json", "{\"language_config\": {\"num_experts_per_tok\": 2}}",
         "language_config.num_experts_per_tok: found"},
        {"config.json", "{\"language_config\": {\"scoring_func\": \"sigmoid\"}}", "scoring_func"},
        {"config.json", "{\"language_config\": {\"norm_topk_prob\": true}}", "norm_topk_prob"},
        {"config.json", "{\"language_config\": {\"num_hidden_layers\": 2}}", "num_hidden_layers"},
        {"config.json", "{\"language_config\": {\"n_shared_experts\": null}}", "n_shared_experts"},
        {"config.json", "{\"vision_config\": {\"layers\": 1}}", "vision_config.layers"},
        {"processor_config.json", "{\"image_mean\": [0.4, 0.5, 0.5]}", "image_mean"},
        {"processor_config.json", "{\"candidate_resolutions\": [[28, 28]]}",
         "candidate_resolutions"},
        {"processor_config.json", "{\"candidate_resolutions\": [[28, 28], [56, 28], [28, 56], "
                                  "[84, 56]]}", "candidate_resolutions"},
        {"tokenizer_config.json", "{\"eos_token\": \"<|User|>\"}", "ends a sentence"},
    };
    synth_shape shape;
    char folder[FOLDER_SIZE];
    miniature(&shape);
    folder_make(folder);
    vl2_session *a = open_session(models[0], 16, 1);
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        miniature_write(&shape, 8, 0, folder);
        json_patch(folder, rows[i].file, rows[i].patch);
        vl2_model *model = model_open_or_fail(folder);
        vl2_session *b = open_session(model, 16, 1);
        expect_refused(a, b, NULL, VL2_ERROR_ARGUMENT, rows[i].word);
        expect_refused(b, a, NULL, VL2_ERROR_ARGUMENT, rows[i].word);
        vl2_session_close(b);
        vl2_model_close(model);
    }
    /* What does not change the function may differ. */
    miniature_write(&shape, 8, 0, folder);
    json_patch(folder, "config.json", "{\"language_config\": {\"max_position_embeddings\": 300}}");
    vl2_model *model = model_open_or_fail(folder);
    vl2_session *b = open_session(model, 16, 1);
    vl2_conversation *conversation = with_pictures();
    vl2_comparison comparison = {0};
    assert_int_equal(vl2_compare(a, b, conversation, NULL, &comparison, NULL), VL2_OK);
    vl2_comparison_clear(&comparison);
    vl2_conversation_close(conversation);
    vl2_session_close(b);
    vl2_model_close(model);
    vl2_session_close(a);
    folder_remove(folder);
}

/* Two tokens of a tokenizer.json change places. */
static void swap_tokens(const char *folder, json_t **vocabulary, json_t *root)
{
    char path[FOLDER_SIZE + 20];
    const char *names[2] = {NULL, NULL};
    json_t *ids[2];
    const char *name;
    json_t *id;
    json_object_foreach(*vocabulary, name, id)
    {
        if (json_integer_value(id) == 101 || json_integer_value(id) == 103) {
            names[json_integer_value(id) == 103] = name;
            ids[json_integer_value(id) == 103] = id;
        }
    }
    assert_true(names[0] != NULL && names[1] != NULL);
    json_incref(ids[0]);
    json_object_set(*vocabulary, names[0], ids[1]);
    json_object_set_new(*vocabulary, names[1], ids[0]);
    snprintf(path, sizeof(path), "%s/tokenizer.json", folder);
    assert_int_equal(json_dump_file(root, path, 0), 0);
}

static void test_other_vocabulary(void **state)
{
    (void)state;
    synth_shape shape;
    char folder[FOLDER_SIZE], path[FOLDER_SIZE + 20];
    miniature(&shape);
    folder_make(folder);
    miniature_write(&shape, 8, 0, folder);
    snprintf(path, sizeof(path), "%s/tokenizer.json", folder);
    json_t *root = json_load_file(path, 0, NULL);
    json_t *vocabulary = json_object_get(json_object_get(root, "model"), "vocab");
    assert_non_null(vocabulary);
    swap_tokens(folder, &vocabulary, root);
    json_decref(root);
    vl2_model *model = model_open_or_fail(folder);
    vl2_session *a = open_session(models[0], 16, 1), *b = open_session(model, 16, 1);
    expect_refused(a, b, NULL, VL2_ERROR_ARGUMENT, "token 101");
    vl2_session_close(a);
    vl2_session_close(b);
    vl2_model_close(model);
    folder_remove(folder);
}

static void test_bad_arguments(void **state)
{
    (void)state;
    vl2_session *a = open_session(models[0], 16, 1), *b = open_session(models[1], 16, 1);
    vl2_session *narrow = session_open_or_fail(models[1], 20, 16, 1);
    expect_refused(a, a, NULL, VL2_ERROR_ARGUMENT, "same");
    expect_refused(a, b, &(vl2_compare_options){.tokens = -1}, VL2_ERROR_ARGUMENT, "tokens");
    expect_refused(a, b, &(vl2_compare_options){.positions = -1}, VL2_ERROR_ARGUMENT, "positions");
    expect_refused(a, narrow, NULL, VL2_ERROR_CONTEXT, "context of 20");
    vl2_session_close(narrow);
    vl2_session_close(a);
    vl2_session_close(b);
}

/* Cancels one of the sessions at a certain call of the progress callback. */
typedef struct canceller {
    vl2_session *session;
    vl2_stage stage;
    uint64_t done;
} canceller;

static void cancel(const vl2_progress *progress, void *user)
{
    canceller *c = user;
    if (progress->stage == c->stage && progress->done >= c->done && c->session != NULL) {
        vl2_session_cancel(c->session);
    }
}

static void test_cancelled(void **state)
{
    (void)state;
    static const canceller when[] = {
        {NULL, VL2_STAGE_VISION, 0}, {NULL, VL2_STAGE_VISION, 3}, {NULL, VL2_STAGE_PREFILL, 16},
        {NULL, VL2_STAGE_GENERATE, 2}};
    for (int i = 0; i < 8; i++) {
        canceller c = when[i / 2];
        vl2_session_options options;
        vl2_session_options_defaults(&options);
        options.context = MOST_POSITIONS;
        options.chunk = 8;
        options.threads = 1;
        options.progress = cancel;
        options.progress_user = &c;
        vl2_session *a, *b;
        assert_int_equal(vl2_session_open(models[0], &options, &a, NULL), VL2_OK);
        assert_int_equal(vl2_session_open(models[1], &options, &b, NULL), VL2_OK);
        c.session = i % 2 == 0 ? a : b;
        expect_refused(a, b, NULL, VL2_ERROR_CANCELLED, "cancelled");
        c.session = NULL; /* both are as good as new */
        vl2_conversation *conversation = with_answer();
        vl2_comparison again = {0}, fresh = {0};
        assert_int_equal(vl2_compare(a, b, conversation, NULL, &again, NULL), VL2_OK);
        compare(0, 1, 8, 1, conversation, NULL, &fresh);
        assert_int_equal(again.token_count, fresh.token_count);
        assert_true(again.tokens[0].divergence == fresh.tokens[0].divergence);
        vl2_comparison_clear(&again);
        vl2_comparison_clear(&fresh);
        vl2_conversation_close(conversation);
        vl2_session_close(a);
        vl2_session_close(b);
    }
}

/* Results of models with other numbers of layers do not add up. */
static void test_other_layers(void **state)
{
    (void)state;
    vl2_compared_layer layers[2] = {{.choices = 0}};
    vl2_error error = {VL2_OK, ""};
    vl2_comparison comparison = {.layers = layers, .layer_count = 2};
    vl2_session *a = open_session(models[0], 16, 1), *b = open_session(models[1], 16, 1);
    vl2_conversation *conversation = with_pictures();
    assert_int_equal(vl2_compare(a, b, conversation, NULL, &comparison, &error),
                     VL2_ERROR_ARGUMENT);
    assert_non_null(strstr(error.message, "layers"));
    assert_int_equal(comparison.token_count, 0);
    vl2_conversation_close(conversation);
    vl2_session_close(a);
    vl2_session_close(b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_two_models),    cmocka_unit_test(test_given_answer),
        cmocka_unit_test(test_itself),        cmocka_unit_test(test_threads),
        cmocka_unit_test(test_accumulated),   cmocka_unit_test(test_traced_logits),
        cmocka_unit_test(test_full_context),  cmocka_unit_test(test_other_models),
        cmocka_unit_test(test_other_vocabulary), cmocka_unit_test(test_bad_arguments),
        cmocka_unit_test(test_cancelled),     cmocka_unit_test(test_other_layers),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
