/* Tasks on several threads, a session each. */
#include "cli/eval_run.h"
#include "cli/failure.h"
#include "cli/format.h"
#include "cli/interrupt.h"
#include "cli/request.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define TICK 100000000L /* nanoseconds between looks at signals and the clock */

void eval_result_clear(eval_result *result)
{
    for (size_t i = 0; i < result->turn_count; i++) {
        free(result->turns[i].answer);
        free(result->turns[i].finish);
        json_decref(result->turns[i].found);
    }
    free(result->turns);
    free(result->sizes);
    free(result->failure);
    *result = (eval_result){.state = EVAL_OPEN};
}

static vl2_status no_memory(vl2_error *error)
{
    *error = (vl2_error){.status = VL2_ERROR_MEMORY};
    snprintf(error->message, sizeof(error->message), "%s", vl2_status_text(VL2_ERROR_MEMORY));
    return VL2_ERROR_MEMORY;
}

/* ------------------------------------------------------------------------------- one task */

/* A task while it is answered. */
typedef struct attempt {
    eval_run *run;
    const eval_task *task;
    vl2_session *session;
    vl2_conversation *conversation;
    eval_result result;
    vl2_error error;
} attempt;

/* Opens a message's pictures; all of them are to be released, those that are not open are NULL. */
static vl2_status open_pictures(attempt *attempt, const eval_message *message, vl2_image **images)
{
    uint64_t most = (uint64_t)argument(attempt->run->arguments, OPTION_MAX_PIXELS)->integer;
    for (size_t i = 0; i < message->picture_count; i++) {
        vl2_status status = vl2_image_open(message->pictures[i], most, &images[i], &attempt->error);
        if (status != VL2_OK) {
            return status;
        }
        int *size = attempt->result.sizes[attempt->result.size_count++];
        size[0] = vl2_image_width(images[i]);
        size[1] = vl2_image_height(images[i]);
    }
    return VL2_OK;
}

static vl2_status add_message(attempt *attempt, const eval_message *message)
{
    vl2_image **images = calloc(message->picture_count + 1, sizeof(*images));
    if (images == NULL) {
        return no_memory(&attempt->error);
    }
    vl2_status status = open_pictures(attempt, message, images);
    if (status == VL2_OK) {
        status = vl2_conversation_add(attempt->conversation, message->role, message->content,
                                      message->size, images, message->picture_count,
                                      &attempt->error);
    }
    for (size_t i = 0; i < message->picture_count; i++) {
        vl2_image_release(images[i]);
    }
    free(images);
    return status;
}

/* Takes over an answer. */
static vl2_status keep_answer(attempt *attempt, vl2_answer *answer)
{
    eval_result *result = &attempt->result;
    eval_turn *turn = &result->turns[result->turn_count++];
    char *text = malloc(answer->text_size + 1);
    turn->finish = strdup(finish_text(answer->finish));
    turn->answer = text;
    if (text == NULL || turn->finish == NULL) {
        return no_memory(&attempt->error);
    }
    memcpy(text, answer->text, answer->text_size + 1);
    turn->size = answer->text_size;
    result->prompt_tokens += answer->prompt_tokens;
    result->completion_tokens += answer->token_count;
    return vl2_conversation_add(attempt->conversation, "assistant", text, turn->size, NULL, 0,
                                &attempt->error);
}

static bool is_stopping(eval_run *run)
{
    pthread_mutex_lock(&run->lock);
    bool stopping = run->stopping;
    pthread_mutex_unlock(&run->lock);
    return stopping;
}

/* Asked for each token: a cancellation that came before the request began is not lost. */
static bool go_on(const char *text, size_t size, int32_t token, void *user)
{
    (void)text;
    (void)size;
    (void)token;
    return !is_stopping(user);
}

static vl2_status generate(attempt *attempt)
{
    eval_run *run = attempt->run;
    vl2_answer answer = {NULL};
    vl2_status status = is_stopping(run) ? VL2_ERROR_CANCELLED : VL2_OK;
    if (status == VL2_OK) {
        status = vl2_session_generate(attempt->session, attempt->conversation, &run->generate,
                                      go_on, run, &answer, &attempt->error);
    }
    if (status == VL2_OK && answer.finish == VL2_FINISH_CANCELLED) {
        status = VL2_ERROR_CANCELLED; /* half an answer is none */
    }
    if (status == VL2_OK) {
        status = keep_answer(attempt, &answer);
    }
    vl2_answer_clear(&answer);
    return status;
}

