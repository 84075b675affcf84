#include "golden/golden_case.h"

#include "engine/model.h"

#include <dirent.h>
#include <math.h>
#include <string.h>
#include <unistd.h>

/* Says which case and which quantity failed; cmocka's own message only has the line. */
#define expect(c, condition, ...)                                                                  \
    do {                                                                                           \
        if (!(condition)) {                                                                        \
            print_error("%s: ", (c)->name);                                                        \
            print_error(__VA_ARGS__);                                                              \
            print_error("\n");                                                                     \
            fail();                                                                                \
        }                                                                                          \
    } while (0)

void golden_case_open(const char *folder, const char *name, golden_case *c)
{
    char path[4200];
    json_error_t error;
    snprintf(c->folder, sizeof(c->folder), "%s", folder);
    snprintf(c->name, sizeof(c->name), "%s", name);
    snprintf(path, sizeof(path), "%s/case.json", folder);
    c->expected = json_load_file(path, 0, &error);
    expect(c, c->expected != NULL, "%s: %s", path, error.text);
}

void golden_case_close(golden_case *c)
{
    json_decref(c->expected);
}

bool golden_has_array(const json_t *description, const char *name)
{
    return json_object_get(json_object_get(description, "arrays"), name) != NULL;
}

void *golden_array(const char *folder, const json_t *description, const char *name, size_t *count)
{
    const json_t *entry = json_object_get(json_object_get(description, "arrays"), name);
    assert_non_null(entry);
    const char *type = json_string_value(json_object_get(entry, "dtype"));
    size_t elements = 1, width = strcmp(type, "uint8") == 0 ? 1 : 4;
    const json_t *shape = json_object_get(entry, "shape");
    for (size_t i = 0; i < json_array_size(shape); i++) {
        elements *= (size_t)json_integer_value(json_array_get(shape, i));
    }
    char path[4400];
    snprintf(path, sizeof(path), "%s/%s", folder,
             json_string_value(json_object_get(entry, "file")));
    FILE *file = fopen(path, "rb");
    assert_non_null(file);
    void *data = malloc(elements * width + 1);
    assert_non_null(data);
    size_t read = fread(data, width, elements + 1, file);
    fclose(file);
    assert_int_equal(read, elements);
    *count = elements;
    return data;
}

double relative_l2(const float *a, const float *b, size_t count)
{
    double difference = 0, norm = 0;
    for (size_t i = 0; i < count; i++) {
        difference += ((double)a[i] - b[i]) * ((double)a[i] - b[i]);
        norm += (double)b[i] * b[i];
    }
    return sqrt(difference) / sqrt(norm > 0 ? norm : 1);
}

json_t *golden_trace(vl2_session *session, const golden_case *c, char *out, size_t size)
{
    vl2_error error = {VL2_OK, ""};
    char path[4200];
    vl2_conversation *conversation;
    snprintf(out, size, "/tmp/vl2-trace-XXXXXX");
    assert_non_null(mkdtemp(out));
    snprintf(path, sizeof(path), "%s/case.json", c->folder);
    vl2_status status = vl2_conversation_load(path, 0, &conversation, &error);
    expect(c, status == VL2_OK, "%s", error.message);
    vl2_trace_options options;
    vl2_trace_options_defaults(&options);
    options.tokens = (int)json_array_size(
        json_object_get(json_object_get(c->expected, "greedy"), "tokens"));
    options.tile = (size_t)json_integer_value(json_object_get(c->expected, "full_tile_index"));
    status = vl2_session_trace(session, conversation, &options, out, &error);
    expect(c, status == VL2_OK, "%s", error.message);
    vl2_conversation_close(conversation);
    snprintf(path, sizeof(path), "%s/trace.json", out);
    json_t *trace = json_load_file(path, 0, NULL);
    expect(c, trace != NULL, "%s cannot be read", path);
    return trace;
}

void golden_remove(const char *folder)
{
    DIR *entries = opendir(folder);
    assert_non_null(entries);
    for (struct dirent *entry; (entry = readdir(entries)) != NULL;) {
        char path[4400];
        snprintf(path, sizeof(path), "%s/%s", folder, entry->d_name);
        if (entry->d_name[0] != '.') {
            unlink(path);
        }
    }
    closedir(entries);
    rmdir(folder);
}

static void compare_exact(const golden_case *c, const json_t *trace, const char *key)
{
    expect(c, json_equal(json_object_get(trace, key), json_object_get(c->expected, key)),
           "%s differs", key);
}

