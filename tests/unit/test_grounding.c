/* text/grounding: what the reference's parse_ref_bbox gives, and what is read where it gives up. */
#include "text_data.h"

#include "text/grounding.h"

#include <limits.h>
#include <locale.h>

static grounding parse(const char *answer, size_t size, int width, int height)
{
    grounding out;
    vl2_error error;
    if (grounding_parse(answer, size, width, height, &out, &error) != VL2_OK) {
        fail_msg("%s", error.message);
    }
    return out;
}

static int saturate(const json_t *value)
{
    double number = json_number_value(value);
    return number > INT_MAX ? INT_MAX : number < INT_MIN ? INT_MIN : (int)number;
}

static void assert_boxes_equal(const grounding *out, const json_t *expected, const char *note)
{
    if (out->count != json_array_size(expected)) {
        fail_msg("%s: %zu boxes, expected %zu", note, out->count, json_array_size(expected));
    }
    for (size_t i = 0; i < out->count; i++) {
        const json_t *box = json_array_get(expected, i);
        assert_string_equal(out->boxes[i].label, json_string_value(json_object_get(box, "label")));
        for (size_t k = 0; k < 4; k++) {
            int pixel = saturate(json_array_get(json_object_get(box, "box_px"), k));
            if (out->boxes[i].pixels[k] != pixel) {
                fail_msg("%s: box %zu: side %zu is %d, expected %d", note, i, k,
                         out->boxes[i].pixels[k], pixel);
            }
        }
    }
}

static void check_table(const char *path)
{
    json_t *root = load_json(path);
    const json_t *rows = json_object_get(root, "rows");
    assert_true(json_array_size(rows) > 0);
    for (size_t i = 0; i < json_array_size(rows); i++) {
        const json_t *row = json_array_get(rows, i);
        const char *note = json_string_value(json_object_get(row, "note"));
        const json_t *answer = json_object_get(row, "response");
        const json_t *size = json_object_get(row, "image_wh");
        const json_t *parsed = json_object_get(row, "parsed");
        grounding out = parse(json_string_value(answer), json_string_length(answer),
                              (int)json_integer_value(json_array_get(size, 0)),
                              (int)json_integer_value(json_array_get(size, 1)));
        if (out.reference_accepts != json_is_array(parsed)) {
            fail_msg("%s: %s", note, out.reference_accepts ? "accepted" : "not accepted");
        }
        if (out.reference_accepts) {
            assert_boxes_equal(&out, parsed, note);
        } else {
            bool tags = strstr(json_string_value(answer), "<|ref|>") != NULL ||
                        strstr(json_string_value(answer), "<|det|>") != NULL;
            assert_true(!tags || out.count + out.problem_count > 0);
        }
        grounding_free(&out);
    }
    json_decref(root);
}

static void test_reference_table(void **state)
{
    (void)state;
    check_table(TEXT_DATA "parse_ref_bbox.json");
}

static void test_python_literals(void **state)
{
    (void)state;
    check_table(TEXT_DATA "parse_ref_bbox_edge.json");
}

static void test_integer_digits(void **state)
{
    (void)state;
    static const struct {
        size_t digits;
        char digit;
        bool accepted;
    } cases[] = {{4300, '9', true}, {4301, '9', false}, {5000, '0', true}};
    for (size_t i = 0; i < 3; i++) {
        buffer answer = {0};
        buffer_append_text(&answer, "<|ref|>a<|/ref|><|det|>[[1,2,3,4,");
        for (size_t k = 0; k < cases[i].digits; k++) {
            buffer_append(&answer, &cases[i].digit, 1);
        }
        buffer_append_text(&answer, "]]<|/det|>");
        grounding out = parse(answer.data, answer.size, 999, 999);
        assert_int_equal(out.reference_accepts, cases[i].accepted);
        assert_int_equal(out.count, 1);
        grounding_free(&out);
        buffer_free(&answer);
    }
}

/* Where the reference returns None, what is readable comes all the same, with a sentence for the
 * rest. */
