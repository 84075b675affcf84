/* Pillow's resampling of 8-bit pictures, bit for bit. Sources: Pillow 13 src/libImaging/Resample.c
 * and src/PIL/ImageOps.py (contain, pad). */
#ifndef IMAGE_RESAMPLE_H
#define IMAGE_RESAMPLE_H

#include "image/image.h"

/* Where a picture comes to lie on a canvas. */
typedef struct image_placement {
    int width, height; /* of the resized picture; a side of 0 leaves nothing of it */
    int x, y;          /* its top left corner */
} image_placement;

/* ImageOps.contain and the offsets of ImageOps.pad (centred): the other side and the offset are
 * rounded half to even. All sides are at least 1. */
image_placement image_place(int width, int height, int canvas_width, int canvas_height);

/* Image.resize((width, height), BICUBIC): antialiased, a = -0.5, two passes in fixed point,
 * horizontal first (vertical first where the height shrinks much more). Sides are at least 1. *out
 * is the caller's (image_free). VL2_ERROR_MEMORY. */
vl2_status image_resize(const image_rgb *source, int width, int height, image_rgb *out,
                        vl2_error *error);

/* ImageOps.pad(source, (width, height), color=fill) with BICUBIC: the whole picture, as large as it
 * fits, in the middle of the fill. A picture so long that its other side rounds to 0 gives fill
 * only. *out is the caller's (image_free). VL2_ERROR_MEMORY. */
vl2_status image_pad(const image_rgb *source, int width, int height, const uint8_t fill[3],
                     image_rgb *out, vl2_error *error);

#endif
