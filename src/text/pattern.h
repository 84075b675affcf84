/* Regular expressions of a tokenizer.json, matched by PCRE2 as Oniguruma (Ruby syntax, UTF-8)
 * would: the `tokenizers` library hands its patterns to Oniguruma. */
#ifndef TEXT_PATTERN_H
#define TEXT_PATTERN_H

#include "base/buffer.h"
#include "base/error.h"

/* Immutable after compilation; shared by threads. */
typedef struct pattern pattern;

/* Compiles a pattern; with `literal`, the text itself is what matches. `name` stands in messages
 * ("FILE: FIELD"). VL2_ERROR_MODEL for what is not valid or not supported, VL2_ERROR_MEMORY. */
vl2_status pattern_compile(const char *text, size_t size, bool literal, const char *name,
                           pattern **compiled, vl2_error *error);
void pattern_free(pattern *pattern);

/* Work space for matching, for one thread at a time; it serves any pattern. */
typedef struct pattern_work pattern_work;
vl2_status pattern_work_create(pattern_work **work, vl2_error *error);
void pattern_work_free(pattern_work *work);

/* Walks over the matches in a text of valid UTF-8, as the iterator of the Rust crate `onig` does:
 * an empty match directly behind the match before it is passed over. All zero but the first four.
 * */
typedef struct pattern_finder {
    const pattern *pattern;
    pattern_work *work;
    const char *text;
    size_t size;
    size_t at;       /* where the next search begins */
    size_t last_end; /* of the match before, if any */
    bool matched;    /* there was one */
} pattern_finder;

/* *found is false when there are no more matches. VL2_ERROR_UNSUPPORTED, VL2_ERROR_MEMORY when
 * PCRE2 gives up. */
vl2_status pattern_find(pattern_finder *finder, bool *found, size_t *start, size_t *end,
                        vl2_error *error);

/* Rewrites a pattern of Oniguruma's Ruby syntax for PCRE2 with PCRE2_UTF | PCRE2_UCP |
 * PCRE2_MULTILINE. What cannot be expressed the same way is refused: VL2_ERROR_MODEL. */
vl2_status pattern_translate(const char *text, size_t size, const char *name, buffer *translated,
                             vl2_error *error);

#endif
