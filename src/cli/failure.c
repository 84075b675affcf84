#include "cli/failure.h"

#include <stdarg.h>
#include <stdio.h>

static void print_failure(const command *command, const char *format, va_list list)
{
    fflush(stdout);
    fprintf(stderr, "vl2%s%s: ", command == &command_top ? "" : " ",
            command == &command_top ? "" : command->name);
    vfprintf(stderr, format, list);
}

int fail(const command *command, exit_code code, const char *format, ...)
{
    va_list list;
    va_start(list, format);
    print_failure(command, format, list);
    va_end(list);
    fputc('\n', stderr);
    return code;
}

int fail_usage(const command *command, const char *format, ...)
{
    va_list list;
    va_start(list, format);
    print_failure(command, format, list);
    va_end(list);
    fprintf(stderr, "; see vl2%s%s --help\n", command == &command_top ? "" : " ",
            command == &command_top ? "" : command->name);
    return EXIT_CODE_USAGE;
}

exit_code exit_code_of(vl2_status status)
{
    switch (status) {
    case VL2_OK:
        return EXIT_CODE_OK;
    case VL2_ERROR_ARGUMENT:
        return EXIT_CODE_USAGE;
    case VL2_ERROR_MODEL:
        return EXIT_CODE_MODEL;
    case VL2_ERROR_INPUT:
    case VL2_ERROR_CONTEXT:
        return EXIT_CODE_INPUT;
    case VL2_ERROR_MEMORY:
        return EXIT_CODE_MEMORY;
    case VL2_ERROR_CANCELLED:
        return EXIT_CODE_INTERRUPTED;
    case VL2_ERROR_IO:
    case VL2_ERROR_UNSUPPORTED:
        break;
    }
    return EXIT_CODE_FAILURE;
}

/* What the user can do about a status with an option of this command; "" if nothing. */
static const char *next_step(const command *command, vl2_status status)
{
    bool running = option_by_id(command, OPTION_CONTEXT) != NULL;
    if (status == VL2_ERROR_MEMORY && running) {
        return " (a smaller -c/--ctx-size or --chunk needs less)";
    }
    return "";
}

int fail_status(const command *command, const vl2_error *error)
{
    if (error->status == VL2_ERROR_CANCELLED) {
        return fail(command, EXIT_CODE_INTERRUPTED, "interrupted");
    }
    return fail(command, exit_code_of(error->status), "%s%s", error->message,
                next_step(command, error->status));
}

int fail_memory(const command *command)
{
    return fail(command, EXIT_CODE_MEMORY, "%s", vl2_status_text(VL2_ERROR_MEMORY));
}
