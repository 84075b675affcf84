/* vl2 eval at work: answers and their scores, one result for each task. */
#ifndef CLI_EVAL_RUN_H
#define CLI_EVAL_RUN_H

#include "cli/arguments.h"
#include "cli/eval_tasks.h"
#include "cli/progress.h"
#include "vl2.h"

#include <pthread.h>

/* One answer of the model, and what it is worth. */
typedef struct eval_turn {
    char *answer; /* NUL-terminated, `size` bytes */
    size_t size;
    char *finish;   /* as finish_text says */
    double score;   /* 0 to 1; of boxes 1 if they are right at an IoU of 0.5 */
    double iou;     /* of boxes, see score_boxes */
    bool right_75;  /* of boxes */
    json_t *found;  /* the number, letter or boxes in the answer; NULL for text */
} eval_turn;

typedef enum eval_state {
    EVAL_OPEN,  /* not answered yet */
    EVAL_DONE,
    EVAL_FAILED /* cannot be answered: a damaged picture, a prompt that is too long */
} eval_state;

typedef struct eval_result {
    eval_state state;
    bool kept;        /* from an earlier run */
    eval_turn *turns; /* [turn_count], of the asked messages in order */
    size_t turn_count;
    int (*sizes)[2]; /* [size_count] width and height of the pictures */
    size_t size_count;
    char *failure; /* why it failed */
    size_t prompt_tokens, completion_tokens;
    double seconds;
} eval_result;

/* A file of results that grows by a line with each finished task. */
typedef struct eval_output {
    const char *path; /* NULL: none is written */
    int descriptor;   /* -1: not open */
} eval_output;

typedef struct eval_run {
    const arguments *arguments;
    const char *model_path;
    vl2_model *model;
    vl2_session_options session;
    vl2_generate_options generate;
    const eval_tasks *tasks;
    size_t count;         /* of the tasks, those that are wanted */
    eval_result *results; /* [count] */
    eval_output output;
    progress *progress;
    size_t jobs;
    /* While it works, under `lock`: */
    pthread_mutex_t lock;
    pthread_cond_t changed;
    size_t next;            /* the first task that nobody has taken */
    size_t working;         /* threads that have not ended */
    vl2_session **sessions; /* [jobs] those that answer now, or NULL */
    bool stopping;
    vl2_status status; /* of what ended the run too early */
    vl2_error error;
} eval_run;

/* Answers the tasks that are open, on run->jobs threads with a session each. Each task has a new
 * session, so that no answer depends on what was asked before. Returns an exit code, reported: that
 * of what ended the run, or EXIT_CODE_INTERRUPTED. */
int eval_run_all(eval_run *run);

/* The score of a turn's answer. `sizes` are those of the pictures, [count]. VL2_ERROR_MEMORY,
 * VL2_ERROR_INPUT (a picture without a size). */
vl2_status eval_judge(const eval_expected *expected, const int (*sizes)[2], size_t count,
                      eval_turn *turn, vl2_error *error);

void eval_result_clear(eval_result *result);

/* ------------------------------------------------------------------------------- results */

/* Opens --output, begins it anew with --restart, and takes from it the answers of an earlier run
 * with the same model and options: of equal questions, scored again. Reports and returns an exit
 * code. */
int eval_output_open(eval_run *run);
void eval_output_close(eval_output *output);
/* Appends the line of a result. VL2_ERROR_IO, VL2_ERROR_MEMORY. */
vl2_status eval_output_append(const eval_run *run, size_t index, vl2_error *error);
/* A result as JSON, a line of the file; NULL without memory. */
json_t *eval_result_json(const eval_run *run, size_t index);

/* Everything as a table, or as one JSON object; returns an exit code. */
int eval_print(const eval_run *run);

#endif