static double number_of(const json_t *object, const char *key)
{
    return json_number_value(json_object_get(object, key));
}

static void compare_tiles(const golden_case *c, const json_t *trace)
{
    const json_t *found = json_object_get(trace, "tiles");
    const json_t *expected = json_object_get(c->expected, "tiles");
    expect(c, json_array_size(found) == json_array_size(expected), "number of tiles differs");
    for (size_t i = 0; i < json_array_size(expected); i++) {
        const json_t *a = json_array_get(found, i), *b = json_array_get(expected, i);
        expect(c, json_equal(json_object_get(a, "sha256"), json_object_get(b, "sha256")),
               "tile %zu: pixels differ", i);
        static const char *const norms[] = {"vision_l2", "projector_l2"};
        for (int n = 0; n < 2; n++) {
            double x = number_of(a, norms[n]), y = number_of(b, norms[n]);
            expect(c, fabs(x - y) <= TOLERANCE_FEATURES * y, "tile %zu: %s: %g, expected %g", i,
                   norms[n], x, y);
        }
        /* A mean over n numbers of norm l moves by at most tolerance * l / sqrt(n). */
        expect(c, fabs(number_of(a, "vision_mean") - number_of(b, "vision_mean")) < 1e-5,
               "tile %zu: vision_mean", i);
        expect(c, fabs(number_of(a, "projector_mean") - number_of(b, "projector_mean")) < 1e-5,
               "tile %zu: projector_mean", i);
        const json_t *steps = json_object_get(b, "vit_l2");
        for (size_t s = 0; s < json_array_size(steps); s++) {
            double y = json_number_value(json_array_get(steps, s));
            double x = json_number_value(json_array_get(json_object_get(a, "vit_l2"), s));
            expect(c, fabs(x - y) <= TOLERANCE_FEATURES * y, "tile %zu: vit_l2[%zu]: %g, not %g", i,
                   s, x, y);
        }
    }
}

static void compare_features(const golden_case *c, const char *out, const json_t *trace,
                             const char *name, double tolerance)
{
    if (!golden_has_array(c->expected, name)) {
        return;
    }
    size_t found_count, expected_count;
    float *found = golden_array(out, trace, name, &found_count);
    float *expected = golden_array(c->folder, c->expected, name, &expected_count);
    expect(c, found_count == expected_count, "%s: sizes differ", name);
    double error = relative_l2(found, expected, expected_count);
    expect(c, error <= tolerance, "%s: relative error %g, expected at most %g", name, error,
           tolerance);
    free(found);
    free(expected);
}

static void compare_embeddings(const golden_case *c, const char *out, const json_t *trace)
{
    if (!golden_has_array(c->expected, "embeds_rows")) {
        return;
    }
    size_t found_count, expected_count;
    float *found = golden_array(out, trace, "embeds", &found_count);
    float *expected = golden_array(c->folder, c->expected, "embeds_rows", &expected_count);
    const json_t *positions = json_object_get(c->expected, "embeds_rows_positions");
    size_t width = expected_count / json_array_size(positions);
    for (size_t i = 0; i < json_array_size(positions); i++) {
        size_t at = (size_t)json_integer_value(json_array_get(positions, i));
        expect(c, (at + 1) * width <= found_count, "embedding row %zu is missing", at);
        double error = relative_l2(found + at * width, expected + i * width, width);
        expect(c, error <= TOLERANCE_FEATURES, "embedding row %zu: relative error %g", at, error);
    }
    free(found);
    free(expected);
}

static void compare_hidden(const golden_case *c, const char *out, const json_t *trace)
{
    size_t count;
    float *found = golden_array(out, trace, "hidden_last", &count);
    float *expected = golden_array(c->folder, c->expected, "hidden_last", &count);
    const json_t *shape = json_object_get(
        json_object_get(json_object_get(c->expected, "arrays"), "hidden_last"), "shape");
    size_t width = (size_t)json_integer_value(json_array_get(shape, 1));
    for (size_t row = 0; row < count / width; row++) {
        double error = relative_l2(found + row * width, expected + row * width, width);
        expect(c, error <= TOLERANCE_HIDDEN, "hidden_last[%zu]: relative error %g", row, error);
    }
    free(found);
    free(expected);
    found = golden_array(out, trace, "layer_l2", &count);
    expected = golden_array(c->folder, c->expected, "layer_l2", &count);
    for (size_t i = 0; i < count; i++) {
        expect(c, fabs(found[i] - expected[i]) <= TOLERANCE_HIDDEN * expected[i],
               "layer_l2[%zu]: %g, expected %g", i, found[i], expected[i]);
    }
    free(found);
    free(expected);
}

