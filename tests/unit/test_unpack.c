/* weights/unpack: lossless tensors come back bit by bit, packed ones as their drawings say, and
 * nothing is half-written. */
#include "pack_builder.h"
#include "test_folder.h"

#include "base/alloc.h"
#include "base/file.h"
#include "simd/ref/quantized.h"
#include "weights/checkpoint.h"
#include "weights/unpack.h"

#include <dirent.h>
#include <math.h>

typedef struct unpacked {
    uint8_t *bytes;
    pack_file *file;
    checkpoint *checkpoint;
} unpacked;

static vl2_status unpack(const pack_file *file, const char *out, const char *type, int threads,
                         vl2_error *error)
{
    vl2_unpack_options options = {.out = out, .type = type, .overwrite = true};
    return unpack_write(file, &options, &(team){.threads = threads}, packed_decode_rows_ref, error);
}

static unpacked unpack_bytes(uint8_t *bytes, size_t size, const char *out, const char *type)
{
    unpacked made = {.bytes = bytes};
    vl2_error error;
    if (pack_parse(bytes, size, "sample", &made.file, &error) != VL2_OK ||
        unpack(made.file, out, type, 2, &error) != VL2_OK ||
        checkpoint_open(out, &made.checkpoint, &error) != VL2_OK) {
        fail_msg("%s", error.message);
    }
    assert_int_equal(checkpoint_count(made.checkpoint), pack_tensor_count(made.file));
    return made;
}

static unpacked unpack_sample(const char *out, const char *type)
{
    size_t size;
    uint8_t *bytes = build_sample(&size);
    return unpack_bytes(bytes, size, out, type);
}

static void release(unpacked *made)
{
    checkpoint_close(made->checkpoint);
    pack_close(made->file);
    free(made->bytes);
}

static uint8_t *expand(const pack_file *file, const pack_tensor *tensor, int plane)
{
    uint8_t *out = malloc((size_t)tensor->frames[plane].content);
    assert_non_null(out);
    assert_int_equal(pack_expand(file, tensor, &tensor->frames[plane], out, NULL), VL2_OK);
    return out;
}

/* The bytes of a tensor that was packed without loss, joined again here. */
static void expect_bits(const pack_file *file, const pack_tensor *tensor, const tensor_view *view)
{
    size_t count = (size_t)tensor_elements(view);
    const uint8_t *found = view->data;
    assert_int_equal(view->type, tensor->source - 1);
    uint8_t *first = expand(file, tensor, 0);
    if (tensor->layout == PACK_PLAIN_F32) {
        assert_memory_equal(found, first, 4 * count);
    } else {
        uint8_t *second = expand(file, tensor, 1);
        for (size_t i = 0; i < count; i++) {
            assert_int_equal(found[2 * i], first[i]);
            assert_int_equal(found[2 * i + 1], second[i]);
        }
        free(second);
    }
    free(first);
}

static void test_lossless(void **state)
{
    unpacked made = unpack_sample(*state, "source");
    size_t lossless = 0;
    for (size_t i = 0; i < pack_tensor_count(made.file); i++) {
        const pack_tensor *tensor = pack_tensor_get(made.file, i);
        const tensor_view *view = checkpoint_find(made.checkpoint, tensor->name);
        assert_non_null(view);
        assert_int_equal(view->rank, tensor->rank);
        for (int j = 0; j < tensor->rank; j++) {
            assert_int_equal(view->shape[j], tensor->shape[j]);
        }
        if (tensor->type <= PACK_BF16) {
            expect_bits(made.file, tensor, view);
            lossless++;
        } else {
            assert_int_equal(view->type, DATA_BF16);
        }
    }
    assert_int_equal(lossless, 5);
    release(&made);
}

static int8_t at(const uint8_t *plane, size_t place)
{
    return (int8_t)plane[place];
}

