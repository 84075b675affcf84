/* image/: pixels, tiles and sizes equal to the reference's, from tables made by Pillow and the
 * upstream processor. */
#include "test_image.h"

#include "image/processor_config.h"
#include "image/resample.h"
#include "image/tiling.h"

#include <unistd.h>

#include <jpeglib.h>

static image_processor *open_processor(void)
{
    vl2_error error;
    image_processor *processor = NULL;
    if (image_processor_open(IMAGE_DATA "/processor_config.json", &processor, &error) != VL2_OK) {
        fail_msg("%s", error.message);
    }
    return processor;
}

static bool has_digest(const uint8_t *bytes, size_t size, const char *expected)
{
    uint8_t digest[SHA256_SIZE];
    char text[SHA256_HEX_SIZE];
    sha256(bytes, size, digest);
    sha256_hex(digest, text);
    return strcmp(text, expected) == 0;
}

static bool digest_equals(const uint8_t *bytes, size_t size, const json_t *expected)
{
    return has_digest(bytes, size, json_string_value(expected));
}

static int pair(const json_t *row, const char *key, size_t index)
{
    return (int)json_integer_value(json_array_get(json_object_get(row, key), index));
}

static int differing_tiles(const tile_set *tiles, const json_t *digests, const char *name)
{
    size_t bytes = (size_t)tiles->side * (size_t)tiles->side * 3;
    int wrong = 0;
    assert_int_equal(tiles->count, json_array_size(digests));
    for (size_t i = 0; i < (size_t)tiles->count; i++) {
        if (!digest_equals(tiles->pixels + i * bytes, bytes, json_array_get(digests, i))) {
            print_error("%s: tile %zu of %d differs\n", name, i, tiles->count);
            wrong++;
        }
    }
    return wrong;
}

static void check_tiles(const image_processor *processor, const image_rgb *image, const json_t *row)
{
    const char *name = json_string_value(json_object_get(row, "file"));
    vl2_error error;
    tile_set tiles;
    assert_int_equal(tiling_cut(processor, image, true, &tiles, &error), VL2_OK);
    assert_int_equal(tiles.resolution[0], pair(row, "best_resolution_wh", 0));
    assert_int_equal(tiles.resolution[1], pair(row, "best_resolution_wh", 1));
    assert_int_equal(tiles.columns, pair(row, "crop_wh", 0));
    assert_int_equal(tiles.rows, pair(row, "crop_wh", 1));
    assert_int_equal(differing_tiles(&tiles, json_object_get(row, "tiles_sha256"), name), 0);
    tile_set_free(&tiles);
    assert_int_equal(tiling_cut(processor, image, false, &tiles, &error), VL2_OK);
    assert_int_equal(tiles.columns * tiles.rows, 1);
    assert_int_equal(differing_tiles(&tiles, json_object_get(row, "nocrop_tiles_sha256"), name), 0);
    tile_set_free(&tiles);
}

/* One line of the table: an error where Pillow has one, else the same pixels and tiles. */
static void check_row(const image_processor *processor, const char *folder, const json_t *row)
{
    const char *name = json_string_value(json_object_get(row, "file"));
    size_t size;
    uint8_t *bytes = load_file(folder, name, &size);
    vl2_error error;
    image_rgb image = {0};
    vl2_status status = image_decode(bytes, size, name, 0, &image, &error);
    base_free(bytes);
    if (json_object_get(row, "decode_error") != NULL || json_object_get(row, "optional") != NULL) {
        assert_int_equal(status, VL2_ERROR_INPUT);
        assert_non_null(strstr(error.message, name));
        return;
    }
    if (status != VL2_OK) {
        fail_msg("%s", error.message);
    }
    assert_int_equal(image.width, pair(row, "size_wh", 0));
    assert_int_equal(image.height, pair(row, "size_wh", 1));
    if (!digest_equals(image.pixels, (size_t)image.width * (size_t)image.height * 3,
                       json_object_get(row, "rgb_sha256"))) {
        fail_msg("%s: pixels differ", name);
    }
    check_tiles(processor, &image, row);
    image_free(&image);
}

