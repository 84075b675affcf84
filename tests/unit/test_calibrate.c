/* vl2_calibrate against sums that are computed from a trace of the same conversation. */
#include "test_model_data.h"

#include "base/file.h"
#include "base/alloc.h"
#include "engine/session.h"
#include "model/linear.h"
#include "weights/safetensors.h"

#include <jansson.h>
#include <math.h>
#include <string.h>
#include <unistd.h>

#define LAYER "language.model.layers."

static char folder[FOLDER_SIZE];
static vl2_model *model;
static vl2_image *images[2];

static int set_up(void **state)
{
    (void)state;
    synth_shape shape;
    miniature(&shape);
    folder_make(folder);
    miniature_write(&shape, 11, 0, folder);
    model = model_open_or_fail(folder);
    images[0] = picture_make(50, 40, 1);
    images[1] = picture_make(28, 70, 2);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    vl2_model_close(model);
    vl2_image_release(images[0]);
    vl2_image_release(images[1]);
    folder_remove(folder);
    return 0;
}

static vl2_conversation *with_pictures(void)
{
    return conversation_of("<image>What is <image> beside that one?", images, 2);
}

static vl2_calibration *create(void)
{
    vl2_calibration *calibration;
    assert_int_equal(vl2_calibration_create(model, &calibration, NULL), VL2_OK);
    return calibration;
}

static void add(vl2_session *session, const vl2_conversation *conversation, int tokens,
                const char *name, vl2_calibration *calibration)
{
    vl2_error error = {VL2_OK, ""};
    const vl2_calibrate_options options = {.tokens = tokens, .name = name};
    if (vl2_calibrate(session, conversation, &options, calibration, &error) != VL2_OK) {
        fail_msg("%s", error.message);
    }
}

/* Writes the calibration into the test's folder and opens the file. */
static safetensors *written(const vl2_calibration *calibration)
{
    char path[FOLDER_SIZE + 20];
    vl2_error error = {VL2_OK, ""};
    safetensors *file;
    snprintf(path, sizeof(path), "%s/sums", folder);
    if (vl2_calibration_write(calibration, path, &error) != VL2_OK ||
        safetensors_open(path, &file, &error) != VL2_OK) {
        fail_msg("%s", error.message);
    }
    return file;
}

/* Calibrates with one conversation in a fresh session. */
static safetensors *calibrated(const vl2_conversation *conversation, int chunk, int threads,
                               int tokens)
{
    vl2_session *session = session_open_or_fail(model, 256, chunk, threads);
    vl2_calibration *calibration = create();
    add(session, conversation, tokens, NULL, calibration);
    assert_null(session->compute.observer);
    safetensors *file = written(calibration);
    vl2_calibration_close(calibration);
    vl2_session_close(session);
    return file;
}

static const float *vector_or_null(const safetensors *file, const char *name, size_t *count)
{
    for (size_t i = 0; i < safetensors_count(file); i++) {
        const tensor_view *tensor = safetensors_get(file, i);
        if (strcmp(tensor->name, name) == 0) {
            assert_int_equal(tensor->type, DATA_F32);
            assert_int_equal(tensor->rank, 1);
            *count = (size_t)tensor->shape[0];
            return tensor->data; /* the header is a multiple of 8 bytes, the file is mapped */
        }
    }
    return NULL;
}

static const float *vector(const safetensors *file, const char *name, size_t count)
{
    size_t found = 0;
    const float *numbers = vector_or_null(file, name, &found);
    if (numbers == NULL) {
        fail_msg("no %s", name);
    }
    assert_int_equal(found, count);
    return numbers;
}

static void expect_near(double found, double expected, const char *what, size_t index)
{
    if (!(fabs(found - expected) <= 2e-5 * fabs(expected) + 1e-12)) {
        fail_msg("%s, input %zu: %.9g, expected %.9g", what, index, found, expected);
    }
}

/* ---------------------------------------------------------------------------- a trace */

typedef struct traced {
    char path[FOLDER_SIZE + 8];
    json_t *trace;
    size_t tokens, hidden;
} traced;

static void trace(const vl2_conversation *conversation, traced *t)
{
    char path[FOLDER_SIZE + 24];
    vl2_session *session = session_open_or_fail(model, 256, 256, 1);
    snprintf(t->path, sizeof(t->path), "%s/trace", folder);
    assert_int_equal(vl2_session_trace(session, conversation, NULL, t->path, NULL), VL2_OK);
    vl2_session_close(session);
    snprintf(path, sizeof(path), "%s/trace.json", t->path);
    t->trace = json_load_file(path, 0, NULL);
    assert_non_null(t->trace);
    t->tokens = (size_t)json_integer_value(json_object_get(t->trace, "num_tokens"));
    t->hidden = (size_t)model->config.language.hidden;
}

