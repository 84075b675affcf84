/* Which format a picture file has, by its first bytes, and what is common to all of them. */
#include "image/codec.h"

#include "base/alloc.h"

#include <inttypes.h>
#include <string.h>

/* A format by bytes that stand at a fixed place, and perhaps more bytes at a second one. */
typedef struct signature {
    const char *format;
    size_t offset, size;
    const char *bytes;
    size_t second_offset, second_size;
    const char *second_bytes;
} signature;

/* Formats that are known but not read, and other things that people take for pictures. */
static const signature unsupported[] = {
    {"a WebP picture", 0, 4, "RIFF", 8, 4, "WEBP"},
    {"a GIF picture", 0, 4, "GIF8", 0, 0, NULL},
    {"a BMP picture", 0, 2, "BM", 6, 4, "\0\0\0\0"},
    {"a TIFF picture", 0, 4, "II*\0", 0, 0, NULL},
    {"a TIFF picture", 0, 4, "MM\0*", 0, 0, NULL},
    {"a BigTIFF picture", 0, 4, "II+\0", 0, 0, NULL},
    {"a BigTIFF picture", 0, 4, "MM\0+", 0, 0, NULL},
    {"an AVIF picture", 4, 8, "ftypavif", 0, 0, NULL},
    {"an AVIF picture", 4, 8, "ftypavis", 0, 0, NULL},
    {"a HEIC picture", 4, 7, "ftyphei", 0, 0, NULL},
    {"a HEIC picture", 4, 7, "ftyphev", 0, 0, NULL},
    {"a HEIF picture", 4, 8, "ftypmif1", 0, 0, NULL},
    {"a HEIF picture", 4, 8, "ftypmsf1", 0, 0, NULL},
    {"a video (MP4 or QuickTime)", 4, 4, "ftyp", 0, 0, NULL},
    {"a JPEG XL picture", 0, 2, "\xff\x0a", 0, 0, NULL},
    {"a JPEG XL picture", 4, 8, "JXL \r\n\x87\n", 0, 0, NULL},
    {"a JPEG 2000 picture", 4, 4, "jP  ", 0, 0, NULL},
    {"a JPEG 2000 picture", 0, 4, "\xff\x4f\xff\x51", 0, 0, NULL},
    {"a JPEG-LS picture", 0, 4, "\xff\xd8\xff\xf7", 0, 0, NULL},
    {"an MNG animation", 0, 4, "\x8aMNG", 0, 0, NULL},
    {"a JNG picture", 0, 4, "\x8bJNG", 0, 0, NULL},
    {"a Photoshop document", 0, 4, "8BPS", 0, 0, NULL},
    {"a GIMP document", 0, 8, "gimp xcf", 0, 0, NULL},
    {"an OpenEXR picture", 0, 4, "\x76\x2f\x31\x01", 0, 0, NULL},
    {"a QOI picture", 0, 4, "qoif", 0, 0, NULL},
    {"a Windows icon", 0, 4, "\0\0\1\0", 0, 0, NULL},
    {"a DICOM picture", 128, 4, "DICM", 0, 0, NULL},
    {"a PNM picture", 0, 3, "P1\n", 0, 0, NULL},
    {"a PNM picture", 0, 3, "P2\n", 0, 0, NULL},
    {"a PNM picture", 0, 3, "P3\n", 0, 0, NULL},
    {"a PNM picture", 0, 3, "P4\n", 0, 0, NULL},
    {"a PNM picture", 0, 3, "P5\n", 0, 0, NULL},
    {"a PNM picture", 0, 3, "P6\n", 0, 0, NULL},
    {"an SVG drawing", 0, 4, "<svg", 0, 0, NULL},
    {"an XML file", 0, 5, "<?xml", 0, 0, NULL},
    {"a web page", 0, 9, "<!DOCTYPE", 0, 0, NULL},
    {"a web page", 0, 9, "<!doctype", 0, 0, NULL},
    {"a web page", 0, 5, "<html", 0, 0, NULL},
    {"a PDF document", 0, 4, "%PDF", 0, 0, NULL},
    {"a PostScript document", 0, 4, "%!PS", 0, 0, NULL},
    {"a ZIP archive", 0, 4, "PK\3\4", 0, 0, NULL},
    {"a gzip file", 0, 2, "\x1f\x8b", 0, 0, NULL},
    {"a Git LFS pointer instead of the file itself", 0, 26, "version https://git-lfs.gi", 0, 0,
     NULL},
};

