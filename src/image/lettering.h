/* Inside the image room: text of any size on a picture, with smooth edges. */
#ifndef IMAGE_LETTERING_H
#define IMAGE_LETTERING_H

#include "image/image.h"

/* How text is set. */
typedef struct lettering {
    int capital; /* pixels from the top of a capital letter to the base line, at least 4 */
} lettering;

/* Pixels that a line of text takes, side bearings included. UTF-8. */
int lettering_width(const lettering *style, const char *text, size_t size);

/* Draws one line of UTF-8 text in one colour; `x` is its left end, `y` the top of its capital
 * letters. What lies outside the picture is left out. */
void lettering_draw(const lettering *style, const char *text, size_t size, int x, int y,
                    const uint8_t colour[3], image_rgb *image);

/* colour over the pixel at x, y with a coverage from 0 to 1; the place must be inside. */
void lettering_blend(image_rgb *image, int x, int y, const uint8_t colour[3], double coverage);

#endif