/* Numbers of four bytes; freed by the caller. */
static void *trace_array(const traced *t, const char *file, size_t count)
{
    char path[FOLDER_SIZE + 60];
    char *data;
    size_t size;
    snprintf(path, sizeof(path), "%s/%s", t->path, file);
    assert_int_equal(file_read(path, 1 << 24, VL2_ERROR_IO, &data, &size, NULL), VL2_OK);
    assert_int_equal(size, 4 * count);
    return data;
}

/* What the first layer's projections see: the embeddings, normed (Zhang and Sennrich's RMSNorm). */
static void test_first_layer(void **state)
{
    (void)state;
    vl2_conversation *conversation = with_pictures();
    safetensors *file = calibrated(conversation, 256, 1, 0);
    traced t;
    trace(conversation, &t);
    float *rows = trace_array(&t, "embeds.f32", t.tokens * t.hidden), scale[64];
    weight norm = model->weights->layers[0].input_norm;
    weight_widen(&model->kernels, norm, 0, t.hidden, scale);
    double squares[64] = {0};
    for (size_t row = 0; row < t.tokens; row++) {
        const float *x = rows + row * t.hidden;
        double mean = 0;
        for (size_t i = 0; i < t.hidden; i++) {
            mean += (double)x[i] * x[i] / (double)t.hidden;
        }
        for (size_t i = 0; i < t.hidden; i++) {
            double y = x[i] * scale[i] / sqrt(mean + (double)model->config.language.rms_epsilon);
            squares[i] += y * y / (double)t.tokens;
        }
    }
    static const char *const names[] = {LAYER "0.self_attn.q_proj.weight",
                                        LAYER "0.self_attn.kv_a_proj_with_mqa.weight"};
    for (int n = 0; n < 2; n++) {
        const float *means = vector(file, names[n], t.hidden);
        for (size_t i = 0; i < t.hidden; i++) {
            expect_near(means[i], squares[i], names[n], i);
        }
    }
    base_free(rows);
    json_decref(t.trace);
    safetensors_close(file);
    vl2_conversation_close(conversation);
}

/* Without an answer the head sees one row: the final norm's at the last position. */
static void test_head(void **state)
{
    (void)state;
    vl2_conversation *conversation = with_pictures();
    safetensors *file = calibrated(conversation, 256, 1, 0);
    traced t;
    trace(conversation, &t);
    size_t layers = (size_t)model->config.language.layers;
    float *rows = trace_array(&t, "hidden_last.f32", (layers + 2) * t.hidden);
    const float *means = vector(file, "language.lm_head.weight", t.hidden);
    for (size_t i = 0; i < t.hidden; i++) {
        double x = rows[(layers + 1) * t.hidden + i];
        expect_near(means[i], x * x, "head", i);
    }
    base_free(rows);
    json_decref(t.trace);
    safetensors_close(file);
    vl2_conversation_close(conversation);
}

/* Counts are those of the trace's choices. Every token goes to k experts, so that the experts'
 * sums together are k times those of the router, which sees the same rows. */
static void test_experts(void **state)
{
    (void)state;
    vl2_conversation *conversation = with_pictures();
    safetensors *file = calibrated(conversation, 256, 1, 0);
    traced t;
    trace(conversation, &t);
    const size_t k = 3, experts = 8;
    int32_t *ids = trace_array(&t, "router_ids.i32", 2 * t.tokens * k);
    for (int layer = 1; layer <= 2; layer++) {
        char name[96];
        double counts[8] = {0}, sums[64] = {0}, inner = 0;
        for (size_t i = 0; i < t.tokens * k; i++) {
            counts[ids[(size_t)(layer - 1) * t.tokens * k + i]]++;
        }
        snprintf(name, sizeof(name), LAYER "%d.mlp.gate.counts", layer);
        const float *found = vector(file, name, experts);
        for (size_t e = 0; e < experts; e++) {
            size_t length = 0;
            assert_true(found[e] == (float)counts[e]);
            snprintf(name, sizeof(name), LAYER "%d.mlp.experts.%zu.gate_proj.weight", layer, e);
            const float *gate = vector_or_null(file, name, &length);
            snprintf(name, sizeof(name), LAYER "%d.mlp.experts.%zu.up_proj.weight", layer, e);
            const float *up = vector_or_null(file, name, &length);
            snprintf(name, sizeof(name), LAYER "%d.mlp.experts.%zu.down_proj.weight", layer, e);
            const float *down = vector_or_null(file, name, &length);
            assert_true((gate == NULL) == (counts[e] == 0)); /* never used: left out */
            assert_true((up == NULL) == (gate == NULL) && (down == NULL) == (gate == NULL));
            for (size_t i = 0; gate != NULL && i < t.hidden; i++) {
                assert_true(gate[i] == up[i]);
                sums[i] += counts[e] * (double)gate[i];
            }
            for (size_t i = 0; down != NULL && i < 20; i++) {
                inner += (double)down[i];
            }
        }
        assert_true(inner > 0);
        snprintf(name, sizeof(name), LAYER "%d.mlp.gate.weight", layer);
        const float *router = vector(file, name, t.hidden);
        for (size_t i = 0; i < t.hidden; i++) {
            expect_near(sums[i], (double)k * (double)t.tokens * (double)router[i], name, i);
        }
    }
    base_free(ids);
    json_decref(t.trace);
    safetensors_close(file);
    vl2_conversation_close(conversation);
}

