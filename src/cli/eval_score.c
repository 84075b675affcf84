#include "cli/eval_score.h"
#include "cli/eval_text.h"

#include <ctype.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#define ANLS_LEAST 0.5

/* ------------------------------------------------------------------------------- text */

/* Both texts folded; false without memory, and then nothing is to be freed. */
static bool fold_both(score_text a, score_text b, folded_text *folded_a, folded_text *folded_b)
{
    if (!folded_text_make(a.text, a.size, folded_a)) {
        return false;
    }
    if (!folded_text_make(b.text, b.size, folded_b)) {
        folded_text_free(folded_a);
        return false;
    }
    return true;
}

double score_exact(score_text answer, score_text accepted)
{
    folded_text a, b;
    if (!fold_both(answer, accepted, &a, &b)) {
        return SCORE_NO_MEMORY;
    }
    folded_text_strip(&a);
    folded_text_strip(&b);
    bool equal = folded_text_equal(&a, &b);
    folded_text_free(&a);
    folded_text_free(&b);
    return equal ? 1 : 0;
}

/* Levenshtein distance of two texts, with one row of the table. SIZE_MAX without memory. */
static size_t distance(const folded_text *a, const folded_text *b)
{
    size_t *row = malloc((b->count + 1) * sizeof(*row));
    if (row == NULL) {
        return SIZE_MAX;
    }
    for (size_t j = 0; j <= b->count; j++) {
        row[j] = j;
    }
    for (size_t i = 0; i < a->count; i++) {
        size_t diagonal = row[0];
        row[0] = i + 1;
        for (size_t j = 0; j < b->count; j++) {
            size_t changed = diagonal + (a->points[i] != b->points[j]);
            size_t shorter = (row[j] < row[j + 1] ? row[j] : row[j + 1]) + 1;
            diagonal = row[j + 1];
            row[j + 1] = changed < shorter ? changed : shorter;
        }
    }
    size_t result = row[b->count];
    free(row);
    return result;
}

static double similarity(const folded_text *a, const folded_text *b)
{
    size_t longest = a->count > b->count ? a->count : b->count;
    size_t shortest = a->count + b->count - longest;
    if (longest == 0) {
        return 1;
    }
    if ((double)shortest < ANLS_LEAST * (double)longest) {
        return 0; /* at least the difference in length has to be inserted */
    }
    size_t changes = distance(a, b);
    double score = 1 - (double)changes / (double)longest;
    return changes == SIZE_MAX ? SCORE_NO_MEMORY : score < ANLS_LEAST ? 0 : score;
}

double score_anls(score_text answer, score_text accepted)
{
    folded_text a, b;
    if (!fold_both(answer, accepted, &a, &b)) {
        return SCORE_NO_MEMORY;
    }
    double score = similarity(&a, &b);
    folded_text_free(&a);
    folded_text_free(&b);
    return score;
}

/* ------------------------------------------------------------------------------- numbers */

#define NUMBER_SIZE 400 /* bytes of the longest number that is read */

static bool digit_at(score_text text, size_t at)
{
    return at < text.size && text.text[at] >= '0' && text.text[at] <= '9';
}

/* The number whose first digit or point is at `at`, without sign. */
static bool read_number(score_text text, size_t at, double *number)
{
    char digits[NUMBER_SIZE + 1];
    size_t used = 0, start = at;
    bool point = false, commas = false;
    for (; used < NUMBER_SIZE; at++) {
        bool group = commas || (at > start && used <= 3); /* 1 to 3 digits before the first comma */
        bool thousands = !point && group && at < text.size && text.text[at] == ',' &&
                         digit_at(text, at + 1) && digit_at(text, at + 2) &&
                         digit_at(text, at + 3) && !digit_at(text, at + 4);
        commas = commas || thousands;
        if (digit_at(text, at)) {
            digits[used++] = text.text[at];
        } else if (!point && at < text.size && text.text[at] == '.' && digit_at(text, at + 1)) {
            digits[used++] = '.';
            point = true;
        } else if (!thousands) {
            break;
        }
    }
    size_t sign = at + 1 < text.size && (text.text[at + 1] == '-' || text.text[at + 1] == '+');
    if (at < text.size && tolower((unsigned char)text.text[at]) == 'e' &&
        digit_at(text, at + 1 + sign)) {
        size_t end = at + 1 + sign;
        while (digit_at(text, end)) {
            end++;
        }
        for (; at < end && used < NUMBER_SIZE; at++) {
            digits[used++] = text.text[at];
        }
    }
    digits[used] = '\0';
    *number = strtod(digits, NULL);
    return used < NUMBER_SIZE && isfinite(*number);
}

