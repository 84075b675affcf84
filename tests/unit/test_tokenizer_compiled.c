/* text/tokenizer_compiled: the same tokenizer as the one from JSON, the bytes, damaged bytes. */
#include "text_data.h"

#include "base/file.h"
#include "text/tokenizer_compiled.h"

#define COMPILED_DATA TEXT_DATA "compiled/"

static const char *const sizes[] = {"128k", "100k"};

/* Two small files; their bytes are tests/data/text/compiled/{plain,options}. */
static const char plain_file[] = COMPILED_DATA "plain", options_file[] = COMPILED_DATA "options";

static const char plain[] =
    "{\"version\":\"1.0\",\"added_tokens\":[{\"id\":5,\"content\":\"<x>\",\"special\":true}],"
    "\"normalizer\":null,\"pre_tokenizer\":{\"type\":\"ByteLevel\",\"add_prefix_space\":false,"
    "\"use_regex\":false},\"decoder\":{\"type\":\"ByteLevel\"},\"model\":{\"type\":\"BPE\","
    "\"vocab\":{\"a\":0,\"b\":1,\"c\":2,\"ab\":3,\"abc\":4},\"merges\":[\"a b\",\"ab c\"]}}";

static const char options[] =
    "{\"added_tokens\":[{\"id\":3,\"content\":\"\\u0120\\u4e2d\",\"special\":false,"
    "\"single_word\":true},"
    "{\"id\":11,\"content\":\"<y>\",\"special\":true,\"lstrip\":true,\"rstrip\":true},"
    "{\"id\":0,\"content\":\"a\",\"special\":true,\"normalized\":true}],"
    "\"pre_tokenizer\":{\"type\":\"Sequence\",\"pretokenizers\":[{\"type\":\"Split\","
    "\"pattern\":{\"Regex\":\"\\\\d+|\\u4e2d\"},\"behavior\":\"Isolated\"},"
    "{\"type\":\"ByteLevel\",\"add_prefix_space\":true}]},\"decoder\":{\"type\":\"ByteLevel\"},"
    "\"model\":{\"ignore_merges\":true,\"vocab\":{\"a\":0,\"\\u0120\":1,\"b\":2,"
    "\"\\u0120\\u4e2d\":3,\"\":4,\"ba\":5,\"\\u0120a\":6,\"\\u0120ba\":7,\"\\u00e4\":8,"
    "\"\\u00b8\":9,\"\\u0143\":10},"
    "\"merges\":[\"b a\",\"\\u0120 a\",\"\\u0120 ba\",\"b a\"]}}";

static tokenizer *parse(const char *json)
{
    vl2_error error;
    tokenizer *parsed = NULL;
    if (tokenizer_parse(json, strlen(json), "test", &parsed, &error) != VL2_OK) {
        fail_msg("%s", error.message);
    }
    return parsed;
}

static buffer compile(const tokenizer *tokenizer)
{
    vl2_error error;
    buffer bytes = {0};
    if (tokenizer_compile(tokenizer, &bytes, &error) != VL2_OK) {
        fail_msg("%s", error.message);
    }
    return bytes;
}

static tokenizer *load(const buffer *bytes)
{
    vl2_error error;
    tokenizer *loaded = NULL;
    if (tokenizer_load(bytes->data, bytes->size, "test", &loaded, &error) != VL2_OK) {
        fail_msg("%s", error.message);
    }
    return loaded;
}

static tokenizer *load_compiled(const tokenizer *parsed)
{
    buffer bytes = compile(parsed);
    tokenizer *loaded = load(&bytes);
    memset(bytes.data, 0xA5, bytes.size); /* the bytes are not kept */
    buffer_free(&bytes);
    return loaded;
}

static void assert_bytes_equal(const buffer *bytes, const buffer *expected)
{
    assert_int_equal(bytes->size, expected->size);
    assert_true(bytes->size == 0 || memcmp(bytes->data, expected->data, bytes->size) == 0);
}

/* ------------------------------------------------------------------------------- equality */

static buffer decode(const tokenizer *tokenizer, const int32_t *ids, size_t count, bool skip)
{
    buffer text = {0};
    vl2_error error;
    if (tokenizer_decode(tokenizer, ids, count, skip, &text, &error) != VL2_OK) {
        fail_msg("%s", error.message);
    }
    return text;
}

