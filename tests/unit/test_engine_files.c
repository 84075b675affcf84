/* What vl2.h reads and writes: model folders with every kind of defect, conversation files,
 * traces. */
#include "test_model_data.h"

#include <jansson.h>
#include <string.h>
#include <unistd.h>

static char folder[FOLDER_SIZE]; /* of the running test, with a good miniature in it */

static int set_up(void **state)
{
    (void)state;
    synth_shape shape;
    folder_make(folder);
    miniature(&shape);
    miniature_write(&shape, 2, 0, folder);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    folder_remove(folder);
    return 0;
}

/* ---------------------------------------------------------------------------- models */

static void expect_model_error(const char *path, vl2_status status, const char *const *words)
{
    vl2_error error = {VL2_OK, ""};
    vl2_model *model = NULL;
    vl2_status found = vl2_model_open(path, NULL, &model, &error);
    if (found != status) {
        fail_msg("status %d (%s), expected %d", found, error.message, status);
    }
    assert_null(model);
    assert_int_equal(error.status, status);
    for (; *words != NULL; words++) {
        if (strstr(error.message, *words) == NULL) {
            fail_msg("\"%s\" does not name \"%s\"", error.message, *words);
        }
    }
    assert_int_equal(vl2_model_open(path, NULL, &model, NULL), status); /* no error wanted */
}

#define WORDS(...) ((const char *const[]){__VA_ARGS__, NULL})

static void test_missing_files(void **state)
{
    (void)state;
    static const char *const files[] = {"config.json", "processor_config.json", "tokenizer.json",
                                        "model.safetensors"};
    expect_model_error("/no/such/model", VL2_ERROR_MODEL, WORDS("/no/such/model"));
    for (size_t i = 0; i < sizeof(files) / sizeof(files[0]); i++) {
        char path[160], aside[160];
        snprintf(path, sizeof(path), "%s/%s", folder, files[i]);
        snprintf(aside, sizeof(aside), "%s/aside", folder);
        expect_model_error(path, VL2_ERROR_MODEL, WORDS(path)); /* a file is not a folder */
        assert_int_equal(rename(path, aside), 0);
        expect_model_error(folder, VL2_ERROR_MODEL,
                           WORDS(folder, i < 3 ? files[i] : "safetensors"));
        if (i < 3) {
            assert_int_equal(symlink("/dev/null", path), 0); /* an empty one */
            expect_model_error(folder, VL2_ERROR_MODEL, WORDS(files[i]));
            unlink(path);
        }
        assert_int_equal(rename(aside, path), 0);
    }
    vl2_model_close(model_open_or_fail(folder));
}

/* config.json calls for other tensors than there are. */
static void test_other_configuration(void **state)
{
    (void)state;
    static const struct {
        const char *file, *patch, *words[4];
    } rows[] = {
        {"config.json", "{\"language_config\": {\"num_hidden_layers\": 4}}",
         {"missing", "language.model.layers.3.input_layernorm.weight", "(3", NULL}},
        {"config.json", "{\"language_config\": {\"attention_bias\": true}}",
         {"missing", "self_attn.kv_a_proj_with_mqa.bias", NULL}},
        {"config.json", "{\"language_config\": {\"q_lora_rank\": 8}}",
         {"missing", "self_attn.q_a_proj.weight", NULL}},
        {"config.json", "{\"language_config\": {\"topk_method\": \"noaux_tc\"}}",
         {"missing", "e_score_correction_bias", NULL}},
        {"config.json", "{\"language_config\": {\"intermediate_size\": 53}}",
         {"model.safetensors", "layers.0.mlp.gate_proj.weight", "[52, 36]", "[53, 36]"}},
        {"config.json", "{\"language_config\": {\"vocab_size\": 289}}",
         {"embed_tokens.weight", "[288, 36]", "[289, 36]", NULL}},
        {"config.json", "{\"projector_config\": {\"mlp_ratio\": 2}}",
         {"projector.layers.0.weight", "[36, 96]", "[72, 96]", NULL}},
        {"config.json", "{\"vision_config\": {\"mlp_ratio\": 2}}",
         {"vision.blocks.0.mlp.fc1.weight", "expected [48, 24]", NULL}},
        {"config.json", "{\"language_config\": {\"vocab_size\": 279}}",
         {"tokenizer.json", "279", "278", "vocab_size"}},
        {"processor_config.json", "{\"patch_size\": 14}",
         {"processor_config.json", "patch_size", "14", "7"}},
        {"processor_config.json", "{\"downsample_ratio\": 1}",
         {"processor_config.json", "downsample_ratio", NULL}},
        {"processor_config.json", "{\"candidate_resolutions\": [[384, 384]]}",
         {"processor_config.json", "candidate_resolutions", "384", "28"}},
        {"tokenizer_config.json", "{\"eos_token\": \"<no such token>\"}",
         {"tokenizer_config.json", "eos_token", "<no such token>", NULL}},
        {"config.json", "{\"vision_config\": 3}", {"config.json", "vision_config", NULL}},
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        char path[160], keep[160], command[400];
        snprintf(path, sizeof(path), "%s/%s", folder, rows[i].file);
        snprintf(keep, sizeof(keep), "%s/keep", folder);
        snprintf(command, sizeof(command), "cp %s %s", path, keep);
        assert_int_equal(system(command), 0);
        json_patch(folder, rows[i].file, rows[i].patch);
        expect_model_error(folder, VL2_ERROR_MODEL,
                           WORDS(rows[i].words[0], rows[i].words[1], rows[i].words[2],
                                 rows[i].words[2] != NULL ? rows[i].words[3] : NULL));
        assert_int_equal(rename(keep, path), 0);
    }
}