/* True if a minus stands before `at` that belongs to the number: not the hyphen of "A-5". */
static bool has_minus(score_text text, size_t at)
{
    size_t length = at >= 1 && text.text[at - 1] == '-'                              ? 1
                    : at >= 3 && memcmp(text.text + at - 3, "\xE2\x88\x92", 3) == 0 ? 3
                                                                                    : 0;
    return length > 0 && (at == length || !isalnum((unsigned char)text.text[at - length - 1]));
}

/* The first word from zero to twenty. */
static bool read_word(score_text text, double *number)
{
    static const char *const words[] = {
        "zero",    "one",     "two",       "three",    "four",     "five",    "six",
        "seven",   "eight",   "nine",      "ten",      "eleven",   "twelve",  "thirteen",
        "fourteen", "fifteen", "sixteen", "seventeen", "eighteen", "nineteen", "twenty"};
    for (size_t at = 0; at < text.size;) {
        size_t length = 0;
        while (at + length < text.size && isalpha((unsigned char)text.text[at + length])) {
            length++;
        }
        for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++) {
            size_t k = 0;
            while (k < length && tolower((unsigned char)text.text[at + k]) == words[i][k]) {
                k++;
            }
            if (length > 0 && k == length && words[i][k] == '\0') {
                *number = (double)i;
                return true;
            }
        }
        at += length > 0 ? length : 1;
    }
    return false;
}

bool score_number(score_text text, double *number)
{
    for (size_t at = 0; at < text.size; at++) {
        if (digit_at(text, at) || (text.text[at] == '.' && digit_at(text, at + 1))) {
            bool minus = has_minus(text, at);
            bool good = read_number(text, at, number);
            *number = minus ? -*number : *number;
            return good;
        }
    }
    return read_word(text, number);
}

bool score_number_equal(double found, double expected, double tolerance)
{
    double least = 1e-9; /* what writing in decimals may lose */
    return fabs(found - expected) <= fabs(expected) * (tolerance > least ? tolerance : least);
}

/* ------------------------------------------------------------------------------- choices */

static bool is_word(score_text text, size_t at)
{
    unsigned char byte = at < text.size ? (unsigned char)text.text[at] : ' ';
    return isalnum(byte) || byte >= 0x80 || byte == '_';
}

/* The option's letter at `at`, whatever its case, or 0. */
static char letter_at(score_text text, size_t at, const score_option *options, size_t count)
{
    char letter = at < text.size ? (char)toupper((unsigned char)text.text[at]) : '\0';
    for (size_t i = 0; i < count; i++) {
        if (options[i].letter == letter) {
            return letter;
        }
    }
    return 0;
}

/* True if the capital letter at `at` is a word of its own and no English one ("A dog", "I see"). */
static bool stands_alone(score_text text, size_t at)
{
    char letter = text.text[at];
    if (!isupper((unsigned char)letter) || (at > 0 && is_word(text, at - 1)) ||
        is_word(text, at + 1) || (at + 1 < text.size && text.text[at + 1] == '\'')) {
        return false;
    }
    bool word = letter == 'A' || letter == 'I';
    return !word || at + 1 >= text.size || text.text[at + 1] != ' ' || !is_word(text, at + 2);
}

/* Rule 1. */
static char leading_letter(score_text text, const score_option *options, size_t count)
{
    size_t at = 0;
    while (at < text.size && strchr(" \t\r\n([*\"'", text.text[at]) != NULL) {
        at++;
    }
    char letter = letter_at(text, at, options, count);
    while (letter != 0 && at + 1 < text.size && strchr(" \t\r", text.text[at + 1]) != NULL) {
        at++;
    }
    bool ends = at + 1 >= text.size || strchr(".)]:,*\"'\n", text.text[at + 1]) != NULL;
    bool contraction = at + 2 < text.size && text.text[at + 1] == '\'' && is_word(text, at + 2);
    return ends && !contraction ? letter : 0;
}

