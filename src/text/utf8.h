/* UTF-8, character by character. What is invalid is cut into pieces by the "maximal subpart" rule
 * (Unicode 16, section 3.9; Rust's String::from_utf8_lossy): each piece stands for one U+FFFD. */
#ifndef TEXT_UTF8_H
#define TEXT_UTF8_H

#include "base/buffer.h"

#include <stdint.h>

#define UTF8_REPLACEMENT "\xEF\xBF\xBD" /* U+FFFD */

typedef enum utf8_verdict {
    UTF8_VALID,     /* a whole character */
    UTF8_INVALID,   /* bytes that can never become one */
    UTF8_INCOMPLETE /* the bytes end inside a character */
} utf8_verdict;

/* Looks at the front of size >= 1 bytes. *length is what to step over, 1 to 4 bytes (for
 * INCOMPLETE: all of them, 1 to 3); *code is the code point if the verdict is VALID. */
utf8_verdict utf8_next(const char *bytes, size_t size, size_t *length, uint32_t *code);

/* Writes the character of a code point and returns its size, 1 to 4 bytes. */
size_t utf8_write(uint32_t code, char bytes[4]);

bool utf8_is_valid(const char *bytes, size_t size);

/* Appends the bytes, invalid pieces and an incomplete end as U+FFFD. False without memory. */
bool utf8_append_lossy(buffer *text, const char *bytes, size_t size);

/* Unicode's White_Space property: what \s means to Oniguruma and Rust. */
bool utf8_is_white_space(uint32_t code);

/* The character that ends at bytes + size (size >= 1): its size and code point, or 0 if the bytes
 * there are not a valid character. */
size_t utf8_last(const char *bytes, size_t size, uint32_t *code);

#endif
