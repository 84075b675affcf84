/* text/prompt: conversations of the reference data, and what it refuses. */
#include "text_data.h"

#include "text/prompt.h"

#define BOS                                                                                        \
    "<\xEF\xBD\x9C"                                                                                \
    "begin\xE2\x96\x81of\xE2\x96\x81sentence\xEF\xBD\x9C>"
#define EOS                                                                                        \
    "<\xEF\xBD\x9C"                                                                                \
    "end\xE2\x96\x81of\xE2\x96\x81sentence\xEF\xBD\x9C>"
#define MOST 16 /* messages or pictures of a test conversation */

typedef struct conversation {
    prompt_message messages[MOST];
    size_t count;
} conversation;

static conversation read_conversation(const json_t *list)
{
    conversation result = {.count = json_array_size(list)};
    assert_true(result.count <= MOST);
    for (size_t i = 0; i < result.count; i++) {
        const json_t *message = json_array_get(list, i);
        const json_t *content = json_object_get(message, "content");
        result.messages[i] =
            (prompt_message){json_string_value(json_object_get(message, "role")),
                             json_string_value(content), json_string_length(content)};
    }
    return result;
}

static prompt_tokens find_tokens(const tokenizer *tokenizer)
{
    prompt_tokens tokens;
    vl2_error error;
    if (prompt_tokens_find(tokenizer, "<image>", tokenizer_id(tokenizer, BOS),
                           tokenizer_id(tokenizer, EOS), &tokens, &error) != VL2_OK) {
        fail_msg("%s", error.message);
    }
    return tokens;
}

static size_t read_sizes(const json_t *list, size_t sizes[MOST])
{
    size_t count = json_array_size(list);
    assert_true(count <= MOST);
    for (size_t i = 0; i < count; i++) {
        sizes[i] = (size_t)json_integer_value(json_array_get(list, i));
    }
    return count;
}

/* segments_*: lists of ids, and counts of image ids in between. */
static json_t *expected_ids(const json_t *segments, int32_t image)
{
    json_t *ids = json_array();
    for (size_t i = 0; i < json_array_size(segments); i++) {
        json_t *segment = json_array_get(segments, i);
        json_t *part = json_object_get(segment, "ids");
        if (part != NULL) {
            json_array_extend(ids, part);
        }
        json_int_t count = json_integer_value(json_object_get(segment, "image_tokens"));
        for (json_int_t k = 0; k < count; k++) {
            json_array_append_new(ids, json_integer(image));
        }
    }
    return ids;
}

static void assert_runs_right(const prompt *built, int32_t image, const size_t *sizes, size_t count)
{
    size_t images = 0;
    for (size_t i = 0; i < built->ids.count; i++) {
        images += built->ids.ids[i] == image;
    }
    assert_int_equal(built->run_count, count);
    for (size_t i = 0; i < count; i++) {
        assert_int_equal(built->runs[i][1], sizes[i]);
        assert_true(i == 0 || built->runs[i][0] >= built->runs[i - 1][0] + sizes[i - 1]);
        for (size_t k = 0; k < sizes[i]; k++) {
            assert_int_equal(built->ids.ids[built->runs[i][0] + k], image);
        }
        images -= sizes[i];
    }
    assert_int_equal(images, 0);
}

static void assert_display_equal(const conversation *input, const char *expected)
{
    buffer text = {0};
    assert_int_equal(prompt_display(input->messages, input->count, &text, NULL), VL2_OK);
    assert_string_equal(text.data == NULL ? "" : text.data, expected);
    buffer_free(&text);
}

static void check_row(const tokenizer *tokenizer, const prompt_tokens *tokens, const char *key,
                      const json_t *row)
{
    const char *note = json_string_value(json_object_get(row, "note"));
    conversation input = read_conversation(json_object_get(row, "conversation"));
    size_t sizes[MOST];
    size_t used = read_sizes(json_object_get(row, "num_image_tokens"), sizes);
    size_t pictures = json_array_size(json_object_get(row, "image_sizes_wh"));
    prompt built = {0};
    vl2_error error;
    vl2_status status = prompt_build(tokenizer, tokens, input.messages, input.count, sizes,
                                     pictures, &built, &error);
    if (json_object_get(row, "error") != NULL || pictures != used) {
        assert_int_equal(status, VL2_ERROR_INPUT); /* surplus pictures: our own error */
        return;
    }
    if (status != VL2_OK) {
        fail_msg("%s: %s", note, error.message);
    }
    json_t *expected = expected_ids(json_object_get(row, key), tokens->image);
    assert_ids_equal(&built.ids, expected, note);
    assert_runs_right(&built, tokens->image, sizes, used);
    assert_display_equal(&input, json_string_value(json_object_get(row, "sft_format")));
    json_decref(expected);
    prompt_free(&built);
}

