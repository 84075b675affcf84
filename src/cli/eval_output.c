/* The file of results: a line of JSON for each finished task. */
#include "cli/eval_run.h"
#include "cli/failure.h"
#include "cli/streams.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#define FINGERPRINT_SIZE 17
#define LINE_BEGIN       "{\"id\":" /* of every line that this program writes */

static void write_fingerprint(const eval_task *task, char text[FINGERPRINT_SIZE])
{
    snprintf(text, FINGERPRINT_SIZE, "%016" PRIx64, task->fingerprint);
}

/* ------------------------------------------------------------------------------- as JSON */

static int set_boxes_score(json_t *object, const eval_turn *turn)
{
    return json_object_set_new(object, "right_75", json_boolean(turn->right_75)) != 0 ||
           json_object_set_new(object, "iou", json_number(turn->iou)) != 0;
}

static json_t *turn_json(const eval_turn *turn, const eval_expected *expected)
{
    json_t *object = json_pack("{s:o, s:s}", "answer", json_text(turn->answer, turn->size),
                               "finish_reason", turn->finish);
    if (object == NULL || expected == NULL) {
        return object;
    }
    int bad = json_object_set_new(object, "kind", json_string(eval_kind_name(expected->kind)));
    if (expected->group != NULL) {
        bad |= json_object_set_new(object, "group", json_string(expected->group));
    }
    bad |= json_object_set_new(object, "expected", json_deep_copy(expected->shown));
    if (turn->found != NULL) {
        bad |= json_object_set(object, "found", turn->found);
    }
    bad |= json_object_set_new(object, "score", json_number(turn->score));
    if (expected->kind == EVAL_BOX) {
        bad |= set_boxes_score(object, turn);
    }
    if (bad != 0) {
        json_decref(object);
        return NULL;
    }
    return object;
}

static json_t *turns_json(const eval_task *task, const eval_result *result)
{
    json_t *list = json_array();
    size_t turn = 0;
    for (size_t i = 0; i < task->message_count && turn < result->turn_count; i++) {
        if (task->messages[i].asked &&
            json_array_append_new(list, turn_json(&result->turns[turn++],
                                                  task->messages[i].expected)) != 0) {
            json_decref(list);
            return NULL;
        }
    }
    return list;
}

static json_t *sizes_json(const eval_result *result)
{
    json_t *list = json_array();
    for (size_t i = 0; i < result->size_count; i++) {
        if (json_array_append_new(list, json_pack("[i, i]", result->sizes[i][0],
                                                  result->sizes[i][1])) != 0) {
            json_decref(list);
            return NULL;
        }
    }
    return list;
}

json_t *eval_result_json(const eval_run *run, size_t index)
{
    const eval_task *task = &run->tasks->list[index];
    const eval_result *result = &run->results[index];
    char fingerprint[FINGERPRINT_SIZE];
    write_fingerprint(task, fingerprint);
    json_t *head = json_pack("{s:s, s:o, s:i, s:s, s:s}", "id", task->id, "model",
                             json_text(run->model_path, strlen(run->model_path)), "predict",
                             run->generate.max_tokens, "kv_type",
                             argument(run->arguments, OPTION_KV_TYPE)->text, "task", fingerprint);
    json_t *rest =
        result->state == EVAL_FAILED
            ? json_pack("{s:o}", "error", json_text(result->failure, strlen(result->failure)))
            : json_pack("{s:o, s:o, s:I, s:I, s:o}", "turns", turns_json(task, result), "sizes",
                        sizes_json(result), "prompt_tokens", (json_int_t)result->prompt_tokens,
                        "completion_tokens", (json_int_t)result->completion_tokens, "seconds",
                        json_number(result->seconds));
    if (head == NULL || rest == NULL || json_object_update(head, rest) != 0) {
        json_decref(head);
        head = NULL;
    }
    json_decref(rest);
    return head;
}

/* ------------------------------------------------------------------------------- an earlier run */

/* "FILE:LINE: found FOUND, expected EXPECTED" with advice. */
static int fail_line(const eval_run *run, size_t line, const char *what, const char *found,
                     const char *expected)
{
    return fail(run->arguments->command, EXIT_CODE_USAGE,
                "%s:%zu: %s: found %s, expected %s; --restart begins it anew, or name another "
                "--output", run->output.path, line, what, found, expected);
}

/* The line must come from a run with the same model and options. */
static int check_line(const eval_run *run, size_t line, const json_t *record)
{
    const char *model = json_string_value(json_object_get(record, "model"));
    const char *kv_type = json_string_value(json_object_get(record, "kv_type"));
    const json_t *predict = json_object_get(record, "predict");
    char found[200], wanted[200];
    if (json_string_value(json_object_get(record, "id")) == NULL || model == NULL ||
        kv_type == NULL || !json_is_integer(predict)) {
        return fail_line(run, line, "result", "something else", "a line of vl2 eval --output");
    }
    snprintf(found, sizeof(found), "\"%.180s\"", model);
    snprintf(wanted, sizeof(wanted), "\"%.180s\" as in this run", run->model_path);
    if (strcmp(model, run->model_path) != 0) {
        return fail_line(run, line, "model", found, wanted);
    }
    snprintf(found, sizeof(found), "-n %lld --kv-type %.20s",
             (long long)json_integer_value(predict), kv_type);
    snprintf(wanted, sizeof(wanted), "-n %d --kv-type %s as in this run", run->generate.max_tokens,
             argument(run->arguments, OPTION_KV_TYPE)->text);
    return json_integer_value(predict) == run->generate.max_tokens &&
                   strcmp(kv_type, argument(run->arguments, OPTION_KV_TYPE)->text) == 0
               ? EXIT_CODE_OK
               : fail_line(run, line, "options", found, wanted);
}