static void check_pictures(const char *picture_folder, const char *table_folder, size_t fewest)
{
    json_t *table = load_table(table_folder, "images.json");
    const json_t *rows = json_object_get(table, "images");
    assert_true(json_array_size(rows) >= fewest);
    image_processor *processor = open_processor();
    for (size_t i = 0; i < json_array_size(rows); i++) {
        check_row(processor, picture_folder, json_array_get(rows, i));
    }
    image_processor_close(processor);
    json_decref(table);
}

static void test_pictures_equal_pillow(void **state)
{
    (void)state;
    check_pictures(IMAGE_DATA, IMAGE_DATA, 40);
}

static void test_all_pictures_equal_pillow(void **state)
{
    (void)state;
    const char *golden = golden_or_skip();
    char *tables = path_join(golden, "preprocess");
    check_pictures(golden, tables, 50);
    base_free(tables);
}

static void check_place(const json_t *row, const char *size_key, const char *offset_key, int width,
                        int height)
{
    image_placement place = image_place(pair(row, "wh", 0), pair(row, "wh", 1), width, height);
    assert_int_equal(place.width, pair(row, size_key, 0));
    assert_int_equal(place.height, pair(row, size_key, 1));
    assert_int_equal(place.x, pair(row, offset_key, 0));
    assert_int_equal(place.y, pair(row, offset_key, 1));
}

static void check_sizes(const char *folder, size_t fewest)
{
    json_t *table = load_table(folder, "resolution.json");
    const json_t *rows = json_object_get(table, "rows");
    assert_true(json_array_size(rows) >= fewest);
    image_processor *processor = open_processor();
    for (size_t i = 0; i < json_array_size(rows); i++) {
        const json_t *row = json_array_get(rows, i);
        int best[2];
        tiling_choose(processor, pair(row, "wh", 0), pair(row, "wh", 1), best);
        assert_int_equal(best[0], pair(row, "best_wh", 0));
        assert_int_equal(best[1], pair(row, "best_wh", 1));
        check_place(row, "global_resized_wh", "global_offset_xy", 384, 384);
        check_place(row, "local_resized_wh", "local_offset_xy", best[0], best[1]);
    }
    image_processor_close(processor);
    json_decref(table);
}

static void test_sizes_equal_reference(void **state)
{
    (void)state;
    check_sizes(IMAGE_DATA, 90);
}

static void test_all_sizes_equal_reference(void **state)
{
    (void)state;
    char *tables = path_join(golden_or_skip(), "preprocess");
    check_sizes(tables, 324);
    base_free(tables);
}

static void test_normalize_table_is_exact(void **state)
{
    (void)state;
    json_t *table = load_table(IMAGE_DATA, "images.json");
    const json_t *expected = json_object_get(table, "normalise_lut_u8_to_f32_hex");
    assert_int_equal(json_array_size(expected), 256);
    image_processor *processor = open_processor();
    float values[3][256];
    image_processor_normalize_table(processor, values);
    for (int channel = 0; channel < 3; channel++) {
        for (size_t byte = 0; byte < 256; byte++) {
            uint32_t bits;
            memcpy(&bits, &values[channel][byte], 4);
            assert_int_equal(bits,
                             strtoul(json_string_value(json_array_get(expected, byte)), NULL, 16));
        }
    }
    image_processor_close(processor);
    json_decref(table);
}

/* A picture of noise that repeats nowhere. */
static image_rgb noise(int width, int height)
{
    vl2_error error;
    image_rgb image;
    assert_int_equal(image_create(width, height, &image, &error), VL2_OK);
    uint32_t seed = 12345;
    for (size_t i = 0; i < (size_t)width * (size_t)height * 3; i++) {
        seed = seed * 1664525u + 1013904223u;
        image.pixels[i] = (uint8_t)(seed >> 24);
    }
    return image;
}