static void test_full_prompts(void **state)
{
    (void)state;
    static const char *const sizes[] = {"128k", "100k"};
    const char *golden = golden_or_skip();
    char path[4300];
    snprintf(path, sizeof(path), "%s/prompts/prompts.json", golden);
    json_t *root = load_json(path);
    const json_t *rows = json_object_get(root, "rows");
    assert_true(json_array_size(rows) > 0);
    for (int i = 0; i < 2; i++) {
        tokenizer *tokenizer = open_full_tokenizer(golden, sizes[i]);
        prompt_tokens tokens = find_tokens(tokenizer);
        char key[24];
        snprintf(key, sizeof(key), "segments_%s", sizes[i]);
        for (size_t row = 0; row < json_array_size(rows); row++) {
            check_row(tokenizer, &tokens, key, json_array_get(rows, row));
        }
        tokenizer_close(tokenizer);
    }
    json_decref(root);
}

/* The conversations of the golden cases, with the reduced tokenizers that lie in the project. */
static void test_reduced_prompts(void **state)
{
    (void)state;
    json_t *rows = load_json(TEXT_DATA "prompts.json");
    assert_true(json_array_size(rows) > 0);
    for (size_t i = 0; i < json_array_size(rows); i++) {
        const json_t *row = json_array_get(rows, i);
        char path[4300];
        snprintf(path, sizeof(path), TEXT_DATA "%s",
                 json_string_value(json_object_get(row, "tokenizer")));
        tokenizer *tokenizer = open_tokenizer(path);
        prompt_tokens tokens = find_tokens(tokenizer);
        check_row(tokenizer, &tokens, "segments", row);
        tokenizer_close(tokenizer);
    }
    json_decref(rows);
}

static vl2_status try_build(const prompt_message *messages, size_t count, const size_t *sizes,
                            size_t pictures, vl2_error *error)
{
    tokenizer *tokenizer = open_tokenizer(TEXT_DATA "reduced-128k.json");
    prompt_tokens tokens = find_tokens(tokenizer);
    prompt built = {0};
    vl2_status status =
        prompt_build(tokenizer, &tokens, messages, count, sizes, pictures, &built, error);
    prompt_free(&built);
    tokenizer_close(tokenizer);
    return status;
}

static void test_refused(void **state)
{
    (void)state;
    static const struct {
        prompt_message messages[3];
        size_t count, pictures;
        const char *says; /* part of the message */
    } cases[] = {
        {{{"User", "hi", 2}, {"assistant", "", 0}}, 2, 0, "expected <|User|> or user"},
        {{{"", "hi", 2}, {"assistant", "", 0}}, 2, 0, "message 1: role: found \"\""},
        {{{"user", "hi", 2}}, 1, 0, "expected an assistant turn"},
        {{{"user", "hi", 2}, {"assistant", "", 0}, {"user", "x", 1}}, 3, 0, "message 3"},
        {{{"system", "hi", 2}}, 1, 0, "expected an assistant turn"},
        {{{NULL, NULL, 0}}, 0, 0, "found no message"},
        {{{"user", "<image>", 7}, {"assistant", "", 0}}, 2, 0, "found 1 <image>"},
        {{{"user", "<image><image>", 14}, {"assistant", "", 0}}, 2, 1, "and 1 picture,"},
        {{{"user", "hi", 2}, {"assistant", "", 0}}, 2, 2, "and 2 pictures"},
        {{{"user", "hi", 2}, {"assistant", "a<image>", 8}}, 2, 1, "role \"assistant\""},
        {{{"system", "<image>", 7}, {"assistant", "", 0}}, 2, 1, "role \"system\""},
        {{{"user", "hi", 2}, {"system", "x", 1}, {"assistant", "", 0}}, 3, 0, "first message"},
    };
    static const size_t sizes[] = {421, 421};
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        vl2_error error;
        assert_int_equal(
            try_build(cases[i].messages, cases[i].count, sizes, cases[i].pictures, &error),
            VL2_ERROR_INPUT);
        if (strstr(error.message, cases[i].says) == NULL) {
            fail_msg("case %zu: \"%s\" does not say \"%s\"", i, error.message, cases[i].says);
        }
    }
}

