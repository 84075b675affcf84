/* The reader of vl2 eval's tasks: what it takes, and that it names what it does not. */
#include "test.h"

#include "cli/eval_tasks.h"

#include <string.h>

static eval_tasks tasks;
static vl2_error error;

static vl2_status read_text(const char *file, const char *text)
{
    memset(&error, 0, sizeof(error));
    return eval_tasks_read(file, text, strlen(text), &tasks, &error);
}

/* Reads what must be good; the caller clears tasks. */
static const eval_task *good(const char *text)
{
    if (read_text("dir/t.jsonl", text) != VL2_OK) {
        fail_msg("%s: %s", text, error.message);
    }
    return &tasks.list[0];
}

static void test_question(void **state)
{
    (void)state;
    const eval_task *task = good("\n{\"id\": \"x\", \"images\": [\"a.png\", \"/b.png\"], "
                                 "\"question\": \"What?\", \"answer\": [\"red\", \"scarlet\"], "
                                 "\"kind\": \"exact\", \"group\": \"g\", \"system\": \"Be brief.\"}"
                                 "\r\n\n");
    assert_int_equal(tasks.count, 1);
    assert_string_equal(task->id, "x");
    assert_int_equal(task->line, 2);
    assert_int_equal(task->message_count, 2);
    assert_string_equal(task->messages[0].role, "system");
    assert_string_equal(task->messages[0].content, "Be brief.");
    assert_string_equal(task->messages[1].content, "<image>\n<image>\nWhat?");
    assert_int_equal(task->messages[1].size, strlen(task->messages[1].content));
    assert_string_equal(task->messages[1].pictures[0], "dir/a.png");
    assert_string_equal(task->messages[1].pictures[1], "/b.png");
    assert_true(task->messages[1].asked);
    const eval_expected *expected = task->messages[1].expected;
    assert_int_equal(expected->kind, EVAL_EXACT);
    assert_int_equal(expected->answer_count, 2);
    assert_string_equal(expected->answers[1].text, "scarlet");
    assert_string_equal(expected->group, "g");
    eval_tasks_clear(&tasks);
}

static void test_kinds(void **state)
{
    (void)state;
    const eval_task *task =
        good("{\"id\": 1, \"question\": \"\", \"answer\": [3, \"1,000\"], \"kind\": \"number\", "
             "\"tolerance\": 0.05}\n"
             "{\"id\": 2, \"images\": [\"a\"], \"question\": \"\", \"kind\": \"box\", "
             "\"boxes\": [[1, 2, 3.5, 4]]}\n"
             "{\"id\": 3, \"question\": \"\", \"kind\": \"box\", \"boxes\": [], "
             "\"normalized\": true}\n"
             "{\"id\": 4, \"question\": \"\", \"kind\": \"box\", "
             "\"answer\": \"<|ref|>a<|/ref|><|det|>[[1, 2, 3, 4], [5, 6, 7, 8]]<|/det|>\"}\n"
             "{\"id\": 5, \"question\": \"\", \"kind\": \"choice\", \"answer\": \"C\", "
             "\"choices\": {\"A\": \"x\", \"C\": \"y\"}}\n"
             "{\"id\": 6, \"question\": \"\", \"kind\": \"choice\", \"answer\": \"E\"}");
    assert_int_equal(tasks.count, 6);
    assert_string_equal(task[0].id, "1");
    const eval_expected *numbers = task[0].messages[0].expected;
    assert_true(numbers->numbers[0] == 3 && numbers->numbers[1] == 1000);
    assert_true(numbers->tolerance == 0.05);
    const eval_expected *pixels = task[1].messages[0].expected;
    assert_true(pixels->pixels && pixels->box_count == 1 && pixels->boxes[0][2] == 3.5);
    assert_int_equal(task[2].messages[0].expected->box_count, 0);
    const eval_expected *text = task[3].messages[0].expected;
    assert_true(!text->pixels && text->box_count == 2 && text->boxes[1][3] == 8);
    const eval_expected *choice = task[4].messages[0].expected;
    assert_int_equal(choice->letter, 'C');
    assert_int_equal(choice->option_count, 2);
    assert_int_equal(task[5].messages[0].expected->option_count, 5);
    eval_tasks_clear(&tasks);
}