/* What the answer's tokens chose is the difference between a run with and without them: the last
 * token of an answer is not run. */
static void test_answers(void **state)
{
    (void)state;
    const int tokens = 7;
    const size_t k = 3, experts = 8;
    vl2_conversation *conversation = with_pictures();
    safetensors *prompt = calibrated(conversation, 32, 1, 0);
    safetensors *answer = calibrated(conversation, 32, 1, tokens);
    for (int layer = 1; layer <= 2; layer++) {
        char name[96];
        size_t none = 0;
        double sum = 0;
        snprintf(name, sizeof(name), LAYER "%d.mlp.gate.answer_counts", layer);
        assert_null(vector_or_null(prompt, name, &none));
        const float *found = vector(answer, name, experts);
        snprintf(name, sizeof(name), LAYER "%d.mlp.gate.counts", layer);
        const float *all = vector(answer, name, experts), *before = vector(prompt, name, experts);
        for (size_t e = 0; e < experts; e++) {
            assert_true(found[e] == all[e] - before[e]);
            sum += (double)found[e];
        }
        assert_true(sum == (double)k * (tokens - 1));
    }
    safetensors_close(prompt);
    safetensors_close(answer);
    vl2_conversation_close(conversation);
}

/* The projector's first layer sees the vision tower's output, four patches a row (and zeros where
 * the grid ends). */
static void test_pictures(void **state)
{
    (void)state;
    vl2_conversation *conversation = with_pictures();
    safetensors *file = calibrated(conversation, 256, 1, 0);
    traced t;
    trace(conversation, &t);
    const json_t *tiles = json_object_get(t.trace, "tiles");
    double squares = 0, sum = 0;
    size_t count = 4 * (size_t)model->config.vision.width;
    assert_true(json_array_size(tiles) > 3);
    for (size_t i = 0; i < json_array_size(tiles); i++) {
        const json_t *tile = json_array_get(tiles, i);
        squares += pow(json_real_value(json_object_get(tile, "vision_l2")), 2);
    }
    const float *means = vector(file, "projector.layers.0.weight", count);
    for (size_t i = 0; i < count; i++) {
        sum += (double)means[i];
    }
    size_t cells = (size_t)model->config.projector.grid * (size_t)model->config.projector.grid;
    expect_near(sum * (double)(cells * json_array_size(tiles)), squares, "projector", 0);
    vector(file, "vision.patch_embed.proj.weight", 3 * 7 * 7);
    vector(file, "vision.blocks.1.mlp.fc2.weight", (size_t)model->config.vision.mlp_width);
    json_decref(t.trace);
    safetensors_close(file);
    vl2_conversation_close(conversation);
}

/* Every entry is a weight of the model, as long as it has inputs, or a layer's counts. Without
 * pictures nothing is said about the vision tower. */
static void test_names(void **state)
{
    (void)state;
    vl2_conversation *talks[] = {with_pictures(), conversation_of("Only words.", NULL, 0)};
    for (int i = 0; i < 2; i++) {
        safetensors *file = calibrated(talks[i], 16, 1, 4);
        size_t counts = 0, vision = 0;
        for (size_t n = 0; n < safetensors_count(file); n++) {
            const tensor_view *entry = safetensors_get(file, n);
            if (n > 0) { /* sorted, whatever order the weights have in their files */
                assert_true(strcmp(safetensors_get(file, n - 1)->name, entry->name) < 0);
            }
            vision += strncmp(entry->name, "language.", 9) != 0;
            if (strstr(entry->name, "counts") != NULL) {
                counts++;
                continue;
            }
            const weight_view *view = weight_store_find(model->store, entry->name);
            assert_non_null(view);
            assert_true(view->tensor.rank >= 2);
            assert_int_equal(tensor_elements(entry) * (uint64_t)view->tensor.shape[0],
                             tensor_elements(&view->tensor));
        }
        assert_int_equal(counts, 4); /* two layers', of all tokens and of the answer's */
        assert_int_equal(vision > 0, i == 0);
        safetensors_close(file);
        vl2_conversation_close(talks[i]);
    }
}

