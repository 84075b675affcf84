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

/* All ids pushed one by one give what decoding them at once gives, and no piece has half a
 * character. */
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

/* The reduced vocabularies, with a table made by an independent implementation on Oniguruma. */
static void test_reduced_tables(void **state)
{
    (void)state;
    json_t *strings = load_rows(TEXT_DATA, "strings.jsonl");
    for (int i = 0; i < 2; i++) {
        char path[4300];
        snprintf(path, sizeof(path), TEXT_DATA "reduced-%s.json", sizes[i]);
        tokenizer *tokenizer = open_tokenizer(path);
        for (size_t row = 0; row < json_array_size(strings); row++) {
            check_row(tokenizer, sizes[i], json_array_get(strings, row));
        }
        tokenizer_close(tokenizer);
    }
    json_decref(strings);
}

static tokenizer *open_reduced(int which)
{
    char path[4300];
    snprintf(path, sizeof(path), TEXT_DATA "reduced-%s.json", sizes[which]);
    return open_tokenizer(path);
}

/* ------------------------------------------------------------------------------------ properties
 * */

static uint32_t next_random(uint64_t *state)
{
    *state = *state * 6364136223846793005u + 1442695040888963407u;
    return (uint32_t)(*state >> 33);
}

/* A code point: ASCII, white space, the lower planes, or any. */
static uint32_t random_code(uint64_t *state)
{
    static const uint32_t spaces[] = {' ', '\n', '\r', '\t', 0xA0, 0x3000, 0x2028, 0x85};
    uint32_t code;
    switch (next_random(state) % 4) {
    case 0:
        return next_random(state) % 128;
    case 1:
        return spaces[next_random(state) % 8];
    case 2:
        code = next_random(state) % 0x10000;
        break;
    default:
        code = next_random(state) % 0x110000;
    }
    return code >= 0xD800 && code < 0xE000 ? 'x' : code;
}

static void test_round_trip(void **state)
{
    (void)state;
    uint64_t random = 2412;
    for (int which = 0; which < 2; which++) {
        tokenizer *tokenizer = open_reduced(which);
        for (int round = 0; round < 400; round++) {
            buffer text = {0};
            for (uint32_t left = next_random(&random) % 60; left > 0; left--) {
                char bytes[4];
                buffer_append(&text, bytes, utf8_write(random_code(&random), bytes));
            }
            id_list ids = encode(tokenizer, text.data, text.size);
            buffer back = decode(tokenizer, &ids, false);
            assert_text_equal(&back, text.data, text.size);
            assert_stream_equal(tokenizer, &ids, false);
            buffer_free(&back);
            buffer_free(&text);
            id_list_free(&ids);
        }
        tokenizer_close(tokenizer);
    }
}

/* Any ids at all: the stream gives what the whole gives, and the result is valid UTF-8. */
static void test_random_ids(void **state)
{
    (void)state;
    uint64_t random = 2413;
    tokenizer *tokenizer = open_reduced(0);
    for (int round = 0; round < 400; round++) {
        id_list ids = {0};
        for (uint32_t left = next_random(&random) % 20; left > 0; left--) {
            /* the symbols of single bytes come first: many broken characters */
            uint32_t range = next_random(&random) % 2 ? 260 : (uint32_t)tokenizer_size(tokenizer);
            id_list_append(&ids, (int32_t)(next_random(&random) % range), NULL);
        }
        buffer text = decode(tokenizer, &ids, false);
        assert_true(utf8_is_valid(text.data, text.size));
        assert_stream_equal(tokenizer, &ids, false);
        assert_stream_equal(tokenizer, &ids, true);
        buffer_free(&text);
        id_list_free(&ids);
    }
    tokenizer_close(tokenizer);
}

/* Bytes that are not UTF-8 count as U+FFFD, one per maximal subpart (Unicode 16, table 3-8 and on).
 * */