static void test_conversation(void **state)
{
    (void)state;
    const eval_task *task = good(
        "{\"id\": \"c\", \"group\": \"talk\", \"kind\": \"number\", \"answer\": 2, "
        "\"conversation\": ["
        "{\"role\": \"<|User|>\", \"content\": \"<image>\\nGiven?\", \"images\": [\"a.png\"]},"
        "{\"role\": \"<|Assistant|>\", \"content\": \"Yes.\"},"
        "{\"role\": \"user\", \"content\": \"Own?\", \"kind\": \"exact\", \"answer\": \"no\", "
        "\"group\": \"own\"},"
        "{\"role\": \"assistant\", \"content\": \"\"},"
        "{\"role\": \"user\", \"content\": \"Unscored?\"},"
        "{\"role\": \"user\", \"content\": \"How many?\"},"
        "{\"role\": \"assistant\", \"content\": \"\"}]}");
    assert_int_equal(task->message_count, 5);
    assert_int_equal(task->asked_count, 3);
    assert_int_equal(task->scored_count, 2);
    assert_int_equal(task->picture_count, 1);
    assert_false(task->messages[0].asked);
    assert_string_equal(task->messages[2].expected->group, "own");
    assert_null(task->messages[3].expected);
    assert_true(task->messages[3].asked);
    assert_int_equal(task->messages[4].expected->kind, EVAL_NUMBER);
    assert_string_equal(task->messages[4].expected->group, "talk");
    eval_tasks_clear(&tasks);
}

static void test_common_pictures(void **state)
{
    (void)state;
    const eval_task *task =
        good("{\"id\": 1, \"kind\": \"exact\", \"answer\": \"x\", \"images\": [\"a\", \"b\"], "
             "\"conversation\": [{\"role\": \"user\", \"content\": \"no place\"}, "
             "{\"role\": \"user\", \"content\": \"more\"}]}\n"
             "{\"id\": 2, \"kind\": \"exact\", \"answer\": \"x\", \"images\": [\"a\", \"b\"], "
             "\"conversation\": [{\"role\": \"user\", \"content\": \"<image> first\"}, "
             "{\"role\": \"user\", \"content\": \"<image> second\"}]}");
    assert_string_equal(task[0].messages[0].content, "<image>\n<image>\nno place");
    assert_int_equal(task[0].messages[1].picture_count, 0);
    assert_string_equal(task[1].messages[1].pictures[0], "dir/b");
    eval_tasks_clear(&tasks);
}

#define REST ", \"question\": \"q\", \"answer\": \"a\", \"kind\": \"exact\"}"

/* The fingerprint is of what the model is given, and of nothing else. */
static void test_fingerprint(void **state)
{
    (void)state;
    const eval_task *task =
        good("{\"id\": 1" REST "\n"
             "{\"id\": 2, \"question\": \"q\", \"answer\": 3, \"kind\": \"number\"}\n"
             "{\"id\": 3, \"question\": \"q \", \"answer\": 3, \"kind\": \"number\"}\n"
             "{\"id\": 4, \"images\": [\"a\"]" REST "\n{\"id\": 5, \"images\": [\"b\"]" REST);
    uint64_t with_a = task[3].fingerprint;
    assert_true(task[0].fingerprint == task[1].fingerprint);
    assert_true(task[0].fingerprint != task[2].fingerprint);
    assert_true(task[0].fingerprint != with_a);
    assert_true(task[4].fingerprint != with_a);
    eval_tasks_clear(&tasks);
    assert_int_equal(read_text("else/where.jsonl", "{\"id\": 4, \"images\": [\"a\"]" REST), VL2_OK);
    assert_true(tasks.list[0].fingerprint == with_a);
    eval_tasks_clear(&tasks);
}

