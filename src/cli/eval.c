/* vl2 eval: questions with known answers, and how many of them a model gets right. */
#include "cli/eval_run.h"
#include "cli/command.h"
#include "cli/failure.h"
#include "cli/format.h"
#include "cli/interrupt.h"
#include "cli/request.h"
#include "cli/streams.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static int read_tasks(const arguments *arguments, const char *file, eval_tasks *tasks)
{
    char *text;
    size_t size;
    int code = read_all(arguments->command, file, &text, &size);
    if (code != EXIT_CODE_OK) {
        return code;
    }
    vl2_error error;
    vl2_status status = eval_tasks_read(file, text, size, tasks, &error);
    free(text);
    return status == VL2_OK ? EXIT_CODE_OK : fail_status(arguments->command, &error);
}

/* A long run should not come to its end at a picture that is not there. */
static int check_pictures(const eval_run *run)
{
    for (size_t i = 0; i < run->count; i++) {
        const eval_task *task = &run->tasks->list[i];
        for (size_t k = 0; k < task->message_count; k++) {
            for (size_t j = 0; j < task->messages[k].picture_count; j++) {
                const char *path = task->messages[k].pictures[j];
                struct stat found;
                if (stat(path, &found) != 0 || access(path, R_OK) != 0) {
                    return fail(run->arguments->command, EXIT_CODE_INPUT,
                                "%s:%zu: images: %s cannot be read: %s",
                                argument(run->arguments, OPTION_TASKS)->text, task->line, path,
                                strerror(errno));
                }
            }
        }
    }
    return EXIT_CODE_OK;
}

/* Threads are shared out among the sessions; no answer depends on their number. */
static void fill_options(eval_run *run)
{
    const arguments *arguments = run->arguments;
    int64_t most = argument(arguments, OPTION_PREDICT)->integer;
    int threads = (int)argument(arguments, OPTION_THREADS)->integer;
    threads = threads > 0 ? threads : vl2_cpu_count();
    run->jobs = (size_t)argument(arguments, OPTION_JOBS)->integer;
    run->jobs = run->jobs < run->count ? run->jobs : run->count;
    vl2_generate_options_defaults(&run->generate);
    run->generate.max_tokens = most < 0 ? INT_MAX : (int)most;
    vl2_session_options_defaults(&run->session);
    run->session.context = (int)argument(arguments, OPTION_CONTEXT)->integer;
    run->session.chunk = (int)argument(arguments, OPTION_CHUNK)->integer;
    run->session.kv_type = kv_type_option(arguments);
    run->session.threads = threads / (int)run->jobs > 1 ? threads / (int)run->jobs : 1;
}

/* Tasks that failed: the first of them, and how many. */
static int report_failures(const eval_run *run)
{
    size_t failed = 0, first = 0;
    for (size_t i = run->count; i > 0; i--) {
        if (run->results[i - 1].state == EVAL_FAILED) {
            failed++;
            first = i - 1;
        }
    }
    if (failed == 0) {
        return EXIT_CODE_OK;
    }
    return fail(run->arguments->command, EXIT_CODE_INPUT,
                "%zu task%s cannot be answered; %s:%zu: %s", failed, failed == 1 ? "" : "s",
                argument(run->arguments, OPTION_TASKS)->text, run->tasks->list[first].line,
                run->results[first].failure);
}

static void summarize(const eval_run *run, double seconds)
{
    char duration[FORMAT_SIZE];
    size_t asked = 0, kept = 0, tokens = 0;
    if (argument(run->arguments, OPTION_QUIET)->on ||
        !(run->progress->active || argument(run->arguments, OPTION_VERBOSE)->on)) {
        return;
    }
    for (size_t i = 0; i < run->count; i++) {
        const eval_result *result = &run->results[i];
        bool now = result->state != EVAL_OPEN && !result->kept;
        kept += result->kept;
        asked += now;
        tokens += now ? result->completion_tokens : 0;
    }
    fprintf(stderr, "[%zu task%s answered, %zu kept from before: %s, %zu tokens]\n", asked,
            asked == 1 ? "" : "s", kept, format_duration(seconds, duration), tokens);
}

/* Whatever ends the run, what is finished is shown. */
static int evaluate(eval_run *run)
{
    double began = progress_clock();
    int code = eval_run_all(run);
    summarize(run, progress_clock() - began);
    int shown = eval_print(run);
    code = code != EXIT_CODE_OK ? code : shown;
    return code != EXIT_CODE_OK ? code : report_failures(run);
}

static int run_tasks(const arguments *arguments, const eval_tasks *tasks)
{
    request request;
    int64_t limit = argument(arguments, OPTION_LIMIT)->integer;
    eval_run run = {.arguments = arguments, .tasks = tasks, .progress = &request.progress,
                    .output = {argument(arguments, OPTION_OUTPUT)->text, -1}};
    run.count = limit > 0 && (uint64_t)limit < tasks->count ? (size_t)limit : tasks->count;
    fill_options(&run);
    int code = check_pictures(&run);
    if (code != EXIT_CODE_OK) {
        return code;
    }
    code = request_open(&request, arguments, false);
    run.model = request.model;
    run.model_path = request_model_path(arguments);
    if (code == EXIT_CODE_OK) {
        run.results = calloc(run.count, sizeof(*run.results));
        code = run.results != NULL ? eval_output_open(&run) : fail_memory(arguments->command);
    }
    if (code == EXIT_CODE_OK) {
        code = evaluate(&run);
    }
    for (size_t i = 0; run.results != NULL && i < run.count; i++) {
        eval_result_clear(&run.results[i]);
    }
    free(run.results);
    eval_output_close(&run.output);
    request_close(&request);
    return finish_output(arguments->command, code);
}

static int run_eval(const arguments *arguments)
{
    const char *file = argument(arguments, OPTION_TASKS)->text;
    eval_tasks tasks;
    if (file == NULL) {
        return fail_usage(arguments->command, "no tasks: give --tasks FILE.jsonl");
    }
    if (request_model_path(arguments) == NULL) {
        return EXIT_CODE_USAGE;
    }
    bool output = argument(arguments, OPTION_OUTPUT)->text != NULL;
    if (argument(arguments, OPTION_RESTART)->on && !output) {
        return fail_usage(arguments->command, "--restart needs --output");
    }
    int code = read_tasks(arguments, file, &tasks);
    if (code == EXIT_CODE_OK) {
        code = run_tasks(arguments, &tasks);
        eval_tasks_clear(&tasks);
    }
    return code;
}

const command command_eval = {
    "eval",
    COMMAND_EVAL,
    "[-m MODEL] --tasks FILE.jsonl [options]",
    "Score a model on questions with known answers",
    "Asks a model the questions of a file, one JSON object per line with pictures, a question and "
    "what is right, and says how many it gets right: exact texts, numbers, boxes, multiple choice, "
    "and texts that may differ a little (ANLS). The man page has the format. Answers are greedy, "
    "and no answer depends on the tasks before it or on --jobs.",
    "  vl2 eval -m deepseek-vl2-tiny --tasks docvqa.jsonl --output tiny.jsonl\n"
    "  vl2 eval -m small.vl2 --tasks refcoco.jsonl --limit 200 -n 64 --json\n",
    0,
    run_eval,
};