static void assert_same_decoding(const tokenizer *a, const tokenizer *b, const int32_t *ids,
                                 size_t count)
{
    for (int skip = 0; skip < 2; skip++) {
        buffer text_a = decode(a, ids, count, skip), text_b = decode(b, ids, count, skip);
        assert_bytes_equal(&text_a, &text_b);
        buffer_free(&text_a);
        buffer_free(&text_b);
    }
}

/* Returns the number of ids. */
static size_t assert_same_encoding(const tokenizer *a, const tokenizer *b, const char *text,
                                   size_t size)
{
    id_list ids_a = {0}, ids_b = {0};
    vl2_error error;
    assert_int_equal(tokenizer_encode(a, text, size, &ids_a, &error), VL2_OK);
    assert_int_equal(tokenizer_encode(b, text, size, &ids_b, &error), VL2_OK);
    assert_int_equal(ids_a.count, ids_b.count);
    for (size_t i = 0; i < ids_a.count; i++) {
        assert_int_equal(ids_a.ids[i], ids_b.ids[i]);
    }
    assert_same_decoding(a, b, ids_a.ids, ids_a.count);
    size_t count = ids_a.count;
    id_list_free(&ids_a);
    id_list_free(&ids_b);
    return count;
}

/* Every id: its bytes (broken characters show as such, so two at a time), whether it is special,
 * and that its spelling leads back to it. */
static void assert_same_tokens(const tokenizer *a, const tokenizer *b)
{
    size_t size = tokenizer_size(a);
    assert_int_equal(tokenizer_size(b), size);
    for (size_t id = 0; id < size; id++) {
        int32_t pair[] = {(int32_t)id, (int32_t)((id * 31 + 7) % size)};
        assert_same_decoding(a, b, pair, 2);
        assert_int_equal(tokenizer_is_special(a, pair[0]), tokenizer_is_special(b, pair[0]));
        buffer text = decode(a, pair, 1, false);
        if (text.size > 0) {
            assert_int_equal(tokenizer_id(a, text.data), tokenizer_id(b, text.data));
        }
        buffer_free(&text);
    }
}

/* What a tokenizer gives on all rows of a table; tokens that a model adds come later, to both. */
static void check_tokenizer(tokenizer *parsed, const json_t *rows)
{
    buffer bytes = compile(parsed);
    tokenizer *loaded = load(&bytes);
    buffer again = compile(loaded);
    assert_bytes_equal(&again, &bytes);
    assert_same_tokens(parsed, loaded);
    static const char *const added[] = {"<added>", "<image>", "ing", "<more>"};
    for (size_t i = 0; i < sizeof(added) / sizeof(added[0]); i++) {
        vl2_error error;
        assert_int_equal(tokenizer_add_special(parsed, added[i], &error), VL2_OK);
        assert_int_equal(tokenizer_add_special(loaded, added[i], &error), VL2_OK);
        assert_int_equal(tokenizer_id(parsed, added[i]), tokenizer_id(loaded, added[i]));
        assert_same_encoding(parsed, loaded, added[i], strlen(added[i]));
    }
    size_t ids = 0;
    for (size_t row = 0; row < json_array_size(rows); row++) {
        const json_t *text = json_object_get(json_array_get(rows, row), "text");
        ids +=
            assert_same_encoding(parsed, loaded, json_string_value(text), json_string_length(text));
    }
    assert_true(ids > json_array_size(rows));
    assert_same_tokens(parsed, loaded);
    buffer_free(&bytes);
    buffer_free(&again);
    tokenizer_close(loaded);
}

static tokenizer *open_reduced(int which)
{
    char path[4300];
    snprintf(path, sizeof(path), TEXT_DATA "reduced-%s.json", sizes[which]);
    return open_tokenizer(path);
}

static void test_reduced(void **state)
{
    (void)state;
    json_t *rows = load_rows(TEXT_DATA, "strings.jsonl");
    for (int i = 0; i < 2; i++) {
        tokenizer *parsed = open_reduced(i);
        check_tokenizer(parsed, rows);
        tokenizer_close(parsed);
    }
    json_decref(rows);
}