static void test_threads(void **state)
{
    (void)state;
    vl2_conversation *conversation = with_pictures();
    char path[FOLDER_SIZE + 20], *first = NULL;
    size_t size = 0;
    snprintf(path, sizeof(path), "%s/sums", folder);
    for (int threads = 1; threads <= 3; threads++) {
        char *bytes;
        size_t now;
        safetensors_close(calibrated(conversation, 32, threads, 8));
        assert_int_equal(file_read(path, 1 << 24, VL2_ERROR_IO, &bytes, &now, NULL), VL2_OK);
        if (threads == 1) {
            first = bytes;
            size = now;
            continue;
        }
        assert_int_equal(now, size);
        assert_memory_equal(bytes, first, size);
        base_free(bytes);
    }
    base_free(first);
    vl2_conversation_close(conversation);
}

static double count_of(const safetensors *file, size_t expert)
{
    return (double)vector(file, LAYER "1.mlp.gate.counts", 8)[expert];
}

/* What the session has in its cache counts again; several conversations weigh by their tokens. */
static void test_accumulated(void **state)
{
    (void)state;
    vl2_conversation *talks[] = {with_pictures(), conversation_of("Only words.", NULL, 0)};
    vl2_session *session = session_open_or_fail(model, 256, 32, 1);
    vl2_calibration *all = create();
    safetensors *single[2];
    double rows[2];
    for (int i = 0; i < 2; i++) {
        vl2_calibration *one = create();
        add(session, talks[i], 5, NULL, one);
        rows[i] = (double)session->key_count;
        single[i] = written(one);
        vl2_calibration_close(one);
        add(session, talks[i], 5, i == 0 ? "first \"talk\"" : "\xff.json", all);
    }
    add(session, talks[1], 5, NULL, all);
    safetensors *file = written(all);
    const char *name = LAYER "0.self_attn.q_proj.weight";
    for (size_t i = 0; i < 36; i++) {
        double expected = (rows[0] * (double)vector(single[0], name, 36)[i] +
                           2 * rows[1] * (double)vector(single[1], name, 36)[i]) /
                          (rows[0] + 2 * rows[1]);
        expect_near(vector(file, name, 36)[i], expected, name, i);
    }
    for (size_t e = 0; e < 8; e++) {
        assert_true(count_of(file, e) == count_of(single[0], e) + 2 * count_of(single[1], e));
    }
    vl2_calibration_info info;
    vl2_calibration_get_info(all, &info);
    assert_int_equal(info.conversations, 3);
    assert_int_equal(info.tokens, rows[0] + 2 * rows[1]);
    assert_true(info.tiles > 3);
    assert_int_equal(info.experts, 16);
    assert_true(info.experts_used > 8 && info.experts_used <= 16);
    assert_int_equal(info.matrices, safetensors_count(file) - 4); /* two layers' counts */
    for (int i = 0; i < 2; i++) {
        safetensors_close(single[i]);
        vl2_conversation_close(talks[i]);
    }
    safetensors_close(file);
    vl2_calibration_close(all);
    vl2_session_close(session);
}

/* What the head of the file says about where it comes from. */
static void test_notes(void **state)
{
    (void)state;
    char path[FOLDER_SIZE + 20], *bytes;
    size_t size;
    vl2_session *session = session_open_or_fail(model, 256, 32, 1);
    vl2_conversation *conversation = conversation_of("Only words.", NULL, 0);
    vl2_calibration *calibration = create();
    add(session, conversation, 1, "a \"b\".json", calibration);
    add(session, conversation, 1, NULL, calibration);
    add(session, conversation, 1, "\xff.json", calibration);
    safetensors_close(written(calibration));
    snprintf(path, sizeof(path), "%s/sums", folder);
    assert_int_equal(file_read(path, 1 << 24, VL2_ERROR_IO, &bytes, &size, NULL), VL2_OK);
    uint64_t length;
    memcpy(&length, bytes, sizeof(length));
    json_t *root = json_loadb(bytes + 8, (size_t)length, 0, NULL);
    const json_t *notes = json_object_get(root, "__metadata__");
    char tokens[24];
    snprintf(tokens, sizeof(tokens), "%zu", 3 * session->key_count);
    assert_string_equal(json_string_value(json_object_get(notes, "tokens")), tokens);
    assert_string_equal(json_string_value(json_object_get(notes, "conversations")), "3");
    assert_string_equal(json_string_value(json_object_get(notes, "tiles")), "0");
    assert_string_equal(json_string_value(json_object_get(notes, "version")), vl2_version());
    assert_string_equal(json_string_value(json_object_get(notes, "names")),
                        "a \"b\".json\n\xef\xbf\xbd.json");
    json_decref(root);
    base_free(bytes);
    vl2_calibration_close(calibration);
    vl2_conversation_close(conversation);
    vl2_session_close(session);
}

