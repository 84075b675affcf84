#include "cli/request.h"
#include "cli/demo_model.h"
#include "cli/failure.h"
#include "cli/format.h"
#include "cli/interrupt.h"
#include "cli/paging.h"
#include "cli/ram.h"
#include "cli/streams.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

const char *request_model_path(const arguments *arguments)
{
    const char *path = argument(arguments, OPTION_MODEL)->text;
    if (path == NULL) {
        fail_usage(arguments->command,
                   "no model: name a packed file or a checkpoint folder with -m MODEL or in "
                   "VL2_MODEL");
    }
    return path;
}

/* Seed of this run: --seed, or a new one that a double in JSON can hold. */
static uint64_t choose_seed(const arguments *arguments)
{
    uint64_t seed = 0;
    int64_t given = argument(arguments, OPTION_SEED)->integer;
    if (given >= 0) {
        return (uint64_t)given;
    }
    if (getrandom(&seed, sizeof(seed), 0) != (ssize_t)sizeof(seed)) {
        seed = (uint64_t)(progress_clock() * 1e6);
    }
    return seed >> 11;
}

static void fill_options(const arguments *arguments, vl2_generate_options *options)
{
    int64_t most = argument(arguments, OPTION_PREDICT)->integer;
    vl2_generate_options_defaults(options);
    options->max_tokens = most < 0 ? INT_MAX : (int)most;
    options->ignore_end = argument(arguments, OPTION_IGNORE_EOS)->on;
    options->stop = argument(arguments, OPTION_STOP)->list;
    options->stop_count = argument(arguments, OPTION_STOP)->count;
    options->sampling = (vl2_sampling){
        .temperature = argument(arguments, OPTION_TEMP)->number,
        .top_k = (int)argument(arguments, OPTION_TOP_K)->integer,
        .top_p = argument(arguments, OPTION_TOP_P)->number,
        .min_p = argument(arguments, OPTION_MIN_P)->number,
        .repetition_penalty = argument(arguments, OPTION_REPEAT_PENALTY)->number,
        .penalize_prompt = argument(arguments, OPTION_PENALIZE_PROMPT)->on,
        .seed = choose_seed(arguments),
    };
}

static vl2_verify verify_option(const arguments *arguments)
{
    const char *text = argument(arguments, OPTION_VERIFY)->text;
    return strcmp(text, "off") == 0   ? VL2_VERIFY_OFF
           : strcmp(text, "all") == 0 ? VL2_VERIFY_ALL
                                      : VL2_VERIFY_USE;
}

vl2_kv_type kv_type_option(const arguments *arguments)
{
    const char *text = argument(arguments, OPTION_KV_TYPE)->text;
    return strcmp(text, "bf16") == 0   ? VL2_KV_BF16
           : strcmp(text, "f16") == 0  ? VL2_KV_F16
           : strcmp(text, "int8") == 0 ? VL2_KV_INT8
                                       : VL2_KV_F32;
}

void session_options(const arguments *arguments, vl2_session_options *options)
{
    vl2_session_options_defaults(options);
    options->context = (int)argument(arguments, OPTION_CONTEXT)->integer;
    options->chunk = (int)argument(arguments, OPTION_CHUNK)->integer;
    options->threads = (int)argument(arguments, OPTION_THREADS)->integer;
    options->kv_type = kv_type_option(arguments);
}

int request_open(request *request, const arguments *arguments, bool streams)
{
    const char *path = request_model_path(arguments);
    if (path == NULL) {
        memset(request, 0, sizeof(*request));
        return EXIT_CODE_USAGE;
    }
    demo_model_note(arguments);
    return request_open_model(request, arguments, path, streams);
}

int request_open_model(request *request, const arguments *arguments, const char *path, bool streams)
{
    memset(request, 0, sizeof(*request));
    request->arguments = arguments;
    if (option_by_id(arguments->command, OPTION_TEMP) != NULL) {
        fill_options(arguments, &request->options);
    }
    progress_init(&request->progress, arguments, streams);
    vl2_model_options options;
    vl2_session_options session;
    vl2_model_options_defaults(&options);
    if (option_by_id(arguments->command, OPTION_RAM) != NULL) {
        int code = ram_option(arguments, &options.ram);
        if (code != EXIT_CODE_OK) {
            return code;
        }
        options.slots = (size_t)argument(arguments, OPTION_SLOTS)->integer;
    }
    session_options(arguments, &session);
    options.session = &session;
    options.verify = verify_option(arguments);
    options.progress = progress_report;
    options.progress_user = &request->progress;
    double start = progress_clock();
    vl2_error error;
    vl2_status status = vl2_model_open(path, &options, &request->model, &error);
    request->seconds_open = progress_clock() - start;
    progress_clear(&request->progress);
    return status == VL2_OK ? EXIT_CODE_OK : fail_status(arguments->command, &error);
}

