/* Detected boxes drawn on a picture for people. */
#ifndef IMAGE_DRAW_H
#define IMAGE_DRAW_H

#include "image/image.h"

/* One box in pixels of the picture. Corners may be reversed or outside. */
typedef struct draw_box {
    int x1, y1, x2, y2;
    const char *label; /* UTF-8; NULL or "" for none */
    int color;         /* index into a palette of distinct colours, taken modulo its size */
} draw_box;

/* A copy of the picture with frames and labels. Lines and letters grow with the picture; each label
 * lies on a ground of its box's colour, inside the picture, and beside other labels where there is
 * room. Boxes are drawn in their order, labels after all boxes. *drawn is the caller's
 * (image_free). VL2_ERROR_MEMORY. */
vl2_status image_draw_boxes(const image_rgb *image, const draw_box *boxes, size_t count,
                            image_rgb *drawn, vl2_error *error);

#endif
