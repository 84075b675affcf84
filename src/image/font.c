#include "image/font.h"

#include <stdbool.h>
#include <string.h>

#define ROUND_O "M6 6Q12 6 12 13Q12 20 6 20Q0 20 0 13Q0 6 6 6"
#define BIG_O   "M8 0Q16 0 16 10Q16 20 8 20Q0 20 0 10Q0 0 8 0"
#define RING_C  "M9 0Q18 0 18 10Q18 20 9 20Q0 20 0 10Q0 0 9 0"

/* In the order of the characters, for a search by halves. */
static const font_glyph glyphs[] = {
    {' ', 2, ""},
    {'!', 0, "M0 0L0 13M0 19L0 20"},
    {'"', 5, "M0 0L0 5M5 0L5 5"},
    {'#', 14, "M5 1L3 19M11 1L9 19M1 7L14 7M0 13L13 13"},
    {'$', 12, "M12 5Q11 2 6 2Q0 2 0 6Q0 9 6 10Q12 11 12 14Q12 18 6 18Q1 18 0 15M6 -1L6 21"},
    {'%', 18,
     "M4 0Q8 0 8 4Q8 8 4 8Q0 8 0 4Q0 0 4 0M14 12Q18 12 18 16Q18 20 14 20Q10 20 10 16Q10 12 14 12"
     "M15 0L3 20"},
    {'&', 15, "M15 20L3 6Q2 4 2 3Q2 0 6 0Q10 0 10 4Q10 7 5 9Q0 11 0 15Q0 20 6 20Q12 20 14 11"},
    {'\'', 0, "M0 0L0 5"},
    {'(', 4, "M4 -1Q0 3 0 10Q0 18 4 22"},
    {')', 4, "M0 -1Q4 3 4 10Q4 18 0 22"},
    {'*', 8, "M4 0L4 9M0 2L8 7M8 2L0 7"},
    {'+', 12, "M6 6L6 18M0 12L12 12"},
    {',', 2, "M2 19L0 24"},
    {'-', 7, "M0 12L7 12"},
    {'.', 0, "M0 19L0 20"},
    {'/', 9, "M9 0L0 22"},
    {'0', 12, "M6 0Q12 0 12 10Q12 20 6 20Q0 20 0 10Q0 0 6 0"},
    {'1', 9, "M1 4L6 0L6 20"},
    {'2', 12, "M1 5Q1 0 6 0Q12 0 12 5Q12 8 9 11L0 20L12 20"},
    {'3', 12, "M1 3Q2 0 6 0Q11 0 11 5Q11 9 6 9L4 9M6 9Q12 9 12 14Q12 20 6 20Q1 20 0 16"},
    {'4', 12, "M9 20L9 0L0 14L12 14"},
    {'5', 12, "M11 0L2 0L1 9Q3 7 6 7Q12 7 12 13Q12 20 6 20Q1 20 0 16"},
    {'6', 12, "M10 0Q0 2 0 13Q0 20 6 20Q12 20 12 14Q12 8 6 8Q0 8 0 14"},
    {'7', 12, "M0 0L12 0L4 20"},
    {'8', 12, "M6 9Q1 9 1 5Q1 0 6 0Q11 0 11 5Q11 9 6 9Q0 9 0 14Q0 20 6 20Q12 20 12 14Q12 9 6 9"},
    {'9', 12, "M12 6Q12 12 6 12Q0 12 0 6Q0 0 6 0Q12 0 12 7Q12 18 2 20"},
    {':', 0, "M0 8L0 9M0 19L0 20"},
    {';', 2, "M1 8L1 9M2 19L0 24"},
    {'<', 11, "M11 5L0 12L11 19"},
    {'=', 12, "M0 9L12 9M0 15L12 15"},
    {'>', 11, "M0 5L11 12L0 19"},
    {'?', 10, "M0 4Q1 0 5 0Q10 0 10 5Q10 8 7 10Q5 11 5 14M5 19L5 20"},
    {'@', 18,
     "M13 12Q13 8 9 8Q5 8 5 12Q5 16 9 16Q13 16 13 12L13 14Q13 16 15 16Q18 16 18 11Q18 2 9 2Q0 2 0 "
     "11"
     "Q0 21 10 21Q13 21 15 20"},
    {'A', 16, "M0 20L8 0L16 20M3 13L13 13"},
    {'B', 13, "M0 10L8 10Q13 10 13 15Q13 20 8 20L0 20L0 0L7 0Q12 0 12 5Q12 10 7 10"},
    {'C', 14, "M14 4Q12 0 8 0Q0 0 0 10Q0 20 8 20Q12 20 14 16"},
    {'D', 14, "M0 0L6 0Q14 0 14 10Q14 20 6 20L0 20L0 0"},
    {'E', 11, "M11 0L0 0L0 20L11 20M0 10L9 10"},
    {'F', 11, "M11 0L0 0L0 20M0 10L9 10"},
    {'G', 15, "M14 4Q12 0 8 0Q0 0 0 10Q0 20 8 20Q15 20 15 13L15 11L9 11"},
    {'H', 13, "M0 0L0 20M13 0L13 20M0 10L13 10"},
    {'I', 0, "M0 0L0 20"},
    {'J', 9, "M9 0L9 14Q9 20 4 20Q1 20 0 16"},
    {'K', 13, "M0 0L0 20M12 0L0 12M4 8L13 20"},
    {'L', 10, "M0 0L0 20L10 20"},
    {'M', 16, "M0 20L0 0L8 13L16 0L16 20"},
    {'N', 13, "M0 20L0 0L13 20L13 0"},
    {'O', 16, BIG_O},
    {'P', 12, "M0 20L0 0L7 0Q12 0 12 5Q12 11 7 11L0 11"},
    {'Q', 16, BIG_O "M10 14L16 21"},
    {'R', 13, "M0 20L0 0L7 0Q12 0 12 5Q12 11 7 11L0 11M7 11L13 20"},
    {'S', 12, "M12 4Q11 0 6 0Q0 0 0 5Q0 9 6 10Q12 11 12 15Q12 20 6 20Q1 20 0 16"},
    {'T', 14, "M0 0L14 0M7 0L7 20"},
    {'U', 14, "M0 0L0 13Q0 20 7 20Q14 20 14 13L14 0"},
    {'V', 14, "M0 0L7 20L14 0"},
    {'W', 20, "M0 0L5 20L10 3L15 20L20 0"},
    {'X', 13, "M0 0L13 20M13 0L0 20"},
    {'Y', 14, "M0 0L7 10L14 0M7 10L7 20"},
    {'Z', 13, "M0 0L13 0L0 20L13 20"},
    {'[', 5, "M5 -1L0 -1L0 22L5 22"},
    {'\\', 9, "M0 0L9 22"},
    {']', 5, "M0 -1L5 -1L5 22L0 22"},
    {'^', 10, "M0 7L5 0L10 7"},
    {'_', 12, "M0 23L12 23"},
    {'`', 4, "M0 0L4 3"},
    {'a', 11, "M1 9Q2 6 6 6Q11 6 11 11L11 20M11 12L6 12Q0 12 0 16Q0 20 5 20Q11 20 11 15"},
    {'b', 12, "M0 0L0 20M0 13Q0 6 6 6Q12 6 12 13Q12 20 6 20Q0 20 0 13"},
    {'c', 11, "M11 9Q9 6 6 6Q0 6 0 13Q0 20 6 20Q9 20 11 17"},
    {'d', 12, "M12 0L12 20M12 13Q12 6 6 6Q0 6 0 13Q0 20 6 20Q12 20 12 13"},
    {'e', 12, "M0 13L12 13Q12 6 6 6Q0 6 0 13Q0 20 6 20Q10 20 12 17"},
    {'f', 8, "M8 0L7 0Q3 0 3 5L3 20M0 6L8 6"},
    {'g', 12, "M12 6L12 20Q12 26 6 26Q2 26 1 23M12 13Q12 6 6 6Q0 6 0 13Q0 20 6 20Q12 20 12 13"},
    {'h', 11, "M0 0L0 20M0 12Q0 6 6 6Q11 6 11 11L11 20"},
    {'i', 0, "M0 6L0 20M0 0L0 1"},
    {'j', 1, "M1 6L1 22Q1 26 -3 26M1 0L1 1"},
    {'k', 10, "M0 0L0 20M9 6L0 15M4 11L10 20"},
    {'l', 3, "M0 0L0 17Q0 20 3 20"},
    {'m', 18, "M0 6L0 20M0 11Q0 6 5 6Q9 6 9 11L9 20M9 11Q9 6 14 6Q18 6 18 11L18 20"},
    {'n', 11, "M0 6L0 20M0 12Q0 6 6 6Q11 6 11 11L11 20"},
    {'o', 12, ROUND_O},
    {'p', 12, "M0 6L0 26M0 13Q0 6 6 6Q12 6 12 13Q12 20 6 20Q0 20 0 13"},
    {'q', 12, "M12 6L12 26M12 13Q12 6 6 6Q0 6 0 13Q0 20 6 20Q12 20 12 13"},
    {'r', 6, "M0 6L0 20M0 12Q0 6 5 6L6 6"},
    {'s', 10, "M10 9Q9 6 5 6Q0 6 0 9Q0 12 5 13Q10 14 10 17Q10 20 5 20Q1 20 0 17"},
    {'t', 8, "M3 1L3 15Q3 20 8 20M0 6L8 6"},
    {'u', 11, "M0 6L0 15Q0 20 5 20Q11 20 11 14M11 6L11 20"},
    {'v', 12, "M0 6L6 20L12 6"},
    {'w', 16, "M0 6L4 20L8 8L12 20L16 6"},
    {'x', 11, "M0 6L11 20M11 6L0 20"},
    {'y', 12, "M0 6L6 20M12 6L6 20Q4 26 0 26"},
    {'z', 10, "M0 6L10 6L0 20L10 20"},
    {'{', 6, "M6 -1Q3 -1 3 3L3 7Q3 10 0 10Q3 10 3 14L3 18Q3 22 6 22"},
    {'|', 0, "M0 -2L0 24"},
    {'}', 6, "M0 -1Q3 -1 3 3L3 7Q3 10 6 10Q3 10 3 14L3 18Q3 22 0 22"},
    {'~', 12, "M0 13Q1 10 3 10Q5 10 6 12Q7 14 9 14Q11 14 12 11"},
    {0xa0, 2, ""},
    {0xa1, 0, "M0 6L0 7M0 13L0 26"},
    {0xa2, 11, "M11 9Q9 6 6 6Q0 6 0 13Q0 20 6 20Q9 20 11 17M6 2L6 24"},
    {0xa3, 12, "M11 4Q10 0 7 0Q3 0 3 5L3 15Q3 20 0 20L12 20M0 10L9 10"},
    {0xa4, 14,
     "M7 5Q12 5 12 10Q12 15 7 15Q2 15 2 10Q2 5 7 5M0 3L3 6M14 3L11 6M0 17L3 14M14 17L11 14"},
    {0xa5, 14, "M0 0L7 10L14 0M7 10L7 20M2 11L12 11M2 15L12 15"},
    {0xa6, 0, "M0 -2L0 8M0 14L0 24"},
    {0xa7, 9,
     "M9 2Q8 -1 5 -1Q1 -1 1 3Q1 5 4 7Q9 10 9 13Q9 16 6 16M1 19Q2 22 5 22Q9 22 9 18Q9 16 6 14"
     "Q0 11 0 8Q0 5 3 5"},
    {0xa8, 6, "M0 1L0 2M6 1L6 2"},
    {0xa9, 18, RING_C "M13 7Q12 5 9 5Q5 5 5 10Q5 15 9 15Q12 15 13 13"},
    {0xaa, 7, "M7 0L7 9M7 4Q7 0 4 0Q0 0 0 4Q0 9 4 9Q7 9 7 4M0 13L7 13"},
    {0xab, 12, "M5 7L0 13L5 19M12 7L7 13L12 19"},
    {0xac, 12, "M0 10L12 10L12 15"},
    {0xad, 7, "M0 12L7 12"},
    {0xae, 18, RING_C "M6 15L6 5L9 5Q12 5 12 8Q12 11 9 11L6 11M9 11L12 15"},
    {0xaf, 8, "M0 0L8 0"},
    {0xb0, 6, "M3 0Q6 0 6 3Q6 6 3 6Q0 6 0 3Q0 0 3 0"},
    {0xb1, 12, "M6 3L6 13M0 8L12 8M0 18L12 18"},
    {0xb2, 7, "M0 3Q0 0 3 0Q7 0 7 3Q7 5 5 7L0 11L7 11"},
    {0xb3, 7, "M0 1Q1 0 3 0Q6 0 6 3Q6 5 3 5Q7 5 7 8Q7 11 3 11Q1 11 0 10"},
    {0xb4, 4, "M4 0L0 3"},
    {0xb5, 11, "M0 6L0 26M0 15Q0 20 5 20Q11 20 11 14M11 6L11 20"},
    {0xb6, 11, "M7 24L7 0M11 24L11 0L5 0Q0 0 0 5Q0 10 5 10L7 10"},
    {0xb7, 0, "M0 11L0 12"},
    {0xb8, 4, "M2 20L1 22Q4 22 4 24Q4 26 0 26"},
    {0xb9, 4, "M0 3L4 0L4 11"},
    {0xba, 8, "M4 0Q8 0 8 4Q8 9 4 9Q0 9 0 4Q0 0 4 0M0 13L8 13"},
    {0xbb, 12, "M0 7L5 13L0 19M7 7L12 13L7 19"},
    {0xbc, 18, "M0 3L3 0L3 9M15 0L3 20M16 20L16 11L11 17L18 17"},
    {0xbd, 18, "M0 3L3 0L3 9M15 0L3 20M11 13Q12 11 14 11Q18 11 18 14Q18 15 16 17L11 20L18 20"},
    {0xbe, 19, "M0 0L5 0L2 4Q6 4 6 7Q6 9 3 9Q1 9 0 8M16 0L4 20M17 20L17 11L12 17L19 17"},
    {0xbf, 10, "M10 22Q9 26 5 26Q0 26 0 21Q0 18 3 16Q5 15 5 12M5 6L5 7"},
    {0xc6, 19, "M0 20L9 0L19 0M11 0L11 20L19 20M11 10L18 10M4 12L11 12"},
    {0xd0, 16, "M2 0L8 0Q16 0 16 10Q16 20 8 20L2 20L2 0M0 10L8 10"},
    {0xd7, 10, "M0 7L10 17M10 7L0 17"},
    {0xd8, 16, BIG_O "M14 -1L2 21"},
    {0xde, 12, "M0 0L0 20M0 4L7 4Q12 4 12 9Q12 15 7 15L0 15"},
    {0xdf, 11, "M0 20L0 6Q0 0 5 0Q10 0 10 4Q10 8 6 9Q11 10 11 14Q11 20 6 20L4 20"},
    {0xe6, 20,
     "M1 9Q2 6 5 6Q10 6 10 11L10 20M10 12L5 12Q0 12 0 16Q0 20 5 20Q10 20 10 15M10 13L20 13"
     "Q20 6 15 6Q10 6 10 13Q10 20 15 20Q18 20 20 17"},
    {0xf0, 12, "M2 5L9 1M4 0Q12 3 12 13Q12 20 6 20Q0 20 0 14Q0 8 6 8Q11 8 12 13"},
    {0xf7, 12, "M0 12L12 12M6 6L6 7M6 17L6 18"},
    {0xf8, 12, ROUND_O "M11 4L1 22"},
    {0xfe, 12, "M0 0L0 26M0 13Q0 6 6 6Q12 6 12 13Q12 20 6 20Q0 20 0 13"},
    {0x131, 0, "M0 6L0 20"},
    {0x2013, 10, "M0 12L10 12"},
    {0x2014, 18, "M0 12L18 12"},
    {0x2018, 2, "M2 0L0 5"},
    {0x2019, 2, "M2 0L0 5"},
    {0x201c, 7, "M2 0L0 5M7 0L5 5"},
    {0x201d, 7, "M2 0L0 5M7 0L5 5"},
    {0x2022, 2, "M0 12L2 12M0 11L2 11M0 13L2 13"},
    {0x2026, 12, "M0 19L0 20M6 19L6 20M12 19L12 20"},
    {0x20ac, 15, "M15 3Q13 0 9 0Q3 0 3 10Q3 20 9 20Q13 20 15 17M0 8L11 8M0 12L11 12"},
};

