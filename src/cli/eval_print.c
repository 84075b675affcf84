/* How the results of vl2 eval are shown. */
#include "cli/eval_run.h"
#include "cli/failure.h"
#include "cli/streams.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* The questions of one kind or group, or all of them. */
typedef struct eval_sum {
    const char *name;
    size_t questions, failed; /* failed: of the questions, those of tasks without an answer */
    double score;             /* sum */
    size_t boxes, right_75;   /* questions of kind box; of these, right at an IoU of 0.75 */
    double iou;               /* sum */
} eval_sum;

typedef struct eval_sums {
    eval_sum all, kinds[EVAL_KINDS];
    eval_sum *groups; /* [group_count], in the order of the file */
    size_t group_count;
    size_t done, failed; /* tasks */
} eval_sums;

static void add(eval_sum *sum, const eval_expected *expected, const eval_turn *turn)
{
    bool box = expected->kind == EVAL_BOX;
    sum->questions++;
    sum->failed += turn == NULL;
    sum->boxes += box;
    if (turn != NULL) {
        sum->score += turn->score;
        sum->right_75 += box && turn->right_75;
        sum->iou += box ? turn->iou : 0;
    }
}

/* The sum of a group, a new one if it has none; NULL without memory. */
static eval_sum *group_sum(eval_sums *sums, const char *name)
{
    for (size_t i = 0; i < sums->group_count; i++) {
        if (strcmp(sums->groups[i].name, name) == 0) {
            return &sums->groups[i];
        }
    }
    eval_sum *larger = realloc(sums->groups, (sums->group_count + 1) * sizeof(*larger));
    if (larger == NULL) {
        return NULL;
    }
    sums->groups = larger;
    sums->groups[sums->group_count] = (eval_sum){.name = name};
    return &sums->groups[sums->group_count++];
}

static bool add_task(eval_sums *sums, const eval_task *task, const eval_result *result)
{
    size_t turn = 0;
    sums->done++;
    sums->failed += result->state == EVAL_FAILED;
    for (size_t i = 0; i < task->message_count; i++) {
        const eval_expected *expected = task->messages[i].expected;
        const eval_turn *answered =
            result->state == EVAL_DONE && turn < result->turn_count ? &result->turns[turn] : NULL;
        turn += task->messages[i].asked;
        if (expected == NULL) {
            continue;
        }
        add(&sums->all, expected, answered);
        add(&sums->kinds[expected->kind], expected, answered);
        eval_sum *group = expected->group != NULL ? group_sum(sums, expected->group) : NULL;
        if (expected->group != NULL && group == NULL) {
            return false;
        }
        if (group != NULL) {
            add(group, expected, answered);
        }
    }
    return true;
}

static bool add_all(const eval_run *run, eval_sums *sums)
{
    for (int i = 0; i < EVAL_KINDS; i++) {
        sums->kinds[i].name = eval_kind_name((eval_kind)i);
    }
    sums->all.name = "all";
    for (size_t i = 0; i < run->count; i++) {
        if (run->results[i].state != EVAL_OPEN &&
            !add_task(sums, &run->tasks->list[i], &run->results[i])) {
            return false;
        }
    }
    return true;
}

/* ------------------------------------------------------------------------------- as text */

static void print_sum(const char *what, const eval_sum *sum)
{
    if (sum->questions == 0) {
        return;
    }
    double count = (double)sum->questions, boxes = (double)sum->boxes;
    printf("%-6s ", what);
    write_text(sum->name, strlen(sum->name));
    printf("%*s %9zu %8.2f %%", strlen(sum->name) < 20 ? 20 - (int)strlen(sum->name) : 0, "",
           sum->questions, 100 * sum->score / count);
    if (sum->boxes > 0) {
        printf(" %10.2f %% %9.4f", 100 * (double)sum->right_75 / boxes, sum->iou / boxes);
    }
    putchar('\n');
}

static void print_table(const eval_run *run, const eval_sums *sums)
{
    printf("%s\n%s: %zu of %zu tasks", run->model_path,
           argument(run->arguments, OPTION_TASKS)->text, sums->done, run->count);
    if (sums->failed > 0) {
        printf(", %zu failed and count as wrong", sums->failed);
    }
    printf("\n\n%-27s %9s %10s %12s %9s\n", "", "questions", "score", "IoU >= 0.75", "mean IoU");
    for (int i = 0; i < EVAL_KINDS; i++) {
        print_sum("kind", &sums->kinds[i]);
    }
    for (size_t i = 0; i < sums->group_count; i++) {
        print_sum("group", &sums->groups[i]);
    }
    print_sum("", &sums->all);
}

/* ------------------------------------------------------------------------------- as JSON */

static json_t *sum_json(const eval_sum *sum)
{
    double count = (double)sum->questions, boxes = (double)sum->boxes;
    json_t *object = json_pack(
        "{s:I, s:I, s:o}", "questions", (json_int_t)sum->questions, "failed",
        (json_int_t)sum->failed, "score",
        sum->questions > 0 ? json_number(sum->score / count) : json_null());
    if (object != NULL && sum->boxes > 0 &&
        (json_object_set_new(object, "right_75", json_number((double)sum->right_75 / boxes)) != 0 ||
         json_object_set_new(object, "iou", json_number(sum->iou / boxes)) != 0)) {
        json_decref(object);
        return NULL;
    }
    return object;
}

/* {"NAME": sum} of those with questions. */
static json_t *sums_json(const eval_sum *sums, size_t count)
{
    json_t *object = json_object();
    for (size_t i = 0; i < count; i++) {
        if (sums[i].questions > 0 &&
            json_object_set_new(object, sums[i].name, sum_json(&sums[i])) != 0) {
            json_decref(object);
            return NULL;
        }
    }
    return object;
}

static json_t *results_json(const eval_run *run)
{
    json_t *list = json_array();
    for (size_t i = 0; i < run->count; i++) {
        if (run->results[i].state != EVAL_OPEN &&
            json_array_append_new(list, eval_result_json(run, i)) != 0) {
            json_decref(list);
            return NULL;
        }
    }
    return list;
}

static json_t *report_json(const eval_run *run, const eval_sums *sums)
{
    const char *file = argument(run->arguments, OPTION_TASKS)->text;
    return json_pack("{s:o, s:o, s:I, s:I, s:I, s:o, s:o, s:o, s:o}", "model",
                     json_text(run->model_path, strlen(run->model_path)), "file",
                     json_text(file, strlen(file)), "tasks", (json_int_t)run->count, "done",
                     (json_int_t)sums->done, "failed", (json_int_t)sums->failed, "all",
                     sum_json(&sums->all), "kinds", sums_json(sums->kinds, EVAL_KINDS), "groups",
                     sums_json(sums->groups, sums->group_count), "results", results_json(run));
}

int eval_print(const eval_run *run)
{
    const command *command = run->arguments->command;
    eval_sums sums;
    memset(&sums, 0, sizeof(sums));
    int code = add_all(run, &sums) ? EXIT_CODE_OK : fail_memory(command);
    if (code == EXIT_CODE_OK && argument(run->arguments, OPTION_JSON)->on) {
        code = print_json(command, report_json(run, &sums));
    } else if (code == EXIT_CODE_OK) {
        print_table(run, &sums);
    }
    free(sums.groups);
    return code;
}