/* ---------------------------------------------------------------------------- refusals */

static void test_bad_arguments(void **state)
{
    (void)state;
    vl2_error error = {VL2_OK, ""};
    vl2_conversation *conversation = with_pictures();
    vl2_model *other = model_open_or_fail(folder);
    vl2_session *session = session_open_or_fail(other, 256, 32, 1);
    vl2_calibration *calibration = create();
    assert_int_equal(vl2_calibrate(session, conversation, NULL, calibration, &error),
                     VL2_ERROR_ARGUMENT);
    assert_non_null(strstr(error.message, "session"));
    vl2_session_close(session);
    vl2_model_close(other);
    session = session_open_or_fail(model, 20, 16, 1);
    assert_int_equal(vl2_calibrate(session, conversation, NULL, calibration, &error),
                     VL2_ERROR_CONTEXT);
    const vl2_calibrate_options options = {.tokens = -1};
    assert_int_equal(vl2_calibrate(session, conversation, &options, calibration, &error),
                     VL2_ERROR_ARGUMENT);
    assert_non_null(strstr(error.message, "tokens"));
    assert_null(session->compute.observer);
    assert_int_equal(vl2_calibration_write(calibration, "/no/such/folder/sums", &error),
                     VL2_ERROR_IO);
    assert_non_null(strstr(error.message, "/no/such/folder/sums"));
    safetensors *file = written(calibration); /* of nothing */
    assert_int_equal(safetensors_count(file), 0);
    safetensors_close(file);
    vl2_calibration_info info;
    vl2_calibration_get_info(calibration, &info);
    assert_true(info.conversations == 0 && info.tokens == 0 && info.matrices == 0);
    vl2_calibration_close(calibration);
    vl2_calibration_close(NULL);
    vl2_session_close(session);
    vl2_conversation_close(conversation);
}

typedef struct canceller {
    vl2_session *session;
    vl2_stage stage;
} canceller;

static void cancel(const vl2_progress *progress, void *user)
{
    canceller *c = user;
    if (progress->stage == c->stage && progress->done > 1) {
        vl2_session_cancel(c->session);
    }
}

static void test_cancelled(void **state)
{
    (void)state;
    static const vl2_stage stages[] = {VL2_STAGE_VISION, VL2_STAGE_PREFILL, VL2_STAGE_GENERATE};
    vl2_conversation *conversation = with_pictures();
    for (int i = 0; i < 3; i++) {
        canceller c = {NULL, stages[i]};
        vl2_session_options options;
        vl2_session_options_defaults(&options);
        options.context = 256;
        options.chunk = 16;
        options.threads = 1;
        options.progress = cancel;
        options.progress_user = &c;
        assert_int_equal(vl2_session_open(model, &options, &c.session, NULL), VL2_OK);
        vl2_calibration *calibration = create();
        assert_int_equal(vl2_calibrate(c.session, conversation, NULL, calibration, NULL),
                         VL2_ERROR_CANCELLED);
        assert_null(c.session->compute.observer);
        vl2_calibration_info info;
        vl2_calibration_get_info(calibration, &info);
        assert_int_equal(info.conversations, 0);
        vl2_calibration_close(calibration);
        vl2_session_close(c.session);
    }
    vl2_conversation_close(conversation);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_first_layer), cmocka_unit_test(test_head),
        cmocka_unit_test(test_experts),     cmocka_unit_test(test_answers),
        cmocka_unit_test(test_pictures),
        cmocka_unit_test(test_names),       cmocka_unit_test(test_threads),
        cmocka_unit_test(test_accumulated), cmocka_unit_test(test_notes),
        cmocka_unit_test(test_bad_arguments), cmocka_unit_test(test_cancelled),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