static void test_placeholders(void **state)
{
    (void)state;
    assert_int_equal(prompt_count_placeholders("", 0, "<image>"), 0);
    assert_int_equal(prompt_count_placeholders("<image><image> <imag", 20, "<image>"), 2);
    assert_int_equal(prompt_count_placeholders("<image>", 6, "<image>"), 0);
    assert_int_equal(prompt_count_placeholders("aaaa", 4, "aa"), 2);
    assert_int_equal(prompt_count_placeholders("aaaa", 4, ""), 0);
}

static void test_missing_tokens(void **state)
{
    (void)state;
    vl2_error error;
    prompt_tokens tokens;
    tokenizer *tokenizer = open_tokenizer(TEXT_DATA "reduced-100k.json");
    assert_int_equal(prompt_tokens_find(tokenizer, "<picture>", 0, 1, &tokens, &error),
                     VL2_ERROR_MODEL);
    assert_non_null(strstr(error.message, "<picture>"));
    assert_int_equal(prompt_tokens_find(tokenizer, "", 0, 1, &tokens, &error), VL2_ERROR_MODEL);
    assert_int_equal(prompt_tokens_find(tokenizer, "<image>", -1, 1, &tokens, &error),
                     VL2_ERROR_MODEL);
    assert_int_equal(prompt_tokens_find(tokenizer, "<image>", 0, 1 << 20, &tokens, &error),
                     VL2_ERROR_MODEL);
    assert_non_null(strstr(error.message, "eos_token"));
    tokenizer_close(tokenizer);
}

/* Bytes that are not UTF-8 are kept by strip() and become U+FFFD. */
static void test_invalid_bytes(void **state)
{
    (void)state;
    tokenizer *tokenizer = open_tokenizer(TEXT_DATA "reduced-100k.json");
    prompt_tokens tokens = find_tokens(tokenizer);
    const prompt_message messages[2][2] = {
        {{"user", " \xE3\x80\xFF\xE3\x80\x80", 7}, {"assistant", "", 0}},
        {{"user", "\xEF\xBF\xBD\xEF\xBF\xBD", 6}, {"assistant", "", 0}}};
    prompt built[2] = {{{0}, NULL, 0}, {{0}, NULL, 0}};
    for (int i = 0; i < 2; i++) {
        assert_int_equal(prompt_build(tokenizer, &tokens, messages[i], 2, NULL, 0, &built[i], NULL),
                         VL2_OK);
    }
    assert_int_equal(built[0].ids.count, built[1].ids.count);
    assert_memory_equal(built[0].ids.ids, built[1].ids.ids,
                        built[0].ids.count * sizeof(*built[0].ids.ids));
    prompt_free(&built[0]);
    prompt_free(&built[1]);
    tokenizer_close(tokenizer);
}

/* A checkpoint may call a part of the template its image token: more places than pictures. */
static void test_image_token_in_template(void **state)
{
    (void)state;
    static const char *const names[] = {"<|User|>", "<|Assistant|>", ":"};
    static const prompt_message messages[] = {{"user", "hi", 2}, {"assistant", "", 0}};
    tokenizer *tokenizer = open_tokenizer(TEXT_DATA "reduced-100k.json");
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        prompt_tokens tokens = find_tokens(tokenizer);
        tokens.image_token = names[i];
        prompt built = {0};
        vl2_error error;
        assert_int_equal(prompt_build(tokenizer, &tokens, messages, 2, NULL, 0, &built, &error),
                         VL2_ERROR_MODEL);
        assert_non_null(strstr(error.message, names[i]));
    }
    tokenizer_close(tokenizer);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_full_prompts),   cmocka_unit_test(test_reduced_prompts),
        cmocka_unit_test(test_refused),        cmocka_unit_test(test_placeholders),
        cmocka_unit_test(test_missing_tokens), cmocka_unit_test(test_invalid_bytes),
        cmocka_unit_test(test_image_token_in_template),
    };
    return cmocka_run_group_tests_name("prompt", tests, NULL, NULL);
}