/* Replaces bytes of a file by as many others. */
static void edit(const char *path, const char *from, const char *to)
{
    static char bytes[4 << 20];
    FILE *file = fopen(path, "r+b");
    assert_non_null(file);
    size_t size = fread(bytes, 1, sizeof(bytes), file);
    char *found = memmem(bytes, size, from, strlen(from));
    assert_non_null(found);
    assert_int_equal(strlen(from), strlen(to));
    fseek(file, found - bytes, SEEK_SET);
    assert_int_equal(fwrite(to, 1, strlen(to), file), strlen(to));
    fclose(file);
}

static void test_damaged_weights(void **state)
{
    (void)state;
    char path[160];
    snprintf(path, sizeof(path), "%s/model.safetensors", folder);
    edit(path, "\"language.model.norm.weight\":{\"dtype\":\"BF16\"",
         "\"language.model.norm.weight\":{\"dtype\":\"I16\" ");
    expect_model_error(folder, VL2_ERROR_MODEL,
                       WORDS("model.safetensors", "language.model.norm.weight", "I16"));
    edit(path, "{\"dtype\":\"I16\" ", "{\"dtype\":\"BF16\"");
    edit(path, "\"image_newline\"", "\"image_newlinf\"");
    expect_model_error(folder, VL2_ERROR_MODEL, WORDS("missing", "(1)", "image_newline"));
    edit(path, "\"image_newlinf\"", "\"image_newline\"");
    vl2_model_close(model_open_or_fail(folder));
    FILE *file = fopen(path, "rb");
    fseek(file, 0, SEEK_END);
    long size = ftell(file);
    fclose(file);
    assert_int_equal(truncate(path, size - 1), 0);
    expect_model_error(folder, VL2_ERROR_MODEL, WORDS("model.safetensors"));
    assert_int_equal(truncate(path, 5), 0);
    expect_model_error(folder, VL2_ERROR_MODEL, WORDS("model.safetensors"));
    assert_int_equal(truncate(path, 0), 0);
    expect_model_error(folder, VL2_ERROR_MODEL, WORDS("model.safetensors"));
}

static void test_missing_shard(void **state)
{
    (void)state;
    char path[160];
    synth_shape shape;
    miniature(&shape);
    folder_remove(folder);
    miniature_write(&shape, 2, 50000, folder);
    vl2_model *model = model_open_or_fail(folder);
    vl2_model_info info;
    vl2_model_get_info(model, &info);
    assert_true(info.shards > 2);
    vl2_model_close(model);
    snprintf(path, sizeof(path), "%s/model-00002-of-%06d.safetensors", folder, info.shards);
    assert_int_equal(unlink(path), 0);
    expect_model_error(folder, VL2_ERROR_MODEL, WORDS("model-00002-of"));
}

/* Tensors that nothing uses are listed, and do no harm; the pooling head that all published
 * files carry is expected. */
