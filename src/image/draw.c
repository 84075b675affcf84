#include "image/draw.h"

#include "base/alloc.h"
#include "image/lettering.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

/* Distinct from each other and from most pictures; neighbours in the list differ most. */
static const uint8_t palette[][3] = {
    {229, 57, 53}, {30, 136, 229}, {67, 160, 71},   {255, 179, 0},  {142, 36, 170}, {0, 172, 193},
    {244, 81, 30}, {216, 27, 96},  {124, 179, 66},  {57, 73, 171},  {253, 216, 53}, {0, 121, 107},
    {109, 76, 65}, {171, 71, 188}, {128, 222, 234}, {174, 213, 129}};

/* Half open: right and bottom are not part of it. */
typedef struct area {
    int left, top, right, bottom;
} area;

/* Sizes in pixels that follow from the picture's. */
typedef struct drawing {
    image_rgb *image;
    int line;     /* width of a frame */
    int casing;   /* dark edge around a frame, against grounds of its colour */
    int capital;  /* height of capital letters */
    area *labels; /* placed so far */
    size_t label_count;
} drawing;

static int clamp(int value, int low, int high)
{
    return value < low ? low : value > high ? high : value;
}

static const uint8_t *colour_of(const draw_box *box)
{
    int size = (int)(sizeof(palette) / sizeof(palette[0]));
    return palette[(box->color % size + size) % size];
}

static drawing plan(image_rgb *image)
{
    double side = sqrt((double)image->width * image->height);
    int shorter = image->width < image->height ? image->width : image->height;
    return (drawing){
        .image = image,
        .line = clamp((int)(side / 260 + 0.5), shorter < 100 ? 1 : 2, 60),
        .casing = clamp((int)(side / 1200 + 0.5), 1, 8),
        .capital = clamp((int)(side / 60 + 0.5), 8, 160),
    };
}

static void blend_area(image_rgb *image, area place, const uint8_t colour[3], double coverage)
{
    for (int y = clamp(place.top, 0, image->height); y < place.bottom && y < image->height; y++) {
        for (int x = clamp(place.left, 0, image->width); x < place.right && x < image->width; x++) {
            lettering_blend(image, x, y, colour, coverage);
        }
    }
}

/* The four sides between an outer and an inner area. */
static void blend_frame(image_rgb *image, area outer, int width, const uint8_t colour[3],
                        double coverage)
{
    int across = clamp(width, 0, (outer.right - outer.left + 1) / 2);
    int down = clamp(width, 0, (outer.bottom - outer.top + 1) / 2);
    area top = {outer.left, outer.top, outer.right, outer.top + down};
    int lower = outer.bottom - down < top.bottom ? top.bottom : outer.bottom - down;
    area bottom = {outer.left, lower, outer.right, outer.bottom};
    area left = {outer.left, top.bottom, outer.left + across, lower};
    int further = outer.right - across < left.right ? left.right : outer.right - across;
    area right = {further, top.bottom, outer.right, lower};
    blend_area(image, top, colour, coverage);
    blend_area(image, bottom, colour, coverage);
    blend_area(image, left, colour, coverage);
    blend_area(image, right, colour, coverage);
}

/* What the frame covers: the box and half a line around it, inside the picture, at least one pixel.
 */
static area frame_area(const drawing *drawing, const draw_box *box)
{
    int width = drawing->image->width, height = drawing->image->height, half = drawing->line / 2;
    int x1 = clamp(box->x1 < box->x2 ? box->x1 : box->x2, 0, width - 1);
    int x2 = clamp(box->x1 < box->x2 ? box->x2 : box->x1, 0, width - 1);
    int y1 = clamp(box->y1 < box->y2 ? box->y1 : box->y2, 0, height - 1);
    int y2 = clamp(box->y1 < box->y2 ? box->y2 : box->y1, 0, height - 1);
    return (area){clamp(x1 - half, 0, width), clamp(y1 - half, 0, height),
                  clamp(x2 + 1 + half, 0, width), clamp(y2 + 1 + half, 0, height)};
}