static bool same_set(const int32_t *a, const uint8_t *b, size_t k)
{
    for (size_t i = 0; i < k; i++) {
        bool there = false;
        for (size_t j = 0; j < k; j++) {
            there = there || a[i] == b[j];
        }
        if (!there) {
            return false;
        }
    }
    return true;
}

static void compare_router(const golden_case *c, const char *out, const json_t *trace)
{
    const json_t *layers = json_object_get(c->expected, "router");
    const json_t *found = json_object_get(trace, "router");
    expect(c, json_array_size(found) == json_array_size(layers), "number of expert layers differs");
    for (size_t i = 0; i < json_array_size(layers); i++) {
        const json_t *a = json_array_get(found, i), *b = json_array_get(layers, i);
        expect(c, json_equal(json_object_get(a, "layer"), json_object_get(b, "layer")) &&
                      json_equal(json_object_get(a, "last_ids"), json_object_get(b, "last_ids")),
               "router[%zu]: layer or experts of the last position differ", i);
        const json_t *weights = json_object_get(b, "last_weights");
        for (size_t j = 0; j < json_array_size(weights); j++) {
            double x = json_number_value(json_array_get(json_object_get(a, "last_weights"), j));
            double y = json_number_value(json_array_get(weights, j));
            expect(c, fabs(x - y) <= TOLERANCE_ROUTER, "router[%zu]: weight %zu: %g, expected %g",
                   i, j, x, y);
        }
    }
    size_t count, expected_count;
    int32_t *ids = golden_array(out, trace, "router_ids", &count);
    uint8_t *expected = golden_array(c->folder, c->expected, "router_ids", &expected_count);
    expect(c, count == expected_count, "router_ids: sizes differ");
    size_t k = json_array_size(
        json_object_get(json_array_get(layers, 0), "last_ids"));
    size_t positions = count / json_array_size(layers) / k, different = 0;
    for (size_t i = 0; i < count; i += k) {
        double gap = number_of(json_array_get(layers, i / k / positions), "min_gap");
        if (!same_set(ids + i, expected + i, k)) {
            different++;
            expect(c, gap <= TOLERANCE_ROUTER,
                   "router_ids: position %zu of expert layer %zu differs",
                   i / k % positions, i / k / positions);
        }
    }
    if (different > 0) {
        print_message("%s: %zu of %zu choices differ where the gap is below %g\n", c->name,
                      different, count / k, TOLERANCE_ROUTER);
    }
    free(ids);
    free(expected);
    compare_features(c, out, trace, "router_scores_last", TOLERANCE_HIDDEN);
}

static void compare_logits(const golden_case *c, const char *out, const json_t *trace)
{
    size_t count;
    float *found = golden_array(out, trace, "logits_last", &count);
    float *expected = golden_array(c->folder, c->expected, "logits_last", &count);
    for (size_t i = 0; i < count; i++) {
        expect(c, fabsf(found[i] - expected[i]) <= TOLERANCE_LOGITS,
               "logits_last[%zu]: %g, expected %g", i, found[i], expected[i]);
    }
    free(found);
    free(expected);
}

static void compare_greedy(const golden_case *c, const json_t *trace)
{
    const json_t *found = json_object_get(trace, "greedy");
    const json_t *expected = json_object_get(c->expected, "greedy");
    expect(c, json_equal(json_object_get(found, "tokens"), json_object_get(expected, "tokens")),
           "greedy tokens differ");
    expect(c, json_equal(json_object_get(found, "text"), json_object_get(expected, "text")),
           "greedy text differs");
    const json_t *margins = json_object_get(expected, "margins");
    for (size_t i = 0; i < json_array_size(margins); i++) {
        double x = json_number_value(json_array_get(json_object_get(found, "margins"), i));
        double y = json_number_value(json_array_get(margins, i));
        expect(c, fabs(x - y) <= 2 * TOLERANCE_LOGITS, "margin %zu: %g, expected %g", i, x, y);
    }
}