static vl2_status ask(attempt *attempt, const eval_message *message)
{
    eval_result *result = &attempt->result;
    vl2_status status = generate(attempt);
    return status == VL2_OK && message->expected != NULL
               ? eval_judge(message->expected, (const int(*)[2])result->sizes, result->size_count,
                            &result->turns[result->turn_count - 1], &attempt->error)
               : status;
}

static vl2_status answer_messages(attempt *attempt)
{
    const eval_task *task = attempt->task;
    eval_result *result = &attempt->result;
    result->turns = calloc(task->asked_count + 1, sizeof(*result->turns));
    result->sizes = calloc(task->picture_count + 1, sizeof(*result->sizes));
    if (result->turns == NULL || result->sizes == NULL) {
        return no_memory(&attempt->error);
    }
    vl2_status status = vl2_conversation_create(&attempt->conversation, &attempt->error);
    for (size_t i = 0; status == VL2_OK && i < task->message_count; i++) {
        status = add_message(attempt, &task->messages[i]);
        if (status == VL2_OK && task->messages[i].asked) {
            status = ask(attempt, &task->messages[i]);
        }
    }
    return status;
}

/* The session that job `job` works with, or NULL: for cancelling. */
static void note_session(eval_run *run, size_t job, vl2_session *session)
{
    pthread_mutex_lock(&run->lock);
    run->sessions[job] = session;
    pthread_mutex_unlock(&run->lock);
}

/* Only this task cannot be answered; the others may be. */
static bool is_of_the_task(vl2_status status)
{
    return status == VL2_ERROR_INPUT || status == VL2_ERROR_CONTEXT ||
           status == VL2_ERROR_UNSUPPORTED;
}

static vl2_status answer_task(attempt *attempt, size_t job)
{
    eval_run *run = attempt->run;
    double began = progress_clock();
    vl2_status status =
        vl2_session_open(run->model, &run->session, &attempt->session, &attempt->error);
    if (status != VL2_OK) {
        return status;
    }
    note_session(run, job, attempt->session);
    status = answer_messages(attempt);
    note_session(run, job, NULL);
    vl2_conversation_close(attempt->conversation);
    vl2_session_close(attempt->session);
    attempt->result.seconds = progress_clock() - began;
    attempt->result.state = EVAL_DONE;
    if (is_of_the_task(status)) {
        attempt->result.state = EVAL_FAILED;
        attempt->result.failure = strdup(attempt->error.message);
        status = attempt->result.failure != NULL ? VL2_OK : no_memory(&attempt->error);
    }
    return status;
}

/* ------------------------------------------------------------------------------- the threads */

typedef struct worker {
    eval_run *run;
    size_t job;
    pthread_t thread;
} worker;

/* The next open task; run->count if there is none. The lock is held. */
static size_t take_task(eval_run *run)
{
    while (run->next < run->count && run->results[run->next].state == EVAL_DONE) {
        run->next++;
    }
    return run->stopping || run->next == run->count ? run->count : run->next++;
}

/* Puts a finished task into the run and into the file. The lock is held. */
static void finish_task(eval_run *run, size_t index, attempt *attempt, vl2_status status)
{
    if (status == VL2_OK) {
        eval_result_clear(&run->results[index]);
        run->results[index] = attempt->result;
        status = eval_output_append(run, index, &attempt->error);
    } else {
        eval_result_clear(&attempt->result);
    }
    if (status != VL2_OK) {
        run->stopping = true;
    }
    if (status != VL2_OK && status != VL2_ERROR_CANCELLED && run->status == VL2_OK) {
        run->status = status;
        run->error = attempt->error;
    }
    pthread_cond_signal(&run->changed);
}

static void *work(void *context)
{
    const worker *worker = context;
    eval_run *run = worker->run;
    pthread_mutex_lock(&run->lock);
    for (size_t index; (index = take_task(run)) < run->count;) {
        pthread_mutex_unlock(&run->lock);
        attempt attempt = {.run = run, .task = &run->tasks->list[index]};
        vl2_status status = answer_task(&attempt, worker->job);
        pthread_mutex_lock(&run->lock);
        finish_task(run, index, &attempt, status);
    }
    run->working--;
    pthread_cond_signal(&run->changed);
    pthread_mutex_unlock(&run->lock);
    return NULL;
}