static const font_glyph hollow_box = {0, 12, "M0 0L12 0L12 20L0 20L0 0"};

/* Accents around x 0; those above stand over y 0, which is put to the top of the letter. */
static const char grave[] = "M-3 -6L1 -3", acute[] = "M3 -6L-1 -3";
static const char circumflex[] = "M-4 -3L0 -6L4 -3", diaeresis[] = "M-3 -5L-3 -4M3 -5L3 -4";
static const char tilde[] = "M-5 -3Q-4 -6 -2 -6Q-1 -6 0 -5Q1 -4 2 -4Q4 -4 5 -6";
static const char ring[] = "M0 -8Q3 -8 3 -5Q3 -2 0 -2Q-3 -2 -3 -5Q-3 -8 0 -8";
static const char cedilla[] = "M0 20L-1 22Q2 22 2 24Q2 26 -2 26";

/* Letters with an accent, from U+00C0 for capitals and U+00E0 for small letters: the same marks. */
static const struct {
    char capital;
    const char *mark;
} accented[32] = {
    {'A', grave},      {'A', acute},     {'A', circumflex}, {'A', tilde},     {'A', diaeresis},
    {'A', ring},       {0, NULL},        {'C', cedilla},    {'E', grave},     {'E', acute},
    {'E', circumflex}, {'E', diaeresis}, {'I', grave},      {'I', acute},     {'I', circumflex},
    {'I', diaeresis},  {0, NULL},        {'N', tilde},      {'O', grave},     {'O', acute},
    {'O', circumflex}, {'O', tilde},     {'O', diaeresis},  {0, NULL},        {0, NULL},
    {'U', grave},      {'U', acute},     {'U', circumflex}, {'U', diaeresis}, {'Y', acute},
    {0, NULL},         {'Y', diaeresis},
};

