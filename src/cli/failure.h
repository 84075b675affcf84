/* Exit codes and the one way to report a failure: a line "vl2 CMD: MESSAGE" on standard error. */
#ifndef CLI_FAILURE_H
#define CLI_FAILURE_H

#include "cli/arguments.h"
#include "vl2.h"

typedef enum exit_code {
    EXIT_CODE_OK = 0,
    EXIT_CODE_FAILURE = 1, /* while running: a file that cannot be written, closed output, ... */
    EXIT_CODE_USAGE = 2,
    EXIT_CODE_MODEL = 3, /* missing or corrupt */
    EXIT_CODE_INPUT = 4, /* a picture, prompt, conversation or text that cannot be used */
    EXIT_CODE_MEMORY = 5,
    EXIT_CODE_INTERRUPTED = 130
} exit_code;

/* Prints the message and returns code, so that a function can `return fail(...)`. */
int fail(const command *command, exit_code code, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
/* A usage error: as fail with EXIT_CODE_USAGE, and a pointer to the command's --help. */
int fail_usage(const command *command, const char *format, ...)
    __attribute__((format(printf, 2, 3)));
/* Reports what the library said, with what to do next where an option helps. */
int fail_status(const command *command, const vl2_error *error);
int fail_memory(const command *command);

/* The exit code that belongs to a status. */
exit_code exit_code_of(vl2_status status);

#endif