int request_open_session(request *request)
{
    const arguments *arguments = request->arguments;
    vl2_session_options options;
    session_options(arguments, &options);
    options.progress = progress_report;
    options.progress_user = &request->progress;
    vl2_error error;
    if (vl2_session_open(request->model, &options, &request->session, &error) != VL2_OK) {
        return fail_status(arguments->command, &error);
    }
    return EXIT_CODE_OK;
}

void request_close(request *request)
{
    progress_clear(&request->progress);
    vl2_session_close(request->session);
    vl2_model_close(request->model);
    request->session = NULL;
    request->model = NULL;
}

int request_generate(request *request, const vl2_conversation *conversation,
                     vl2_token_callback callback, void *user, vl2_answer *answer)
{
    memset(answer, 0, sizeof(*answer));
    vl2_error error;
    interrupt_cancels(request->session);
    vl2_status status = vl2_session_generate(request->session, conversation, &request->options,
                                             callback, user, answer, &error);
    interrupt_noted();
    progress_clear(&request->progress);
    bool interrupted = interrupt_signal() != 0;
    if (interrupted && (status == VL2_ERROR_CANCELLED ||
                        (status == VL2_OK && answer->finish == VL2_FINISH_CANCELLED))) {
        return EXIT_CODE_INTERRUPTED;
    }
    return status == VL2_OK ? EXIT_CODE_OK : fail_status(request->arguments->command, &error);
}

static double tokens_per_second(const vl2_answer *answer)
{
    return answer->seconds_decode > 0 ? (double)answer->token_count / answer->seconds_decode : 0;
}

void request_summary(const request *request, const vl2_answer *answer)
{
    bool quiet = argument(request->arguments, OPTION_QUIET)->on;
    if (quiet || !(request->progress.active || argument(request->arguments, OPTION_VERBOSE)->on)) {
        return;
    }
    char memory[FORMAT_SIZE];
    fflush(stdout);
    paging_print(answer);
    fprintf(stderr, "[prompt %zu tokens", answer->prompt_tokens);
    if (answer->image_tokens > 0) {
        fprintf(stderr, ", %zu of pictures", answer->image_tokens);
    }
    if (answer->reused_tokens > 0) {
        fprintf(stderr, ", %zu kept", answer->reused_tokens);
    }
    fprintf(stderr, ": %.2f s; answer %zu tokens: %.2f s, %.1f tokens/s; memory %s]\n",
            answer->seconds_tiles + answer->seconds_vision + answer->seconds_prefill,
            answer->token_count, answer->seconds_decode, tokens_per_second(answer),
            format_bytes(answer->memory_peak, memory));
}

bool answer_stream_write(const char *text, size_t size, int32_t token, void *user)
{
    answer_stream *stream = user;
    (void)token;
    if (size == 0) {
        return true;
    }
    if (stream->progress->streaming) {
        progress_clear(stream->progress);
    }
    if (!write_text(text, size) || fflush(stdout) != 0) {
        stream->reason = errno != 0 ? errno : EIO;
        return false;
    }
    stream->last = text[size - 1];
    return true;
}

int answer_stream_end(const command *command, const answer_stream *stream)
{
    if (stream->reason != 0) {
        return fail(command, EXIT_CODE_FAILURE, "standard output: the answer cannot be written: %s",
                    strerror(stream->reason));
    }
    if (stream->last != '\n') {
        putchar('\n');
    }
    return finish_output(command, EXIT_CODE_OK);
}

const char *finish_text(vl2_finish finish)
{
    static const char *const words[] = {
        [VL2_FINISH_END] = "end",
        [VL2_FINISH_STOP] = "stop",
        [VL2_FINISH_LENGTH] = "length",
        [VL2_FINISH_CONTEXT] = "context",
        [VL2_FINISH_CANCELLED] = "cancelled",
    };
    return (size_t)finish < sizeof(words) / sizeof(words[0]) ? words[finish] : "unknown";
}

json_t *request_json(const request *request, const vl2_answer *answer)
{
    double rate = tokens_per_second(answer);
    return json_pack(
        "{s:I, s:I, s:I, s:I, s:I, s:I, s:{s:o, s:o, s:o, s:o, s:o}, s:o, s:o, s:o, s:I, s:o, "
        "s:I}",
        "prompt_tokens", (json_int_t)answer->prompt_tokens, "image_tokens",
        (json_int_t)answer->image_tokens, "reused_tokens", (json_int_t)answer->reused_tokens,
        "completion_tokens", (json_int_t)answer->token_count, "tiles", (json_int_t)answer->tiles,
        "tiles_encoded", (json_int_t)answer->tiles_encoded, "timings", "open",
        json_number(request->seconds_open), "tiles", json_number(answer->seconds_tiles), "vision",
        json_number(answer->seconds_vision), "prefill", json_number(answer->seconds_prefill),
        "decode", json_number(answer->seconds_decode), "tokens_per_second",
        rate > 0 ? json_number(rate) : json_null(), "token_seconds_median",
        json_number(answer->token_median), "token_seconds_p99", json_number(answer->token_p99),
        "memory_peak_bytes", (json_int_t)answer->memory_peak, "paging",
        paging_json(&answer->paging), "seed", (json_int_t)request->options.sampling.seed);
}