/* A picture of exactly one resolution is cut without change, row by row, after its global view. */
static void test_tiles_stand_row_by_row(void **state)
{
    (void)state;
    image_processor *processor = open_processor();
    image_rgb image = noise(1152, 768);
    vl2_error error;
    tile_set tiles;
    assert_int_equal(tiling_cut(processor, &image, true, &tiles, &error), VL2_OK);
    assert_int_equal(tiles.columns, 3);
    assert_int_equal(tiles.rows, 2);
    assert_int_equal(tiles.count, 7);
    for (int tile = 0; tile < 6; tile++) {
        for (int y = 0; y < 384; y++) {
            const uint8_t *cut = tiles.pixels + ((size_t)(tile + 1) * 384 + (size_t)y) * 384 * 3;
            size_t at = ((size_t)(tile / 3 * 384 + y) * 1152 + (size_t)(tile % 3) * 384) * 3;
            assert_memory_equal(cut, image.pixels + at, 384 * 3);
        }
    }
    tile_set_free(&tiles);
    image_free(&image);
    image_processor_close(processor);
}

/* Enlarged and reduced flat pictures stay flat, whatever the sizes: the weights sum to one. */
static void test_resampling_keeps_flat_colours(void **state)
{
    (void)state;
    static const int sizes[][4] = {
        {1, 1, 7, 5}, {3, 1000, 40, 2}, {500, 2, 1, 9}, {97, 89, 13, 200}};
    for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
        image_rgb image = noise(sizes[i][0], sizes[i][1]), out;
        memset(image.pixels, 201, (size_t)image.width * (size_t)image.height * 3);
        vl2_error error;
        assert_int_equal(image_resize(&image, sizes[i][2], sizes[i][3], &out, &error), VL2_OK);
        for (size_t k = 0; k < (size_t)out.width * (size_t)out.height * 3; k++) {
            assert_int_equal(out.pixels[k], 201);
        }
        image_free(&out);
        image_free(&image);
    }
}

/* Digests from a second implementation of the same formulas in Python, checked against Pillow's
 * tiles. */
static void test_resampling_order(void **state)
{
    (void)state;
    static const struct {
        int from[2], to[2];
        const char *digest;
    } cases[] = {
        /* loses five times as many rows as columns: vertical first */
        {{60, 300}, {20, 100}, "f1b2cdee8e37da332a2d0344a967168140e21c5fcaab4ecf41efe2e80b87339b"},
        {{60, 300}, {61, 100}, "805bf88fe0e410aa31535c4bea546d4d7e86aafe25f083eabf9a98a02ba07333"},
        /* horizontal first */
        {{300, 60}, {100, 20}, "125782b953c8480b7164ef91311b3d3362a11e60b6188814d8991ace4834cb38"},
        {{31, 17}, {64, 40}, "6f46613e7fa96bf4b0d12192c916a28f8a5336b6f8ad58bd9617b02b7c4d3fb3"},
        {{90, 64}, {45, 33}, "30d9dac3431d40be12568e0b4c3e5a083e0068881676012bbc63c69af84ae645"},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        image_rgb image = noise(cases[i].from[0], cases[i].from[1]), out;
        vl2_error error;
        assert_int_equal(image_resize(&image, cases[i].to[0], cases[i].to[1], &out, &error),
                         VL2_OK);
        assert_true(
            has_digest(out.pixels, (size_t)out.width * (size_t)out.height * 3, cases[i].digest));
        image_free(&out);
        image_free(&image);
    }
}

static void test_png_is_read_back(void **state)
{
    (void)state;
    char folder[] = "/tmp/vl2-test-XXXXXX";
    assert_non_null(mkdtemp(folder));
    char *path = path_join(folder, "noise.png");
    image_rgb image = noise(61, 47), again;
    vl2_error error;
    assert_int_equal(image_write_png(&image, path, &error), VL2_OK);
    size_t size;
    uint8_t *bytes = load_file(folder, "noise.png", &size);
    assert_int_equal(image_decode(bytes, size, path, 0, &again, &error), VL2_OK);
    assert_int_equal(again.width, 61);
    assert_int_equal(again.height, 47);
    assert_memory_equal(again.pixels, image.pixels, 61 * 47 * 3);
    base_free(bytes);
    image_free(&image);
    unlink(path);
    rmdir(folder);
    assert_int_equal(image_write_png(&again, "/nowhere/at/all.png", &error), VL2_ERROR_IO);
    image_free(&again);
    base_free(path);
}

