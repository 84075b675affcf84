/* vl2 synth: a checkpoint of a published shape with random weights. */
#include "cli/command.h"
#include "cli/failure.h"
#include "cli/format.h"
#include "cli/interrupt.h"
#include "cli/progress.h"
#include "vl2.h"

#include <stdio.h>

static int run_synth(const arguments *arguments)
{
    vl2_synth_options options;
    vl2_synth_options_defaults(&options);
    options.size = argument(arguments, OPTION_SIZE)->text;
    options.out = argument(arguments, OPTION_OUTPUT)->text;
    options.seed = (uint64_t)argument(arguments, OPTION_SEED)->integer;
    options.overwrite = argument(arguments, OPTION_YES)->on;
    if (options.size == NULL) {
        return fail_usage(arguments->command, "no size: give --size tiny, small or base");
    }
    if (options.out == NULL) {
        return fail_usage(arguments->command, "nowhere to write: give -o DIR");
    }
    progress progress;
    progress_init(&progress, arguments, false);
    options.progress = progress_report;
    options.progress_user = &progress;
    options.cancelled = interrupt_came;
    vl2_error error;
    double start = progress_clock();
    interrupt_noted();
    vl2_status status = vl2_synth(&options, &error);
    interrupt_ends();
    progress_clear(&progress);
    if (status == VL2_ERROR_ARGUMENT && !options.overwrite) {
        return fail(arguments->command, EXIT_CODE_USAGE, "%s; -y overwrites it", error.message);
    }
    if (status != VL2_OK) {
        return fail_status(arguments->command, &error);
    }
    char duration[FORMAT_SIZE];
    if (progress.active || argument(arguments, OPTION_VERBOSE)->on) {
        fprintf(stderr, "[%s: written in %s; vl2 info shows it]\n", options.out,
                format_duration(progress_clock() - start, duration));
    }
    return EXIT_CODE_OK;
}

const command command_synth = {
    "synth",
    COMMAND_SYNTH,
    "--size tiny|small|base -o DIR [--seed N] [-y]",
    "Write a checkpoint with random weights",
    "Writes a checkpoint of a published shape with random weights and a stand-in tokenizer, to try "
    "memory and speed before downloading the real one: tiny needs 6.3 GiB of disk, small 30 GiB, "
    "base 51 GiB. Its answers mean nothing.",
    "  vl2 synth --size tiny -o random-tiny && vl2 info random-tiny\n",
    0,
    run_synth,
};