/* W[n, k] of int8-group64 and int4-codebook, read from the drawings of simd/layout.h anew. */
static void test_packed_values(void **state)
{
    unpacked made = unpack_sample(*state, "f32");
    const char *names[] = {"language.model.layers.1.self_attn.group64.weight",
                           "language.model.layers.1.mlp.experts.1.down_proj.weight"};
    for (int i = 0; i < 2; i++) {
        const pack_tensor *tensor = pack_find(made.file, names[i]);
        const tensor_view *view = checkpoint_find(made.checkpoint, names[i]);
        assert_non_null(tensor);
        assert_int_equal(view->type, DATA_F32);
        size_t rows = (size_t)tensor->shape[0], columns = (size_t)tensor->shape[1];
        size_t group = i == 0 ? 64 : 32, padded = (columns + 31) / 32 * 32;
        size_t groups = (padded + group - 1) / group;
        uint8_t *codes = expand(made.file, tensor, 0), *scales = expand(made.file, tensor, 1);
        uint8_t *row_scales = expand(made.file, tensor, 2);
        uint8_t *codebook = i == 0 ? NULL : expand(made.file, tensor, 3);
        for (size_t n = 0; n < rows; n++) {
            for (size_t k = 0; k < columns; k++) {
                size_t place = n / 16 * 16 * padded + k / 4 * 64 + n % 16 * 4 + k % 4;
                int value;
                if (codebook != NULL) { /* two units of 64 codes share 64 bytes */
                    uint8_t byte = codes[place / 128 * 64 + place % 64];
                    value = at(codebook, place / 64 % 2 == 0 ? byte & 15 : byte >> 4);
                } else {
                    value = at(codes, place);
                }
                int scale = at(scales, (n / 16 * groups + k / group) * 16 + n % 16);
                float row_scale, found;
                memcpy(&row_scale, row_scales + 4 * n, 4);
                memcpy(&found, (const char *)view->data + 4 * (n * columns + k), 4);
                assert_true(found == row_scale * (float)(scale * value));
            }
        }
        free(codes);
        free(scales);
        free(row_scales);
        free(codebook);
    }
    release(&made);
}

/* All numbers of one type: as rounding those of f32 gives. */
static void test_types(void **state)
{
    char *wide = path_join(*state, "wide"), *narrow = path_join(*state, "narrow");
    unpacked f32 = unpack_sample(wide, "f32"), bf16 = unpack_sample(narrow, "bf16");
    for (size_t i = 0; i < checkpoint_count(f32.checkpoint); i++) {
        const tensor_view *left = checkpoint_tensor(f32.checkpoint, i);
        const tensor_view *right = checkpoint_find(bf16.checkpoint, left->name);
        assert_int_equal(left->type, DATA_F32);
        assert_int_equal(right->type, DATA_BF16);
        for (size_t j = 0; j < tensor_elements(left); j++) {
            uint32_t bits = (uint32_t)pack_get(left->data, 4 * j, 4);
            uint32_t found = (uint32_t)pack_get(right->data, 2 * j, 2) << 16;
            float number, rounded;
            memcpy(&number, &bits, 4);
            memcpy(&rounded, &found, 4);
            if (isnan(number)) {
                assert_true(isnan(rounded));
            } else {
                uint32_t expected = bits + 0x7fff + (bits >> 16 & 1);
                assert_int_equal(found, expected & 0xffff0000u);
            }
        }
    }
    release(&f32);
    release(&bf16);
    base_free(wide);
    base_free(narrow);
}

/* Every number of 16 bits, in both types, to f32 and back to its own type; and a tensor of f32 that
 * was f16 in the checkpoint. */
