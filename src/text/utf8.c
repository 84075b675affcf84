#include "text/utf8.h"

/* How many bytes follow a first byte (0 if none may), and the range of the second. */
static int following(uint8_t first, uint8_t *low, uint8_t *high)
{
    *low = first == 0xE0 ? 0xA0 : first == 0xF0 ? 0x90 : 0x80;
    *high = first == 0xED ? 0x9F : first == 0xF4 ? 0x8F : 0xBF;
    if (first >= 0xC2 && first <= 0xDF) {
        return 1;
    }
    if (first >= 0xE0 && first <= 0xEF) {
        return 2;
    }
    return first >= 0xF0 && first <= 0xF4 ? 3 : 0;
}

utf8_verdict utf8_next(const char *bytes, size_t size, size_t *length, uint32_t *code)
{
    uint8_t first = (uint8_t)bytes[0];
    *length = 1;
    if (first < 0x80) {
        *code = first;
        return UTF8_VALID;
    }
    uint8_t low, high;
    int more = following(first, &low, &high);
    if (more == 0) {
        return UTF8_INVALID;
    }
    uint32_t value = first & (0x3Fu >> more);
    for (int i = 1; i <= more; i++) {
        if ((size_t)i >= size) {
            return UTF8_INCOMPLETE;
        }
        uint8_t byte = (uint8_t)bytes[i];
        if (byte < low || byte > high) {
            return UTF8_INVALID;
        }
        low = 0x80;
        high = 0xBF;
        value = value << 6 | (byte & 0x3Fu);
        *length = (size_t)i + 1;
    }
    *code = value;
    return UTF8_VALID;
}

size_t utf8_write(uint32_t code, char bytes[4])
{
    if (code < 0x80) {
        bytes[0] = (char)code;
        return 1;
    }
    if (code < 0x800) {
        bytes[0] = (char)(0xC0 | code >> 6);
        bytes[1] = (char)(0x80 | (code & 0x3F));
        return 2;
    }
    if (code < 0x10000) {
        bytes[0] = (char)(0xE0 | code >> 12);
        bytes[1] = (char)(0x80 | (code >> 6 & 0x3F));
        bytes[2] = (char)(0x80 | (code & 0x3F));
        return 3;
    }
    bytes[0] = (char)(0xF0 | code >> 18);
    bytes[1] = (char)(0x80 | (code >> 12 & 0x3F));
    bytes[2] = (char)(0x80 | (code >> 6 & 0x3F));
    bytes[3] = (char)(0x80 | (code & 0x3F));
    return 4;
}

bool utf8_is_valid(const char *bytes, size_t size)
{
    for (size_t at = 0; at < size;) {
        size_t length;
        uint32_t code;
        if (utf8_next(bytes + at, size - at, &length, &code) != UTF8_VALID) {
            return false;
        }
        at += length;
    }
    return true;
}

bool utf8_append_lossy(buffer *text, const char *bytes, size_t size)
{
    size_t good = 0; /* valid bytes before `at` that wait to be appended */
    for (size_t at = 0; at < size;) {
        size_t length;
        uint32_t code;
        if (utf8_next(bytes + at, size - at, &length, &code) == UTF8_VALID) {
            good += length;
        } else {
            if (!buffer_append(text, bytes + at - good, good) ||
                !buffer_append_text(text, UTF8_REPLACEMENT)) {
                return false;
            }
            good = 0;
        }
        at += length;
    }
    return good == 0 || buffer_append(text, bytes + size - good, good);
}

bool utf8_is_white_space(uint32_t code)
{
    return (code >= 0x09 && code <= 0x0D) || code == 0x20 || code == 0x85 || code == 0xA0 ||
           code == 0x1680 || (code >= 0x2000 && code <= 0x200A) || code == 0x2028 ||
           code == 0x2029 || code == 0x202F || code == 0x205F || code == 0x3000;
}

size_t utf8_last(const char *bytes, size_t size, uint32_t *code)
{
    for (size_t back = 1; back <= 4 && back <= size; back++) {
        size_t length;
        if (utf8_next(bytes + size - back, back, &length, code) == UTF8_VALID) {
            return length == back ? back : 0;
        }
    }
    return 0;
}
