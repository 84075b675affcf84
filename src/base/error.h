/* Failure with a sentence. Every room reports through vl2_fail, so that messages look alike:
 * "FILE: FIELD: found FOUND, expected EXPECTED". */
#ifndef BASE_ERROR_H
#define BASE_ERROR_H

#include "vl2.h"

/* Fills *error (may be NULL) and returns status, so that a function can `return vl2_fail(...)`.
 * Control characters, which a message may quote from a file, become "?". */
vl2_status vl2_fail(vl2_error *error, vl2_status status, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/* Replaces control characters other than line end and tabulator by "?", a byte each, so that the
 * text cannot command a terminal. */
void text_disarm(char *text);

/* For the common case: "not enough memory for WHAT (BYTES bytes)". */
vl2_status vl2_fail_memory(vl2_error *error, const char *what, size_t bytes);

#endif
