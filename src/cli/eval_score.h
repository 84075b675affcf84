/* The scores of vl2 eval: what an answer is worth beside what was expected. Pure functions; texts
 * are UTF-8 of `size` bytes. */
#ifndef CLI_EVAL_SCORE_H
#define CLI_EVAL_SCORE_H

#include <stdbool.h>
#include <stddef.h>

#define SCORE_NO_MEMORY (-1)

typedef struct score_text {
    const char *text; /* borrowed */
    size_t size;
} score_text;

/* 1 if the answer is the accepted one but for case, blanks and punctuation at the end, else 0;
 * SCORE_NO_MEMORY. */
double score_exact(score_text answer, score_text accepted);

/* Average normalised Levenshtein similarity of one accepted answer (Biten et al., "Scene Text
 * Visual Question Answering", 2019): 1 - distance / length of the longer one, in characters,
 * without regard to case and blanks; below 0.5 it is 0. SCORE_NO_MEMORY. */
double score_anls(score_text answer, score_text accepted);

/* The first number of a text: digits with a sign, commas between thousands, a decimal point and an
 * exponent, or, in a text without digits, an English word from zero to twenty. False if there is
 * none. */
bool score_number(score_text text, double *number);
/* True if they differ by no more than `tolerance` * |expected|; 0 allows rounding only. */
bool score_number_equal(double found, double expected, double tolerance);

typedef struct score_option {
    char letter;     /* 'A' to 'Z' */
    score_text text; /* what it stands for; {NULL, 0}: not known */
} score_option;

/* The letter of the option that an answer chooses, by the first of these rules that finds one
 * (compare can_infer of VLMEvalKit, which evaluates MMBench):
 *   1. the answer begins with a letter and what ends it: "B", "(b)", "B. red", "b: red";
 *   2. the answer is the text of one option;
 *   3. a letter behind "answer", "option" or "choice": "the answer is (B)";
 *   4. exactly one of the letters stands alone, as a capital; the article A and the pronoun I are
 *      none: "I would say B here";
 *   5. the answer contains the text of exactly one option, as whole words; an option's text that is
 *      part of another one found does not count.
 * 0 if none does; SCORE_NO_MEMORY. */
int score_choice(score_text answer, const score_option *options, size_t count);

/* Intersection over union of two boxes x1 y1 x2 y2; 0 for a box without area or with numbers that
 * are not finite. */
double score_iou(const double a[4], const double b[4]);

typedef struct score_boxes_result {
    double iou; /* mean over the larger number of boxes; pairs taken greedily, the best first; a box
                   without a partner counts as 0; 1 if there are no boxes on both sides */
    bool right_50, right_75; /* as many boxes as expected, and they can be paired so that each pair
                                has at least this IoU */
} score_boxes_result;

/* False without memory. */
bool score_boxes(const double (*found)[4], size_t found_count, const double (*expected)[4],
                 size_t expected_count, score_boxes_result *result);

#endif
