/* Long work of the library that writes or reads files: progress while it runs, signals noted for
 * its `cancelled` callback (interrupt_came), and what is said at the end. */
#ifndef CLI_WRITING_H
#define CLI_WRITING_H

#include "cli/arguments.h"
#include "cli/progress.h"
#include "vl2.h"

typedef struct writing {
    const arguments *arguments;
    progress progress; /* for options.progress_user, with progress_report */
    double start;
} writing;

/* Before and after the call of the library. */
void writing_begin(writing *writing, const arguments *arguments);
void writing_end(writing *writing);

/* True if a summary is wanted on standard error. */
bool writing_tells(const writing *writing);
/* Seconds since writing_begin. */
double writing_seconds(const writing *writing);

/* The end of a command that wrote a checkpoint into folder `out`: the summary, or the failure with
 * advice where -y (`overwrite`: it was given) would help. Returns the exit code. */
int writing_finish_folder(const writing *writing, const char *out, bool overwrite,
                          vl2_status status, const vl2_error *error);

#endif