static void test_invalid_utf8(void **state)
{
    (void)state;
    static const struct {
        const char *bytes, *text;
    } cases[] = {
        {"\xC0\xAF\xE0\x80\xBF\xF0\x81\x82"
         "A",
         "????????A"},
        {"\xED\xA0\x80\xED\xBF\xBF\xED\xAF"
         "A",
         "????????A"},
        {"\xF4\x91\x92\x93\xFF"
         "A\x80\xBF"
         "B",
         "?????A??B"},
        {"\xE1\x80\xE2\xF0\x91\x92\xF1\xBF"
         "A",
         "????A"},
        {"a\xF0\x9F\x98", "a?"},
        {"\xE4\xB8\xAD\xE4\xB8", "\xE4\xB8\xAD?"},
    };
    tokenizer *tokenizer = open_reduced(1);
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        id_list ids = encode(tokenizer, cases[i].bytes, strlen(cases[i].bytes));
        buffer text = decode(tokenizer, &ids, false), expected = {0};
        for (const char *at = cases[i].text; *at != '\0'; at++) {
            buffer_append(&expected, *at == '?' ? UTF8_REPLACEMENT : at, *at == '?' ? 3 : 1);
        }
        assert_text_equal(&text, expected.data, expected.size);
        buffer_free(&text);
        buffer_free(&expected);
        id_list_free(&ids);
    }
    tokenizer_close(tokenizer);
}

/* A megabyte of what could make splitting or merging quadratic. */
static void test_long_texts(void **state)
{
    (void)state;
    static const char *const units[] = {"a",   " ",    "\n",  "\xC2\xA0",     "<",
                                        "<|",  "1",    "!",   "\xE4\xB8\xAD", "<|ref|>",
                                        " \n", "\x01", "the "};
    for (int which = 0; which < 2; which++) {
        tokenizer *tokenizer = open_reduced(which);
        for (size_t i = 0; i < sizeof(units) / sizeof(units[0]); i++) {
            buffer text = {0};
            while (text.size < 1000000) {
                assert_true(buffer_append_text(&text, units[i]));
            }
            assert_true(buffer_append_text(&text, "\xE4\xB8\xAD"));
            id_list ids = encode(tokenizer, text.data, text.size);
            buffer back = decode(tokenizer, &ids, false);
            assert_text_equal(&back, text.data, text.size);
            buffer_free(&back);
            buffer_free(&text);
            id_list_free(&ids);
        }
        tokenizer_close(tokenizer);
    }
}

static void test_ids_and_special(void **state)
{
    (void)state;
    vl2_error error;
    tokenizer *tokenizer = open_reduced(1);
    assert_int_equal(tokenizer_size(tokenizer), 2011);
    assert_int_equal(tokenizer_id(tokenizer, "<image>"), 2003);
    assert_true(tokenizer_is_special(tokenizer, 2003));
    assert_false(tokenizer_is_special(tokenizer, 0));
    assert_false(tokenizer_is_special(tokenizer, -1));
    assert_false(tokenizer_is_special(tokenizer, 2011));
    assert_int_equal(tokenizer_id(tokenizer, "<nothing>"), -1);
    assert_int_equal(tokenizer_add_special(tokenizer, "<image>", &error), VL2_OK);
    assert_int_equal(tokenizer_id(tokenizer, "<image>"), 2003);
    assert_int_equal(tokenizer_add_special(tokenizer, "<new>", &error), VL2_OK);
    assert_int_equal(tokenizer_add_special(tokenizer, "!", &error), VL2_OK); /* of the vocab */
    assert_int_equal(tokenizer_add_special(tokenizer, "<newer>", &error), VL2_OK);
    assert_int_equal(tokenizer_id(tokenizer, "<new>"), 2011);
    assert_int_equal(tokenizer_id(tokenizer, "<newer>"), 2012);
    assert_int_equal(tokenizer_size(tokenizer), 2013);
    assert_true(tokenizer_is_special(tokenizer, tokenizer_id(tokenizer, "!")));
    id_list ids = encode(tokenizer, "<newer><new>!", 13);
    assert_int_equal(ids.count, 3);
    assert_int_equal(ids.ids[0], 2012);
    buffer text = decode(tokenizer, &ids, true);
    assert_int_equal(text.size, 0);
    buffer_free(&text);
    ids.ids[1] = 2013;
    assert_int_equal(tokenizer_decode(tokenizer, ids.ids, 3, false, &text, &error),
                     VL2_ERROR_ARGUMENT);
    assert_int_equal(tokenizer_add_special(tokenizer, "", &error), VL2_ERROR_MODEL);
    id_list_free(&ids);
    tokenizer_close(tokenizer);
}

/* ------------------------------------------------------------------------------------ small files
 * */

/* A tokenizer.json: the 256 byte symbols, then `vocab`; every part can be replaced. */
typedef struct small_file {
    const char *added, *normalizer, *steps, *decoder, *options, *vocab, *merges;
} small_file;

static const char plain_steps[] =
    "{\"type\":\"ByteLevel\",\"add_prefix_space\":false,\"use_regex\":false}";