static void test_unexpected(void **state)
{
    (void)state;
    synth_shape shape;
    miniature(&shape);
    shape.vision.attn_pool = true;
    miniature_write(&shape, 2, 0, folder);
    vl2_model *model = model_open_or_fail(folder);
    vl2_model_info info;
    vl2_model_get_info(model, &info);
    assert_int_equal(info.unexpected_count, 0);
    assert_null(vl2_model_unexpected(model, 0));
    vl2_model_close(model);
    json_patch(folder, "config.json", "{\"language_config\": {\"num_hidden_layers\": 2, "
                                      "\"n_shared_experts\": null}}");
    model = model_open_or_fail(folder);
    vl2_model_get_info(model, &info);
    /* Layer 2: 2 norms, 5 of attention, the gate, 9 experts; layer 1: the shared expert. */
    assert_int_equal(info.unexpected_count, 2 + 5 + 1 + 9 * 3 + 3);
    bool layer = false, shared = false;
    for (size_t i = 0; i < info.unexpected_count; i++) {
        const char *name = vl2_model_unexpected(model, i);
        layer = layer || strcmp(name, "language.model.layers.2.input_layernorm.weight") == 0;
        shared = shared ||
                 strcmp(name, "language.model.layers.1.mlp.shared_experts.up_proj.weight") == 0;
    }
    assert_true(layer && shared);
    vl2_model_close(model);
}

static void count_progress(const vl2_progress *progress, void *user)
{
    if (progress->stage == VL2_STAGE_OPEN && progress->done == progress->total) {
        (*(int *)user)++;
    }
}

static void test_info(void **state)
{
    (void)state;
    int calls = 0;
    vl2_model *model;
    vl2_model_options options;
    vl2_model_options_defaults(&options);
    options.progress = count_progress;
    options.progress_user = &calls;
    assert_int_equal(vl2_model_open(folder, &options, &model, NULL), VL2_OK);
    assert_int_equal(calls, 1);
    vl2_model_info info;
    vl2_model_get_info(model, &info);
    assert_string_equal(info.kind, "deepseek_vl_v2");
    assert_string_equal(info.attention, "mla");
    assert_string_equal(info.gate, "softmax/greedy");
    assert_string_equal(info.data_type, "bf16");
    assert_int_equal(info.hidden, 36);
    assert_int_equal(info.layers, 3);
    assert_int_equal(info.experts, 8);
    assert_int_equal(info.experts_per_token, 3);
    assert_int_equal(info.dense_layers, 1);
    assert_int_equal(info.latent, 20);
    assert_int_equal(info.context, 512);
    assert_int_equal(info.tile_side, 28);
    assert_int_equal(info.tokens_per_tile_side, 2);
    synth_shape shape;
    miniature(&shape);
    assert_int_equal(info.parameters, synth_tensor_bytes(&shape) / 2);
    assert_int_equal(info.weight_bytes, synth_tensor_bytes(&shape));
    assert_int_equal(info.kv_bytes_per_token, 3 * (20 + 8) * sizeof(float));
    assert_true(info.parameters_active < info.parameters_language);
    vl2_model_close(model);
    vl2_model_close(NULL);
}

/* A word that VL2_CPU does not know. */
static void test_unknown_cpu(void **state)
{
    (void)state;
    const char *before = getenv("VL2_CPU");
    char *kept = before != NULL ? strdup(before) : NULL;
    setenv("VL2_CPU", "pentium", 1);
    expect_model_error(folder, VL2_ERROR_ARGUMENT, WORDS("VL2_CPU", "pentium"));
    if (kept != NULL) {
        setenv("VL2_CPU", kept, 1);
    } else {
        unsetenv("VL2_CPU");
    }
    free(kept);
}

/* ---------------------------------------------------------------------------- conversations */

static void write_text(const char *name, const char *text)
{
    char path[160];
    snprintf(path, sizeof(path), "%s/%s", folder, name);
    FILE *file = fopen(path, "wb");
    assert_non_null(file);
    fputs(text, file);
    fclose(file);
}