static const font_glyph *find_glyph(uint32_t character)
{
    size_t low = 0, high = sizeof(glyphs) / sizeof(glyphs[0]);
    while (low < high) {
        size_t middle = (low + high) / 2;
        if (glyphs[middle].character == character) {
            return &glyphs[middle];
        }
        if (glyphs[middle].character < character) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    return NULL;
}

font_letter font_find(uint32_t character)
{
    const font_glyph *glyph = find_glyph(character < ' ' ? ' ' : character);
    const char *mark = NULL;
    bool small = character >= 0xe0;
    if (glyph == NULL && character >= 0xc0 && character <= 0xff) {
        size_t index = (character - 0xc0) % 32;
        uint32_t base = (uint32_t)accented[index].capital;
        mark = accented[index].mark;
        if (small && base != 0) {
            base = base == 'I' ? 0x131 : base - 'A' + 'a';
        }
        glyph = find_glyph(base);
    }
    if (glyph == NULL) {
        glyph = &hollow_box;
    }
    int mark_y = mark == cedilla ? 0 : small ? FONT_X_HEIGHT : 0;
    return (font_letter){glyph->width, glyph->path, mark, glyph->width / 2, mark_y};
}

uint32_t font_next_character(const char *text, size_t size, size_t *at)
{
    static const uint32_t smallest[4] = {0, 0x80, 0x800, 0x10000};
    uint8_t first = (uint8_t)text[(*at)++];
    int more = first < 0x80 ? 0 : first < 0xc0 ? -1 : first < 0xe0 ? 1 : first < 0xf0 ? 2 : 3;
    if (more < 0 || first >= 0xf8) {
        return 0xfffd;
    }
    uint32_t character = more == 0 ? first : first & (0x3fu >> more);
    for (int i = 0; i < more; i++) {
        if (*at >= size || ((uint8_t)text[*at] & 0xc0) != 0x80) {
            return 0xfffd;
        }
        character = character << 6 | ((uint8_t)text[(*at)++] & 0x3f);
    }
    return character < smallest[more] ? 0xfffd : character;
}

static int next_number(const char **path)
{
    const char *at = *path;
    while (*at == ' ') {
        at++;
    }
    bool negative = *at == '-';
    at += negative;
    int number = 0;
    while (*at >= '0' && *at <= '9') {
        number = number * 10 + (*at++ - '0');
    }
    *path = at;
    return negative ? -number : number;
}

char font_next_command(const char **path, int numbers[4])
{
    char command = **path;
    if (command == '\0') {
        return command;
    }
    (*path)++;
    int count = command == 'Q' ? 4 : 2;
    for (int i = 0; i < count; i++) {
        numbers[i] = next_number(path);
    }
    return command;
}
