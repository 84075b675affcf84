/* Pictures as RGB pixels: reading JPEG and PNG, writing PNG. */
#ifndef IMAGE_IMAGE_H
#define IMAGE_IMAGE_H

#include "base/error.h"

/* RGB, 8 bits per sample. All zero is no picture. */
typedef struct image_rgb {
    int width, height;
    uint8_t *pixels; /* [height, width, 3], no gaps; the owner frees it with image_free */
} image_rgb;

/* The largest side that is read, whatever max_pixels says: libpng's own limit. JPEG ends at 65500.
 */
#define IMAGE_MAX_SIDE 1000000

/* Reads a JPEG or PNG file from memory, recognised by its content, and converts it to RGB as
 * Pillow 13's Image.open(f).convert("RGB") does: alpha is dropped and not composited, EXIF
 * orientation, gAMA and colour profiles are ignored, 16-bit grey is clipped at 255, other 16-bit
 * samples give their high byte, CMYK is taken as inverted (Adobe's convention). A file that ends
 * early is an error, as in Pillow.
 *
 * `name` stands in messages. max_pixels bounds width * height before anything is allocated (0 is
 * VL2_DEFAULT_MAX_PIXELS). *image is the caller's (image_free).
 * Errors: VL2_ERROR_INPUT (not a picture, another format, damaged, truncated, too large),
 * VL2_ERROR_MEMORY. */
vl2_status image_decode(const uint8_t *bytes, size_t size, const char *name, uint64_t max_pixels,
                        image_rgb *image, vl2_error *error);

/* Memory for width x height pixels, not set to anything. Sides from 1 to INT_MAX. VL2_ERROR_MEMORY.
 */
vl2_status image_create(int width, int height, image_rgb *image, vl2_error *error);

/* Harmless on a picture that is all zero, and twice. */
void image_free(image_rgb *image);

/* Writes an 8-bit RGB PNG file; it appears under `path` only when it is complete.
 * VL2_ERROR_IO, VL2_ERROR_MEMORY. */
vl2_status image_write_png(const image_rgb *image, const char *path, vl2_error *error);

#endif