static void test_round_trip(void **state)
{
    (void)state;
    static const char odd[] =
        "\"quotes\" \\ / \n\t \x01 \xc3\xa9 \xe2\x82\xac \xf0\x9f\xa6\x92 <image>";
    char picture[160], path[160], again[160];
    vl2_image *made = picture_make(9, 7, 1), *image;
    snprintf(picture, sizeof(picture), "%s/p.png", folder);
    snprintf(path, sizeof(path), "%s/talk.json", folder);
    snprintf(again, sizeof(again), "%s/again.json", folder);
    assert_int_equal(vl2_image_write_png(made, picture, NULL), VL2_OK);
    assert_int_equal(vl2_image_open(picture, 0, &image, NULL), VL2_OK);
    vl2_conversation *conversation, *loaded;
    assert_int_equal(vl2_conversation_create(&conversation, NULL), VL2_OK);
    conversation_add(conversation, "system", "", NULL, 0);
    conversation_add(conversation, "<|User|>", odd, &image, 1);
    conversation_add(conversation, "<|Assistant|>", "fine", NULL, 0);
    assert_int_equal(vl2_conversation_save(conversation, path, NULL), VL2_OK);
    vl2_error error = {VL2_OK, ""};
    if (vl2_conversation_load(path, 0, &loaded, &error) != VL2_OK) {
        fail_msg("%s", error.message);
    }
    assert_int_equal(vl2_conversation_count(loaded), 3);
    for (size_t i = 0; i < 3; i++) {
        size_t a, b;
        assert_string_equal(vl2_conversation_role(loaded, i),
                            vl2_conversation_role(conversation, i));
        assert_string_equal(vl2_conversation_content(loaded, i, &a),
                            vl2_conversation_content(conversation, i, &b));
        assert_int_equal(a, b);
    }
    assert_int_equal(vl2_conversation_image_count(loaded), 1);
    const vl2_image *back = vl2_conversation_image(loaded, 0);
    assert_int_equal(vl2_image_width(back), 9);
    assert_memory_equal(vl2_image_pixels(back), vl2_image_pixels(made), 9 * 7 * 3);
    assert_int_equal(vl2_conversation_save(loaded, again, NULL), VL2_OK);
    char command[400];
    snprintf(command, sizeof(command), "cmp %s %s", path, again);
    assert_int_equal(system(command), 0);
    assert_null(vl2_conversation_role(loaded, 3));
    assert_null(vl2_conversation_content(loaded, 3, NULL));
    assert_null(vl2_conversation_image(loaded, 1));
    vl2_conversation_remove_last(loaded);
    vl2_conversation_remove_last(loaded);
    assert_int_equal(vl2_conversation_image_count(loaded), 0);
    vl2_conversation_remove_last(loaded);
    vl2_conversation_remove_last(loaded); /* nothing is left to remove */
    assert_int_equal(vl2_conversation_count(loaded), 0);
    vl2_conversation_close(loaded);
    vl2_conversation_close(conversation);
    vl2_conversation_close(NULL);
    vl2_image_release(image);
    vl2_image_release(made);
}

/* What a JSON file cannot hold is refused, and no file appears. */
static void test_save_errors(void **state)
{
    (void)state;
    char path[160];
    vl2_image *image = picture_make(9, 7, 1);
    vl2_conversation *bad[3] = {conversation_of("<image>", &image, 1),
                                conversation_of("broken \xff text", NULL, 0), NULL};
    assert_int_equal(vl2_conversation_create(&bad[2], NULL), VL2_OK);
    assert_int_equal(vl2_conversation_add(bad[2], "user", "a\0b", 3, NULL, 0, NULL), VL2_OK);
    snprintf(path, sizeof(path), "%s/talk.json", folder);
    for (int i = 0; i < 3; i++) {
        vl2_error error = {VL2_OK, ""};
        assert_int_equal(vl2_conversation_save(bad[i], path, &error), VL2_ERROR_ARGUMENT);
        assert_non_null(strstr(error.message, "message 0"));
        assert_int_not_equal(access(path, F_OK), 0);
        vl2_conversation_close(bad[i]);
    }
    vl2_conversation *good = conversation_of("Hello", NULL, 0);
    vl2_error error = {VL2_OK, ""};
    assert_int_equal(vl2_conversation_save(good, "/no/such/folder/x.json", &error), VL2_ERROR_IO);
    assert_non_null(strstr(error.message, "/no/such/folder/x.json"));
    vl2_conversation_close(good);
    vl2_image_release(image);
}

