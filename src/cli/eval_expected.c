/* Right answers, as the lines of vl2 eval's tasks give them. */
#include "cli/eval_reader.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char *const kind_names[EVAL_KINDS] = {
    [EVAL_EXACT] = "exact",   [EVAL_NUMBER] = "number", [EVAL_BOX] = "box",
    [EVAL_CHOICE] = "choice", [EVAL_ANLS] = "anls",
};

const char *eval_kind_name(eval_kind kind)
{
    return kind_names[kind];
}

static score_text text_of(const json_t *value)
{
    return (score_text){json_string_value(value), json_string_length(value)};
}

/* ------------------------------------------------------------------------------- answers */

static vl2_status fail_answer(const eval_reader *reader, const json_t *found, eval_kind kind)
{
    return eval_fail(reader, "answer", found,
                     kind == EVAL_NUMBER ? "a number, a text with one, or a list of them"
                                         : "a text or a list of texts");
}

static vl2_status add_answer(const eval_reader *reader, const json_t *value,
                             eval_expected *expected)
{
    double number = json_number_value(value);
    bool numeric = expected->kind == EVAL_NUMBER;
    if (!json_is_string(value) && !(numeric && json_is_number(value))) {
        return fail_answer(reader, value, expected->kind);
    }
    if (numeric && json_is_string(value) && !score_number(text_of(value), &number)) {
        return fail_answer(reader, value, expected->kind);
    }
    expected->answers[expected->answer_count] = text_of(value);
    expected->numbers[expected->answer_count++] = number;
    return VL2_OK;
}

static vl2_status read_answers(const eval_reader *reader, const json_t *answer,
                               eval_expected *expected)
{
    size_t count = json_is_array(answer) ? json_array_size(answer) : 1;
    if (count == 0) {
        return fail_answer(reader, answer, expected->kind);
    }
    expected->answers = calloc(count, sizeof(*expected->answers));
    expected->numbers = calloc(count, sizeof(*expected->numbers));
    if (expected->answers == NULL || expected->numbers == NULL) {
        return eval_fail_memory(reader);
    }
    vl2_status status = VL2_OK;
    for (size_t i = 0; status == VL2_OK && i < count; i++) {
        const json_t *value = json_is_array(answer) ? json_array_get(answer, i) : answer;
        status = add_answer(reader, value, expected);
    }
    return status;
}

static vl2_status read_tolerance(const eval_reader *reader, const json_t *object,
                                 eval_expected *expected)
{
    const json_t *value = json_object_get(object, "tolerance");
    double number = json_number_value(value);
    if (value != NULL && (!json_is_number(value) || !(number >= 0 && number <= 1))) {
        return eval_fail(reader, "tolerance", value, "a share from 0 to 1");
    }
    expected->tolerance = number;
    return VL2_OK;
}

/* ------------------------------------------------------------------------------- choices */

static bool is_letter(const char *text, size_t size)
{
    return size == 1 && text[0] >= 'A' && text[0] <= 'Z';
}

static vl2_status read_options(const eval_reader *reader, const json_t *choices,
                               eval_expected *expected)
{
    const char *key;
    json_t *value;
    if (choices == NULL) { /* only the letters are known */
        for (char letter = 'A'; letter <= 'E'; letter++) {
            expected->options[expected->option_count++] = (score_option){letter, {NULL, 0}};
        }
        return VL2_OK;
    }
    if (!json_is_object(choices) || json_object_size(choices) == 0) {
        return eval_fail(reader, "choices", choices, "an object such as {\"A\": \"red\"}");
    }
    json_object_foreach((json_t *)choices, key, value)
    {
        if (!is_letter(key, strlen(key))) {
            char found[40];
            snprintf(found, sizeof(found), "\"%.20s\"", key);
            return eval_fail_text(reader, "choices", found, "letters from A to Z as names");
        }
        if (!json_is_string(value)) {
            return eval_fail(reader, "choices", value, "texts");
        }
        expected->options[expected->option_count++] = (score_option){key[0], text_of(value)};
    }
    return VL2_OK;
}

static vl2_status read_choice(const eval_reader *reader, const json_t *object,
                              eval_expected *expected)
{
    const json_t *answer = json_object_get(object, "answer");
    vl2_status status = read_options(reader, json_object_get(object, "choices"), expected);
    if (status != VL2_OK) {
        return status;
    }
    for (size_t i = 0; i < expected->option_count; i++) {
        if (json_is_string(answer) && json_string_length(answer) == 1 &&
            json_string_value(answer)[0] == expected->options[i].letter) {
            expected->letter = expected->options[i].letter;
            return VL2_OK;
        }
    }
    return eval_fail(reader, "answer", answer,
                     json_object_get(object, "choices") != NULL ? "the letter of a choice"
                                                                : "a letter from A to E");
}

/* ------------------------------------------------------------------------------- boxes */

static vl2_status read_box(const eval_reader *reader, const json_t *value, double box[4])
{
    bool good = json_array_size(value) == 4;
    for (size_t i = 0; i < 4; i++) {
        box[i] = json_number_value(json_array_get(value, i));
        good = good && json_is_number(json_array_get(value, i));
    }
    return good && box[0] < box[2] && box[1] < box[3]
               ? VL2_OK
               : eval_fail(reader, "boxes", value, "[x1, y1, x2, y2] with x1 < x2 and y1 < y2");
}

static vl2_status read_box_list(const eval_reader *reader, const json_t *list,
                                eval_expected *expected)
{
    size_t count = json_array_size(list);
    vl2_status status = VL2_OK;
    expected->boxes = calloc(count + 1, sizeof(*expected->boxes));
    if (expected->boxes == NULL) {
        return eval_fail_memory(reader);
    }
    for (size_t i = 0; status == VL2_OK && i < count; i++) {
        status = read_box(reader, json_array_get(list, i), expected->boxes[i]);
    }
    expected->box_count = count;
    return status;
}