static bool word_at(score_text text, size_t at, const char *word)
{
    size_t length = strlen(word), k = 0;
    while (k < length && at + k < text.size &&
           tolower((unsigned char)text.text[at + k]) == word[k]) {
        k++;
    }
    return k == length && (at == 0 || !is_word(text, at - 1)) && !is_word(text, at + length);
}

/* Bytes of the word at `at` if it is one of `words`, which end with NULL; else 0. */
static size_t known_word(score_text text, size_t at, const char *const *words)
{
    for (size_t i = 0; words[i] != NULL; i++) {
        if (word_at(text, at, words[i])) {
            return strlen(words[i]);
        }
    }
    return 0;
}

/* Rule 3. */
static char announced_letter(score_text text, const score_option *options, size_t count)
{
    static const char *const cues[] = {"answer", "option", "choice", NULL};
    static const char *const fillers[] = {"is",     "the",    "would", "be",    "should", "letter",
                                          "option", "choice", "my",    "final", "correct", NULL};
    for (size_t i = 0; i < text.size; i++) {
        size_t at = i, length = known_word(text, at, cues);
        while (length > 0) {
            at += length;
            while (at < text.size && strchr(" \t\r\n:=([*\"'", text.text[at]) != NULL) {
                at++;
            }
            length = known_word(text, at, fillers);
        }
        if (at > i && at < text.size && stands_alone(text, at) &&
            letter_at(text, at, options, count) != 0) {
            return text.text[at];
        }
    }
    return 0;
}

/* Rule 4. */
static char only_letter(score_text text, const score_option *options, size_t count)
{
    char only = 0;
    for (size_t i = 0; i < text.size; i++) {
        if (letter_at(text, i, options, count) != 0 && stands_alone(text, i)) {
            if (only != 0 && only != text.text[i]) {
                return 0;
            }
            only = text.text[i];
        }
    }
    return only;
}

/* Rules 2 and 5 on texts that are folded already: [count], those without a text are empty. */
static char equal_text(const folded_text *answer, const score_option *options,
                       const folded_text *texts, size_t count)
{
    char letter = 0;
    for (size_t i = 0; i < count; i++) {
        if (texts[i].count > 0 && folded_text_equal(answer, &texts[i])) {
            letter = letter == 0 ? options[i].letter : '?';
        }
    }
    return letter != '?' ? letter : 0;
}

static char contained_text(const folded_text *answer, const score_option *options,
                           const folded_text *texts, size_t count)
{
    char letter = 0;
    for (size_t i = 0; i < count; i++) {
        bool counts = folded_text_contains(answer, &texts[i]);
        for (size_t k = 0; counts && k < count; k++) {
            counts = !(texts[k].count > texts[i].count &&
                       folded_text_contains(&texts[k], &texts[i]) &&
                       folded_text_contains(answer, &texts[k]));
        }
        if (counts && letter != 0) {
            return 0;
        }
        letter = counts ? options[i].letter : letter;
    }
    return letter;
}

static int choose(score_text answer, const folded_text *folded, const score_option *options,
                  const folded_text *texts, size_t count)
{
    char letter = leading_letter(answer, options, count);
    letter = letter != 0 ? letter : equal_text(folded, options, texts, count);
    letter = letter != 0 ? letter : announced_letter(answer, options, count);
    letter = letter != 0 ? letter : only_letter(answer, options, count);
    return letter != 0 ? letter : contained_text(folded, options, texts, count);
}

int score_choice(score_text answer, const score_option *options, size_t count)
{
    folded_text folded = {NULL, 0};
    folded_text *texts = calloc(count + 1, sizeof(*texts));
    bool good = texts != NULL && folded_text_make(answer.text, answer.size, &folded);
    for (size_t i = 0; good && i < count; i++) {
        good = folded_text_make(options[i].text.text, options[i].text.size, &texts[i]);
        if (good) {
            folded_text_strip(&texts[i]);
        }
    }
    int letter = SCORE_NO_MEMORY;
    if (good) {
        folded_text_strip(&folded);
        letter = choose(answer, &folded, options, texts, count);
    }
    for (size_t i = 0; texts != NULL && i < count; i++) {
        folded_text_free(&texts[i]);
    }
    free(texts);
    folded_text_free(&folded);
    return letter;
}