static void test_conversions(void **state)
{
    size_t size, count = 65536;
    uint8_t *low = malloc(count), *high = malloc(count);
    assert_true(low != NULL && high != NULL);
    for (size_t i = 0; i < count; i++) {
        low[i] = (uint8_t)i;
        high[i] = (uint8_t)(i >> 8);
    }
    static const float numbers[] = {1, 65504, 65519, 65520, -0x1p-24f, 0x1p-26f, 1.0f / 3, -0.0f};
    static const uint16_t halves[] = {0x3c00, 0x7bff, 0x7bff, 0x7c00, 0x8001, 0, 0x3555, 0x8000};
    pack_builder builder = {.meta = NULL};
    builder_record(&builder, -1, -1);
    builder_tensor(&builder, "f16", 2, 66, 2, 12, 2, (uint64_t[]){256, 256});
    builder_plane(&builder, 17, low, count, ZSTD);
    builder_plane(&builder, 18, high, count, RAW);
    builder_tensor(&builder, "bf16 as f16", 3, 65, 2, 12, 1, (uint64_t[]){count});
    builder_plane(&builder, 17, low, count, RAW);
    builder_plane(&builder, 18, high, count, ZSTD);
    builder_tensor(&builder, "f32 as f16", 1, 64, 2, 12, 1, (uint64_t[]){8});
    builder_plane(&builder, 16, numbers, sizeof(numbers), RAW);
    uint8_t *bytes = builder_finish(&builder, &size);
    unpacked made = unpack_bytes(bytes, size, *state, "source");
    const tensor_view *same = checkpoint_find(made.checkpoint, "f16");
    const tensor_view *half = checkpoint_find(made.checkpoint, "bf16 as f16");
    const tensor_view *small = checkpoint_find(made.checkpoint, "f32 as f16");
    for (size_t i = 0; i < count; i++) {
        assert_int_equal(pack_get(same->data, 2 * i, 2), i);
        uint32_t bits = (uint32_t)i << 16;
        uint16_t found = (uint16_t)pack_get(half->data, 2 * i, 2);
        float number;
        memcpy(&number, &bits, 4);
        if (isnan(number)) {
            assert_true((found & 0x7fff) > 0x7c00);
        } else if (fabsf(number) >= 65520) {
            assert_int_equal(found & 0x7fff, 0x7c00);
        } else if (fabsf(number) >= 0x1p-14f) { /* 8 bits fit: exact */
            int exponent;
            float fraction = frexpf(fabsf(number), &exponent);
            assert_int_equal(found & 0x7fff, (uint32_t)((exponent + 14) << 10) +
                                                 (uint32_t)((fraction * 2 - 1) * 1024));
        }
    }
    for (size_t i = 0; i < 8; i++) {
        assert_int_equal(pack_get(small->data, 2 * i, 2), halves[i]);
    }
    release(&made);
    free(low);
    free(high);
}

/* Rows longer than what a task takes at once, and many tasks; threads and shards change nothing. */
static void test_pieces(void **state)
{
    size_t size, columns = 300000;
    uint8_t *codes = malloc(16 * columns);
    float row_scales[16] = {1, 2, 3};
    assert_non_null(codes);
    for (size_t i = 0; i < 16 * columns; i++) {
        codes[i] = (uint8_t)(i * i >> 7) | 1;
    }
    pack_builder builder = {.meta = NULL};
    for (int i = 0; i < 2; i++) {
        builder_record(&builder, -1, -1);
        builder_tensor(&builder, i == 0 ? "m" : "n", 4, 1, 3, 12, 2, (uint64_t[]){3, columns});
        builder_plane(&builder, 0, codes, 16 * columns, RAW);
        builder_plane(&builder, 4, row_scales, sizeof(row_scales), RAW);
    }
    uint8_t *bytes = builder_finish(&builder, &size);
    char *one = path_join(*state, "one"), *many = path_join(*state, "many");
    unpacked made = unpack_bytes(bytes, size, one, "f32");
    vl2_unpack_options options = {.out = many, .type = "f32", .shard_bytes = 1000};
    checkpoint *other;
    assert_int_equal(unpack_write(made.file, &options, &(team){.threads = 4},
                                  packed_decode_rows_ref, NULL),
                     VL2_OK);
    assert_int_equal(checkpoint_open(many, &other, NULL), VL2_OK);
    assert_int_equal(checkpoint_shards(other), 2);
    const float *found = checkpoint_find(made.checkpoint, "m")->data;
    assert_memory_equal(found, checkpoint_find(other, "n")->data, 3 * columns * sizeof(float));
    for (size_t k = 0; k < columns; k++) {
        for (size_t n = 0; n < 3; n++) {
            float number;
            memcpy(&number, &found[n * columns + k], sizeof(number));
            assert_true(number == row_scales[n] * (float)at(codes, k / 4 * 64 + n * 4 + k % 4));
        }
    }
    checkpoint_close(other);
    release(&made);
    free(codes);
    base_free(one);
    base_free(many);
}

