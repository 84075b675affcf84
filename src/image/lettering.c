#include "image/lettering.h"

#include "image/font.h"

#include <math.h>

/* Strokes of one letter are at most this many: the longest path has 14 quarter ellipses and a few
 * lines. */
#define MAX_SEGMENTS  512
#define QUARTER_STEPS 6 /* lines per quarter ellipse: enough for letters of a few hundred pixels   \
                         */
#define PEN 2.7         /* width of the pen in units of the font */

typedef struct segment {
    double x1, y1, x2, y2;
} segment;

/* The lines of one letter, in pixels. */
typedef struct outline {
    segment segments[MAX_SEGMENTS];
    int count;
} outline;

/* Where units of the font come to lie: x linearly, y so that the top, the height of small letters
 * and the base line meet the middle of a row of pixels, which keeps small text crisp. */
typedef struct placing {
    double scale, x, y;
} placing;

static double place_y(const placing *place, double y)
{
    double x_height = round(FONT_X_HEIGHT * place->scale);
    double base = round(FONT_BASE * place->scale);
    double placed = y * place->scale;
    if (y >= 0 && y < FONT_X_HEIGHT) {
        placed = x_height * y / FONT_X_HEIGHT;
    } else if (y >= FONT_X_HEIGHT && y < FONT_BASE) {
        placed = x_height + (base - x_height) * (y - FONT_X_HEIGHT) / (FONT_BASE - FONT_X_HEIGHT);
    } else if (y >= FONT_BASE) {
        placed = base + (y - FONT_BASE) * place->scale;
    }
    return place->y + placed;
}

static void add_segment(outline *outline, const placing *place, const double from[2],
                        const double to[2])
{
    if (outline->count < MAX_SEGMENTS) {
        outline->segments[outline->count++] =
            (segment){place->x + from[0] * place->scale, place_y(place, from[1]),
                      place->x + to[0] * place->scale, place_y(place, to[1])};
    }
}

/* A quarter ellipse around from + to - corner, which is a circle's quarter where the corner is
 * square. */
static void add_quarter(outline *outline, const placing *place, const double from[2],
                        const double corner[2], const double to[2])
{
    double centre[2] = {from[0] + to[0] - corner[0], from[1] + to[1] - corner[1]};
    double last[2] = {from[0], from[1]};
    for (int step = 1; step <= QUARTER_STEPS; step++) {
        double angle = step * (1.5707963267948966 / QUARTER_STEPS);
        double next[2];
        for (int i = 0; i < 2; i++) {
            next[i] =
                centre[i] + (from[i] - centre[i]) * cos(angle) + (to[i] - centre[i]) * sin(angle);
        }
        add_segment(outline, place, last, next);
        last[0] = next[0];
        last[1] = next[1];
    }
}

/* Follows a path whose origin stands at dx, dy. */
static void add_path(outline *outline, const placing *place, const char *path, int dx, int dy)
{
    double pen[2] = {0, 0};
    int numbers[4];
    char command;
    while ((command = font_next_command(&path, numbers)) != '\0') {
        double first[2] = {numbers[0] + dx, numbers[1] + dy}, *end = first;
        double second[2] = {0, 0};
        if (command == 'Q') {
            second[0] = numbers[2] + dx;
            second[1] = numbers[3] + dy;
            add_quarter(outline, place, pen, first, second);
            end = second;
        } else if (command == 'L') {
            add_segment(outline, place, pen, first);
        }
        pen[0] = end[0];
        pen[1] = end[1];
    }
}

static double distance_squared(const segment *line, double x, double y)
{
    double dx = line->x2 - line->x1, dy = line->y2 - line->y1;
    double length = dx * dx + dy * dy;
    double along = length > 0 ? ((x - line->x1) * dx + (y - line->y1) * dy) / length : 0;
    along = fmin(fmax(along, 0), 1);
    double ex = x - (line->x1 + along * dx), ey = y - (line->y1 + along * dy);
    return ex * ex + ey * ey;
}

void lettering_blend(image_rgb *image, int x, int y, const uint8_t colour[3], double coverage)
{
    uint8_t *pixel = image->pixels + ((size_t)y * (size_t)image->width + (size_t)x) * 3;
    for (int i = 0; i < 3; i++) {
        pixel[i] = (uint8_t)(pixel[i] + (colour[i] - pixel[i]) * coverage + 0.5);
    }
}

/* Fills the pixels that the pen touches on the picture, between columns left and right. */
static void ink(const outline *outline, double radius, int left, int right, int top, int bottom,
                const uint8_t colour[3], image_rgb *image)
{
    left = left < 0 ? 0 : left;
    top = top < 0 ? 0 : top;
    right = right > image->width ? image->width : right;
    bottom = bottom > image->height ? image->height : bottom;
    for (int y = top; y < bottom; y++) {
        for (int x = left; x < right; x++) {
            double nearest = INFINITY;
            for (int i = 0; i < outline->count; i++) {
                nearest = fmin(nearest, distance_squared(&outline->segments[i], x + 0.5, y + 0.5));
            }
            double coverage = radius + 0.5 - sqrt(nearest);
            if (coverage > 0) {
                lettering_blend(image, x, y, colour, fmin(coverage, 1));
            }
        }
    }
}

static int advance(const font_letter *letter, double scale)
{
    return (int)round((letter->width + FONT_GAP) * scale);
}

static double scale_of(const lettering *style)
{
    return (double)style->capital / FONT_BASE;
}

int lettering_width(const lettering *style, const char *text, size_t size)
{
    double scale = scale_of(style);
    int width = 0;
    for (size_t at = 0; at < size;) {
        font_letter letter = font_find(font_next_character(text, size, &at));
        width += advance(&letter, scale);
    }
    return width;
}

void lettering_draw(const lettering *style, const char *text, size_t size, int x, int y,
                    const uint8_t colour[3], image_rgb *image)
{
    double scale = scale_of(style);
    double radius = fmax(PEN * scale, 1.15) / 2;
    int reach = (int)ceil(radius) + 1;
    for (size_t at = 0; at < size && x < image->width;) {
        font_letter letter = font_find(font_next_character(text, size, &at));
        /* half a gap before the letter, at the middle of a column of pixels */
        double left = x + floor(FONT_GAP * scale / 2) + 0.5;
        placing place = {scale, left, y + 0.5};
        outline outline = {.count = 0};
        add_path(&outline, &place, letter.path, 0, 0);
        if (letter.mark != NULL) {
            add_path(&outline, &place, letter.mark, letter.mark_x, letter.mark_y);
        }
        int end = (int)ceil(left + (letter.width + 3) * scale);
        ink(&outline, radius, (int)(left - 5 * scale) - reach, end + reach,
            (int)floor(place_y(&place, FONT_TOP)) - reach,
            (int)ceil(place_y(&place, FONT_BOTTOM)) + reach, colour, image);
        x += advance(&letter, scale);
    }
}
