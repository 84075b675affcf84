/* Text as vl2 eval compares it: by characters, without regard to case and blanks. */
#ifndef CLI_EVAL_TEXT_H
#define CLI_EVAL_TEXT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Unicode code points. All zero is empty. */
typedef struct folded_text {
    uint32_t *points; /* [count] */
    size_t count;
} folded_text;

/* Reads UTF-8 (what is none becomes U+FFFD). Capitals of the Latin, Greek and Cyrillic alphabets
 * become small letters, runs of blanks one space, none at the ends. False without memory; otherwise
 * folded_text_free frees it. */
bool folded_text_make(const char *text, size_t size, folded_text *folded);
void folded_text_free(folded_text *folded);

/* Removes punctuation at the end (. , ; : ! ? and their like), unless nothing else is there. */
void folded_text_strip(folded_text *folded);
bool folded_text_equal(const folded_text *a, const folded_text *b);
/* True if `part` stands in `whole` as a word or words of its own; an empty part never does. */
bool folded_text_contains(const folded_text *whole, const folded_text *part);

#endif
