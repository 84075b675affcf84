/* vl2 synth: a checkpoint of a published shape with random weights. */
#include "cli/command.h"
#include "cli/failure.h"
#include "cli/interrupt.h"
#include "cli/writing.h"
#include "vl2.h"

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
    writing writing;
    options.progress = progress_report;
    options.progress_user = &writing.progress;
    options.cancelled = interrupt_came;
    vl2_error error;
    writing_begin(&writing, arguments);
    vl2_status status = vl2_synth(&options, &error);
    writing_end(&writing);
    return writing_finish_folder(&writing, options.out, options.overwrite, status, &error);
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
