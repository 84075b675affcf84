#include "cli/writing.h"

#include "cli/failure.h"
#include "cli/format.h"
#include "cli/interrupt.h"

#include <stdio.h>

void writing_begin(writing *writing, const arguments *arguments)
{
    writing->arguments = arguments;
    progress_init(&writing->progress, arguments, false);
    writing->start = progress_clock();
    interrupt_noted();
}

void writing_end(writing *writing)
{
    interrupt_ends();
    progress_clear(&writing->progress);
}

bool writing_tells(const writing *writing)
{
    return writing->progress.active || argument(writing->arguments, OPTION_VERBOSE)->on;
}

double writing_seconds(const writing *writing)
{
    return progress_clock() - writing->start;
}

int writing_finish_folder(const writing *writing, const char *out, bool overwrite,
                          vl2_status status, const vl2_error *error)
{
    const command *command = writing->arguments->command;
    if (status == VL2_ERROR_ARGUMENT && !overwrite) {
        return fail(command, EXIT_CODE_USAGE, "%s; -y overwrites it", error->message);
    }
    if (status != VL2_OK) {
        return fail_status(command, error);
    }
    char duration[FORMAT_SIZE];
    if (writing_tells(writing)) {
        fprintf(stderr, "[%s: written in %s; vl2 info shows it]\n", out,
                format_duration(writing_seconds(writing), duration));
    }
    return EXIT_CODE_OK;
}
