/* Boxes in an answer: <|ref|>label<|/ref|><|det|>[[x1, y1, x2, y2], ...]<|/det|> (parse_ref_bbox of
 * deepseek_vl2/serve/app_modules/utils.py, which evaluates the text as Python; here it is only
 * read). */
#ifndef TEXT_GROUNDING_H
#define TEXT_GROUNDING_H

#include "base/error.h"

typedef struct grounding_box {
    char *label;          /* UTF-8 */
    double normalized[4]; /* x1 y1 x2 y2 as the model wrote them, 0 to 999 of the side */
    int pixels[4]; /* trunc(value / 999 * side), not clamped to the picture; what does not fit
                      into an int is the nearest int */
} grounding_box;

/* All zero is empty. */
typedef struct grounding {
    grounding_box *boxes;
    size_t count;
    char **problems; /* sentences, UTF-8 */
    size_t problem_count;
    bool reference_accepts; /* false: the reference returns None for the whole answer */
} grounding;

void grounding_free(grounding *grounding);

/* Reads the boxes of an answer about a picture of width x height pixels. Where the reference
 * accepts the answer, these are its boxes. Where it gives up on the whole answer, they are what can
 * be read, and `problems` says what cannot. An answer without any tag has neither boxes nor
 * problems.
 *
 * Of Python's expressions only literals count as readable (numbers in all their spellings, True and
 * False; behind the fourth place None and plain strings too): the reference would also evaluate
 * arithmetic, names and calls.
 * VL2_ERROR_ARGUMENT (a size below 1), VL2_ERROR_MEMORY. */
vl2_status grounding_parse(const char *answer, size_t size, int width, int height, grounding *out,
                           vl2_error *error);

#endif
