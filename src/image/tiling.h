/* From a picture to the tiles that the vision tower sees. Source: select_best_resolution and
 * tokenize_with_images in the upstream file deepseek_vl2/models/processing_deepseek_vl_v2.py. */
#ifndef IMAGE_TILING_H
#define IMAGE_TILING_H

#include "image/image.h"
#include "image/processor_config.h"

/* The candidate resolution [width, height] that keeps most of a picture of width x height pixels;
 * of equal ones that with the least waste, then the first. Sides are at least 1. */
void tiling_choose(const image_processor *processor, int width, int height, int resolution[2]);

typedef struct tile_set {
    int side;          /* pixels */
    int columns, rows; /* of local tiles */
    int count;         /* 1 + columns * rows */
    int resolution[2]; /* pixels that the local tiles cover: width, height */
    uint8_t *pixels; /* [count, side, side, 3]: the global view, then the local tiles row by row */
} tile_set;

/* Cuts a picture. With `tiling` false: the global view and one identical local tile. *tiles is the
 * caller's (tile_set_free). VL2_ERROR_MEMORY. */
vl2_status tiling_cut(const image_processor *processor, const image_rgb *image, bool tiling,
                      tile_set *tiles, vl2_error *error);

void tile_set_free(tile_set *tiles); /* harmless on one that is all zero, and twice */

#endif
