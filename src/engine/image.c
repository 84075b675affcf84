/* vl2_image: pictures with several owners, read from files or memory. */
#include "engine/image.h"

#include "base/alloc.h"
#include "base/file.h"

#include <string.h>

/* A compressed picture of the default pixel limit is smaller than this. */
#define IMAGE_FILE_LIMIT ((size_t)1 << 30)

vl2_image *engine_image_adopt(image_rgb *pixels)
{
    vl2_image *image = base_calloc(1, sizeof(*image));
    if (image == NULL) {
        image_free(pixels);
        return NULL;
    }
    atomic_init(&image->owners, 1);
    image->rgb = *pixels;
    return image;
}

static vl2_status adopt(image_rgb *pixels, vl2_image **image, vl2_error *error)
{
    vl2_image *adopted = engine_image_adopt(pixels);
    if (adopted == NULL) {
        return vl2_fail_memory(error, "a picture", sizeof(*adopted));
    }
    *image = adopted;
    return VL2_OK;
}

vl2_status vl2_image_from_bytes(const void *bytes, size_t size, const char *name,
                                uint64_t max_pixels, vl2_image **image, vl2_error *error)
{
    image_rgb pixels;
    vl2_status status = image_decode(bytes, size, name, max_pixels, &pixels, error);
    return status == VL2_OK ? adopt(&pixels, image, error) : status;
}

vl2_status vl2_image_open(const char *path, uint64_t max_pixels, vl2_image **image,
                          vl2_error *error)
{
    char *bytes;
    size_t size;
    vl2_status status = file_read(path, IMAGE_FILE_LIMIT, VL2_ERROR_INPUT, &bytes, &size, error);
    if (status != VL2_OK) {
        return status;
    }
    vl2_image *opened = NULL;
    status = vl2_image_from_bytes(bytes, size, path, max_pixels, &opened, error);
    base_free(bytes);
    if (status != VL2_OK) {
        return status;
    }
    opened->path = base_copy_text(path, strlen(path));
    if (opened->path == NULL) {
        vl2_image_release(opened);
        return vl2_fail_memory(error, path, strlen(path));
    }
    *image = opened;
    return VL2_OK;
}

vl2_status vl2_image_from_rgb(const uint8_t *pixels, int width, int height, size_t stride,
                              vl2_image **image, vl2_error *error)
{
    if (width < 1 || height < 1 || stride < 3 * (size_t)width) {
        return vl2_fail(error, VL2_ERROR_ARGUMENT,
                        "a picture of %d x %d pixels with rows of %zu bytes: expected sides of at "
                        "least 1 and rows of at least 3 * width bytes", width, height, stride);
    }
    image_rgb copy = {width, height, NULL};
    size_t row = 3 * (size_t)width;
    copy.pixels = base_malloc((size_t)height, row);
    if (copy.pixels == NULL) {
        return vl2_fail_memory(error, "a picture", (size_t)height * row);
    }
    for (size_t y = 0; y < (size_t)height; y++) {
        memcpy(copy.pixels + y * row, pixels + y * stride, row);
    }
    return adopt(&copy, image, error);
}

vl2_image *vl2_image_retain(vl2_image *image)
{
    atomic_fetch_add(&image->owners, 1);
    return image;
}

void vl2_image_release(vl2_image *image)
{
    if (image != NULL && atomic_fetch_sub(&image->owners, 1) == 1) {
        image_free(&image->rgb);
        base_free(image->path);
        base_free(image);
    }
}

int vl2_image_width(const vl2_image *image)
{
    return image->rgb.width;
}

int vl2_image_height(const vl2_image *image)
{
    return image->rgb.height;
}

const uint8_t *vl2_image_pixels(const vl2_image *image)
{
    return image->rgb.pixels;
}

vl2_status vl2_image_write_png(const vl2_image *image, const char *path, vl2_error *error)
{
    return image_write_png(&image->rgb, path, error);
}