/* Each line after a good one, and what the message has to have. */
static const char *const bad[][2] = {
    {"", NULL}, /* the good one alone */
    {"nonsense", "task: found no JSON"},
    {"{", "task: found no JSON"},
    {"[1]", "task: found [1], expected one JSON object"},
    {"{\"id\": 1, \"id\": 2}", "task: found no JSON"},
    {"{\"id\": \"\\u0000\"" REST, "task: found no JSON"},
    {"{\"question\": \"q\", \"answer\": \"a\", \"kind\": \"exact\"}", "id: found nothing"},
    {"{\"id\": \"\"" REST, "id: found \"\""},
    {"{\"id\": 1.5" REST, "id: found 1.5"},
    {"{\"id\": \"good\"" REST, "id: found \"good\", expected another one than in line 1"},
    {"{\"id\": 1, \"answer\": \"a\", \"kind\": \"exact\"}", "question: found nothing"},
    {"{\"id\": 1, \"conversation\": []" REST, "question: found \"q\""},
    {"{\"id\": 1, \"images\": \"a\"" REST, "images: found \"a\", expected a list"},
    {"{\"id\": 1, \"images\": [3]" REST, "images: found 3"},
    {"{\"id\": 1, \"system\": 3" REST, "system: found 3"},
    {"{\"id\": 1, \"question\": \"<image>\", \"answer\": \"a\", \"kind\": \"exact\"}",
     "question: found 1 <image>, expected one for each of 0 pictures"},
    {"{\"id\": 1, \"question\": \"q\"}", "answer: found nothing"},
    {"{\"id\": 1, \"question\": \"q\", \"answer\": \"a\"}", "kind: found nothing"},
    {"{\"id\": 1, \"question\": \"q\", \"answer\": \"a\", \"kind\": \"exakt\"}",
     "kind: found \"exakt\", expected \"exact\""},
    {"{\"id\": 1, \"question\": \"q\", \"kind\": \"exact\"}", "answer: found nothing"},
    {"{\"id\": 1, \"question\": \"q\", \"answer\": [], \"kind\": \"anls\"}", "answer: found []"},
    {"{\"id\": 1, \"question\": \"q\", \"answer\": 3, \"kind\": \"exact\"}", "answer: found 3"},
    {"{\"id\": 1, \"question\": \"q\", \"answer\": \"many\", \"kind\": \"number\"}",
     "answer: found \"many\", expected a number"},
    {"{\"id\": 1, \"question\": \"q\", \"answer\": 3, \"kind\": \"number\", \"tolerance\": 5}",
     "tolerance: found 5"},
    {"{\"id\": 1, \"question\": \"q\", \"answer\": \"F\", \"kind\": \"choice\"}",
     "answer: found \"F\", expected a letter from A to E"},
    {"{\"id\": 1, \"question\": \"q\", \"answer\": \"B\", \"kind\": \"choice\", "
     "\"choices\": {\"A\": \"x\"}}", "answer: found \"B\", expected the letter of a choice"},
    {"{\"id\": 1, \"question\": \"q\", \"answer\": \"A\", \"kind\": \"choice\", "
     "\"choices\": {\"1\": \"x\"}}", "choices: found \"1\""},
    {"{\"id\": 1, \"question\": \"q\", \"answer\": \"A\", \"kind\": \"choice\", "
     "\"choices\": [\"x\"]}", "choices: found [\"x\"]"},
    {"{\"id\": 1, \"question\": \"q\", \"kind\": \"box\", \"boxes\": [[1, 2, 3, 4]]}",
     "boxes: found pixels but no picture"},
    {"{\"id\": 1, \"question\": \"q\", \"kind\": \"box\", \"boxes\": [[1, 2, 3]], "
     "\"normalized\": true}", "boxes: found [1,2,3], expected [x1, y1, x2, y2]"},
    {"{\"id\": 1, \"question\": \"q\", \"kind\": \"box\", \"boxes\": [[3, 2, 1, 4]], "
     "\"normalized\": true}", "boxes: found [3,2,1,4]"},
    {"{\"id\": 1, \"images\": [\"a\", \"b\"], \"question\": \"q\", \"kind\": \"box\", "
     "\"boxes\": [[1, 2, 3, 4]]}", "picture: found nothing, expected the number of a picture, 0"},
    {"{\"id\": 1, \"images\": [\"a\"], \"question\": \"q\", \"kind\": \"box\", "
     "\"boxes\": [[1, 2, 3, 4]], \"picture\": 1}", "picture: found 1"},
    {"{\"id\": 1, \"question\": \"q\", \"kind\": \"box\", \"answer\": \"no box\"}",
     "answer: found \"no box\""},
    {"{\"id\": 1, \"question\": \"q\", \"answer\": \"a\", \"kind\": \"exact\", \"group\": 3}",
     "group: found 3"},
    {"{\"id\": 1, \"conversation\": [], \"answer\": \"a\", \"kind\": \"exact\"}",
     "conversation: found [], expected a list of messages"},
    {"{\"id\": 1, \"conversation\": [3], \"answer\": \"a\", \"kind\": \"exact\"}",
     "conversation[0]: found 3"},
    {"{\"id\": 1, \"conversation\": [{\"role\": \"User\", \"content\": \"\"}]}",
     "conversation[0].role: found \"User\""},
    {"{\"id\": 1, \"conversation\": [{\"role\": \"user\", \"content\": \"\"}, "
     "{\"role\": \"system\", \"content\": \"\"}]}", "conversation[1].role: found \"system\""},
    {"{\"id\": 1, \"conversation\": [{\"role\": \"user\"}]}",
     "conversation[0].content: found nothing"},
    {"{\"id\": 1, \"conversation\": [{\"role\": \"user\", \"content\": \"a\"}, "
     "{\"role\": \"assistant\", \"content\": \"b\"}], \"answer\": \"a\", \"kind\": \"exact\"}",
     "conversation: found no open question"},
    {"{\"id\": 1, \"conversation\": [{\"role\": \"assistant\", \"content\": \"\"}, "
     "{\"role\": \"user\", \"content\": \"a\", \"answer\": \"x\", \"kind\": \"exact\"}, "
     "{\"role\": \"assistant\", \"content\": \"b\"}, {\"role\": \"user\", \"content\": \"a\"}]}",
     "conversation[1]: found an expected answer beside a given one"},
    {"{\"id\": 1, \"conversation\": [{\"role\": \"user\", \"content\": \"a\", \"answer\": \"x\", "
     "\"kind\": \"exact\"}], \"answer\": \"a\", \"kind\": \"exact\"}",
     "answer: found one more for the last question"},
    {"{\"id\": 1, \"images\": [\"a\"], \"conversation\": [{\"role\": \"user\", "
     "\"content\": \"a\", \"images\": [\"b\"]}], \"answer\": \"a\", \"kind\": \"exact\"}",
     "conversation[0].images: found [\"b\"]"},
    {"{\"id\": 1, \"images\": [\"a\", \"b\"], \"conversation\": [{\"role\": \"user\", "
     "\"content\": \"<image>\"}], \"answer\": \"a\", \"kind\": \"exact\"}",
     "images: found [\"a\",\"b\"], expected an <image>"},
    {"{\"id\": 1, \"images\": [\"a\"], \"conversation\": [{\"role\": \"user\", "
     "\"content\": \"<image><image>\"}], \"answer\": \"a\", \"kind\": \"exact\"}",
     "conversation[0].content: found 2 <image>"},
    {"{\"id\": 1, \"conversation\": [{\"role\": \"assistant\", \"content\": \"x\", "
     "\"images\": [\"b\"]}]}", "conversation[0].images: found [\"b\"]"},
};

