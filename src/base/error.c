#include "base/error.h"

#include <stdarg.h>
#include <stdio.h>

void text_disarm(char *text)
{
    for (unsigned char *at = (unsigned char *)text; *at != '\0'; at++) {
        if ((*at < 0x20 && *at != '\n' && *at != '\t') || *at == 0x7F) {
            *at = '?';
        } else if (at[0] == 0xC2 && at[1] >= 0x80 && at[1] <= 0x9F) { /* U+0080 to U+009F */
            at[0] = at[1] = '?';
        }
    }
}

vl2_status vl2_fail(vl2_error *error, vl2_status status, const char *format, ...)
{
    if (error != NULL) {
        /* The format may quote the message that stands there already, so it is written aside
         * first. */
        char message[sizeof(error->message)];
        va_list arguments;
        va_start(arguments, format);
        vsnprintf(message, sizeof(message), format, arguments);
        va_end(arguments);
        text_disarm(message);
        error->status = status;
        __builtin_memcpy(error->message, message, sizeof(message));
    }
    return status;
}

vl2_status vl2_fail_memory(vl2_error *error, const char *what, size_t bytes)
{
    return vl2_fail(error, VL2_ERROR_MEMORY, "not enough memory for %s (%zu bytes)", what, bytes);
}

const char *vl2_status_text(vl2_status status)
{
    switch (status) {
#define STATUS_CASE(name, value, text)                                                             \
    case name:                                                                                     \
        return text;
        VL2_STATUS_LIST(STATUS_CASE)
#undef STATUS_CASE
    }
    return "an unknown status";
}
