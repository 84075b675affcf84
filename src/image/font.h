/* A stroke font of our own for labels: ASCII, Latin-1 and a few marks of typesetting. Letters are
 * drawn with a round pen of any size, so one table serves an icon and a large photograph. */
#ifndef IMAGE_FONT_H
#define IMAGE_FONT_H

#include <stddef.h>
#include <stdint.h>

/* Units of the font: capital letters and digits stand from y 0 (top) to 20 (base line), small
 * letters from 6, tails reach 26, accents of capitals -8. x is 0 at the centre line of the first
 * stem. */
#define FONT_TOP      (-8)
#define FONT_X_HEIGHT 6
#define FONT_BASE     20
#define FONT_BOTTOM   26
#define FONT_GAP      6 /* between the last stroke of a letter and the first of the next */

/* A path is a text of commands with integer operands: "Mx y" lifts the pen and moves, "Lx y" draws
 * a line, "Qcx cy x y" draws a quarter of an ellipse that leaves towards the corner (cx, cy) and
 * arrives from it. */
typedef struct font_glyph {
    uint32_t character; /* Unicode */
    int width;          /* from the first to the last stroke */
    const char *path;
} font_glyph;

/* A letter made of one or two paths. */
typedef struct font_letter {
    int width;
    const char *path;
    const char *mark;   /* an accent, or NULL */
    int mark_x, mark_y; /* where the mark's origin stands */
} font_letter;

/* The letter of a character; a hollow box for one that the font does not have. */
font_letter font_find(uint32_t character);

/* Takes the next character of UTF-8 text at *at (below size) and moves on; U+FFFD for invalid
 * bytes. */
uint32_t font_next_character(const char *text, size_t size, size_t *at);

/* The next command of a path: its letter, with its operands in `numbers`; 0 at the end. */
char font_next_command(const char **path, int numbers[4]);

#endif