static void append_part(buffer *json, const char *name, const char *part, const char *usual)
{
    buffer_append_text(json, name);
    buffer_append_text(json, part == NULL ? usual : part);
}

static vl2_status parse_small(const small_file *file, tokenizer **parsed, vl2_error *error)
{
    buffer json = {0};
    append_part(&json, "{\"version\":\"1.0\",\"added_tokens\":", file->added, "[]");
    append_part(&json, ",\"normalizer\":", file->normalizer, "null");
    append_part(&json, ",\"pre_tokenizer\":", file->steps, plain_steps);
    append_part(&json, ",\"decoder\":", file->decoder, "{\"type\":\"ByteLevel\"}");
    append_part(&json, ",\"model\":{", file->options, "\"type\":\"BPE\"");
    buffer_append_text(&json, ",\"vocab\":{");
    for (int byte = 0; byte < 256; byte++) {
        char entry[32];
        uint32_t code = byte <= 0x20                   ? 0x100u + (uint32_t)byte
                        : byte >= 0x7F && byte <= 0xA0 ? 0x121u + (uint32_t)byte - 0x7Fu
                        : byte == 0xAD                 ? 0x143u
                                                       : (uint32_t)byte;
        snprintf(entry, sizeof(entry), "\"\\u%04x\":%d,", (unsigned)code, byte);
        buffer_append_text(&json, entry);
    }
    append_part(&json, "", file->vocab, "\"ab\":256,\"abc\":257");
    append_part(&json, "},\"merges\":", file->merges, "[\"a b\",[\"ab\",\"c\"]]");
    buffer_append_text(&json, "}}");
    vl2_status status = tokenizer_parse(json.data, json.size, "small.json", parsed, error);
    buffer_free(&json);
    return status;
}

/* Encodes with a small file and compares the decoded tokens, joined by "/". */
static void assert_tokens(const small_file *file, const char *text, const char *expected)
{
    vl2_error error;
    tokenizer *tokenizer;
    if (parse_small(file, &tokenizer, &error) != VL2_OK) {
        fail_msg("%s", error.message);
    }
    id_list ids = encode(tokenizer, text, strlen(text));
    buffer shown = {0};
    for (size_t i = 0; i < ids.count; i++) {
        buffer_append_text(&shown, i == 0 ? "" : "/");
        assert_int_equal(tokenizer_decode(tokenizer, ids.ids + i, 1, false, &shown, NULL), VL2_OK);
    }
    assert_string_equal(shown.data, expected);
    buffer_free(&shown);
    id_list_free(&ids);
    tokenizer_close(tokenizer);
}

static void test_merges(void **state)
{
    (void)state;
    assert_tokens(&(small_file){0}, "abcab", "abc/ab");
    assert_tokens(&(small_file){.merges = "[\"#version: 0.2\",\"a b\",\"ab c\"]"}, "abc", "abc");
    small_file ranks = {.vocab = "\"aa\":256,\"bc\":257,\"ab\":258",
                        .merges = "[\"b c\",\"a b\",\"a a\"]"};
    assert_tokens(&ranks, "abc", "a/bc");
    assert_tokens(&ranks, "aaab", "aa/ab");
    assert_tokens(&ranks, "aaaaa", "aa/aa/a");
    small_file whole = {.options = "\"ignore_merges\":true",
                        .vocab = "\"xyz\":256",
                        .merges = "[]",
                        .steps = "{\"type\":\"ByteLevel\",\"add_prefix_space\":false}"};
    assert_tokens(&whole, "xyz", "xyz");
    assert_tokens(&whole, "xyzx", "x/y/z/x");
}

/* The words are joined back by merges, so that the tokens show the pieces. The example is the one
 * of the library's documentation and tests. */
static void test_split_behaviors(void **state)
{
    (void)state;
    static const struct {
        const char *behavior, *invert, *expected;
    } cases[] = {
        {"Removed", "false", "the/fi/co"},
        {"Isolated", "false", "the/-/fi/-/-/co"},
        {"MergedWithPrevious", "false", "the-/fi-/-/co"},
        {"MergedWithNext", "false", "the/-fi/-/-co"},
        {"Contiguous", "false", "the/-/fi/--/co"},
        {"Removed", "true", "-/-/-"},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        char steps[400];
        snprintf(steps, sizeof(steps),
                 "{\"type\":\"Sequence\",\"pretokenizers\":[{\"type\":\"Split\",\"pattern\":"
                 "{\"%s\":\"-\"},\"behavior\":\"%s\",\"invert\":%s},%s]}",
                 i % 2 == 0 ? "String" : "Regex", cases[i].behavior, cases[i].invert, plain_steps);
        small_file file = {
            .steps = steps,
            .vocab = "\"th\":256,\"the\":257,\"the-\":258,\"fi\":259,\"fi-\":260,\"-fi\":261,"
                     "\"co\":262,\"-co\":263,\"--\":264",
            .merges = "[\"t h\",\"th e\",\"f i\",\"c o\",\"- -\",\"the -\",\"fi -\",\"- fi\","
                      "\"- co\"]"};
        assert_tokens(&file, "the-fi--co", cases[i].expected);
    }
}

