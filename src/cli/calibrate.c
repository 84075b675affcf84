/* vl2 calibrate: how much each input of each weight matrix counts. */
#include "cli/command.h"
#include "cli/failure.h"
#include "cli/format.h"
#include "cli/interrupt.h"
#include "cli/request.h"
#include "cli/samples.h"
#include "vl2.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

typedef struct calibrating {
    request request;
    vl2_calibration *calibration;
} calibrating;

static int run_sample(const vl2_conversation *conversation, const char *file, void *user)
{
    calibrating *run = user;
    const arguments *arguments = run->request.arguments;
    vl2_calibrate_options options;
    vl2_calibrate_options_defaults(&options);
    options.tokens = (int)argument(arguments, OPTION_PREDICT)->integer;
    options.name = file;
    vl2_error error;
    vl2_status status = vl2_calibrate(run->request.session, conversation, &options,
                                      run->calibration, &error);
    progress_clear(&run->request.progress);
    if (status == VL2_OK && interrupt_signal() != 0) { /* between two conversations */
        error = (vl2_error){.status = VL2_ERROR_CANCELLED};
        status = VL2_ERROR_CANCELLED;
    }
    return status == VL2_OK ? EXIT_CODE_OK : fail_sample(arguments, file, &error);
}

static void print_summary(const calibrating *run, double began)
{
    const arguments *arguments = run->request.arguments;
    if (argument(arguments, OPTION_QUIET)->on ||
        !(run->request.progress.active || argument(arguments, OPTION_VERBOSE)->on)) {
        return;
    }
    char duration[FORMAT_SIZE];
    vl2_calibration_info info;
    vl2_calibration_get_info(run->calibration, &info);
    fprintf(stderr, "[%" PRIu64 " conversation%s, %" PRIu64 " tokens, %" PRIu64
                    " tiles: %zu matrices", info.conversations,
            info.conversations == 1 ? "" : "s", info.tokens, info.tiles, info.matrices);
    if (info.experts > 0) {
        fprintf(stderr, ", %zu of %zu experts", info.experts_used, info.experts);
    }
    fprintf(stderr, "; %s]\n", format_duration(progress_clock() - began, duration));
}

static int calibrate(calibrating *run, const char *out)
{
    const arguments *arguments = run->request.arguments;
    double began = progress_clock();
    vl2_error error;
    if (vl2_calibration_create(run->request.model, &run->calibration, &error) != VL2_OK) {
        return fail_status(arguments->command, &error);
    }
    interrupt_cancels(run->request.session);
    int code = samples_each(arguments, 0, run_sample, run);
    interrupt_noted();
    if (code != EXIT_CODE_OK) {
        return code;
    }
    if (vl2_calibration_write(run->calibration, out, &error) != VL2_OK) {
        return fail_status(arguments->command, &error);
    }
    print_summary(run, began);
    return EXIT_CODE_OK;
}

/* Says now what writing would say after a long run. */
static int check_output(const arguments *arguments, const char *out)
{
    const char *slash = strrchr(out, '/');
    char *folder = slash == NULL ? strdup(".") : strndup(out, (size_t)(slash - out) + 1);
    if (folder == NULL) {
        return fail_memory(arguments->command);
    }
    int code = EXIT_CODE_OK;
    if (access(out, W_OK) != 0 && (errno != ENOENT || access(folder, W_OK | X_OK) != 0)) {
        code = fail(arguments->command, EXIT_CODE_FAILURE, "%s: cannot be written: %s", out,
                    strerror(errno));
    }
    free(folder);
    return code;
}

static int run_calibrate(const arguments *arguments)
{
    const char *out = argument(arguments, OPTION_OUTPUT)->text;
    calibrating run = {.calibration = NULL};
    if (request_model_path(arguments) == NULL) {
        return EXIT_CODE_USAGE;
    }
    if (out == NULL) {
        return fail_usage(arguments->command, "nowhere to write: give -o FILE");
    }
    int code = samples_check(arguments, 0);
    if (code == EXIT_CODE_OK) {
        code = check_output(arguments, out);
    }
    if (code != EXIT_CODE_OK) {
        return code;
    }
    code = request_open(&run.request, arguments, false);
    if (code == EXIT_CODE_OK) {
        code = request_open_session(&run.request);
    }
    if (code == EXIT_CODE_OK) {
        code = calibrate(&run, out);
    }
    vl2_calibration_close(run.calibration);
    request_close(&run.request);
    return code;
}

const command command_calibrate = {
    "calibrate",
    COMMAND_CALIBRATE,
    "-m MODEL --conversation FILE... -o FILE [options]",
    "Measure which inputs of the weights count",
    "Runs conversations with their pictures and writes, for each weight matrix, the mean square "
    "of each of its inputs. vl2 pack --importance FILE then keeps the weights that matter most to "
    "such conversations more exactly, and notes the experts that their answers use most: with "
    "little memory, those are kept first. A dozen conversations like those that the model is meant "
    "for are a good start.",
    "  vl2 calibrate -m deepseek-vl2-tiny --conversation talks/*.json -o tiny.inputs\n"
    "  vl2 pack deepseek-vl2-tiny --importance tiny.inputs -o tiny.vl2\n",
    SIZE_MAX,
    run_calibrate,
};
