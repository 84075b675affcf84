/* Standard input and output: reading everything, and not losing an error of writing. */
#ifndef CLI_STREAMS_H
#define CLI_STREAMS_H

#include "cli/arguments.h"

#include <jansson.h>
#include <stdbool.h>

/* Reads a file, or standard input for "-", of at most 1 GiB. *bytes (free) has a NUL behind its
 * *size bytes. Reports and returns EXIT_CODE_INPUT or EXIT_CODE_MEMORY on failure. */
int read_all(const command *command, const char *path, char **bytes, size_t *size);

/* Writes text on standard output. On a terminal, control characters other than line end and
 * tabulator become U+FFFD: what a model writes must not command it. False with errno set if that
 * fails. */
bool write_text(const char *text, size_t size);

/* Prints value and a line end on standard output and releases it. NULL is reported as missing
 * memory. */
int print_json(const command *command, json_t *value);

/* A JSON string of any bytes: what is not valid UTF-8 becomes U+FFFD. NULL without memory. */
json_t *json_text(const char *text, size_t size);
/* A JSON number: whole numbers without a decimal point; null if it is not finite. */
json_t *json_number(double number);

/* To be called last: flushes standard output. Returns `code`, or reports and returns
 * EXIT_CODE_FAILURE if something could not be written and code says success. */
int finish_output(const command *command, int code);

#endif