static void test_full(void **state)
{
    (void)state;
    const char *golden = golden_or_skip();
    json_t *rows = load_rows(golden, "tokenizers/strings.jsonl");
    for (int i = 0; i < 2; i++) {
        tokenizer *parsed = open_full_tokenizer(golden, sizes[i]);
        check_tokenizer(parsed, rows);
        tokenizer_close(parsed);
    }
    json_decref(rows);
}

/* The ids of the reference, not only those of the other reader. */
static void test_reference_ids(void **state)
{
    (void)state;
    json_t *rows = load_rows(TEXT_DATA, "strings.jsonl");
    for (int i = 0; i < 2; i++) {
        char key[16];
        snprintf(key, sizeof(key), "ids_%s", sizes[i]);
        tokenizer *parsed = open_reduced(i), *loaded = load_compiled(parsed);
        for (size_t row = 0; row < json_array_size(rows); row++) {
            const json_t *object = json_array_get(rows, row);
            const json_t *text = json_object_get(object, "text");
            id_list ids = {0};
            vl2_error error;
            assert_int_equal(tokenizer_encode(loaded, json_string_value(text),
                                              json_string_length(text), &ids, &error),
                             VL2_OK);
            assert_ids_equal(&ids, json_object_get(object, key), json_string_value(text));
            id_list_free(&ids);
        }
        tokenizer_close(loaded);
        tokenizer_close(parsed);
    }
    json_decref(rows);
}

/* The options that the published tokenizers do not use. */
static void test_small(void **state)
{
    (void)state;
    static const char *const texts[] = {"abcab<x>c",
                                        "a<y>b",
                                        "ba \xE4\xB8\xAD <y>\n a",
                                        "b \xE4\xB8\xAD"
                                        "b",
                                        "12ba\xC2\xAD",
                                        "ba",
                                        " ba",
                                        " ba a b",
                                        "\xFF"
                                        "a"};
    static const char *const files[] = {plain, options};
    for (int i = 0; i < 2; i++) {
        tokenizer *parsed = parse(files[i]), *loaded = load_compiled(parsed);
        assert_same_tokens(parsed, loaded);
        for (size_t j = 0; j < sizeof(texts) / sizeof(texts[0]); j++) {
            assert_same_encoding(parsed, loaded, texts[j], strlen(texts[j]));
        }
        vl2_error error;
        assert_int_equal(tokenizer_add_special(loaded, "<new>", &error), VL2_OK);
        assert_int_equal(tokenizer_add_special(parsed, "<new>", &error), VL2_OK);
        assert_int_equal(tokenizer_id(loaded, "<new>"), tokenizer_id(parsed, "<new>"));
        tokenizer_close(parsed);
        tokenizer_close(loaded);
    }
}

/* ---------------------------------------------------------------------------------- bytes */

static buffer read_bytes(const char *path)
{
    vl2_error error;
    buffer bytes = {0};
    if (file_read(path, 1 << 20, VL2_ERROR_INPUT, &bytes.data, &bytes.size, &error) != VL2_OK) {
        fail_msg("%s", error.message);
    }
    return bytes;
}

/* A change of the format needs a new version: the bytes of version 1 stay what they are. */
static void test_bytes(void **state)
{
    (void)state;
    static const char *const files[] = {plain, options};
    static const char *const paths[] = {plain_file, options_file};
    for (int i = 0; i < 2; i++) {
        tokenizer *parsed = parse(files[i]);
        buffer bytes = compile(parsed), expected = read_bytes(paths[i]);
        assert_bytes_equal(&bytes, &expected);
        tokenizer *loaded = load(&expected);
        buffer again = compile(loaded);
        assert_bytes_equal(&again, &expected);
        buffer_free(&again);
        buffer_free(&expected);
        buffer_free(&bytes);
        tokenizer_close(loaded);
        tokenizer_close(parsed);
    }
}

/* Loads a copy of exactly `size` bytes at an odd address, so that a sanitizer sees what is read
 * beyond it; what loads must work. Returns whether it did. */
