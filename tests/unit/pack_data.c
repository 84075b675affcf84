#include "pack_data.h"

#include "base/alloc.h"
#include "base/file.h"
#include "weights/quantize.h"
#include "weights/synth.h"

#include <string.h>
#include <unistd.h>

char *in_folder(void **state, const char *name, char path[PATH_SIZE])
{
    snprintf(path, PATH_SIZE, "%s/%s", (const char *)*state, name);
    return path;
}

char *write_model(void **state, const char *size, data_type type, char path[PATH_SIZE])
{
    synth_shape shape;
    vl2_error error = {VL2_OK, ""};
    vl2_synth_options options;
    vl2_synth_options_defaults(&options);
    assert_int_equal(synth_shape_named(size, &shape), VL2_OK);
    shape.type = type;
    options.out = in_folder(state, "model", path);
    options.seed = 7;
    options.overwrite = true;
    options.shard_bytes = 2 << 20;
    if (synth_write_shape(&shape, &options, &error) != VL2_OK) {
        fail_msg("%s", error.message);
    }
    return path;
}

void pack_with(const vl2_pack_options *options)
{
    vl2_error error = {VL2_OK, ""};
    if (vl2_pack(options, &error) != VL2_OK) {
        fail_msg("%s", error.message);
    }
}

bool is_there(const char *path)
{
    return access(path, F_OK) == 0;
}

bool part_is_there(const char *out)
{
    char path[PATH_SIZE + 16];
    snprintf(path, sizeof(path), "%s.part", out);
    bool part = is_there(path);
    snprintf(path, sizeof(path), "%s.part.journal", out);
    assert_int_equal(part, is_there(path));
    return part;
}

void expect_equal_files(const char *a, const char *b)
{
    mapped_file left, right;
    assert_int_equal(file_map(a, VL2_ERROR_IO, &left, NULL), VL2_OK);
    assert_int_equal(file_map(b, VL2_ERROR_IO, &right, NULL), VL2_OK);
    assert_int_equal(left.size, right.size);
    assert_memory_equal(left.data, right.data, left.size);
    file_unmap(&left);
    file_unmap(&right);
}

pack_file *open_pack(const char *path)
{
    pack_file *file;
    vl2_error error = {VL2_OK, ""};
    if (pack_open(path, &file, &error) != VL2_OK) {
        fail_msg("%s", error.message);
    }
    return file;
}

checkpoint *open_model(const char *path)
{
    checkpoint *opened;
    vl2_error error = {VL2_OK, ""};
    if (checkpoint_open(path, &opened, &error) != VL2_OK) {
        fail_msg("%s", error.message);
    }
    return opened;
}

/* The planes of a tensor, expanded, one after the other. */
static uint8_t *expand(const pack_file *file, const pack_tensor *tensor, uint8_t **planes)
{
    size_t size = 0;
    for (int i = 0; i < tensor->frame_count; i++) {
        size += tensor->frames[i].content;
    }
    uint8_t *bytes = malloc(size), *at = bytes;
    assert_non_null(bytes);
    for (int i = 0; i < tensor->frame_count; i++) {
        vl2_error error = {VL2_OK, ""};
        assert_int_equal(pack_check(file, tensor, &tensor->frames[i], &error), VL2_OK);
        assert_int_equal(pack_expand(file, tensor, &tensor->frames[i], at, &error), VL2_OK);
        planes[i] = at;
        at += tensor->frames[i].content;
    }
    return bytes;
}

static float float_at(const tensor_view *tensor, size_t index)
{
    float number;
    numbers_widen((const uint8_t *)tensor->data + index * data_type_size(tensor->type),
                  tensor->type, 1, &number);
    return number;
}

void check_numbers(const pack_file *file, const pack_tensor *packed, const tensor_view *source,
                   const float *importance)
{
    uint8_t *planes[PACK_MAX_PLANES];
    uint8_t *bytes = expand(file, packed, planes);
    size_t count = (size_t)tensor_elements(source);
    assert_int_equal(packed->rank, source->rank);
    if (packed->layout == PACK_PLAIN_F32) {
        for (size_t i = 0; i < count; i++) {
            float number = float_at(source, i);
            assert_memory_equal(planes[0] + i * sizeof(number), &number, sizeof(number));
        }
    } else if (packed->layout == PACK_SPLIT_BF16 || packed->layout == PACK_SPLIT_F16) {
        const uint8_t *data = source->data;
        for (size_t i = 0; i < count; i++) {
            if (planes[0][i] != data[2 * i] || planes[1][i] != data[2 * i + 1]) {
                fail_msg("%s: number %zu", packed->name, i);
            }
        }
    } else {
        layout_sizes sizes;
        assert_int_equal(source->rank, 2);
        assert_true(layout_measure(packed->layout, (size_t)source->shape[0],
                                   (size_t)source->shape[1], &sizes));
        uint8_t *wanted[LAYOUT_PLANES] = {NULL};
        for (int i = 0; i < LAYOUT_PLANES; i++) {
            wanted[i] = malloc(sizes.plane[i] + 1);
        }
        assert_int_equal(quantize_matrix(source, (layout_id)packed->layout, importance,
                                         &(team){.threads = 1}, wanted, NULL),
                         VL2_OK);
        for (int i = 0; i < packed->frame_count; i++) {
            uint32_t plane = packed->frames[i].plane;
            assert_int_equal(packed->frames[i].content, sizes.plane[plane]);
            assert_memory_equal(planes[i], wanted[plane], sizes.plane[plane]);
        }
        for (int i = 0; i < LAYOUT_PLANES; i++) {
            free(wanted[i]);
        }
    }
    free(bytes);
}

void check_tensor(const pack_file *file, const pack_tensor *packed, const tensor_view *source,
                  const float *importance)
{
    assert_int_equal(packed->source, (int)source->type + 1);
    check_numbers(file, packed, source, importance);
}

void expect_failure(const vl2_pack_options *options, vl2_status status, const char *word)
{
    vl2_error error = {VL2_OK, ""};
    vl2_status found = vl2_pack(options, &error);
    if (found != status || strstr(error.message, word) == NULL) {
        fail_msg("status %d, \"%s\"; expected %d and \"%s\"", found, error.message, status, word);
    }
    assert_int_equal(vl2_pack(options, NULL), status);
}