static bool take_sizes(const json_t *list, size_t wanted, eval_result *result)
{
    result->sizes = calloc(wanted + 1, sizeof(*result->sizes));
    for (size_t i = 0; result->sizes != NULL && i < json_array_size(list) && i < wanted; i++) {
        const json_t *size = json_array_get(list, i);
        json_int_t width = json_integer_value(json_array_get(size, 0));
        json_int_t height = json_integer_value(json_array_get(size, 1));
        if (width < 1 || height < 1 || width > INT32_MAX || height > INT32_MAX) {
            return false;
        }
        result->sizes[i][0] = (int)width;
        result->sizes[i][1] = (int)height;
        result->size_count++;
    }
    return result->size_count == wanted;
}

static bool take_turn(const json_t *object, eval_turn *turn)
{
    const json_t *answer = json_object_get(object, "answer");
    const char *finish = json_string_value(json_object_get(object, "finish_reason"));
    if (!json_is_string(answer)) {
        return false;
    }
    turn->size = json_string_length(answer);
    turn->answer = malloc(turn->size + 1);
    turn->finish = strdup(finish != NULL ? finish : "unknown");
    if (turn->answer == NULL || turn->finish == NULL) {
        return false;
    }
    memcpy(turn->answer, json_string_value(answer), turn->size + 1);
    return true;
}

/* The answers of a line; false if they do not fit to the task, which is asked again then. */
static bool take_record(const eval_task *task, const json_t *record, eval_result *result)
{
    const json_t *turns = json_object_get(record, "turns");
    char fingerprint[FINGERPRINT_SIZE];
    write_fingerprint(task, fingerprint);
    const char *found = json_string_value(json_object_get(record, "task"));
    if (found == NULL || strcmp(found, fingerprint) != 0 ||
        json_array_size(turns) != task->asked_count ||
        !take_sizes(json_object_get(record, "sizes"), task->picture_count, result)) {
        return false;
    }
    result->turns = calloc(task->asked_count, sizeof(*result->turns));
    for (; result->turns != NULL && result->turn_count < task->asked_count;) {
        size_t turn = result->turn_count++;
        if (!take_turn(json_array_get(turns, turn), &result->turns[turn])) {
            return false;
        }
    }
    result->prompt_tokens =
        (size_t)json_integer_value(json_object_get(record, "prompt_tokens"));
    result->completion_tokens =
        (size_t)json_integer_value(json_object_get(record, "completion_tokens"));
    result->seconds = json_number_value(json_object_get(record, "seconds"));
    return result->turns != NULL;
}

static int judge_again(const eval_run *run, const eval_task *task, eval_result *result)
{
    size_t turn = 0;
    for (size_t i = 0; i < task->message_count; i++) {
        const eval_message *message = &task->messages[i];
        vl2_error error;
        if (message->asked && message->expected != NULL &&
            eval_judge(message->expected, (const int(*)[2])result->sizes, result->size_count,
                       &result->turns[turn], &error) != VL2_OK) {
            return fail_status(run->arguments->command, &error);
        }
        turn += message->asked;
    }
    result->state = EVAL_DONE;
    result->kept = true;
    return EXIT_CODE_OK;
}

/* Gives the tasks the answers of the lines: an object of them by id. */
static int take_records(eval_run *run, const json_t *records)
{
    int code = EXIT_CODE_OK;
    for (size_t i = 0; code == EXIT_CODE_OK && i < run->count; i++) {
        const eval_task *task = &run->tasks->list[i];
        const json_t *record = json_object_get(records, task->id);
        if (record == NULL) {
            continue;
        }
        if (take_record(task, record, &run->results[i])) {
            code = judge_again(run, task, &run->results[i]);
        } else {
            eval_result_clear(&run->results[i]);
        }
    }
    return code;
}

/* True if a last line without its end can be the beginning of one of ours: the run was killed. */
static bool is_torn(const char *text, size_t size)
{
    size_t length = size < strlen(LINE_BEGIN) ? size : strlen(LINE_BEGIN);
    return strncmp(text, LINE_BEGIN, length) == 0;
}

