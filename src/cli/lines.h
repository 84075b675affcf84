/* Messages typed by a person or piped in. */
#ifndef CLI_LINES_H
#define CLI_LINES_H

#include <stdbool.h>
#include <stddef.h>
#include <termios.h>

/* Reads messages from standard input. The terminal's own line editing is used. A message is one
 * line, or
 *   - several lines pasted at once,
 *   - several lines between """ and """,
 *   - a line that ends in a backslash, and the next. */
typedef struct lines {
    bool terminal; /* standard input is one */
    bool changed;  /* the terminal's settings are, until lines_close */
    struct termios saved;
    char *message; /* the last one, NUL-terminated */
    size_t size, capacity;
} lines;

typedef enum lines_result {
    LINES_MESSAGE,
    LINES_END,         /* end of the input */
    LINES_INTERRUPTED, /* a signal came */
    LINES_NO_MEMORY
} lines_result;

/* All zero is not open; lines_close is harmless then. */
void lines_open(lines *lines);
void lines_close(lines *lines);

/* Shows the prompt on standard error if a person types, and reads the next message into
 * lines->message. */
lines_result lines_read(lines *lines, const char *prompt);

#endif