static void draw_frame(const drawing *drawing, const draw_box *box)
{
    static const uint8_t black[3] = {0, 0, 0};
    area frame = frame_area(drawing, box);
    int casing = drawing->casing, line = drawing->line;
    area outside = {frame.left - casing, frame.top - casing, frame.right + casing,
                    frame.bottom + casing};
    area inside = {frame.left + line, frame.top + line, frame.right - line, frame.bottom - line};
    blend_frame(drawing->image, outside, casing, black, 0.35);
    if (inside.right - inside.left > 2 * casing && inside.bottom - inside.top > 2 * casing) {
        blend_frame(drawing->image, inside, casing, black, 0.35);
    }
    blend_frame(drawing->image, frame, line, colour_of(box), 1);
}

/* A label as it will be drawn. */
typedef struct label {
    const char *text;
    size_t size;    /* bytes that are shown */
    bool shortened; /* an ellipsis follows */
    lettering style;
    int padding;
    int width, height; /* of the ground */
} label;

static const char ellipsis[] = "\xe2\x80\xa6";

/* Fits the text into the picture: smaller letters first, then fewer. False if nothing would be
 * left. */
static bool fit_label(const drawing *drawing, const char *text, label *fitted)
{
    int most = drawing->image->width;
    *fitted = (label){.text = text, .size = strlen(text), .style = {drawing->capital}};
    fitted->size = fitted->size > 1000 ? 1000 : fitted->size;
    int smallest = clamp(drawing->capital * 3 / 5, 7, drawing->capital);
    for (;;) {
        int capital = fitted->style.capital;
        fitted->padding = capital * 2 / 5 + 1;
        fitted->height = capital + 1 + 2 * fitted->padding + capital / 10;
        fitted->width =
            lettering_width(&fitted->style, text, fitted->size) + fitted->padding * 4 / 3;
        bool tall = fitted->height > drawing->image->height;
        if ((fitted->width <= most && !tall) || capital <= smallest) {
            break;
        }
        fitted->style.capital--;
    }
    int dots = lettering_width(&fitted->style, ellipsis, sizeof(ellipsis) - 1);
    while (fitted->width > most && fitted->size > 0) {
        do {
            fitted->size--;
        } while (fitted->size > 0 && ((uint8_t)text[fitted->size] & 0xc0) == 0x80);
        fitted->shortened = true;
        fitted->width =
            lettering_width(&fitted->style, text, fitted->size) + dots + fitted->padding * 4 / 3;
    }
    return fitted->size > 0 && fitted->height <= drawing->image->height;
}

static int64_t overlap(const area *a, const area *b)
{
    int left = a->left > b->left ? a->left : b->left;
    int right = a->right < b->right ? a->right : b->right;
    int top = a->top > b->top ? a->top : b->top;
    int bottom = a->bottom < b->bottom ? a->bottom : b->bottom;
    return left < right && top < bottom ? (int64_t)(right - left) * (bottom - top) : 0;
}

/* Moves an area into the picture; returns how far. */
static int64_t move_inside(const image_rgb *image, area *place)
{
    int width = place->right - place->left, height = place->bottom - place->top;
    int left = clamp(place->left, 0, image->width - width);
    int top = clamp(place->top, 0, image->height - height);
    int64_t moved = (int64_t)abs(left - place->left) + abs(top - place->top);
    *place = (area){left, top, left + width, top + height};
    return moved;
}

