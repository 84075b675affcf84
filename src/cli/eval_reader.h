/* What the parts of the reader of vl2 eval's tasks share: fields of a line, and failures that name
 * them. */
#ifndef CLI_EVAL_READER_H
#define CLI_EVAL_READER_H

#include "cli/eval_tasks.h"

typedef struct eval_reader {
    const char *file;
    size_t line;
    const char *section; /* in front of field names: "" or "conversation[2]." */
    vl2_error *error;
} eval_reader;

/* "FILE:LINE: FIELD: found FOUND, expected EXPECTED"; returns VL2_ERROR_INPUT. */
vl2_status eval_fail(const eval_reader *reader, const char *field, const json_t *found,
                     const char *expected);
/* The same with words for what was found. */
vl2_status eval_fail_text(const eval_reader *reader, const char *field, const char *found,
                          const char *expected);
vl2_status eval_fail_memory(const eval_reader *reader);

/* What the object says about the right answer: "kind", "answer" and their like. *expected stays
 * NULL if it has none of them. `pictures`: those of the task. */
vl2_status eval_expected_read(const eval_reader *reader, const json_t *object, size_t pictures,
                              eval_expected **expected);
void eval_expected_free(eval_expected *expected);

/* Reads everything of a task but its id: task->json has the line. What is read before a failure
 * is to be cleared too. */
vl2_status eval_messages_read(const eval_reader *reader, eval_task *task);
void eval_messages_clear(eval_task *task);

#endif