static void test_steps(void **state)
{
    (void)state;
    static const char digits[] = "{\"type\":\"Sequence\",\"pretokenizers\":[{\"type\":\"Digits\","
                                 "\"individual_digits\":%s},{\"type\":\"ByteLevel\","
                                 "\"add_prefix_space\":false,\"use_regex\":false}]}";
    char steps[400];
    small_file file = {.steps = steps,
                       .vocab = "\"12\":256,\"a1\":257,\"123\":258",
                       .merges = "[\"1 2\",\"a 1\",\"12 3\"]"};
    snprintf(steps, sizeof(steps), digits, "true");
    assert_tokens(&file, "a123", "a/1/2/3");
    snprintf(steps, sizeof(steps), digits, "false");
    assert_tokens(&file, "a123", "a/123");
    small_file prefix = {.steps = "{\"type\":\"ByteLevel\",\"add_prefix_space\":true}",
                         .vocab = "\"\\u0120a\":256,\"'s\":257",
                         .merges = "[\"\\u0120 a\",\"' s\"]"};
    assert_tokens(&prefix, "a's a", " a/'s/ a");
    assert_tokens(&prefix, " a", " a");
}

/* added_vocabulary.rs: longest first, stripping, single words, two rounds. */
static void test_added_tokens(void **state)
{
    (void)state;
    static const char added[] =
        "[{\"id\":258,\"content\":\"<x>\",\"special\":true,\"lstrip\":true,\"rstrip\":true},"
        "{\"id\":259,\"content\":\"<x><y>\",\"special\":true},"
        "{\"id\":260,\"content\":\"word\",\"special\":false,\"single_word\":true},"
        "{\"id\":261,\"content\":\"wordy\",\"special\":false,\"normalized\":true},"
        "{\"id\":262,\"content\":\"or\",\"special\":true,\"normalized\":false}]";
    small_file file = {.added = added};
    assert_tokens(&file, "a \t<x>\n b", "a/<x>/b");
    assert_tokens(&file, "<x><y><x>", "<x><y>/<x>");
    assert_tokens(&file, "c<x><x>", "c/<x>/<x>");
    /* "or" is found in the first round, before "word" can be. */
    assert_tokens(&file, "word", "w/or/d");
    static const char words[] =
        "[{\"id\":258,\"content\":\"word\",\"special\":false,\"single_word\":true}]";
    file.added = words;
    assert_tokens(&file, "word", "word");
    assert_tokens(&file, "a word.", "a/ /word/.");
    assert_tokens(&file, "swords", "s/w/o/r/d/s");
    assert_tokens(&file, "word1", "w/o/r/d/1");
    assert_tokens(&file, "_word", "_/w/o/r/d");
}