static bool stands_at(const uint8_t *bytes, size_t size, size_t offset, const char *expected,
                      size_t expected_size)
{
    return size >= offset && size - offset >= expected_size &&
           memcmp(bytes + offset, expected, expected_size) == 0;
}

/* What the bytes are, if it is anything known; else NULL. */
static const char *unsupported_format(const uint8_t *bytes, size_t size)
{
    for (size_t i = 0; i < sizeof(unsupported) / sizeof(unsupported[0]); i++) {
        const signature *known = &unsupported[i];
        if (stands_at(bytes, size, known->offset, known->bytes, known->size) &&
            (known->second_size == 0 || stands_at(bytes, size, known->second_offset,
                                                  known->second_bytes, known->second_size))) {
            return known->format;
        }
    }
    return NULL;
}

vl2_status image_decode(const uint8_t *bytes, size_t size, const char *name, uint64_t max_pixels,
                        image_rgb *image, vl2_error *error)
{
    image_source source = {bytes, size, name,
                           max_pixels == 0 ? VL2_DEFAULT_MAX_PIXELS : max_pixels};
    if (size == 0) {
        return vl2_fail(error, VL2_ERROR_INPUT,
                        "%s: the file is empty, expected a JPEG or PNG picture", name);
    }
    const char *format = unsupported_format(bytes, size);
    if (format != NULL) {
        return vl2_fail(error, VL2_ERROR_INPUT, "%s: found %s, expected a JPEG or PNG picture",
                        name, format);
    }
    if (stands_at(bytes, size, 0, "\xff\xd8\xff", 3)) {
        return jpeg_read(&source, image, error);
    }
    if (stands_at(bytes, size, 0, "\x89PNG\r\n\x1a\n", 8)) {
        return png_read(&source, image, error);
    }
    return vl2_fail(error, VL2_ERROR_INPUT, "%s: not a picture: expected JPEG or PNG", name);
}

vl2_status image_check_size(const image_source *source, uint64_t width, uint64_t height,
                            vl2_error *error)
{
    if (width == 0 || height == 0) {
        return vl2_fail(error, VL2_ERROR_INPUT,
                        "%s: size: found %" PRIu64 "x%" PRIu64 ", expected at least 1x1",
                        source->name, width, height);
    }
    if (width > IMAGE_MAX_SIDE || height > IMAGE_MAX_SIDE) {
        return vl2_fail(error, VL2_ERROR_INPUT,
                        "%s: size: found %" PRIu64 "x%" PRIu64
                        ", expected sides of at most %d pixels",
                        source->name, width, height, IMAGE_MAX_SIDE);
    }
    if (width * height > source->max_pixels) {
        return vl2_fail(error, VL2_ERROR_INPUT,
                        "%s: size: found %" PRIu64 "x%" PRIu64 " = %" PRIu64
                        " pixels, expected at most %" PRIu64
                        " (a guard against decompression bombs; "
                        "option --max-pixels or environment VL2_MAX_PIXELS raises it)",
                        source->name, width, height, width * height, source->max_pixels);
    }
    return VL2_OK;
}

vl2_status image_create(int width, int height, image_rgb *image, vl2_error *error)
{
    size_t row = (size_t)width * 3;
    uint8_t *pixels = base_malloc((size_t)height, row);
    if (pixels == NULL) {
        return vl2_fail(error, VL2_ERROR_MEMORY, "not enough memory for a picture of %dx%d pixels",
                        width, height);
    }
    *image = (image_rgb){width, height, pixels};
    return VL2_OK;
}

void image_free(image_rgb *image)
{
    base_free(image->pixels);
    *image = (image_rgb){0, 0, NULL};
}