/* Boxes out of the text that a model should write. */
static vl2_status read_box_text(const eval_reader *reader, const json_t *text,
                                eval_expected *expected)
{
    vl2_boxes *boxes;
    vl2_status status = vl2_boxes_parse(json_string_value(text), json_string_length(text), 1, 1,
                                        &boxes, reader->error);
    if (status != VL2_OK) {
        return status;
    }
    size_t count = vl2_boxes_count(boxes);
    if (count == 0 || vl2_boxes_problem_count(boxes) > 0) {
        status = eval_fail(reader, "answer", text,
                           "a text with <|det|>[[x1, y1, x2, y2]]<|/det|>, or \"boxes\"");
    } else if ((expected->boxes = calloc(count, sizeof(*expected->boxes))) == NULL) {
        status = eval_fail_memory(reader);
    }
    for (size_t i = 0; status == VL2_OK && i < count; i++) {
        memcpy(expected->boxes[i], vl2_boxes_get(boxes, i)->normalized, sizeof(double[4]));
        expected->box_count++;
    }
    vl2_boxes_close(boxes);
    return status;
}

/* Which picture boxes in pixels are in. */
static vl2_status read_picture(const eval_reader *reader, const json_t *object, size_t pictures,
                               eval_expected *expected)
{
    const json_t *value = json_object_get(object, "picture");
    char wanted[60];
    if (value == NULL && pictures == 1) {
        return VL2_OK;
    }
    if (pictures == 0) {
        return eval_fail_text(reader, "boxes", "pixels but no picture",
                              "a picture, or \"normalized\": true");
    }
    if (!json_is_integer(value) || json_integer_value(value) < 0 ||
        (uint64_t)json_integer_value(value) >= pictures) {
        snprintf(wanted, sizeof(wanted), "the number of a picture, 0 to %zu", pictures - 1);
        return eval_fail(reader, "picture", value, wanted);
    }
    expected->picture = (size_t)json_integer_value(value);
    return VL2_OK;
}

static vl2_status read_boxes(const eval_reader *reader, const json_t *object, size_t pictures,
                             eval_expected *expected)
{
    const json_t *list = json_object_get(object, "boxes");
    const json_t *normalized = json_object_get(object, "normalized");
    const json_t *answer = json_object_get(object, "answer");
    if (list == NULL && json_is_string(answer)) {
        return read_box_text(reader, answer, expected);
    }
    if (!json_is_array(list)) {
        return eval_fail(reader, "boxes", list, "a list of [x1, y1, x2, y2]");
    }
    if (normalized != NULL && !json_is_boolean(normalized)) {
        return eval_fail(reader, "normalized", normalized, "true or false");
    }
    expected->shown = list;
    expected->pixels = !json_is_true(normalized);
    vl2_status status = read_box_list(reader, list, expected);
    return status == VL2_OK && expected->pixels ? read_picture(reader, object, pictures, expected)
                                                : status;
}

/* ------------------------------------------------------------------------------- all of it */

static vl2_status read_kind(const eval_reader *reader, const json_t *kind, eval_kind *found)
{
    for (int i = 0; i < EVAL_KINDS; i++) {
        if (json_is_string(kind) && strcmp(json_string_value(kind), kind_names[i]) == 0) {
            *found = (eval_kind)i;
            return VL2_OK;
        }
    }
    return eval_fail(reader, "kind", kind,
                     "\"exact\", \"number\", \"box\", \"choice\" or \"anls\"");
}

static vl2_status read_group(const eval_reader *reader, const json_t *group,
                             eval_expected *expected)
{
    if (group != NULL && (!json_is_string(group) || json_string_length(group) == 0)) {
        return eval_fail(reader, "group", group, "a text");
    }
    expected->group = json_string_value(group);
    return VL2_OK;
}

static vl2_status fill_expected(const eval_reader *reader, const json_t *object, size_t pictures,
                                eval_expected *expected)
{
    const json_t *answer = json_object_get(object, "answer");
    vl2_status status = read_kind(reader, json_object_get(object, "kind"), &expected->kind);
    if (status == VL2_OK) {
        status = read_group(reader, json_object_get(object, "group"), expected);
    }
    if (status != VL2_OK) {
        return status;
    }
    expected->shown = answer;
    switch (expected->kind) {
    case EVAL_BOX:
        return read_boxes(reader, object, pictures, expected);
    case EVAL_CHOICE:
        return read_choice(reader, object, expected);
    case EVAL_NUMBER:
        status = read_tolerance(reader, object, expected);
        return status == VL2_OK ? read_answers(reader, answer, expected) : status;
    default:
        return read_answers(reader, answer, expected);
    }
}

vl2_status eval_expected_read(const eval_reader *reader, const json_t *object, size_t pictures,
                              eval_expected **expected)
{
    if (json_object_get(object, "answer") == NULL && json_object_get(object, "boxes") == NULL &&
        json_object_get(object, "kind") == NULL) {
        return VL2_OK;
    }
    eval_expected *made = calloc(1, sizeof(*made));
    if (made == NULL) {
        return eval_fail_memory(reader);
    }
    vl2_status status = fill_expected(reader, object, pictures, made);
    if (status != VL2_OK) {
        eval_expected_free(made);
        return status;
    }
    *expected = made;
    return VL2_OK;
}

void eval_expected_free(eval_expected *expected)
{
    if (expected != NULL) {
        free(expected->answers);
        free(expected->numbers);
        free(expected->boxes);
        free(expected);
    }
}
