/* From Oniguruma's Ruby syntax (doc/RE and regparse.c of Oniguruma 6.9) to PCRE2. */
#include "text/pattern.h"
#include "text/unicode.h"

#include <string.h>

typedef struct translation {
    const char *text;
    size_t size, at;
    const char *name;
    buffer *out;
    vl2_error *error;
    vl2_status status;
} translation;

static void put(translation *t, const char *text)
{
    buffer_append_text(t->out, text);
}

static void refuse(translation *t, const char *what, size_t from)
{
    if (t->status == VL2_OK) {
        t->status = vl2_fail(t->error, VL2_ERROR_MODEL,
                             "%s: found \"%.60s\" at byte %zu of the regular expression, expected "
                             "no %s: that is not supported",
                             t->name, t->text + from, from, what);
    }
    t->at = t->size;
}

static bool ahead(const translation *t, const char *text)
{
    size_t size = strlen(text);
    return t->size - t->at >= size && memcmp(t->text + t->at, text, size) == 0;
}

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

static bool is_letter(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

static bool is_hex(char c)
{
    return is_digit(c) || (c >= 'a' && c <= 'f') || (c >= 'A' && c <= 'F');
}

/* Class items: category with what PCRE2 may not know yet. */
static void put_category(translation *t, char major, char minor)
{
    char item[] = {'\\', 'p', '{', major, minor, '}', '\0'};
    if (minor == 0) {
        memcpy(item + 4, "}", 2);
    }
    put(t, item);
    unicode_append_recent(t->out, major, minor);
}

/* Oniguruma's \w: Alphabetic, marks, decimal digits, connectors. */
static void put_word(translation *t)
{
    put(t, "\\p{Alphabetic}");
    put_category(t, 'M', 0);
    put_category(t, 'N', 'd');
    put_category(t, 'P', 'c');
    unicode_append_recent(t->out, 'L', 0);
    unicode_append_recent(t->out, 'N', 'l');
}

/* The items of \s \d \w \h in lower case; false if c is none of them. */
static bool put_shorthand(translation *t, char c)
{
    switch (c) {
    case 's':
        put(t, UNICODE_SPACE_CLASS);
        return true;
    case 'd':
        put_category(t, 'N', 'd');
        return true;
    case 'w':
        put_word(t);
        return true;
    case 'h':
        put(t, "0-9A-Fa-f");
        return true;
    default:
        return false;
    }
}

/* \xHH, \x{H...} and \uHHHH. Oniguruma's \x80 to \xff are bytes, not characters: refused. */
static void hexadecimal(translation *t, size_t from)
{
    bool braces = t->text[t->at] == 'x' && t->at + 1 < t->size && t->text[t->at + 1] == '{';
    size_t most = braces ? 8 : t->text[t->at] == 'u' ? 4 : 2;
    t->at += braces ? 2 : 1;
    char digits[12] = "";
    size_t count = 0;
    while (count < most && t->at < t->size && is_hex(t->text[t->at])) {
        digits[count++] = t->text[t->at++];
    }
    bool closed = !braces || (t->at < t->size && t->text[t->at++] == '}');
    if (count == 0 || !closed || (most == 4 && count != 4) ||
        (most == 2 && count == 2 && digits[0] > '7')) {
        refuse(t, "such escape", from);
        return;
    }
    put(t, "\\x{");
    put(t, digits);
    put(t, "}");
}

/* \p{Name}, \p{^Name}, \P{Name}: a general category, or else the name of a script. */
static void property(translation *t, bool in_class, size_t from)
{
    bool negative = t->text[t->at] == 'P';
    t->at++;
    if (!ahead(t, "{")) {
        refuse(t, "property without braces", from);
        return;
    }
    t->at++;
    if (ahead(t, "^")) {
        negative = !negative;
        t->at++;
    }
    char name[40] = "";
    size_t count = 0;
    while (t->at < t->size && count < sizeof(name) - 1 &&
           (is_letter(t->text[t->at]) || t->text[t->at] == '_')) {
        name[count++] = t->text[t->at++];
    }
    if (count == 0 || !ahead(t, "}")) {
        refuse(t, "such property", from);
        return;
    }
    t->at++;
    char major = (char)(name[0] & ~0x20), minor = count > 1 ? (char)(name[1] | 0x20) : 0;
    bool category = count <= 2 && strchr("LMNPSZC", major) != NULL;
    if (in_class && negative) {
        put(t, category ? "\\P{" : "\\P{sc:");
        put(t, name);
        put(t, "}");
    } else {
        put(t, in_class ? "" : negative ? "[^" : "[");
        if (category) {
            put_category(t, major, minor);
        } else {
            put(t, "\\p{sc:");
            put(t, name);
            put(t, "}");
        }
        put(t, in_class ? "" : "]");
    }
}

/* A word boundary with Oniguruma's idea of a word. */
static void boundary(translation *t, bool negative)
{
    static const char *const parts[2][5] = {{"(?:(?<=[", "])(?![", "])|(?<![", "])(?=[", "]))"},
                                            {"(?:(?<=[", "])(?=[", "])|(?<![", "])(?![", "]))"}};
    for (int i = 0; i < 4; i++) {
        put(t, parts[negative][i]);
        put_word(t);
    }
    put(t, parts[negative][4]);
}

/* Behind a backslash; outside or inside a class. */
static void escape(translation *t, bool in_class)
{
    size_t from = t->at++;
    if (t->at >= t->size) {
        refuse(t, "backslash at the end", from);
        return;
    }
    char c = t->text[t->at];
    char same[] = {'\\', c, '\0'};
    if (c == 'x' || c == 'u') {
        hexadecimal(t, from);
        return;
    }
    if (c == 'p' || c == 'P') {
        property(t, in_class, from);
        return;
    }
    t->at++;
    if (c == '\0') {
        refuse(t, "such escape", from);
    } else if (strchr("sdwh", c) != NULL) {
        put(t, in_class ? "" : "[");
        put_shorthand(t, c);
        put(t, in_class ? "" : "]");
    } else if (strchr("SDWH", c) != NULL && !in_class) {
        put(t, "[^");
        put_shorthand(t, (char)(c | 0x20));
        put(t, "]");
    } else if (c == 'S') {
        put(t, UNICODE_NOT_SPACE_CLASS);
    } else if (c == 'v') {
        put(t, "\\x{b}");
    } else if ((c == 'b' || c == 'B') && !in_class) {
        boundary(t, c == 'B');
    } else if (strchr("rntfae", c) != NULL || (!in_class && strchr("AzZG", c) != NULL) ||
               !(is_letter(c) || is_digit(c))) {
        put(t, same);
    } else {
        refuse(t, "such escape", from);
    }
}

static void character_class(translation *t)
{
    size_t from = t->at++;
    put(t, "[");
    if (ahead(t, "^")) {
        put(t, "^");
        t->at++;
    }
    if (ahead(t, "]")) {
        refuse(t, "class that begins with ]", from);
        return;
    }
    while (t->at < t->size && t->text[t->at] != ']') {
        if (t->text[t->at] == '\\') {
            escape(t, true);
        } else if (t->text[t->at] == '[') {
            refuse(t, "class inside a class", t->at);
        } else if (ahead(t, "&&")) {
            refuse(t, "intersection of classes", t->at);
        } else {
            buffer_append(t->out, t->text + t->at++, 1);
        }
    }
    if (t->at >= t->size) {
        refuse(t, "class without an end", from);
        return;
    }
    put(t, "]");
    t->at++;
}

static void group(translation *t)
{
    static const char *const known[] = {"(?:", "(?=", "(?!", "(?<=", "(?<!", "(?>", "(?i:"};
    if (!ahead(t, "(?") && !ahead(t, "(*")) {
        put(t, "(");
        t->at++;
        return;
    }
    for (size_t i = 0; i < sizeof(known) / sizeof(known[0]); i++) {
        if (ahead(t, known[i])) {
            put(t, known[i]);
            t->at += strlen(known[i]);
            return;
        }
    }
    refuse(t, "such group", t->at);
}

/* {n} {n,} {n,m} {,m}; anything else is a brace that stands for itself. */
static void interval(translation *t)
{
    size_t from = t->at, at = t->at + 1, comma = 0;
    while (at < t->size && (is_digit(t->text[at]) || (t->text[at] == ',' && comma == 0))) {
        comma = t->text[at] == ',' ? at : comma;
        at++;
    }
    bool has_digits = at - from - 1 > (comma != 0);
    if (at >= t->size || t->text[at] != '}' || !has_digits) {
        put(t, "\\{");
        t->at++;
        return;
    }
    put(t, comma == from + 1 ? "{0" : "{");
    buffer_append(t->out, t->text + from + 1, at - from);
    t->at = at + 1;
    /* Ruby repeats an interval that has a plus behind it; PCRE2 makes it possessive. */
    if (ahead(t, "+") || (comma == 0 && ahead(t, "?"))) {
        refuse(t, "quantifier behind an interval", from);
    }
}

vl2_status pattern_translate(const char *text, size_t size, const char *name, buffer *translated,
                             vl2_error *error)
{
    translation t = {text, size, 0, name, translated, error, VL2_OK};
    static const char trailing_space[] = "\\s+$";
    if (size == sizeof(trailing_space) - 1 && memcmp(text, trailing_space, size) == 0) {
        /* The same matches in linear time: a run of spaces that is followed by something else would
         * be tried again from each of its characters, always to its end. When the first one fails,
         * or has taken what there is up to the last end of a line, the others fail too. */
        put(&t, "(?<![" UNICODE_SPACE_CLASS "])");
    }
    while (t.at < size) {
        switch (text[t.at]) {
        case '\\':
            escape(&t, false);
            break;
        case '[':
            character_class(&t);
            break;
        case '(':
            group(&t);
            break;
        case '{':
            interval(&t);
            break;
        default:
            buffer_append(translated, text + t.at++, 1);
        }
    }
    if (t.status == VL2_OK && translated->failed) {
        return vl2_fail_memory(error, "a regular expression", size);
    }
    return t.status;
}
