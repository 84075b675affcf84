#include "image/processor_config.h"

#include "base/alloc.h"
#include "base/file.h"
#include "base/json.h"

#include <stdio.h>
#include <string.h>

#define MAX_FILE_BYTES  ((size_t)1 << 20)
#define MAX_RESOLUTIONS 1024
#define MAX_TILE_SIDE   4096
#define MAX_SIDE        65536
#define MAX_AREA                                                                                   \
    ((int64_t)1 << 26) /* pixels of one resolution; published models need 1.3 million */

static void fail_element(json_fields *fields, const char *key, size_t index, const json_t *found,
                         const char *expected)
{
    char place[96], text[96];
    snprintf(place, sizeof(place), "%s[%zu]", key, index);
    json_fields_fail(fields, place, json_describe(found, text, sizeof(text)), expected);
}

/* Writes one [width, height]; false after recording a failure. */
static bool read_resolution(json_fields *fields, size_t index, const json_t *pair,
                            int resolution[2])
{
    static const char *const key = "candidate_resolutions";
    if (!json_is_array(pair) || json_array_size(pair) != 2) {
        fail_element(fields, key, index, pair, "a list of width and height");
        return false;
    }
    for (size_t i = 0; i < 2; i++) {
        const json_t *side = json_array_get(pair, i);
        if (!json_is_integer(side) || json_integer_value(side) < 1 ||
            json_integer_value(side) > MAX_SIDE) {
            fail_element(fields, key, index, side, "sides from 1 to 65536 pixels");
            return false;
        }
        resolution[i] = (int)json_integer_value(side);
    }
    return true;
}

/* The tile side is known from the first resolution when the others are checked. */
static void check_resolution(json_fields *fields, const image_processor *processor, size_t index)
{
    const int *resolution = processor->resolutions[index];
    char place[64], found[64], expected[96];
    snprintf(place, sizeof(place), "candidate_resolutions[%zu]", index);
    snprintf(found, sizeof(found), "%dx%d", resolution[0], resolution[1]);
    if (resolution[0] % processor->tile_side != 0 || resolution[1] % processor->tile_side != 0) {
        snprintf(expected, sizeof(expected), "multiples of the tile side %d (the first width)",
                 processor->tile_side);
        json_fields_fail(fields, place, found, expected);
    } else if ((int64_t)resolution[0] * resolution[1] > MAX_AREA) {
        json_fields_fail(fields, place, found, "at most 67108864 pixels");
    }
}

static vl2_status read_resolutions(json_fields *fields, image_processor *processor)
{
    static const char *const key = "candidate_resolutions";
    const json_t *list = json_fields_array(fields, key);
    size_t count = list == NULL ? 0 : json_array_size(list);
    if (count < 1 || count > MAX_RESOLUTIONS) {
        char found[64];
        json_fields_fail(fields, key, json_describe(list, found, sizeof(found)),
                         "a list of 1 to 1024 resolutions");
        return fields->status;
    }
    processor->resolutions = base_calloc(count, sizeof(*processor->resolutions));
    if (processor->resolutions == NULL) {
        return vl2_fail_memory(fields->error, key, count * sizeof(*processor->resolutions));
    }
    processor->resolution_count = (int)count;
    for (size_t i = 0; i < count; i++) {
        if (!read_resolution(fields, i, json_array_get(list, i), processor->resolutions[i])) {
            return fields->status;
        }
    }
    processor->tile_side = processor->resolutions[0][0];
    if (processor->tile_side > MAX_TILE_SIDE) {
        char found[64];
        snprintf(found, sizeof(found), "a tile side of %d", processor->tile_side);
        json_fields_fail(fields, "candidate_resolutions[0]", found, "at most 4096 pixels");
    }
    for (size_t i = 0; i < count; i++) {
        check_resolution(fields, processor, i);
    }
    return fields->status;
}

