/* text/tokenizer: reference tables, properties, damaged files. */
#include "text_data.h"

#include "text/utf8.h"

static const char *const sizes[] = {"128k", "100k"};

static id_list encode(const tokenizer *tokenizer, const char *text, size_t size)
{
    id_list ids = {0};
    vl2_error error;
    if (tokenizer_encode(tokenizer, text, size, &ids, &error) != VL2_OK) {
        fail_msg("%s", error.message);
    }
    return ids;
}

static buffer decode(const tokenizer *tokenizer, const id_list *ids, bool skip_special)
{
    buffer text = {0};
    vl2_error error;
    assert_int_equal(tokenizer_decode(tokenizer, ids->ids, ids->count, skip_special, &text, &error),
                     VL2_OK);
    return text;
}

static void assert_text_equal(const buffer *text, const char *expected, size_t size)
{
    assert_int_equal(text->size, size);
    assert_true(size == 0 || memcmp(text->data, expected, size) == 0);
}

/* All ids pushed one by one give what decoding them at once gives, and no piece has half a character. */
static void assert_stream_equal(const tokenizer *tokenizer, const id_list *ids, bool skip_special)
{
    buffer whole = decode(tokenizer, ids, skip_special), pieces = {0};
    vl2_error error;
    token_stream stream;
    token_stream_init(&stream, tokenizer, skip_special);
    for (size_t i = 0; i < ids->count; i++) {
        size_t before = pieces.size;
        assert_int_equal(token_stream_push(&stream, ids->ids[i], &pieces, &error), VL2_OK);
        assert_true(pieces.size == before ||
                    utf8_is_valid(pieces.data + before, pieces.size - before));
    }
    assert_int_equal(token_stream_finish(&stream, &pieces, &error), VL2_OK);
    assert_text_equal(&pieces, whole.data, whole.size);
    buffer_free(&pieces);
    buffer_free(&whole);
}

/* A row of a table: text, ids_SIZE. */
static void check_row(const tokenizer *tokenizer, const char *size, const json_t *row)
{
    char key[16];
    snprintf(key, sizeof(key), "ids_%s", size);
    const json_t *text = json_object_get(row, "text"), *expected = json_object_get(row, key);
    assert_true(json_is_string(text) && json_is_array(expected));
    const char *bytes = json_string_value(text);
    size_t length = json_string_length(text);
    id_list ids = encode(tokenizer, bytes, length);
    assert_ids_equal(&ids, expected, bytes);
    buffer back = decode(tokenizer, &ids, false);
    assert_text_equal(&back, bytes, length);
    assert_stream_equal(tokenizer, &ids, false);
    assert_stream_equal(tokenizer, &ids, true);
    buffer_free(&back);
    id_list_free(&ids);
}

static json_t *load_rows(const char *folder, const char *name)
{
    char path[4300];
    snprintf(path, sizeof(path), "%s/%s", folder, name);
    FILE *file = fopen(path, "r");
    assert_non_null(file);
    json_t *rows = json_array();
    json_error_t reason;
    size_t flags = JSON_DISABLE_EOF_CHECK | JSON_ALLOW_NUL;
    for (json_t *row; (row = json_loadf(file, flags, &reason)) != NULL;) {
        json_array_append_new(rows, row);
    }
    assert_true(json_array_size(rows) > 0);
    assert_true(feof(file));
    fclose(file);
    return rows;
}

static void test_full_tables(void **state)
{
    (void)state;
    const char *golden = golden_or_skip();
    json_t *strings = load_rows(golden, "tokenizers/strings.jsonl");
    for (int i = 0; i < 2; i++) {
        tokenizer *tokenizer = open_full_tokenizer(golden, sizes[i]);
        for (size_t row = 0; row < json_array_size(strings); row++) {
            check_row(tokenizer, sizes[i], json_array_get(strings, row));
        }
        tokenizer_close(tokenizer);
    }
    print_message("%zu strings\n", json_array_size(strings));
    json_decref(strings);
}

static void check_decode_row(const tokenizer *tokenizer, const json_t *row)
{
    static const char *const keys[] = {"text", "text_skip_special"};
    const json_t *list = json_object_get(row, "ids");
    id_list ids = {0};
    for (size_t i = 0; i < json_array_size(list); i++) {
        int32_t id = (int32_t)json_integer_value(json_array_get(list, i));
        assert_int_equal(id_list_append(&ids, id, NULL), VL2_OK);
    }
    for (int skip_special = 0; skip_special < 2; skip_special++) {
        const json_t *expected = json_object_get(row, keys[skip_special]);
        buffer text = decode(tokenizer, &ids, skip_special);
        assert_text_equal(&text, json_string_value(expected), json_string_length(expected));
        assert_stream_equal(tokenizer, &ids, skip_special);
        buffer_free(&text);
    }
    id_list_free(&ids);
}

static void test_full_decode_table(void **state)
{
    (void)state;
    const char *golden = golden_or_skip();
    json_t *rows = load_rows(golden, "tokenizers/decode.jsonl");
    for (int i = 0; i < 2; i++) {
        tokenizer *tokenizer = open_full_tokenizer(golden, sizes[i]);
        size_t count = 0;
        for (size_t row = 0; row < json_array_size(rows); row++) {
            const json_t *object = json_array_get(rows, row);
            const char *size = json_string_value(json_object_get(object, "tokenizer"));
            if (strcmp(size, sizes[i]) == 0) {
                check_decode_row(tokenizer, object);
                count++;
            }
        }
        assert_true(count > 0);
        tokenizer_close(tokenizer);
    }
    json_decref(rows);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_full_tables),
        cmocka_unit_test(test_full_decode_table),
    };
    return cmocka_run_group_tests_name("tokenizer", tests, NULL, NULL);
}