/* A four-layer JPEG of one colour, stored as Adobe does: 255 is no ink. */
static uint8_t *make_cmyk(const uint8_t stored[4], J_COLOR_SPACE space, bool marker, size_t *size)
{
    struct jpeg_compress_struct encoder;
    struct jpeg_error_mgr errors;
    unsigned char *bytes = NULL;
    unsigned long length = 0;
    encoder.err = jpeg_std_error(&errors);
    jpeg_create_compress(&encoder);
    jpeg_mem_dest(&encoder, &bytes, &length);
    encoder.image_width = encoder.image_height = 16;
    encoder.input_components = 4;
    encoder.in_color_space = JCS_CMYK;
    jpeg_set_defaults(&encoder);
    jpeg_set_colorspace(&encoder, space);
    jpeg_set_quality(&encoder, 100, TRUE);
    encoder.write_Adobe_marker = marker;
    jpeg_start_compress(&encoder, TRUE);
    uint8_t row[16 * 4];
    for (int x = 0; x < 16; x++) {
        memcpy(row + 4 * x, stored, 4);
    }
    while (encoder.next_scanline < encoder.image_height) {
        JSAMPROW rows = row;
        jpeg_write_scanlines(&encoder, &rows, 1);
    }
    jpeg_finish_compress(&encoder);
    jpeg_destroy_compress(&encoder);
    *size = length;
    return bytes;
}

/* r = nk - c * nk / 255 with nk = 255 - k, where c and k are the inverses of what is stored. */
static void test_cmyk_and_ycck(void **state)
{
    (void)state;
    static const uint8_t colours[][4] = {
        {255, 255, 255, 255}, {0, 255, 255, 255}, {255, 0, 128, 200}, {90, 30, 200, 40}};
    for (size_t i = 0; i < 3 * sizeof(colours) / sizeof(colours[0]); i++) {
        const uint8_t *stored = colours[i / 3];
        size_t size;
        uint8_t *bytes = make_cmyk(stored, i % 3 == 0 ? JCS_YCCK : JCS_CMYK, i % 3 != 2, &size);
        image_rgb image;
        vl2_error error;
        assert_int_equal(image_decode(bytes, size, "cmyk", 0, &image, &error), VL2_OK);
        for (int channel = 0; channel < 3; channel++) {
            int expected = stored[3] - (255 - stored[channel]) * stored[3] / 255;
            assert_in_range(image.pixels[channel] + 3 - expected, 0, 6);
        }
        image_free(&image);
        free(bytes);
    }
}

/* Writes a processor_config.json and says what opening it gives. */
static vl2_status open_text(const char *text, image_processor **processor, vl2_error *error)
{
    char path[] = "/tmp/vl2-test-XXXXXX";
    int file = mkstemp(path);
    assert_true(file >= 0);
    assert_int_equal(write(file, text, strlen(text)), strlen(text));
    close(file);
    vl2_status status = image_processor_open(path, processor, error);
    unlink(path);
    return status;
}

static void test_processor_defaults(void **state)
{
    (void)state;
    image_processor *processor;
    vl2_error error;
    assert_int_equal(
        open_text("{\"candidate_resolutions\": [[64, 64], [64, 128]], \"patch_size\": 8,"
                  "\"downsample_ratio\": 2, \"unknown\": [1]}",
                  &processor, &error),
        VL2_OK);
    assert_int_equal(processor->tile_side, 64);
    assert_int_equal(processor->resolution_count, 2);
    assert_int_equal(processor->resolutions[1][1], 128);
    assert_true(processor->normalize);
    assert_true(processor->mean[2] == 0.5 && processor->std[0] == 0.5);
    assert_int_equal(processor->fill[1], 127);
    assert_string_equal(processor->image_token, "<image>");
    assert_string_equal(processor->pad_token,
                        "<\xef\xbd\x9c\xe2\x96\x81pad\xe2\x96\x81\xef\xbd\x9c>");
    assert_string_equal(processor->sft_format, "deepseek");
    image_processor_close(processor);
}

