/* vl2 unpack: a packed file becomes a checkpoint again. */
#include "cli/command.h"
#include "cli/failure.h"
#include "cli/interrupt.h"
#include "cli/writing.h"
#include "vl2.h"

static int run_unpack(const arguments *arguments)
{
    vl2_unpack_options options;
    vl2_unpack_options_defaults(&options);
    options.out = argument(arguments, OPTION_OUTPUT)->text;
    options.type = argument(arguments, OPTION_TYPE)->text;
    options.threads = (int)argument(arguments, OPTION_THREADS)->integer;
    options.overwrite = argument(arguments, OPTION_YES)->on;
    if (arguments->operand_count == 0) {
        return fail_usage(arguments->command, "no file: name a packed file");
    }
    if (options.out == NULL) {
        return fail_usage(arguments->command, "nowhere to write: give -o DIR");
    }
    options.path = arguments->operands[0];
    writing writing;
    options.progress = progress_report;
    options.progress_user = &writing.progress;
    options.cancelled = interrupt_came;
    vl2_error error;
    writing_begin(&writing, arguments);
    vl2_status status = vl2_unpack(&options, &error);
    writing_end(&writing);
    return writing_finish_folder(&writing, options.out, options.overwrite, status, &error);
}

const command command_unpack = {
    "unpack",
    COMMAND_UNPACK,
    "FILE -o DIR [--type source|bf16|f32] [-y]",
    "Turn a packed file back into a checkpoint",
    "Writes a packed file as a folder with config.json, tokenizer.json and *.safetensors. Weights "
    "that were packed without loss come back bit by bit; the others as what their codes mean. Each "
    "checksum is compared on the way.",
    "  vl2 unpack model.vl2 -o model\n",
    1,
    run_unpack,
};
