/* Inside the image room: one reader per file format, called by image_decode. */
#ifndef IMAGE_CODEC_H
#define IMAGE_CODEC_H

#include "image/image.h"

/* What every reader gets. */
typedef struct image_source {
    const uint8_t *bytes;
    size_t size;
    const char *name;    /* for messages */
    uint64_t max_pixels; /* at least 1 */
} image_source;

/* The content is known to begin like the format. Errors as image_decode. */
vl2_status jpeg_read(const image_source *source, image_rgb *image, vl2_error *error);
vl2_status png_read(const image_source *source, image_rgb *image, vl2_error *error);

/* Refuses a size that is zero or beyond the limits; to be called before anything is allocated. */
vl2_status image_check_size(const image_source *source, uint64_t width, uint64_t height,
                            vl2_error *error);

#endif