/* Three numbers, one per channel. */
static void read_channels(json_fields *fields, const char *key, double minimum, double maximum,
                          double fallback, double channels[3])
{
    const json_t *list = json_fields_array(fields, key);
    for (size_t i = 0; i < 3; i++) {
        channels[i] = fallback;
    }
    if (list == NULL) {
        return;
    }
    if (json_array_size(list) != 3) {
        char found[64];
        json_fields_fail(fields, key, json_describe(list, found, sizeof(found)),
                         "a list of 3 numbers");
        return;
    }
    for (size_t i = 0; i < 3; i++) {
        const json_t *value = json_array_get(list, i);
        double number = json_number_value(value);
        if (!json_is_number(value) || !(number >= minimum && number <= maximum)) {
            char expected[96];
            snprintf(expected, sizeof(expected), "a number from %g to %g", minimum, maximum);
            fail_element(fields, key, i, value, expected);
            return;
        }
        channels[i] = number;
    }
}

static void read_text(json_fields *fields, const char *key, const char *fallback, char *text,
                      size_t size)
{
    const char *value = json_fields_text(fields, key, fallback);
    size_t length = strlen(value);
    if (length == 0 || length >= size) {
        char found[64], expected[64];
        snprintf(found, sizeof(found), "%zu bytes", length);
        snprintf(expected, sizeof(expected), "1 to %zu bytes", size - 1);
        json_fields_fail(fields, key, found, expected);
        return;
    }
    memcpy(text, value, length + 1);
}

static vl2_status read_processor(json_fields *fields, image_processor *processor)
{
    vl2_status status = read_resolutions(fields, processor);
    if (status != VL2_OK) {
        return status;
    }
    int side = processor->tile_side;
    processor->patch_size = (int)json_fields_required_integer(fields, "patch_size", 1, side);
    processor->downsample_ratio =
        (int)json_fields_required_integer(fields, "downsample_ratio", 1, side);
    read_channels(fields, "image_mean", 0, 1, 0.5, processor->mean);
    read_channels(fields, "image_std", 1e-6, 1e6, 0.5, processor->std);
    processor->normalize = json_fields_boolean(fields, "normalize", true);
    read_text(fields, "image_token", IMAGE_TOKEN_DEFAULT, processor->image_token,
              sizeof(processor->image_token));
    read_text(fields, "pad_token", PAD_TOKEN_DEFAULT, processor->pad_token,
              sizeof(processor->pad_token));
    read_text(fields, "sft_format", "deepseek", processor->sft_format,
              sizeof(processor->sft_format));
    for (int i = 0; i < 3; i++) {
        processor->fill[i] = (uint8_t)(processor->mean[i] * 255);
    }
    return fields->status;
}

vl2_status image_processor_parse(const char *text, size_t size, const char *name,
                                 image_processor **processor, vl2_error *error)
{
    json_t *root;
    vl2_status status = json_parse(text, size, name, VL2_ERROR_MODEL, &root, error);
    if (status != VL2_OK) {
        return status;
    }
    image_processor *opened = base_calloc(1, sizeof(*opened));
    if (!json_is_object(root)) {
        char found[96];
        status = vl2_fail(error, VL2_ERROR_MODEL, "%s: found %s, expected an object", name,
                          json_describe(root, found, sizeof(found)));
    } else if (opened == NULL) {
        status = vl2_fail_memory(error, name, sizeof(*opened));
    } else {
        json_fields fields = {name, "", root, VL2_ERROR_MODEL, VL2_OK, error};
        status = read_processor(&fields, opened);
    }
    json_decref(root);
    if (status != VL2_OK) {
        image_processor_close(opened);
        return status;
    }
    *processor = opened;
    return VL2_OK;
}

vl2_status image_processor_open(const char *path, image_processor **processor, vl2_error *error)
{
    char *text;
    size_t size;
    vl2_status status =
        file_read(path, MAX_FILE_BYTES, VL2_ERROR_MODEL, &text, &size, error);
    if (status == VL2_OK) {
        status = image_processor_parse(text, size, path, processor, error);
        base_free(text);
    }
    return status;
}

void image_processor_close(image_processor *processor)
{
    if (processor != NULL) {
        base_free(processor->resolutions);
        base_free(processor);
    }
}

void image_processor_normalize_table(const image_processor *processor, float table[3][256])
{
    for (int channel = 0; channel < 3; channel++) {
        float mean = (float)processor->mean[channel], std = (float)processor->std[channel];
        for (int byte = 0; byte < 256; byte++) {
            float value = (float)byte / 255.0f;
            table[channel][byte] = processor->normalize ? (value - mean) / std : value;
        }
    }
}