void golden_compare(const golden_case *c, const char *out, const json_t *trace)
{
    static const char *const exact[] = {"sft_format", "num_tokens", "input_ids",
                                        "images_seq_mask_runs", "images_spatial_crop_wh",
                                        "num_image_tokens"};
    for (size_t i = 0; i < sizeof(exact) / sizeof(exact[0]); i++) {
        compare_exact(c, trace, exact[i]);
    }
    compare_tiles(c, trace);
    compare_features(c, out, trace, "vision_out", TOLERANCE_FEATURES);
    compare_features(c, out, trace, "projector_out", TOLERANCE_FEATURES);
    compare_embeddings(c, out, trace);
    compare_hidden(c, out, trace);
    compare_router(c, out, trace);
    compare_logits(c, out, trace);
    compare_greedy(c, trace);
}

/* Whether a case belongs to an own checkpoint. */
static bool is_of(const char *name, const char *checkpoint)
{
    size_t size = strlen(checkpoint);
    return strncmp(name, checkpoint, size) == 0 && name[size] == '/';
}

static bool is_wanted(const char *const *only, const char *name)
{
    bool wanted = only[0] == NULL;
    for (; *only != NULL; only++) {
        wanted = wanted || strcmp(*only, name) == 0;
    }
    return wanted;
}

/* Runs the cases under `folder`, all or those named; their picture paths are relative to `root`.
 * Returns how many. */
static size_t run_cases(const char *root, const char *model_folder, const char *folder,
                        const char *const *only, golden_runner run, void *user)
{
    assert_int_equal(chdir(root), 0);
    struct dirent **entries;
    int count = scandir(folder, &entries, NULL, alphasort);
    size_t ran = 0;
    assert_true(count > 0);
    for (int i = 0; i < count; i++) {
        char path[4400], name[600];
        snprintf(path, sizeof(path), "%s/%s", folder, entries[i]->d_name);
        snprintf(name, sizeof(name), "%s/%s", strrchr(model_folder, '/') + 1, entries[i]->d_name);
        if (entries[i]->d_name[0] != '.' && is_wanted(only, name)) {
            run(model_folder, path, name, user);
            ran++;
        }
        free(entries[i]);
    }
    free(entries);
    return ran;
}

void golden_run_own(const char *name, const char *const *only, golden_runner run, void *user)
{
    char model[4200], cases[4300];
    snprintf(model, sizeof(model), "%s/checkpoints/%s", TEST_BUILD_DIR, name);
    snprintf(cases, sizeof(cases), "%s/cases", model);
    size_t ran = run_cases(model, model, cases, only, run, user), named = 0;
    for (const char *const *at = only; *at != NULL; at++) {
        named += is_of(*at, name);
    }
    assert_true(only[0] == NULL ? ran > 0 : ran == named);
}

void golden_run_full(const char *name, golden_runner run, void *user)
{
    static const char *const all[] = {NULL};
    const char *golden = golden_or_skip();
    char root[4096], model[4200], cases[4300];
    assert_non_null(realpath(golden, root));
    snprintf(model, sizeof(model), "%s/models/%s", root, name);
    snprintf(cases, sizeof(cases), "%s/cases/%s", root, name);
    assert_true(run_cases(root, model, cases, all, run, user) > 0);
}

const char *const *golden_arguments(char **argv)
{
    for (char **at = argv; *at != NULL; at++) {
        if (!is_of(*at, "small") && !is_of(*at, "tiny") && !is_of(*at, "base")) {
            print_error("%s is not small/..., tiny/... or base/...\n", *at);
            exit(2);
        }
    }
    return (const char *const *)argv;
}

void golden_check_kernels(const vl2_model *model)
{
    static const int shown[] = {KERNEL_matvec_bf16, KERNEL_matmul_packed,
                                KERNEL_matmul_packed_many};
    const char *mask = getenv("VL2_CPU");
    cpu_features allowed;
    kernels expected;
    memset(&expected, 0, sizeof(expected));
    assert_true(cpu_parse_mask(mask, cpu_detect_features(), &allowed, NULL));
    kernels_select(allowed, &expected);
    for (int slot = 0; slot < KERNEL_COUNT; slot++) {
        assert_string_equal(model->kernels.isa[slot], expected.isa[slot]);
    }
    if (mask != NULL) {
        print_message("VL2_CPU=%s:", mask);
        for (size_t i = 0; i < sizeof(shown) / sizeof(shown[0]); i++) {
            print_message(" %s=%s", kernel_name(shown[i]), model->kernels.isa[shown[i]]);
        }
        print_message("\n");
    }
}