static void show_progress(const eval_run *run, double began, bool last)
{
    size_t done = 0, kept = 0, answers = 0;
    double score = 0;
    for (size_t i = 0; i < run->count; i++) {
        const eval_task *task = &run->tasks->list[i];
        const eval_result *result = &run->results[i];
        if (result->state == EVAL_OPEN) {
            continue;
        }
        done++;
        kept += result->kept;
        answers += task->scored_count;
        for (size_t k = 0; result->state == EVAL_DONE && k < result->turn_count; k++) {
            score += result->turns[k].score;
        }
    }
    char line[160], left[FORMAT_SIZE];
    double each = done > kept ? (progress_clock() - began) / (double)(done - kept) : 0;
    snprintf(line, sizeof(line), "task %zu of %zu, score %.1f %%, %s left", done, run->count,
             answers > 0 ? 100 * score / (double)answers : 0,
             done > kept ? format_duration(each * (double)(run->count - done), left) : "?");
    progress_line(run->progress, line, last);
}

/* Until all threads have ended: signals, progress. The lock is held. A request that begins at this
 * moment forgets that it was cancelled, so it is told again at the next look. */
static void watch(eval_run *run)
{
    double began = progress_clock();
    while (run->working > 0) {
        struct timespec until;
        clock_gettime(CLOCK_REALTIME, &until);
        until.tv_nsec += TICK;
        until.tv_sec += until.tv_nsec / 1000000000L;
        until.tv_nsec %= 1000000000L;
        pthread_cond_timedwait(&run->changed, &run->lock, &until);
        run->stopping = run->stopping || interrupt_signal() != 0;
        for (size_t i = 0; run->stopping && i < run->jobs; i++) {
            if (run->sessions[i] != NULL) {
                vl2_session_cancel(run->sessions[i]);
            }
        }
        show_progress(run, began, false);
    }
    show_progress(run, began, true);
}

/* Starts the threads. They leave signals to this one: a write that is interrupted is no error. */
static size_t start(eval_run *run, worker *workers)
{
    sigset_t signals, before;
    size_t started = 0;
    sigemptyset(&signals);
    sigaddset(&signals, SIGINT);
    sigaddset(&signals, SIGTERM);
    pthread_sigmask(SIG_BLOCK, &signals, &before);
    for (size_t i = 0; i < run->jobs; i++) {
        workers[started] = (worker){.run = run, .job = started};
        started += pthread_create(&workers[started].thread, NULL, work, &workers[started]) == 0;
    }
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    return started;
}

static int end_code(const eval_run *run)
{
    if (run->status != VL2_OK) {
        return fail_status(run->arguments->command, &run->error);
    }
    if (!run->stopping) {
        return EXIT_CODE_OK;
    }
    size_t done = 0;
    for (size_t i = 0; i < run->count; i++) {
        done += run->results[i].state != EVAL_OPEN;
    }
    return fail(run->arguments->command, EXIT_CODE_INTERRUPTED,
                "interrupted, %zu of %zu tasks are done%s", done, run->count,
                run->output.path != NULL ? "; the same command goes on" : "");
}

int eval_run_all(eval_run *run)
{
    worker *workers = calloc(run->jobs, sizeof(*workers));
    run->sessions = calloc(run->jobs, sizeof(*run->sessions));
    if (workers == NULL || run->sessions == NULL) {
        free(workers);
        free(run->sessions);
        return fail_memory(run->arguments->command);
    }
    pthread_mutex_init(&run->lock, NULL);
    pthread_cond_init(&run->changed, NULL);
    interrupt_reset();
    interrupt_noted();
    pthread_mutex_lock(&run->lock);
    size_t started = start(run, workers);
    run->working = started;
    watch(run);
    pthread_mutex_unlock(&run->lock);
    for (size_t i = 0; i < started; i++) {
        pthread_join(workers[i].thread, NULL);
    }
    progress_clear(run->progress);
    pthread_cond_destroy(&run->changed);
    pthread_mutex_destroy(&run->lock);
    free(workers);
    free(run->sessions);
    if (started == 0) {
        return fail(run->arguments->command, EXIT_CODE_FAILURE, "no thread can be started: %s",
                    strerror(errno));
    }
    return end_code(run);
}
