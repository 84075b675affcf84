/* What an answer of the model is worth. */
#include "cli/eval_run.h"
#include "cli/streams.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define FULL 999.0 /* the model's coordinate of the right and lower edges */

static vl2_status fail_memory_here(vl2_error *error)
{
    *error = (vl2_error){.status = VL2_ERROR_MEMORY};
    snprintf(error->message, sizeof(error->message), "%s", vl2_status_text(VL2_ERROR_MEMORY));
    return VL2_ERROR_MEMORY;
}

/* The best score over all accepted answers. */
static vl2_status judge_text(const eval_expected *expected, eval_turn *turn, vl2_error *error)
{
    score_text answer = {turn->answer, turn->size};
    for (size_t i = 0; i < expected->answer_count; i++) {
        double score = expected->kind == EVAL_ANLS ? score_anls(answer, expected->answers[i])
                                                   : score_exact(answer, expected->answers[i]);
        if (score < 0) {
            return fail_memory_here(error);
        }
        turn->score = score > turn->score ? score : turn->score;
    }
    return VL2_OK;
}

static vl2_status judge_number(const eval_expected *expected, eval_turn *turn, vl2_error *error)
{
    double number;
    if (!score_number((score_text){turn->answer, turn->size}, &number)) {
        turn->found = json_null();
        return VL2_OK;
    }
    for (size_t i = 0; i < expected->answer_count; i++) {
        if (score_number_equal(number, expected->numbers[i], expected->tolerance)) {
            turn->score = 1;
        }
    }
    turn->found = json_number(number);
    return turn->found != NULL ? VL2_OK : fail_memory_here(error);
}

static vl2_status judge_choice(const eval_expected *expected, eval_turn *turn, vl2_error *error)
{
    int letter = score_choice((score_text){turn->answer, turn->size}, expected->options,
                              expected->option_count);
    char text[2] = {(char)letter, '\0'};
    turn->score = letter == expected->letter;
    turn->found = letter > 0 ? json_string(text) : json_null();
    return letter >= 0 && turn->found != NULL ? VL2_OK : fail_memory_here(error);
}

static json_t *boxes_json(const vl2_boxes *boxes)
{
    json_t *list = json_array();
    for (size_t i = 0; i < vl2_boxes_count(boxes); i++) {
        const double *at = vl2_boxes_get(boxes, i)->normalized;
        json_t *box = json_pack("[o, o, o, o]", json_number(at[0]), json_number(at[1]),
                                json_number(at[2]), json_number(at[3]));
        if (json_array_append_new(list, box) != 0) {
            json_decref(list);
            return NULL;
        }
    }
    return list;
}

/* IoU does not change when an axis is scaled: both are compared as 0 to 999 of the sides. */
static vl2_status judge_boxes(const eval_expected *expected, const int size[2],
                              const vl2_boxes *boxes, eval_turn *turn, vl2_error *error)
{
    size_t count = vl2_boxes_count(boxes);
    double(*found)[4] = calloc(count + 1, sizeof(*found));
    double(*wanted)[4] = calloc(expected->box_count + 1, sizeof(*wanted));
    score_boxes_result result = {0, false, false};
    bool good = found != NULL && wanted != NULL;
    for (size_t i = 0; good && i < count; i++) {
        memcpy(found[i], vl2_boxes_get(boxes, i)->normalized, sizeof(*found));
    }
    for (size_t i = 0; good && i < 4 * expected->box_count; i++) {
        double at = expected->boxes[i / 4][i % 4];
        wanted[i / 4][i % 4] = expected->pixels ? at * FULL / size[i % 2] : at;
    }
    good = good && score_boxes((const double(*)[4])found, count, (const double(*)[4])wanted,
                               expected->box_count, &result);
    turn->score = result.right_50;
    turn->right_75 = result.right_75;
    turn->iou = result.iou;
    turn->found = boxes_json(boxes);
    free(found);
    free(wanted);
    return good && turn->found != NULL ? VL2_OK : fail_memory_here(error);
}

static vl2_status judge_box(const eval_expected *expected, const int (*sizes)[2], size_t count,
                            eval_turn *turn, vl2_error *error)
{
    static const int unit[2] = {1, 1};
    const int *size = expected->pixels ? NULL : unit;
    if (expected->pixels && expected->picture < count) {
        size = sizes[expected->picture];
    }
    if (size == NULL) {
        *error = (vl2_error){.status = VL2_ERROR_INPUT};
        snprintf(error->message, sizeof(error->message),
                 "picture: found %zu, expected one of %zu pictures", expected->picture, count);
        return VL2_ERROR_INPUT;
    }
    vl2_boxes *boxes;
    vl2_status status =
        vl2_boxes_parse(turn->answer, turn->size, size[0], size[1], &boxes, error);
    if (status == VL2_OK) {
        status = judge_boxes(expected, size, boxes, turn, error);
        vl2_boxes_close(boxes);
    }
    return status;
}

vl2_status eval_judge(const eval_expected *expected, const int (*sizes)[2], size_t count,
                      eval_turn *turn, vl2_error *error)
{
    json_decref(turn->found);
    turn->found = NULL;
    turn->score = turn->iou = 0;
    turn->right_75 = false;
    switch (expected->kind) {
    case EVAL_NUMBER:
        return judge_number(expected, turn, error);
    case EVAL_CHOICE:
        return judge_choice(expected, turn, error);
    case EVAL_BOX:
        return judge_box(expected, sizes, count, turn, error);
    default:
        return judge_text(expected, turn, error);
    }
}
