/* The one line on standard error that says how far a request is. */
#ifndef CLI_PROGRESS_H
#define CLI_PROGRESS_H

#include "cli/arguments.h"
#include "vl2.h"

typedef struct progress {
    bool active;   /* anything is shown at all */
    bool terminal; /* standard error is one: the line is rewritten; else lines follow one another */
    bool streaming; /* the answer itself appears on this terminal: no line beside it */
    bool drawn;     /* a line stands there now */
    vl2_stage stage;
    double drawn_at; /* seconds, monotonic */
} progress;

/* Decides by --progress, --no-progress, --quiet and where standard error leads. `streams`: the
 * command writes the answer piece by piece. */
void progress_init(progress *progress, const arguments *arguments, bool streams);
/* For the library: `user` is a progress. Redraws at most ten times a second. */
void progress_report(const vl2_progress *report, void *user);
/* The same for a line of the program's own, which goes over a longer piece of work than a stage of
 * the library. `last`: it is shown however soon it comes. */
void progress_line(progress *progress, const char *line, bool last);
/* Seconds of a clock that only goes forward. */
double progress_clock(void);
/* Removes the line; before anything else is printed. */
void progress_clear(progress *progress);

#endif
