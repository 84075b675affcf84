/* What a regular expression needs to know about Unicode beyond what the installed PCRE2 knows. */
#ifndef TEXT_UNICODE_H
#define TEXT_UNICODE_H

#include "base/buffer.h"

/* The inside of a PCRE2 character class for \s: Unicode's White_Space. PCRE2's own \s has U+180E
 * too. */
#define UNICODE_SPACE_CLASS                                                                        \
    "\\t-\\r "                                                                                     \
    "\\x{85}\\x{a0}\\x{1680}\\x{2000}-\\x{200a}\\x{2028}\\x{2029}\\x{202f}\\x{205f}\\x{3000}"
/* Its complement, for \S inside a class. */
#define UNICODE_NOT_SPACE_CLASS                                                                    \
    "\\x{0}-\\x{8}\\x{e}-\\x{1f}!-\\x{84}\\x{86}-\\x{9f}\\x{a1}-\\x{167f}\\x{1681}-\\x{1fff}"      \
    "\\x{200b}-\\x{2027}\\x{202a}-\\x{202e}\\x{2030}-\\x{205e}\\x{2060}-\\x{2fff}"                 \
    "\\x{3001}-\\x{10ffff}"

/* Appends the characters of a general category that Unicode 15.0, 15.1 and 16.0 added, as ranges of
 * a PCRE2 character class (perhaps none). `minor` 0 stands for all of the major category. PCRE2
 * before 10.43 knows Unicode 14 and older; the reference's Oniguruma knows Unicode 16. */
bool unicode_append_recent(buffer *ranges, char major, char minor);

#endif