static bool survives(const char *bytes, size_t size)
{
    static const char text[] = "ab <x>ba\xE4\xB8\xAD<y> 12 abc\xC2\xAD a";
    char *exact = malloc(size + 1);
    assert_non_null(exact);
    memcpy(exact + 1, bytes, size);
    vl2_error error = {0};
    tokenizer *loaded = NULL;
    vl2_status status = tokenizer_load(exact + 1, size, "test", &loaded, &error);
    free(exact);
    if (status != VL2_OK) {
        assert_true(status == VL2_ERROR_MODEL || status == VL2_ERROR_UNSUPPORTED);
        assert_null(loaded);
        assert_non_null(strstr(error.message, "test: "));
        return false;
    }
    id_list ids = {0};
    assert_int_equal(tokenizer_encode(loaded, text, sizeof(text) - 1, &ids, &error), VL2_OK);
    buffer out = decode(loaded, ids.ids, ids.count, false);
    buffer_free(&out);
    id_list_free(&ids);
    out = compile(loaded);
    tokenizer *again = load(&out);
    tokenizer_close(again);
    buffer_free(&out);
    tokenizer_close(loaded);
    return true;
}

static void test_truncated(void **state)
{
    (void)state;
    static const char *const paths[] = {plain_file, options_file};
    for (int i = 0; i < 2; i++) {
        buffer bytes = read_bytes(paths[i]);
        for (size_t size = 0; size < bytes.size; size++) {
            assert_false(survives(bytes.data, size));
        }
        assert_true(survives(bytes.data, bytes.size));
        assert_false(survives(bytes.data, bytes.size + 1)); /* the NUL that file_read puts there */
        buffer_free(&bytes);
    }
    tokenizer *parsed = open_reduced(0);
    buffer bytes = compile(parsed);
    for (size_t size = 0; size < bytes.size; size += 199) {
        assert_false(survives(bytes.data, size));
    }
    buffer_free(&bytes);
    tokenizer_close(parsed);
}

static void test_flipped(void **state)
{
    (void)state;
    static const char *const paths[] = {plain_file, options_file};
    size_t loaded = 0, refused = 0;
    for (int i = 0; i < 2; i++) {
        buffer bytes = read_bytes(paths[i]);
        for (size_t bit = 0; bit < 8 * bytes.size; bit++) {
            bytes.data[bit / 8] ^= (char)(1 << bit % 8);
            *(survives(bytes.data, bytes.size) ? &loaded : &refused) += 1;
            bytes.data[bit / 8] ^= (char)(1 << bit % 8);
        }
        buffer_free(&bytes);
    }
    assert_true(loaded > 0 && refused > 0);
    uint64_t random = 2414;
    tokenizer *parsed = open_reduced(1);
    buffer bytes = compile(parsed);
    for (int round = 0; round < 300; round++) {
        random = random * 6364136223846793005u + 1442695040888963407u;
        char *byte = bytes.data + (random >> 33) % bytes.size, before = *byte;
        *byte = (char)(random >> 24);
        survives(bytes.data, bytes.size);
        *byte = before;
    }
    buffer_free(&bytes);
    tokenizer_close(parsed);
}

static void assert_refused(const buffer *bytes, vl2_status expected, const char *says)
{
    vl2_error error = {0};
    tokenizer *loaded = NULL;
    assert_int_equal(tokenizer_load(bytes->data, bytes->size, "test", &loaded, &error), expected);
    if (strstr(error.message, says) == NULL) {
        fail_msg("\"%s\" does not say \"%s\"", error.message, says);
    }
}