static void test_damaged_files(void **state)
{
    (void)state;
    static const struct {
        small_file file;
        const char *says;
    } cases[] = {
        {{.added = "3"}, "added_tokens: found 3, expected a list"},
        {{.added = "[{\"id\":258}]"}, "added_tokens[0].content: found nothing"},
        {{.added = "[{\"id\":300,\"content\":\"x!\"}]"}, "added_tokens[0].id: found 300"},
        {{.added = "[{\"id\":-1,\"content\":\"x!\"}]"}, "added_tokens[0].id: found -1"},
        {{.added = "[{\"id\":258,\"content\":7}]"}, "added_tokens[0].content: found 7"},
        {{.added = "[{\"id\":258,\"content\":\"q!\",\"lstrip\":1}]"}, "lstrip: found 1"},
        {{.normalizer = "{\"type\":\"NFC\"}"}, "normalizer: found NFC"},
        {{.normalizer = "{\"type\":\"Sequence\",\"normalizers\":[{\"type\":\"NFC\"}]}"},
         "expected null or an empty Sequence"},
        {{.steps = "null"}, "pre_tokenizer: found nothing"},
        {{.steps = "{\"type\":\"Metaspace\"}"}, "pre_tokenizer.type: found Metaspace"},
        {{.steps = "{\"type\":\"Digits\"}"}, "found no ByteLevel"},
        {{.steps = "{\"type\":\"Sequence\"}"}, "pretokenizers: found nothing"},
        {{.steps = "{\"type\":\"Split\",\"behavior\":\"Isolated\"}"}, "pattern: found"},
        {{.steps = "{\"type\":\"Split\",\"pattern\":{\"Regex\":\"a\"},\"behavior\":\"X\"}"},
         "behavior: found X"},
        {{.steps = "{\"type\":\"Split\",\"pattern\":{\"Regex\":\"(a\"},\"behavior\":\"Removed\"}"},
         "expected a regular expression"},
        {{.steps = "{\"type\":\"Split\",\"pattern\":{\"Regex\":\"[a&&b]\"},\"behavior\":"
                   "\"Removed\"}"},
         "intersection"},
        {{.decoder = "{\"type\":\"Metaspace\"}"}, "decoder: found Metaspace"},
        {{.decoder = "null"}, "decoder: found"},
        {{.options = "\"type\":\"Unigram\""}, "model.type: found Unigram, expected BPE"},
        {{.options = "\"dropout\":0.1"}, "model.dropout: found 0.1"},
        {{.options = "\"continuing_subword_prefix\":\"##\""},
         "continuing_subword_prefix: found ##"},
        {{.options = "\"end_of_word_suffix\":\"</w>\""}, "end_of_word_suffix"},
        {{.options = "\"ignore_merges\":2"}, "ignore_merges: found 2"},
        {{.vocab = "\"ab\":5"}, "found id 5, which is taken"},
        {{.vocab = "\"ab\":-1"}, "found id -1"},
        {{.vocab = "\"ab\":\"x\""}, "\"ab\": found"},
        {{.vocab = "\"ab\":99999999999"}, "expected one from 0 to"},
        {{.vocab = "\"ab\":256"}, "merges[1]: found"},
        {{.merges = "{}"}, "model.merges: found an object"},
        {{.merges = "null"}, "model.merges: found nothing"},
        {{.merges = "[\"ab\"]"}, "merges[0]: found \"ab\", expected two tokens"},
        {{.merges = "[\"a b c\"]"}, "merges[0]: found \"a b c\""},
        {{.merges = "[[\"a\"]]"}, "merges[0]: found a list of 1"},
        {{.merges = "[[\"a\",3]]"}, "merges[0]"},
        {{.merges = "[\"a q\"]"}, "two tokens of the vocab that make a third"},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        vl2_error error;
        tokenizer *tokenizer = NULL;
        assert_int_equal(parse_small(&cases[i].file, &tokenizer, &error), VL2_ERROR_MODEL);
        if (strstr(error.message, "small.json") == NULL ||
            strstr(error.message, cases[i].says) == NULL) {
            fail_msg("case %zu: \"%s\" does not say \"%s\"", i, error.message, cases[i].says);
        }
    }
}

static void test_not_a_tokenizer(void **state)
{
    (void)state;
    static const char *const texts[] = {"", "{", "[]", "3", "{}", "{\"version\":\"2.0\"}", "\xFF"};
    for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
        vl2_error error;
        tokenizer *tokenizer;
        assert_int_equal(
            tokenizer_parse(texts[i], strlen(texts[i]), "small.json", &tokenizer, &error),
            VL2_ERROR_MODEL);
        assert_non_null(strstr(error.message, "small.json"));
    }
    vl2_error error;
    tokenizer *tokenizer;
    assert_int_equal(tokenizer_open("/nonexistent/tokenizer.json", &tokenizer, &error),
                     VL2_ERROR_MODEL);
    assert_non_null(strstr(error.message, "/nonexistent/tokenizer.json"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_full_tables),    cmocka_unit_test(test_full_decode_table),
        cmocka_unit_test(test_reduced_tables), cmocka_unit_test(test_round_trip),
        cmocka_unit_test(test_random_ids),     cmocka_unit_test(test_invalid_utf8),
        cmocka_unit_test(test_long_texts),     cmocka_unit_test(test_ids_and_special),
        cmocka_unit_test(test_merges),         cmocka_unit_test(test_split_behaviors),
        cmocka_unit_test(test_steps),          cmocka_unit_test(test_added_tokens),
        cmocka_unit_test(test_damaged_files),  cmocka_unit_test(test_not_a_tokenizer),
    };
    return cmocka_run_group_tests_name("tokenizer", tests, NULL, NULL);
}