static void test_processor_refuses(void **state)
{
    (void)state;
#define GOOD "\"patch_size\": 8, \"downsample_ratio\": 2"
#define LIST "\"candidate_resolutions\": "
    static const struct {
        const char *text, *field;
    } bad[] = {
        {"[]", "expected an object"},
        {"{" GOOD "}", "candidate_resolutions: found nothing"},
        {"{" GOOD ", " LIST "[]}", "candidate_resolutions: found a list of 0"},
        {"{" GOOD ", " LIST "7}", "candidate_resolutions: found 7"},
        {"{" GOOD ", " LIST "[[64]]}", "candidate_resolutions[0]"},
        {"{" GOOD ", " LIST "[[64, 0]]}", "candidate_resolutions[0]: found 0"},
        {"{" GOOD ", " LIST "[[64, 64], [64, -64]]}", "candidate_resolutions[1]: found -64"},
        {"{" GOOD ", " LIST "[[64, 64], [64, 100]]}", "candidate_resolutions[1]: found 64x100"},
        {"{" GOOD ", " LIST "[[64, 64.0]]}", "candidate_resolutions[0]: found 64"},
        {"{" GOOD ", " LIST "[[64, 1000000000000]]}", "candidate_resolutions[0]"},
        {"{" GOOD ", " LIST "[[8192, 8192]]}", "a tile side of 8192"},
        {"{" GOOD ", " LIST "[[64, 64], [65536, 65536]]}", "found 65536x65536"},
        {"{\"patch_size\": 0, \"downsample_ratio\": 2, " LIST "[[64, 64]]}", "patch_size: found 0"},
        {"{\"patch_size\": 65, \"downsample_ratio\": 2, " LIST "[[64, 64]]}",
         "patch_size: found 65"},
        {"{\"patch_size\": 8, " LIST "[[64, 64]]}", "downsample_ratio: found nothing"},
        {"{" GOOD ", \"image_mean\": [1, 2], " LIST "[[64, 64]]}", "image_mean: found a list of 2"},
        {"{" GOOD ", \"image_mean\": [0, 0, \"x\"], " LIST "[[64, 64]]}", "image_mean[2]: found"},
        {"{" GOOD ", \"image_std\": [1, 0, 1], " LIST "[[64, 64]]}", "image_std[1]: found 0"},
        {"{" GOOD ", \"normalize\": 3, " LIST "[[64, 64]]}", "normalize: found 3"},
        {"{" GOOD ", \"image_token\": \"\", " LIST "[[64, 64]]}", "image_token: found 0 bytes"},
        {"{", "not valid JSON"},
    };
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        image_processor *processor = NULL;
        vl2_error error = {0};
        assert_int_equal(open_text(bad[i].text, &processor, &error), VL2_ERROR_MODEL);
        assert_null(processor);
        if (strstr(error.message, bad[i].field) == NULL) {
            fail_msg("\"%s\" does not say \"%s\"", error.message, bad[i].field);
        }
    }
    vl2_error error;
    image_processor *processor;
    assert_int_equal(image_processor_open("/nowhere.json", &processor, &error), VL2_ERROR_MODEL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_pictures_equal_pillow),
        cmocka_unit_test(test_all_pictures_equal_pillow),
        cmocka_unit_test(test_sizes_equal_reference),
        cmocka_unit_test(test_all_sizes_equal_reference),
        cmocka_unit_test(test_normalize_table_is_exact),
        cmocka_unit_test(test_tiles_stand_row_by_row),
        cmocka_unit_test(test_resampling_keeps_flat_colours),
        cmocka_unit_test(test_resampling_order),
        cmocka_unit_test(test_png_is_read_back),
        cmocka_unit_test(test_cmyk_and_ycck),
        cmocka_unit_test(test_processor_defaults),
        cmocka_unit_test(test_processor_refuses),
    };
    return cmocka_run_group_tests_name("image", tests, NULL, NULL);
}