static size_t files_in(const char *folder)
{
    size_t count = 0;
    DIR *directory = opendir(folder);
    assert_non_null(directory);
    for (struct dirent *item; (item = readdir(directory)) != NULL;) {
        count += item->d_name[0] != '.';
    }
    closedir(directory);
    return count;
}

static bool cancel_at_fifth(void *user)
{
    return ++*(int *)user == 5;
}

static void test_failures(void **state)
{
    size_t size;
    int asked = 0;
    pack_file *file;
    vl2_error error;
    uint8_t *bytes = build_sample(&size);
    char *out = path_join(*state, "out");
    assert_int_equal(pack_parse(bytes, size, "sample", &file, NULL), VL2_OK);
    assert_int_equal(unpack(file, out, "int8", 1, &error), VL2_ERROR_ARGUMENT);
    assert_non_null(strstr(error.message, "type: found \"int8\", expected source, bf16 or f32"));
    assert_int_equal(unpack(file, "", "f32", 1, &error), VL2_ERROR_ARGUMENT);
    assert_int_equal(unpack(file, NULL, "f32", 1, &error), VL2_ERROR_ARGUMENT);

    vl2_unpack_options options = {
        .out = out, .type = "source", .cancelled = cancel_at_fifth, .cancelled_user = &asked};
    assert_int_equal(unpack_write(file, &options, &(team){.threads = 1}, packed_decode_rows_ref,
                                  &error),
                     VL2_ERROR_CANCELLED);
    assert_int_equal(files_in(*state), 0);

    const pack_tensor *tensor = pack_tensor_get(file, 9);
    bytes[tensor->frames[1].offset + 3] ^= 4;
    assert_int_equal(unpack(file, out, "source", 2, &error), VL2_ERROR_MODEL);
    assert_non_null(strstr(error.message, "sample: layer 1, expert 1, scales of language.model."));
    assert_int_equal(files_in(*state), 0);
    bytes[tensor->frames[1].offset + 3] ^= 4;
    bytes[pack_blob_frame(file, 0)->offset] ^= 4; /* config.json, the last one to be written */
    assert_int_equal(unpack(file, out, "source", 2, &error), VL2_ERROR_MODEL);
    assert_non_null(strstr(error.message, "blob config.json"));
    assert_int_equal(files_in(*state), 0);
    pack_close(file);
    free(bytes);
    base_free(out);
}

/* A blob's name does not choose a place outside, nor another file. */
static void test_blob_names(void **state)
{
    size_t size;
    pack_builder builder = {.meta = NULL};
    builder_blob(&builder, "../outside", "x", 1, RAW);
    builder_blob(&builder, "model.safetensors", "x", 1, RAW);
    builder_blob(&builder, "special_tokens_map.json", "{}", 2, RAW);
    builder_record(&builder, -1, -1);
    builder_tensor(&builder, "x", 1, 64, 1, 12, 0, NULL);
    builder_plane(&builder, 16, "1234", 4, RAW);
    uint8_t *bytes = builder_finish(&builder, &size);
    char *out = path_join(*state, "out");
    unpacked made = unpack_bytes(bytes, size, out, "source");
    assert_int_equal(files_in(*state), 1);
    assert_int_equal(files_in(out), 2);
    release(&made);
    base_free(out);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_lossless, make_folder, remove_folder),
        cmocka_unit_test_setup_teardown(test_packed_values, make_folder, remove_folder),
        cmocka_unit_test_setup_teardown(test_types, make_folder, remove_folder),
        cmocka_unit_test_setup_teardown(test_conversions, make_folder, remove_folder),
        cmocka_unit_test_setup_teardown(test_pieces, make_folder, remove_folder),
        cmocka_unit_test_setup_teardown(test_failures, make_folder, remove_folder),
        cmocka_unit_test_setup_teardown(test_blob_names, make_folder, remove_folder),
    };
    return cmocka_run_group_tests_name("unpack", tests, NULL, NULL);
}