static void test_bad_lines(void **state)
{
    (void)state;
    char text[2000];
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        snprintf(text, sizeof(text), "{\"id\": \"good\"" REST "\n\n%s\n", bad[i][0]);
        vl2_status status = read_text("t.jsonl", text);
        if (bad[i][1] == NULL) {
            assert_int_equal(status, VL2_OK);
            eval_tasks_clear(&tasks);
            continue;
        }
        if (status != VL2_ERROR_INPUT || strncmp(error.message, "t.jsonl:3: ", 11) != 0 ||
            strncmp(error.message + 11, bad[i][1], strlen(bad[i][1])) != 0) {
            fail_msg("%s: %d, \"%s\", expected \"%s\"", bad[i][0], (int)status, error.message,
                     bad[i][1]);
        }
        assert_null(tasks.list);
    }
    assert_int_equal(read_text("t.jsonl", "\n \n"), VL2_ERROR_INPUT);
    assert_non_null(strstr(error.message, "found none"));
    assert_int_equal(read_text("t.jsonl", ""), VL2_ERROR_INPUT);
    assert_int_equal(eval_tasks_read("t.jsonl", "", 0, &tasks, NULL), VL2_ERROR_INPUT);
}

/* A long value is cut at a character. */
static void test_long_value(void **state)
{
    (void)state;
    char text[400] = "{\"id\": 1, \"question\": \"q\", \"answer\": \"a\", \"kind\": \"";
    for (int i = 0; i < 100; i++) {
        strcat(text, "\xC3\xA9");
    }
    strcat(text, "\"}");
    assert_int_equal(read_text("t", text), VL2_ERROR_INPUT);
    assert_non_null(strstr(error.message, "\xC3\xA9..., expected"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_question),    cmocka_unit_test(test_kinds),
        cmocka_unit_test(test_conversation), cmocka_unit_test(test_common_pictures),
        cmocka_unit_test(test_fingerprint), cmocka_unit_test(test_bad_lines),
        cmocka_unit_test(test_long_value),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