static void test_lenient(void **state)
{
    (void)state;
    static const struct {
        const char *answer;
        size_t boxes;
        const char *labels[2];
        double first[2];     /* normalized[0] of each box */
        const char *problem; /* part of the first one; NULL: none */
    } cases[] = {
        {"nothing", 0, {0}, {0}, NULL},
        {"<|ref|>a<|/ref|><|det|> [[1, 2, 3, 4]]<|/det|>", 1, {"a"}, {1}, NULL},
        {"<|ref|>a\nb<|/ref|><|det|>[[1, 2,\n3, 4]]<|/det|>", 1, {"a\nb"}, {1}, NULL},
        {"<|ref|>a<|/ref|><|det|>[[001, 2, 3, 4]]<|/det|>", 1, {"a"}, {1}, NULL},
        {"<|ref|>a<|/ref|><|det|>[['1' 2 3 4.5]]<|/det|>", 1, {"a"}, {1}, NULL},
        {"<|ref|>a<|/ref|><|det|>[[1,2,3,4],[5,6,x,8]]<|/det|>", 1, {"a"}, {1}, "\"[5,6,x,8]\""},
        {"<|ref|>a<|/ref|><|det|>[[1,2,3]]<|/det|>", 0, {0}, {0}, "\"[1,2,3]\""},
        {"<|ref|>a<|/ref|><|det|>[[[1,2,3,4]]]<|/det|>", 1, {"a"}, {1}, NULL},
        {"<|ref|>a<|/ref|><|ref|>b<|/ref|><|det|>[[1,2,3,4]]<|/det|>",
         1,
         {"b"},
         {1},
         "the label \"a\" has no box"},
        {"<|ref|>b<|/ref|><|det|>[[1,2,3,4]]<|/det|><|det|>[[5,6,7,8]]<|/det|>",
         2,
         {"b", ""},
         {1, 5},
         "have no label"},
        {"<|ref|>a<|/ref|><|det|>[[1, 2, 3, 4]]", 1, {"a"}, {1}, "have no end"},
        {"<|ref|>a<|/ref|><|det|>[[1, 2, 3, 4", 0, {0}, {0}, "have no end"},
        {"<|ref|>a<|det|>[[1,2,3,4]]<|/det|>", 1, {"a"}, {1}, "\"a\" has no end"},
        {"<|ref|>a<|/ref|>", 0, {0}, {0}, "the label \"a\" has no box"},
        {"<|det|>[[1,2,3,4]]<|/det|>", 1, {""}, {1}, "have no label"},
        {"<|ref|>a<|/ref|><|det|>[[1e999,2,3,4]]<|/det|>", 0, {0}, {0}, "1e999"},
        {"<|ref|>a<|/ref|><|det|>[[1,2,3,4],[5,6,7,8", 1, {"a"}, {1}, "have no end"},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        grounding out = parse(cases[i].answer, strlen(cases[i].answer), 999, 999);
        assert_false(out.reference_accepts);
        if (out.count != cases[i].boxes) {
            fail_msg("%s: %zu boxes", cases[i].answer, out.count);
        }
        for (size_t k = 0; k < out.count; k++) {
            assert_string_equal(out.boxes[k].label, cases[i].labels[k]);
            assert_true(out.boxes[k].normalized[0] == cases[i].first[k]);
        }
        const char *problem = out.problem_count == 0 ? NULL : out.problems[0];
        if ((problem == NULL) != (cases[i].problem == NULL) ||
            (problem != NULL && strstr(problem, cases[i].problem) == NULL)) {
            fail_msg("%s: \"%s\"", cases[i].answer, problem == NULL ? "no problem" : problem);
        }
        grounding_free(&out);
    }
}

static void test_huge_numbers(void **state)
{
    (void)state;
    static const char answer[] =
        "<|ref|>a<|/ref|><|det|>[[1e300, -1e300, 2147483648, -2147483649]]<|/det|>";
    grounding out = parse(answer, sizeof(answer) - 1, 999, 999);
    assert_true(out.reference_accepts);
    assert_int_equal(out.count, 1);
    assert_int_equal(out.boxes[0].pixels[0], INT_MAX);
    assert_int_equal(out.boxes[0].pixels[1], INT_MIN);
    assert_int_equal(out.boxes[0].pixels[2], INT_MAX);
    assert_int_equal(out.boxes[0].pixels[3], INT_MIN);
    grounding_free(&out);
}

static void test_arguments(void **state)
{
    (void)state;
    grounding out;
    vl2_error error;
    assert_int_equal(grounding_parse("", 0, 0, 1, &out, &error), VL2_ERROR_ARGUMENT);
    assert_int_equal(grounding_parse("", 0, 1, -1, &out, &error), VL2_ERROR_ARGUMENT);
    assert_int_equal(grounding_parse(NULL, 0, 1, 1, &out, &error), VL2_OK);
    assert_false(out.reference_accepts);
    grounding_free(&out);
}

/* Labels are UTF-8 whatever the bytes of the answer were. */
static void test_invalid_bytes(void **state)
{
    (void)state;
    static const char answer[] = "<|ref|>\xFF\x80<|/ref|><|det|>[[1,2,3,4]]<|/det|>";
    grounding out = parse(answer, sizeof(answer) - 1, 999, 999);
    assert_int_equal(out.count, 1);
    assert_string_equal(out.boxes[0].label, "\xEF\xBF\xBD\xEF\xBF\xBD");
    grounding_free(&out);
}

/* Many tags in one line, and many that never end, take linear time. */
static void test_long_answers(void **state)
{
    (void)state;
    static const char *const units[] = {"<|ref|>",  "<|ref|>a<|/ref|><|det|>[[1,2,3,4]]<|/det|>",
                                        "<|det|>[", "<|ref|>\n",
                                        "[",        "<|/det|>",
                                        "<"};
    for (size_t i = 0; i < sizeof(units) / sizeof(units[0]); i++) {
        buffer answer = {0};
        while (answer.size < 1000000) {
            assert_true(buffer_append_text(&answer, units[i]));
        }
        grounding out = parse(answer.data, answer.size, 100, 100);
        assert_int_equal(out.reference_accepts, i == 1);
        grounding_free(&out);
        buffer_free(&answer);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_reference_table), cmocka_unit_test(test_python_literals),
        cmocka_unit_test(test_integer_digits),  cmocka_unit_test(test_lenient),
        cmocka_unit_test(test_huge_numbers),    cmocka_unit_test(test_arguments),
        cmocka_unit_test(test_invalid_bytes),   cmocka_unit_test(test_long_answers),
    };
    return cmocka_run_group_tests_name("grounding", tests, NULL, NULL);
}