/* Changes of one number or byte, and what is said about them. */
static void test_damaged(void **state)
{
    (void)state;
    /* Of "plain": 6 tokens from 40, 2 merges from 88, 1 added from 112; flags from 116; text.
     * Of "options": 3 added tokens from 172, flags from 184. */
    static const struct {
        const char *path;
        size_t at;
        uint32_t number, bytes;
        const char *says;
    } cases[] = {
        {plain_file, 0, 'X', 1, "bytes of something else, expected a compiled tokenizer"},
        {plain_file, 8, 2, 4, "version: found 2, expected 1"},
        {plain_file, 12, 2, 4, "flags: found 2, expected 0 or 1"},
        {plain_file, 16, 7, 4, "as the header says"},
        {plain_file, 36, 1, 4, "zero: found 1, expected 0"},
        {plain_file, 44, 0, 4, "token_id[1]: found 0, expected ascending"},
        {plain_file, 60, 1 << 24, 4, "found id 16777216, expected one from 0 to"},
        {plain_file, 64, 2, 4, "text_size: found 11, expected the sum of token_size"},
        {plain_file, 88, 3, 4, "merged[0]: found 3, expected the token that left and right make"},
        {plain_file, 88, 9, 4, "left[0]: found 9, expected a token of the model"},
        {plain_file, 96, 0xFFFFFFFF, 4,
         "right[0]: found 4294967295, expected a token of the model"},
        {plain_file, 104, 5, 4, "merged[0]: found 5, expected a token of the model"},
        {plain_file, 112, 6, 4, "added_id[0]: found 6, expected a token that is not empty"},
        {plain_file, 116, 4, 1, "token_flags[0]: found 4, expected 0 to 3"},
        {plain_file, 121, 1, 1, NULL}, /* in the model, added, not special: allowed */
        {plain_file, 112, 4, 4,
         "token_flags[5]: found 2, expected 1 for a token that is not added"},
        {plain_file, 122, 16, 1, "added_flags[0]: found 16, expected 0 to 15"},
        {plain_file, 123, 0, 1, "text: found 11, expected bytes of UTF-8 without NUL"},
        {plain_file, 123, 0xFF, 1, "text: found 11, expected bytes of UTF-8 without NUL"},
        {plain_file, 124, 'a', 1, "\"a\": found id 1, which is taken"},
        {plain_file, 134, '[', 1, "not valid JSON"},
        {options_file, 176, 4, 4,
         "added_id[1]: found 4, expected a token that is not empty, each once"},
        {options_file, 180, 3, 4,
         "added_id[2]: found 3, expected a token that is not empty, each once"},
        {options_file, 184, 3, 1, NULL}, /* "a" is special: it is added */
        {options_file, 185, 3, 1,
         "token_flags[1]: found 3, expected 1 for a token that is not added"},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        buffer bytes = read_bytes(cases[i].path);
        memcpy(bytes.data + cases[i].at, &cases[i].number, cases[i].bytes);
        if (cases[i].says == NULL) {
            tokenizer_close(load(&bytes));
        } else {
            assert_refused(&bytes, cases[i].at == 8 ? VL2_ERROR_UNSUPPORTED : VL2_ERROR_MODEL,
                           cases[i].says);
        }
        buffer_free(&bytes);
    }
}

/* Cut inside of a character, each half with the next token's: valid together, not one by one. */
static void test_half_characters(void **state)
{
    (void)state;
    static const char json[] =
        "{\"added_tokens\":[],\"pre_tokenizer\":{\"type\":\"ByteLevel\"},"
        "\"decoder\":{\"type\":\"ByteLevel\"},\"model\":{\"vocab\":{\"\\u4e2d\":0,\"a\":1},"
        "\"merges\":[]}}";
    tokenizer *parsed = parse(json);
    buffer bytes = compile(parsed);
    bytes.data[48] = 2; /* token_size */
    bytes.data[52] = 2;
    assert_refused(&bytes, VL2_ERROR_MODEL, "token_size[0]: found 2, expected whole characters");
    buffer_free(&bytes);
    tokenizer_close(parsed);
}

/* 512 bytes may be matched as a whole, 513 may not. */
static void test_long_tokens(void **state)
{
    (void)state;
    for (int size = 512; size <= 513; size++) {
        char json[1024];
        snprintf(json, sizeof(json),
                 "{\"added_tokens\":[],\"pre_tokenizer\":{\"type\":\"ByteLevel\"},\"decoder\":"
                 "{\"type\":\"ByteLevel\"},\"model\":{\"vocab\":{\"%0*d\":0},\"merges\":[]}}",
                 size, 0);
        tokenizer *parsed = parse(json);
        buffer bytes = compile(parsed);
        bytes.data[12] = 1; /* ignore_merges */
        if (size == 512) {
            tokenizer_close(load(&bytes));
        } else {
            assert_refused(&bytes, VL2_ERROR_MODEL, "token_size[0]: found 513, expected at most");
        }
        buffer_free(&bytes);
        tokenizer_close(parsed);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_reduced),         cmocka_unit_test(test_full),
        cmocka_unit_test(test_reference_ids),   cmocka_unit_test(test_small),
        cmocka_unit_test(test_bytes),           cmocka_unit_test(test_truncated),
        cmocka_unit_test(test_flipped),         cmocka_unit_test(test_damaged),
        cmocka_unit_test(test_half_characters), cmocka_unit_test(test_long_tokens),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
