/* vl2 trace: every stage of one conversation, for comparison. */
#include "cli/command.h"
#include "cli/failure.h"
#include "cli/interrupt.h"
#include "cli/request.h"
#include "vl2.h"

static int trace(request *request, const char *file, const char *out)
{
    const arguments *arguments = request->arguments;
    uint64_t most = (uint64_t)argument(arguments, OPTION_MAX_PIXELS)->integer;
    vl2_conversation *conversation;
    vl2_error error;
    if (vl2_conversation_load(file, most, &conversation, &error) != VL2_OK) {
        return fail_status(arguments->command, &error);
    }
    int code = request_open_session(request);
    if (code == EXIT_CODE_OK) {
        vl2_trace_options options;
        vl2_trace_options_defaults(&options);
        options.tokens = (int)argument(arguments, OPTION_PREDICT)->integer;
        options.tile = (size_t)argument(arguments, OPTION_TILE)->integer;
        options.routing = argument(arguments, OPTION_ROUTING)->text;
        interrupt_cancels(request->session);
        vl2_status status =
            vl2_session_trace(request->session, conversation, &options, out, &error);
        interrupt_noted();
        progress_clear(&request->progress);
        code = status == VL2_OK ? EXIT_CODE_OK : fail_status(arguments->command, &error);
    }
    vl2_conversation_close(conversation);
    return code;
}

static int run_trace(const arguments *arguments)
{
    const char *file = argument(arguments, OPTION_CONVERSATION)->text;
    const char *out = argument(arguments, OPTION_OUTPUT)->text;
    if (file == NULL) {
        return fail_usage(arguments->command, "no conversation: give --conversation FILE");
    }
    if (out == NULL) {
        return fail_usage(arguments->command, "nowhere to write: give -o DIR");
    }
    request request;
    int code = request_open(&request, arguments, false);
    if (code == EXIT_CODE_OK) {
        code = trace(&request, file, out);
    }
    request_close(&request);
    return code;
}

const command command_trace = {
    "trace",
    COMMAND_TRACE,
    "-m MODEL --conversation FILE -o DIR [options]",
    "Write every stage of a run, for comparison",
    "Runs a conversation with greedy choice and writes what every stage computed: trace.json with "
    "token ids, tiles, router choices and the answer, and raw float32 arrays beside it. For people "
    "who port or verify checkpoints.",
    "  vl2 trace -m deepseek-vl2-tiny --conversation case.json -o out --chunk 64\n",
    0,
    run_trace,
};
