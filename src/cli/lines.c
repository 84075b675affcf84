#include "cli/lines.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* Bracketed paste: the terminal tells where pasted text begins and ends. */
#define PASTE_ON    "\033[?2004h"
#define PASTE_OFF   "\033[?2004l"
#define PASTE_BEGIN "\033[200~"
#define PASTE_END   "\033[201~"
#define QUOTES      "\"\"\""
#define CONTINUED   "... "

void lines_open(lines *lines)
{
    memset(lines, 0, sizeof(*lines));
    lines->terminal = isatty(STDIN_FILENO);
    if (lines->terminal && isatty(STDERR_FILENO) && tcgetattr(STDIN_FILENO, &lines->saved) == 0) {
        struct termios settings = lines->saved;
        settings.c_lflag &= ~(tcflag_t)ECHOCTL; /* the marks of a paste must not show as ^[[200~ */
        settings.c_iflag |= IUTF8;              /* backspace takes a whole character */
        lines->changed = tcsetattr(STDIN_FILENO, TCSADRAIN, &settings) == 0;
        if (lines->changed) {
            fputs(PASTE_ON, stderr);
        }
    }
}

void lines_close(lines *lines)
{
    if (lines->changed) {
        fputs(PASTE_OFF, stderr);
        tcsetattr(STDIN_FILENO, TCSADRAIN, &lines->saved);
    }
    free(lines->message);
    memset(lines, 0, sizeof(*lines));
}

static bool input_waits(int milliseconds)
{
    struct pollfd input = {.fd = STDIN_FILENO, .events = POLLIN};
    return poll(&input, 1, milliseconds) == 1 && (input.revents & POLLIN);
}

static bool append(lines *lines, const char *text, size_t size)
{
    if (lines->size + size + 1 > lines->capacity) {
        size_t capacity = (lines->size + size + 1) * 2;
        char *larger = realloc(lines->message, capacity);
        if (larger == NULL) {
            return false;
        }
        lines->message = larger;
        lines->capacity = capacity;
    }
    memcpy(lines->message + lines->size, text, size);
    lines->size += size;
    lines->message[lines->size] = '\0';
    return true;
}

/* Takes the first `mark` out of the message from `from` on; false if there is none. */
static bool take_out(lines *lines, size_t from, const char *mark)
{
    size_t length = strlen(mark);
    char *at = memmem(lines->message + from, lines->size - from, mark, length);
    if (at == NULL) {
        return false;
    }
    lines->size -= length;
    memmove(at, at + length, lines->size - (size_t)(at - lines->message) + 1);
    return true;
}

/* Appends one line without its end. */
static lines_result read_line(lines *lines)
{
    char *line = NULL;
    size_t capacity = 0;
    errno = 0;
    ssize_t length = getline(&line, &capacity, stdin);
    lines_result result = LINES_MESSAGE;
    if (length < 0) {
        result = errno == EINTR ? LINES_INTERRUPTED : errno == ENOMEM ? LINES_NO_MEMORY : LINES_END;
        clearerr(stdin);
    } else {
        while (length > 0 && (line[length - 1] == '\n' || line[length - 1] == '\r')) {
            length--;
        }
        result = append(lines, line, (size_t)length) ? LINES_MESSAGE : LINES_NO_MEMORY;
    }
    free(line);
    return result;
}

/* What has to follow for the message to be whole. */
typedef struct openness {
    bool pasting, quoted;
} openness;

/* Looks at the line that begins at `from`; true if another line belongs to the message. */
static bool goes_on(lines *lines, size_t from, openness *open)
{
    while (take_out(lines, from, open->pasting ? PASTE_END : PASTE_BEGIN)) {
        open->pasting = !open->pasting;
    }
    if (open->pasting) {
        return true;
    }
    if (!open->quoted && from == 0 && strncmp(lines->message, QUOTES, 3) == 0) {
        open->quoted = take_out(lines, 0, QUOTES);
    }
    if (open->quoted) {
        return !take_out(lines, from, QUOTES);
    }
    if (lines->size > from && lines->message[lines->size - 1] == '\\') {
        lines->size--;
        return true;
    }
    return false;
}

lines_result lines_read(lines *lines, const char *prompt)
{
    /* Lines that were typed ahead are messages of their own; lines that come in one burst are a
     * paste. */
    bool burst = lines->terminal && !input_waits(0);
    openness open = {false, false};
    lines->size = 0;
    for (;;) {
        size_t from = lines->size;
        if (lines->terminal && (from == 0 || !open.pasting)) {
            fputs(from == 0 ? prompt : CONTINUED, stderr);
        }
        lines_result result = read_line(lines);
        if (result == LINES_END && from > 0) {
            return LINES_MESSAGE;
        }
        if (result != LINES_MESSAGE) {
            return result;
        }
        bool more = goes_on(lines, from, &open);
        if (!more && !(burst && input_waits(10))) {
            return LINES_MESSAGE;
        }
        if (!append(lines, "\n", 1)) {
            return LINES_NO_MEMORY;
        }
    }
}
