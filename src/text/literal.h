/* Reading Python literals, as they stand in a list of box coordinates. */
#ifndef TEXT_LITERAL_H
#define TEXT_LITERAL_H

#include "base/buffer.h"

#include <locale.h>

typedef enum literal_kind {
    LITERAL_NUMBER, /* an integer, a real number, True or False */
    LITERAL_OTHER   /* complete, but not a number that can be a coordinate: 1j, None, 'text' */
} literal_kind;

/* A place in a text. `scratch` holds digits for the conversion; `locale` is the C locale, so that
 * the decimal point is one whatever the program's locale says. */
typedef struct literal_reader {
    const char *at, *end;
    buffer *scratch;
    locale_t locale;
} literal_reader;

/* Passes over what Python's tokenizer passes over between brackets. */
void literal_skip_space(literal_reader *reader);

/* Reads one literal with the signs before it, by Python's rules: underscores between digits, 0x 0o
 * 0b, no leading zeros in an integer, at most 4300 digits in one. False (and `at` somewhere behind)
 * if there is none. A number too large for a double is an infinity. */
bool literal_read(literal_reader *reader, literal_kind *kind, double *value);

/* Reads a decimal number as people write it: sign, digits with leading zeros, fraction, exponent.
 * False, and `at` where it was, if there is none. */
bool literal_read_plain(literal_reader *reader, double *value);

#endif