/* Reads the lines into `records`; *whole are the bytes up to the end of the last whole one. */
static int read_lines(const eval_run *run, const char *text, size_t size, json_t *records,
                      size_t *whole)
{
    size_t line = 1, at = 0;
    for (const char *end; (end = memchr(text + at, '\n', size - at)) != NULL; line++) {
        size_t length = (size_t)(end - text) - at;
        json_t *record = json_loadb(text + at, length, JSON_ALLOW_NUL, NULL);
        int code = record != NULL ? check_line(run, line, record)
                                  : fail_line(run, line, "result", "no JSON",
                                              "a line of vl2 eval --output");
        if (code == EXIT_CODE_OK && /* the last line of an id counts */
            json_object_set(records, json_string_value(json_object_get(record, "id")), record) !=
                0) {
            code = fail_memory(run->arguments->command);
        }
        json_decref(record);
        if (code != EXIT_CODE_OK) {
            return code;
        }
        at += length + 1;
    }
    *whole = at;
    return is_torn(text + at, size - at)
               ? EXIT_CODE_OK
               : fail_line(run, line, "result", "something else", "a line of vl2 eval --output");
}

static int fail_file(const eval_run *run, const char *what)
{
    return fail(run->arguments->command, EXIT_CODE_FAILURE, "%s: %s: %s", run->output.path, what,
                strerror(errno));
}

static int resume(eval_run *run)
{
    char *text;
    size_t size, whole = 0;
    int code = read_all(run->arguments->command, run->output.path, &text, &size);
    if (code != EXIT_CODE_OK) {
        return code;
    }
    json_t *records = json_object();
    code = records != NULL ? read_lines(run, text, size, records, &whole)
                           : fail_memory(run->arguments->command);
    if (code == EXIT_CODE_OK) {
        code = take_records(run, records);
    }
    if (code == EXIT_CODE_OK && whole < size &&
        ftruncate(run->output.descriptor, (off_t)whole) != 0) {
        code = fail_file(run, "cannot be shortened to its last whole line");
    }
    json_decref(records);
    free(text);
    return code;
}

/* The file must not be the one with the tasks. */
static int check_file(const eval_run *run)
{
    struct stat output, tasks;
    if (fstat(run->output.descriptor, &output) != 0 || !S_ISREG(output.st_mode)) {
        return fail(run->arguments->command, EXIT_CODE_USAGE, "--output: %s is no regular file",
                    run->output.path);
    }
    const char *file = argument(run->arguments, OPTION_TASKS)->text;
    if (stat(file, &tasks) == 0 && tasks.st_dev == output.st_dev &&
        tasks.st_ino == output.st_ino) {
        return fail(run->arguments->command, EXIT_CODE_USAGE, "--output: %s has the tasks",
                    run->output.path);
    }
    if (flock(run->output.descriptor, LOCK_EX | LOCK_NB) != 0 && errno == EWOULDBLOCK) {
        return fail(run->arguments->command, EXIT_CODE_FAILURE,
                    "%s: another vl2 eval writes into it", run->output.path);
    }
    return EXIT_CODE_OK;
}

int eval_output_open(eval_run *run)
{
    eval_output *output = &run->output;
    if (output->path == NULL) {
        return EXIT_CODE_OK;
    }
    output->descriptor = open(output->path, O_RDWR | O_CREAT | O_APPEND | O_CLOEXEC, 0666);
    if (output->descriptor < 0) {
        return fail_file(run, "cannot be written");
    }
    int code = check_file(run);
    if (code == EXIT_CODE_OK && argument(run->arguments, OPTION_RESTART)->on) {
        code = ftruncate(output->descriptor, 0) == 0 ? code : fail_file(run, "cannot be written");
    } else if (code == EXIT_CODE_OK) {
        code = resume(run);
    }
    return code;
}

void eval_output_close(eval_output *output)
{
    if (output->path != NULL && output->descriptor >= 0) {
        close(output->descriptor);
    }
    output->descriptor = -1;
}

/* ------------------------------------------------------------------------------- this run */

static bool write_bytes(int descriptor, const char *bytes, size_t size)
{
    while (size > 0) {
        ssize_t written = write(descriptor, bytes, size);
        if (written < 0 && errno != EINTR) {
            return false;
        }
        bytes += written > 0 ? written : 0;
        size -= written > 0 ? (size_t)written : 0;
    }
    return true;
}

vl2_status eval_output_append(const eval_run *run, size_t index, vl2_error *error)
{
    const eval_output *output = &run->output;
    if (output->path == NULL) {
        return VL2_OK;
    }
    json_t *json = eval_result_json(run, index);
    char *text = json != NULL ? json_dumps(json, JSON_COMPACT) : NULL;
    json_decref(json);
    if (text == NULL) {
        *error = (vl2_error){.status = VL2_ERROR_MEMORY};
        snprintf(error->message, sizeof(error->message), "%s", vl2_status_text(VL2_ERROR_MEMORY));
        return VL2_ERROR_MEMORY;
    }
    size_t size = strlen(text);
    text[size] = '\n'; /* where the NUL was: a line is one write */
    bool good = write_bytes(output->descriptor, text, size + 1);
    if (!good) {
        *error = (vl2_error){.status = VL2_ERROR_IO};
        snprintf(error->message, sizeof(error->message), "%s: cannot be written: %s",
                 output->path, strerror(errno));
    }
    free(text);
    return good ? VL2_OK : VL2_ERROR_IO;
}
