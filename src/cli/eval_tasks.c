#include "cli/eval_reader.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define SHOWN_MAX 60 /* bytes of a value in a message */

/* ------------------------------------------------------------------------------- failures */

vl2_status eval_fail_text(const eval_reader *reader, const char *field, const char *found,
                          const char *expected)
{
    vl2_error *error = reader->error;
    if (error != NULL) {
        error->status = VL2_ERROR_INPUT;
        snprintf(error->message, sizeof(error->message), "%s:%zu: %s%s: found %s, expected %s",
                 reader->file, reader->line, reader->section, field, found, expected);
    }
    return VL2_ERROR_INPUT;
}

vl2_status eval_fail(const eval_reader *reader, const char *field, const json_t *found,
                     const char *expected)
{
    char shown[SHOWN_MAX + 4] = "nothing";
    char *text = found != NULL ? json_dumps(found, JSON_ENCODE_ANY | JSON_COMPACT) : NULL;
    if (text != NULL) {
        size_t size = strlen(text), cut = size <= SHOWN_MAX ? size : SHOWN_MAX;
        while (cut < size && ((unsigned char)text[cut] & 0xC0) == 0x80) {
            cut--; /* a character stays whole */
        }
        snprintf(shown, sizeof(shown), "%.*s%s", (int)cut, text, cut < size ? "..." : "");
    }
    free(text);
    return eval_fail_text(reader, field, shown, expected);
}

vl2_status eval_fail_memory(const eval_reader *reader)
{
    if (reader->error != NULL) {
        reader->error->status = VL2_ERROR_MEMORY;
        snprintf(reader->error->message, sizeof(reader->error->message), "%s:%zu: %s",
                 reader->file, reader->line, vl2_status_text(VL2_ERROR_MEMORY));
    }
    return VL2_ERROR_MEMORY;
}

/* ------------------------------------------------------------------------------- one task */

static vl2_status read_id(const eval_reader *reader, eval_task *task)
{
    const json_t *id = json_object_get(task->json, "id");
    int made = -1;
    if (json_is_integer(id)) {
        made = asprintf(&task->id, "%lld", (long long)json_integer_value(id));
    } else if (json_is_string(id) && json_string_length(id) > 0) {
        made = asprintf(&task->id, "%s", json_string_value(id));
    } else {
        return eval_fail(reader, "id", id, "a text or a whole number");
    }
    if (made < 0) {
        task->id = NULL;
        return eval_fail_memory(reader);
    }
    return VL2_OK;
}

static vl2_status read_task(const eval_reader *reader, eval_task *task)
{
    vl2_status status = read_id(reader, task);
    return status == VL2_OK ? eval_messages_read(reader, task) : status;
}

static void clear_task(eval_task *task)
{
    eval_messages_clear(task);
    free(task->id);
    json_decref(task->json);
}

/* ------------------------------------------------------------------------------- the file */

static vl2_status parse_line(const eval_reader *reader, const char *text, size_t size,
                             json_t **json)
{
    json_error_t problem;
    *json = json_loadb(text, size, JSON_REJECT_DUPLICATES, &problem);
    if (*json == NULL && json_error_code(&problem) == json_error_out_of_memory) {
        return eval_fail_memory(reader);
    }
    if (*json == NULL) {
        char found[sizeof(problem.text) + 40];
        snprintf(found, sizeof(found), "no JSON (%s, column %d)", problem.text, problem.column);
        return eval_fail_text(reader, "task", found, "one JSON object per line");
    }
    if (!json_is_object(*json)) {
        return eval_fail(reader, "task", *json, "one JSON object per line");
    }
    return VL2_OK;
}

/* Notes the task's id and its line; an id that was there already is an error. */
static vl2_status note_id(const eval_reader *reader, json_t *ids, const eval_task *task)
{
    const json_t *before = json_object_get(ids, task->id);
    if (before != NULL) {
        char wanted[80];
        snprintf(wanted, sizeof(wanted), "another one than in line %lld",
                 (long long)json_integer_value(before));
        return eval_fail(reader, "id", json_object_get(task->json, "id"), wanted);
    }
    return json_object_set_new(ids, task->id, json_integer((json_int_t)task->line)) == 0
               ? VL2_OK
               : eval_fail_memory(reader);
}

static vl2_status add_task(const eval_reader *reader, const char *text, size_t size, json_t *ids,
                           eval_tasks *tasks)
{
    if ((tasks->count & (tasks->count + 1)) == 0) { /* 0, 1, 3, 7, ... : room for the next power */
        eval_task *larger =
            realloc(tasks->list, 2 * (tasks->count + 1) * sizeof(*tasks->list));
        if (larger == NULL) {
            return eval_fail_memory(reader);
        }
        tasks->list = larger;
    }
    eval_task *task = &tasks->list[tasks->count++];
    *task = (eval_task){.line = reader->line};
    vl2_status status = parse_line(reader, text, size, &task->json);
    if (status == VL2_OK) {
        status = read_task(reader, task);
    }
    return status == VL2_OK ? note_id(reader, ids, task) : status;
}

static bool is_blank(const char *text, size_t size)
{
    size_t at = 0;
    while (at < size && (text[at] == ' ' || text[at] == '\t' || text[at] == '\r')) {
        at++;
    }
    return at == size;
}

vl2_status eval_tasks_read(const char *file, const char *text, size_t size, eval_tasks *tasks,
                           vl2_error *error)
{
    eval_reader reader = {file, 0, "", error};
    json_t *ids = json_object();
    vl2_status status = ids != NULL ? VL2_OK : eval_fail_memory(&reader);
    *tasks = (eval_tasks){NULL, 0};
    for (size_t at = 0; status == VL2_OK && at < size;) {
        const char *end = memchr(text + at, '\n', size - at);
        size_t length = end != NULL ? (size_t)(end - text) - at : size - at;
        reader.line++;
        if (!is_blank(text + at, length)) {
            status = add_task(&reader, text + at, length, ids, tasks);
        }
        at += length + 1;
    }
    json_decref(ids);
    if (status == VL2_OK && tasks->count == 0) {
        reader.line = reader.line > 0 ? reader.line : 1;
        status = eval_fail_text(&reader, "task", "none", "one JSON object per line");
    }
    if (status != VL2_OK) {
        eval_tasks_clear(tasks);
    }
    return status;
}

void eval_tasks_clear(eval_tasks *tasks)
{
    for (size_t i = 0; i < tasks->count; i++) {
        clear_task(&tasks->list[i]);
    }
    free(tasks->list);
    *tasks = (eval_tasks){NULL, 0};
}
