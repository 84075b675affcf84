#include "cli/eval_text.h"
#include "cli/characters.h"

#include <stdlib.h>
#include <string.h>

#define REPLACEMENT 0xFFFDu

/* The code point at text; *length are its bytes. */
static uint32_t read_point(const unsigned char *text, size_t size, size_t *length)
{
    static const unsigned char lead_bits[] = {0, 0x7F, 0x1F, 0x0F, 0x07};
    size_t bytes = character_size(text, size);
    *length = bytes > 0 ? bytes : 1;
    uint32_t point = bytes > 0 ? text[0] & lead_bits[bytes] : REPLACEMENT;
    for (size_t i = 1; i < bytes; i++) {
        point = point << 6 | (text[i] & 0x3Fu);
    }
    return point;
}

static bool within(uint32_t point, uint32_t first, uint32_t last)
{
    return point >= first && point <= last;
}

/* Simple case folding of the alphabets where a capital and its small letter are a fixed step apart,
 * or neighbours (Unicode, CaseFolding.txt). */
static uint32_t fold(uint32_t point)
{
    if (within(point, 'A', 'Z') || (within(point, 0xC0, 0xDE) && point != 0xD7) ||
        (within(point, 0x391, 0x3A9) && point != 0x3A2) || within(point, 0x410, 0x42F)) {
        return point + 32;
    }
    if (within(point, 0x400, 0x40F)) {
        return point + 80;
    }
    if (within(point, 0x139, 0x148) || within(point, 0x179, 0x17E)) { /* the odd ones are capital */
        return point + (point & 1);
    }
    if ((within(point, 0x100, 0x137) && !within(point, 0x130, 0x131)) ||
        within(point, 0x14A, 0x177) || within(point, 0x460, 0x481) ||
        within(point, 0x1E00, 0x1E95)) {
        return point | 1;
    }
    return point == 0x178 ? 0xFF : point;
}

static bool is_blank(uint32_t point)
{
    return point == ' ' || within(point, '\t', '\r') || point == 0x85 || point == 0xA0 ||
           within(point, 0x2000, 0x200A) || within(point, 0x2028, 0x2029) || point == 0x202F ||
           point == 0x3000;
}

bool folded_text_make(const char *text, size_t size, folded_text *folded)
{
    *folded = (folded_text){malloc((size < SIZE_MAX / 4 ? size + 1 : 0) * sizeof(uint32_t)), 0};
    if (folded->points == NULL || size >= SIZE_MAX / 4) {
        folded_text_free(folded);
        return false;
    }
    bool gap = false;
    for (size_t at = 0, length; at < size; at += length) {
        uint32_t point = read_point((const unsigned char *)text + at, size - at, &length);
        if (is_blank(point)) {
            gap = folded->count > 0;
            continue;
        }
        if (gap) {
            folded->points[folded->count++] = ' ';
        }
        gap = false;
        folded->points[folded->count++] = fold(point);
    }
    return true;
}

void folded_text_free(folded_text *folded)
{
    free(folded->points);
    *folded = (folded_text){NULL, 0};
}

static bool is_final(uint32_t point)
{
    return point == '.' || point == ',' || point == ';' || point == ':' || point == '!' ||
           point == '?' || point == ' ' || point == 0x2026 || point == 0x3002 || point == 0xFF01 ||
           point == 0xFF0C || point == 0xFF1F;
}

void folded_text_strip(folded_text *folded)
{
    size_t count = folded->count;
    while (count > 0 && is_final(folded->points[count - 1])) {
        count--;
    }
    folded->count = count > 0 ? count : folded->count;
}

bool folded_text_equal(const folded_text *a, const folded_text *b)
{
    return a->count == b->count &&
           memcmp(a->points, b->points, a->count * sizeof(*a->points)) == 0;
}

static bool is_word(uint32_t point)
{
    return within(point, '0', '9') || within(point, 'a', 'z') || point == '_' ||
           (point >= 0xC0 && !within(point, 0x2000, 0x206F) && !within(point, 0x3000, 0x303F));
}

bool folded_text_contains(const folded_text *whole, const folded_text *part)
{
    for (size_t at = 0; part->count > 0 && at + part->count <= whole->count; at++) {
        size_t end = at + part->count;
        bool begins = at == 0 || !is_word(whole->points[at - 1]) || !is_word(part->points[0]);
        bool ends = end == whole->count || !is_word(whole->points[end]) ||
                    !is_word(part->points[part->count - 1]);
        if (begins && ends &&
            memcmp(whole->points + at, part->points, part->count * sizeof(*part->points)) == 0) {
            return true;
        }
    }
    return false;
}
