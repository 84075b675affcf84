/* The tasks of vl2 eval: reading and checking a file with one JSON object per line. The format
 * stands in vl2-eval(1). */
#ifndef CLI_EVAL_TASKS_H
#define CLI_EVAL_TASKS_H

#include "cli/eval_score.h"
#include "vl2.h"

#include <jansson.h>
#include <stdint.h>

typedef enum eval_kind {
    EVAL_EXACT,
    EVAL_NUMBER,
    EVAL_BOX,
    EVAL_CHOICE,
    EVAL_ANLS,
    EVAL_KINDS /* how many there are */
} eval_kind;

#define EVAL_LETTERS 26

/* What one answer is scored against. Texts are borrowed from the task's line. */
typedef struct eval_expected {
    eval_kind kind;
    const char *group;    /* NULL: none */
    const json_t *shown;  /* "answer" or "boxes" as it stands in the file */
    score_text *answers;  /* [answer_count] of exact, anls; number: as text */
    double *numbers;      /* [answer_count] of number */
    size_t answer_count;
    double tolerance;     /* of number */
    char letter;          /* of choice, and what can be chosen: */
    score_option options[EVAL_LETTERS];
    size_t option_count;
    double (*boxes)[4];   /* [box_count] x1 y1 x2 y2 */
    size_t box_count;
    bool pixels;          /* of picture `picture`; otherwise 0 to 999 of its sides */
    size_t picture;       /* counted over the task from 0 */
} eval_expected;

typedef struct eval_message {
    const char *role;        /* borrowed */
    char *content;           /* with its <image>s */
    size_t size;
    char **pictures;         /* [picture_count] paths that can be opened */
    size_t picture_count;
    size_t index;            /* in the file's list */
    bool asked;              /* a user's message that the model answers */
    eval_expected *expected; /* of an asked one; NULL: its answer is not scored */
} eval_message;

typedef struct eval_task {
    json_t *json; /* the line */
    char *id;
    size_t line;            /* in the file, from 1 */
    eval_message *messages; /* [message_count]; own answers of the model stand between them */
    size_t message_count, picture_count, asked_count, scored_count;
    uint64_t fingerprint; /* of what the model is given: roles, texts, names of pictures */
} eval_task;

typedef struct eval_tasks {
    eval_task *list; /* [count] */
    size_t count;
} eval_tasks;

/* "exact", "number", ... */
const char *eval_kind_name(eval_kind kind);

/* Reads the text of a file. `file` stands in messages, and pictures' paths that are not absolute
 * are relative to its folder. No picture is looked at. All zero after a failure.
 * VL2_ERROR_INPUT (which line and field, what was found and what was expected),
 * VL2_ERROR_MEMORY. */
vl2_status eval_tasks_read(const char *file, const char *text, size_t size, eval_tasks *tasks,
                           vl2_error *error);
void eval_tasks_clear(eval_tasks *tasks);

#endif
