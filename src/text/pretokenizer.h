/* The `pre_tokenizer` of a tokenizer.json: cuts a text into the pieces that byte pair encoding
 * sees. */
#ifndef TEXT_PRETOKENIZER_H
#define TEXT_PRETOKENIZER_H

#include "base/json.h"
#include "text/pattern.h"
#include "text/piece.h"

/* What becomes of the places that a pattern matches (SplitDelimiterBehavior). */
typedef enum split_behavior {
    SPLIT_ISOLATED,             /* pieces of their own */
    SPLIT_REMOVED,              /* left out */
    SPLIT_MERGED_WITH_PREVIOUS, /* joined to what is before */
    SPLIT_MERGED_WITH_NEXT,     /* joined to what comes behind */
    SPLIT_CONTIGUOUS            /* neighbouring ones joined to one piece */
} split_behavior;

typedef struct split_step {
    pattern *pattern; /* NULL: only the prefix */
    split_behavior behavior;
    bool invert;       /* what the pattern does not match is what the behavior is about */
    bool prefix_space; /* a piece that does not begin with a space gets one */
} split_step;

#define PRETOKENIZER_MAX_STEPS 32

/* Immutable after reading. */
typedef struct pretokenizer {
    split_step steps[PRETOKENIZER_MAX_STEPS];
    size_t count;
    bool byte_level; /* the last step was ByteLevel */
} pretokenizer;

/* Reads Sequence, Split, Digits and ByteLevel; ByteLevel must be the last. VL2_ERROR_MODEL for
 * anything else, VL2_ERROR_MEMORY. pretokenizer_free also after a failure. */
vl2_status pretokenizer_read(const json_t *object, const char *file, pretokenizer *pretokenizer,
                             vl2_error *error);
void pretokenizer_free(pretokenizer *pretokenizer);

/* A text of valid UTF-8 in pieces. */
typedef struct split_text {
    const char *text; /* borrowed, or the data of `own` */
    buffer own;       /* the text with spaces put in, if a step did that */
    piece_list pieces;
    piece_list spare, spans; /* work space */
} split_text;

void split_text_free(split_text *text);

/* Runs the steps over the pieces that are no added tokens. VL2_ERROR_MEMORY, VL2_ERROR_UNSUPPORTED.
 * */
vl2_status pretokenizer_run(const pretokenizer *pretokenizer, pattern_work *work, split_text *text,
                            vl2_error *error);

#endif
