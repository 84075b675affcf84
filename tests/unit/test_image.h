/* Shared by the tests of the image room. */
#ifndef TEST_IMAGE_H
#define TEST_IMAGE_H

#include "test.h"

#include "base/alloc.h"
#include "base/file.h"
#include "base/json.h"
#include "base/sha256.h"
#include "image/image.h"

#include <string.h>

#define IMAGE_DATA TEST_SOURCE_DIR "/data/image"

/* The whole file at FOLDER/NAME (base_free). */
static inline uint8_t *load_file(const char *folder, const char *name, size_t *size)
{
    vl2_error error;
    char *path = path_join(folder, name), *data = NULL;
    assert_non_null(path);
    if (file_read(path, SIZE_MAX / 4, VL2_ERROR_INPUT, &data, size, &error) != VL2_OK) {
        fail_msg("%s", error.message);
    }
    base_free(path);
    return (uint8_t *)data;
}

/* A JSON table (json_decref). */
static inline json_t *load_table(const char *folder, const char *name)
{
    vl2_error error;
    char *path = path_join(folder, name);
    json_t *root = NULL;
    assert_non_null(path);
    if (json_open(path, SIZE_MAX / 4, VL2_ERROR_INPUT, &root, &error) != VL2_OK) {
        fail_msg("%s", error.message);
    }
    base_free(path);
    return root;
}

#endif