/* Of the places at the corners of the frame, the first that is free; else the least bad one. */
static area place_label(const drawing *drawing, const area *frame, const label *label)
{
    int width = label->width, height = label->height;
    const struct {
        int x, y;
    } places[] = {
        {frame->left, frame->top - height}, /* above, from the left */
        {frame->left, frame->top},          /* inside */
        {frame->left, frame->bottom},       /* below */
        {frame->right - width, frame->top - height},
        {frame->right - width, frame->bottom},
        {frame->right - width, frame->bottom - height},
        {frame->left, frame->bottom - height},
        {frame->right, frame->top}, /* beside */
        {frame->left - width, frame->top},
        {frame->left, frame->top - 2 * height}, /* further up or down */
        {frame->left, frame->bottom + height},
    };
    area best = {0, 0, 0, 0};
    int64_t least = INT64_MAX;
    for (size_t i = 0; i < sizeof(places) / sizeof(places[0]) && least > 0; i++) {
        area place = {places[i].x, places[i].y, places[i].x + width, places[i].y + height};
        int64_t cost = move_inside(drawing->image, &place) * height;
        for (size_t k = 0; k < drawing->label_count; k++) {
            cost += 4 * overlap(&place, &drawing->labels[k]);
        }
        if (cost < least) {
            least = cost;
            best = place;
        }
    }
    return best;
}

/* A filled rectangle with round corners and smooth edges. */
static void fill_round(image_rgb *image, const area *place, double radius, const uint8_t colour[3])
{
    double left = place->left + radius, right = place->right - radius;
    double top = place->top + radius, bottom = place->bottom - radius;
    for (int y = place->top; y < place->bottom; y++) {
        for (int x = place->left; x < place->right; x++) {
            double dx = fmax(fmax(left - (x + 0.5), (x + 0.5) - right), 0);
            double dy = fmax(fmax(top - (y + 0.5), (y + 0.5) - bottom), 0);
            double coverage = radius + 0.5 - sqrt(dx * dx + dy * dy);
            if (coverage > 0) {
                lettering_blend(image, x, y, colour, fmin(coverage, 1));
            }
        }
    }
}

static void draw_label(drawing *drawing, const draw_box *box)
{
    label label;
    if (box->label == NULL || box->label[0] == '\0' || !fit_label(drawing, box->label, &label)) {
        return;
    }
    static const uint8_t black[3] = {20, 20, 20}, white[3] = {255, 255, 255};
    area frame = frame_area(drawing, box);
    area place = place_label(drawing, &frame, &label);
    const uint8_t *ground = colour_of(box);
    double luminance = 0.299 * ground[0] + 0.587 * ground[1] + 0.114 * ground[2];
    const uint8_t *ink = luminance > 140 ? black : white;
    fill_round(drawing->image, &place, label.style.capital * 0.28, ground);
    int x = place.left + label.padding * 2 / 3, y = place.top + label.padding;
    lettering_draw(&label.style, label.text, label.size, x, y, ink, drawing->image);
    if (label.shortened) {
        x += lettering_width(&label.style, label.text, label.size);
        lettering_draw(&label.style, ellipsis, sizeof(ellipsis) - 1, x, y, ink, drawing->image);
    }
    drawing->labels[drawing->label_count++] = place;
}

vl2_status image_draw_boxes(const image_rgb *image, const draw_box *boxes, size_t count,
                            image_rgb *drawn, vl2_error *error)
{
    image_rgb canvas;
    vl2_status status = image_create(image->width, image->height, &canvas, error);
    if (status != VL2_OK) {
        return status;
    }
    memcpy(canvas.pixels, image->pixels, (size_t)image->width * (size_t)image->height * 3);
    drawing drawing = plan(&canvas);
    drawing.labels = base_calloc(count, sizeof(area));
    if (drawing.labels == NULL) {
        image_free(&canvas);
        return vl2_fail_memory(error, "the labels of boxes", count * sizeof(area));
    }
    for (size_t i = 0; i < count; i++) {
        draw_frame(&drawing, &boxes[i]);
    }
    for (size_t i = 0; i < count; i++) {
        draw_label(&drawing, &boxes[i]);
    }
    base_free(drawing.labels);
    *drawn = canvas;
    return VL2_OK;
}