static void test_load_errors(void **state)
{
    (void)state;
    static const struct {
        const char *text, *word;
    } rows[] = {
        {"", "talk.json"}, {"{", "line 1"}, {"3", "list"}, {"{\"conversation\": 3}", "list"},
        {"[3]", "[0]"}, {"[{\"role\": \"user\"}]", "[0].content"},
        {"[{\"content\": \"a\"}]", "[0].role"}, {"[{\"role\": 3, \"content\": \"a\"}]", "[0].role"},
        {"[{\"role\": \"User\", \"content\": \"a\"}]", "User"},
        {"[{\"role\": \"user\", \"content\": [\"a\"]}]", "[0].content"},
        {"[{\"role\": \"user\", \"content\": \"a\", \"images\": \"x.png\"}]", "[0].images"},
        {"[{\"role\": \"user\", \"content\": \"a\", \"images\": [4]}]", "[0].images[0]"},
        {"[{\"role\": \"user\", \"content\": \"a\"}, {\"role\": \"user\", \"content\": \"a\", "
         "\"images\": [\"no such.png\"]}]", "no such.png"},
        {"[{\"role\": \"user\", \"content\": \"a\", \"images\": [\"talk.json\"]}]", "talk.json"},
        {"[{\"role\": \"user\", \"content\": \"a\", \"images\": [\"p.png\"]}]", "p.png"},
    };
    char path[160], picture[160];
    snprintf(path, sizeof(path), "%s/talk.json", folder);
    snprintf(picture, sizeof(picture), "%s/p.png", folder);
    vl2_image *image = picture_make(30, 30, 1);
    assert_int_equal(vl2_image_write_png(image, picture, NULL), VL2_OK);
    vl2_image_release(image);
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        vl2_conversation *conversation = NULL;
        vl2_error error = {VL2_OK, ""};
        write_text("talk.json", rows[i].text);
        /* 900 pixels are too many for a limit of 899. */
        if (vl2_conversation_load(path, 899, &conversation, &error) != VL2_ERROR_INPUT) {
            fail_msg("%s is accepted", rows[i].text);
        }
        assert_null(conversation);
        if (strstr(error.message, rows[i].word) == NULL) {
            fail_msg("\"%s\" does not name %s", error.message, rows[i].word);
        }
    }
    vl2_conversation *conversation;
    assert_int_equal(vl2_conversation_load(path, 900, &conversation, NULL), VL2_OK);
    vl2_conversation_close(conversation);
    vl2_error error = {VL2_OK, ""};
    assert_int_equal(vl2_conversation_load("/no/such.json", 0, &conversation, &error),
                     VL2_ERROR_INPUT);
    assert_non_null(strstr(error.message, "/no/such.json"));
}

/* ---------------------------------------------------------------------------- traces */

static void test_trace(void **state)
{
    (void)state;
    char out[160], path[400];
    vl2_error error = {VL2_OK, ""};
    vl2_image *image = picture_make(20, 20, 1);
    vl2_model *model = model_open_or_fail(folder);
    vl2_session *session = session_open_or_fail(model, 0, 0, 1);
    vl2_conversation *conversation = conversation_of("<image>?", &image, 1);
    vl2_trace_options options;
    vl2_trace_options_defaults(&options);
    options.tile = 2;
    snprintf(out, sizeof(out), "%s/a/b", folder);
    assert_int_equal(vl2_session_trace(session, conversation, &options, out, &error),
                     VL2_ERROR_ARGUMENT);
    assert_non_null(strstr(error.message, "tile"));
    options.tile = 1;
    options.tokens = 1000000; /* as far as the context goes */
    assert_int_equal(vl2_session_trace(session, conversation, &options, out, &error), VL2_OK);
    snprintf(path, sizeof(path), "%s/trace.json", out);
    json_t *trace = json_load_file(path, 0, NULL);
    assert_non_null(trace);
    size_t prompt = (size_t)json_integer_value(json_object_get(trace, "num_tokens"));
    assert_int_equal(json_array_size(json_object_get(json_object_get(trace, "greedy"), "tokens")),
                     512 - prompt + 1);
    json_decref(trace);
    snprintf(path, sizeof(path), "%s/config.json/x", folder); /* below a file */
    assert_int_equal(vl2_session_trace(session, conversation, NULL, path, &error), VL2_ERROR_IO);
    vl2_conversation_close(conversation);
    /* Without pictures, and without experts. */
    conversation = conversation_of("Why?", NULL, 0);
    assert_int_equal(vl2_session_trace(session, conversation, NULL, out, &error), VL2_OK);
    vl2_session_close(session);
    vl2_model_close(model);
    synth_shape shape;
    miniature(&shape);
    shape.language.n_routed_experts = 0;
    miniature_write(&shape, 2, 0, folder);
    model = model_open_or_fail(folder);
    session = session_open_or_fail(model, 0, 0, 1);
    assert_int_equal(vl2_session_trace(session, conversation, NULL, out, &error), VL2_OK);
    vl2_conversation_close(conversation);
    vl2_session_close(session);
    vl2_model_close(model);
    vl2_image_release(image);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_missing_files), TEST(test_other_configuration), TEST(test_damaged_weights),
        TEST(test_missing_shard), TEST(test_unexpected),          TEST(test_info),
        TEST(test_unknown_cpu),   TEST(test_round_trip),          TEST(test_save_errors),
        TEST(test_load_errors),   TEST(test_trace),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
