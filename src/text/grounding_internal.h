/* What grounding.c and grounding_lenient.c share. */
#ifndef TEXT_GROUNDING_INTERNAL_H
#define TEXT_GROUNDING_INTERNAL_H

#include "text/grounding.h"
#include "text/literal.h"

#define REF_OPEN  "<|ref|>"
#define REF_CLOSE "<|/ref|>"
#define DET_OPEN  "<|det|>"
#define DET_CLOSE "<|/det|>"

/* A run of bytes of the answer. */
typedef struct span {
    const char *text;
    size_t size;
} span;

typedef struct grounding_reader {
    int width, height;
    grounding *out;
    size_t box_capacity, problem_capacity;
    buffer scratch; /* of literal readers */
    locale_t locale;
    vl2_error *error;
} grounding_reader;

/* The first place of `part` in the text, or NULL. */
const char *span_find(span text, const char *part);

/* Appends a box; `label` is copied. *finite is false, and nothing is appended, if a pixel would not
 * be a finite number. VL2_ERROR_MEMORY. */
vl2_status grounding_add_box(grounding_reader *reader, span label, const double values[4],
                             bool *finite);

/* Appends the sentence: before "about" after; `about` is shortened. VL2_ERROR_MEMORY. */
vl2_status grounding_add_problem(grounding_reader *reader, const char *before, span about,
                                 const char *after);

/* Drops all boxes and problems so far. */
void grounding_reset(grounding_reader *reader);

/* Reads what can be read of an answer that the reference gives up on. VL2_ERROR_MEMORY. */
vl2_status grounding_read_lenient(grounding_reader *reader, span answer);

#endif
