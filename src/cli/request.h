/* What the commands that run a model have in common: model, session, pictures and the options of an
 * answer. */
#ifndef CLI_REQUEST_H
#define CLI_REQUEST_H

#include "cli/arguments.h"
#include "cli/progress.h"
#include "vl2.h"

#include <jansson.h>

typedef struct request {
    const arguments *arguments;
    progress progress;
    vl2_model *model;
    vl2_session *session;
    vl2_generate_options options;
    double seconds_open; /* wall time of opening the model */
} request;

/* The model's path from -m, or from the first operand where a command takes it so; reports and
 * returns NULL if neither is there. */
const char *request_model_path(const arguments *arguments);

/* Opens the model. `streams`: the answer appears piece by piece on standard output. The request is
 * to be closed even if this fails. */
int request_open(request *request, const arguments *arguments, bool streams);
/* The same for a model at `path`. */
int request_open_model(request *request, const arguments *arguments, const char *path,
                       bool streams);
/* Opens the session, by the options of the command line. */
int request_open_session(request *request);
void request_close(request *request);

/* vl2_session_generate with signals that cancel it. Reports failures, except that a request
 * cancelled by a signal only returns EXIT_CODE_INTERRUPTED. `answer` is always to be cleared. */
int request_generate(request *request, const vl2_conversation *conversation,
                     vl2_token_callback callback, void *user, vl2_answer *answer);

/* The session that the command line asks for; nobody is told of its progress. */
void session_options(const arguments *arguments, vl2_session_options *options);

/* What --kv-type says. */
vl2_kv_type kv_type_option(const arguments *arguments);

/* After an answer: tokens, times and memory in one line on standard error, if progress is shown or
 * --verbose asks. */
void request_summary(const request *request, const vl2_answer *answer);

/* The answer on standard output, piece by piece. */
typedef struct answer_stream {
    progress *progress;
    char last;  /* the last byte written, or 0 */
    int reason; /* errno of a write that failed, or 0 */
} answer_stream;

/* For vl2_session_generate; `user` is an answer_stream. */
bool answer_stream_write(const char *text, size_t size, int32_t token, void *user);
/* Ends the answer with a line end; reports a write that failed. */
int answer_stream_end(const command *command, const answer_stream *stream);

/* The word for a finish reason: "end", "stop", "length", "context", "cancelled". */
const char *finish_text(vl2_finish finish);
/* {"prompt_tokens", ..., "timings", ...}: counts, times and memory of an answer; NULL without
 * memory. */
json_t *request_json(const request *request, const vl2_answer *answer);

#endif
