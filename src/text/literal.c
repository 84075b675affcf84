#include "text/literal.h"

#include <stdlib.h>
#include <string.h>

#define MAX_SIGNS          100  /* Python gives up at some depth too */
#define MAX_INTEGER_DIGITS 4300 /* sys.int_info.default_max_str_digits */

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

static bool is_name(char c)
{
    return is_digit(c) || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_' ||
           (unsigned char)c >= 0x80;
}

static char peek(const literal_reader *reader, size_t ahead)
{
    return (size_t)(reader->end - reader->at) > ahead ? reader->at[ahead] : '\0';
}

void literal_skip_space(literal_reader *reader)
{
    while (reader->at < reader->end && strchr(" \t\f\r\n", *reader->at) != NULL &&
           *reader->at != '\0') {
        reader->at++;
    }
}

static double convert(const literal_reader *reader)
{
    return strtod_l(reader->scratch->data, NULL, reader->locale);
}

/* Digits with single underscores between them, into scratch. Returns how many, 0 if there are none.
 * */
static size_t read_digits(literal_reader *reader)
{
    size_t count = 0;
    while (is_digit(peek(reader, 0)) ||
           (count > 0 && peek(reader, 0) == '_' && is_digit(peek(reader, 1)))) {
        reader->at += peek(reader, 0) == '_';
        buffer_append(reader->scratch, reader->at++, 1);
        count++;
    }
    return count;
}

/* An exponent, if a whole one comes. */
static bool read_exponent(literal_reader *reader)
{
    size_t sign = peek(reader, 1) == '+' || peek(reader, 1) == '-';
    if ((peek(reader, 0) | 0x20) != 'e' || !is_digit(peek(reader, 1 + sign))) {
        return false;
    }
    buffer_append(reader->scratch, reader->at, 1 + sign);
    reader->at += 1 + sign;
    read_digits(reader);
    return true;
}

static int digit_value(char c)
{
    return is_digit(c)                              ? c - '0'
           : (c | 0x20) >= 'a' && (c | 0x20) <= 'f' ? (c | 0x20) - 'a' + 10
                                                    : 99;
}

/* Behind 0x, 0o, 0b. */
static bool read_base(literal_reader *reader, int base, double *value)
{
    size_t count = 0;
    *value = 0;
    for (;; count++) {
        size_t skip = peek(reader, 0) == '_';
        if (digit_value(peek(reader, skip)) >= base) {
            return count > 0;
        }
        *value = *value * base + digit_value(peek(reader, skip));
        reader->at += skip + 1;
    }
}

/* 0, 00 and 0_0 are integers; 01 is not. */
static bool is_integer_spelling(const buffer *digits)
{
    return digits->size <= 1 || digits->data[0] != '0' || strspn(digits->data, "0") == digits->size;
}

static bool read_number(literal_reader *reader, literal_kind *kind, double *value)
{
    char prefix = peek(reader, 0) == '0' ? (char)(peek(reader, 1) | 0x20) : '\0';
    int base = prefix == 'x' ? 16 : prefix == 'o' ? 8 : prefix == 'b' ? 2 : 0;
    if (base != 0) {
        reader->at += 2;
        return read_base(reader, base, value);
    }
    buffer_clear(reader->scratch);
    size_t whole = read_digits(reader), fraction = 0;
    bool point = peek(reader, 0) == '.';
    if (point) {
        buffer_append(reader->scratch, reader->at++, 1);
        fraction = read_digits(reader);
    }
    if (whole + fraction == 0) {
        return false;
    }
    bool real = read_exponent(reader) || point;
    if ((peek(reader, 0) | 0x20) == 'j') {
        reader->at++;
        *kind = LITERAL_OTHER;
    } else if (!real &&
               (!is_integer_spelling(reader->scratch) ||
                (whole > MAX_INTEGER_DIGITS && strspn(reader->scratch->data, "0") < whole))) {
        return false;
    }
    *value = reader->scratch->failed ? 0 : convert(reader);
    return !reader->scratch->failed;
}

static bool read_word(literal_reader *reader, literal_kind *kind, double *value)
{
    static const struct {
        const char *word;
        literal_kind kind;
        double value;
    } words[] = {
        {"True", LITERAL_NUMBER, 1}, {"False", LITERAL_NUMBER, 0}, {"None", LITERAL_OTHER, 0}};
    size_t size = 0;
    while (is_name(peek(reader, size))) {
        size++;
    }
    for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++) {
        if (strlen(words[i].word) == size && memcmp(reader->at, words[i].word, size) == 0) {
            reader->at += size;
            *kind = words[i].kind;
            *value = words[i].value;
            return true;
        }
    }
    return false;
}

/* 'text' or "text" without a backslash. */
static bool read_text(literal_reader *reader, literal_kind *kind)
{
    char quote = *reader->at++;
    const char *close = memchr(reader->at, quote, (size_t)(reader->end - reader->at));
    if (close == NULL) {
        return false;
    }
    size_t size = (size_t)(close - reader->at);
    bool plain = memchr(reader->at, '\\', size) == NULL && memchr(reader->at, '\r', size) == NULL;
    reader->at = close + 1;
    *kind = LITERAL_OTHER;
    return plain;
}

bool literal_read(literal_reader *reader, literal_kind *kind, double *value)
{
    double sign = 1;
    int signs = 0;
    while (peek(reader, 0) == '+' || peek(reader, 0) == '-') {
        sign = peek(reader, 0) == '-' ? -sign : sign;
        reader->at++;
        literal_skip_space(reader);
        if (++signs > MAX_SIGNS) {
            return false;
        }
    }
    char c = peek(reader, 0);
    bool read;
    *kind = LITERAL_NUMBER;
    *value = 0;
    if (c == '\'' || c == '"') {
        read = signs == 0 && read_text(reader, kind);
    } else if (is_digit(c) || c == '.') {
        read = read_number(reader, kind, value);
    } else {
        read = read_word(reader, kind, value) && (*kind == LITERAL_NUMBER || signs == 0);
    }
    *value *= sign;
    return read;
}

bool literal_read_plain(literal_reader *reader, double *value)
{
    const char *before = reader->at;
    buffer_clear(reader->scratch);
    if (peek(reader, 0) == '-' || peek(reader, 0) == '+') {
        buffer_append(reader->scratch, reader->at++, 1);
    }
    size_t digits = read_digits(reader);
    if (peek(reader, 0) == '.') {
        buffer_append(reader->scratch, reader->at++, 1);
        digits += read_digits(reader);
    }
    if (digits == 0 || reader->scratch->failed) {
        reader->at = before;
        return false;
    }
    read_exponent(reader);
    *value = reader->scratch->failed ? 0 : convert(reader);
    return !reader->scratch->failed;
}
