/* image/: what is not a picture, damaged, cut off or too large gives an error and nothing else. */
#include "test_image.h"

/* Decodes; on failure the status must be a bad input with a message that begins with the name. */
static vl2_status decode(const uint8_t *bytes, size_t size, uint64_t max_pixels, vl2_error *error)
{
    /* A block of exactly this size, so that AddressSanitizer sees a read behind it. */
    uint8_t *exact = base_malloc(size, 1);
    assert_non_null(exact);
    memcpy(exact, bytes, size);
    image_rgb image = {0};
    vl2_status status = image_decode(exact, size, "picture", max_pixels, &image, error);
    if (status == VL2_OK) {
        assert_true(image.width > 0 && image.height > 0 && image.pixels != NULL);
        image_free(&image);
    } else {
        assert_int_equal(status, VL2_ERROR_INPUT);
        assert_null(image.pixels);
        assert_int_equal(strncmp(error->message, "picture: ", 9), 0);
    }
    base_free(exact);
    return status;
}

static void expect_refused(const void *bytes, size_t size, const char *words)
{
    vl2_error error = {0};
    assert_int_equal(decode(bytes, size, 0, &error), VL2_ERROR_INPUT);
    if (strstr(error.message, words) == NULL) {
        fail_msg("\"%s\" does not say \"%s\"", error.message, words);
    }
}

static void test_other_formats_are_named(void **state)
{
    (void)state;
    expect_refused("", 0, "empty");
    expect_refused("RIFF\x10\0\0\0WEBPVP8 ", 16, "WebP");
    expect_refused("GIF89a\1\0\1\0", 10, "GIF");
    expect_refused("BM\x46\0\0\0\0\0\0\0", 10, "BMP");
    expect_refused("II*\0\x08\0\0\0", 8, "TIFF");
    expect_refused("MM\0*\0\0\0\x08", 8, "TIFF");
    expect_refused("\0\0\0\x18"
                   "ftypheic\0\0\0\0",
                   16, "HEIC");
    expect_refused("\0\0\0\x18"
                   "ftypavif\0\0\0\0",
                   16, "AVIF");
    expect_refused("\0\0\0\x0cJXL \r\n\x87\n", 12, "JPEG XL");
    expect_refused("<!DOCTYPE html>", 15, "web page");
    expect_refused("%PDF-1.7", 8, "PDF");
    expect_refused("version https://git-lfs.github.com/spec/v1\n", 43, "Git LFS");
    expect_refused("just some text", 14, "not a picture");
    expect_refused("\xff\xd8", 2, "not a picture");
    expect_refused("\x89PNG\r\n\x1a", 7, "not a picture");
    expect_refused("\xff", 1, "not a picture");
}

static void put_be32(uint8_t *bytes, uint32_t value)
{
    for (int i = 0; i < 4; i++) {
        bytes[i] = (uint8_t)(value >> (24 - 8 * i));
    }
}

static uint32_t crc32_of(const uint8_t *bytes, size_t size)
{
    uint32_t crc = 0xffffffffu;
    for (size_t i = 0; i < size; i++) {
        crc ^= bytes[i];
        for (int bit = 0; bit < 8; bit++) {
            crc = (crc >> 1) ^ (crc & 1 ? 0xedb88320u : 0);
        }
    }
    return ~crc;
}

/* A PNG whose IHDR says this; the rest is an empty IDAT. */
static size_t make_png(uint8_t bytes[64], uint32_t width, uint32_t height, uint8_t depth,
                       uint8_t colour, uint8_t interlace)
{
    memcpy(bytes, "\x89PNG\r\n\x1a\n\0\0\0\x0dIHDR", 16);
    put_be32(bytes + 16, width);
    put_be32(bytes + 20, height);
    bytes[24] = depth;
    bytes[25] = colour;
    bytes[26] = bytes[27] = 0;
    bytes[28] = interlace;
    put_be32(bytes + 29, crc32_of(bytes + 12, 17));
    memcpy(bytes + 33, "\0\0\0\0IDAT", 8);
    put_be32(bytes + 41, crc32_of(bytes + 37, 4));
    return 45;
}

static void test_bombs_are_refused(void **state)
{
    (void)state;
    uint8_t png[64];
    size_t size = make_png(png, 60000, 60000, 8, 2, 0);
    expect_refused(png, size, "60000x60000 = 3600000000 pixels, expected at most 178956970");
    expect_refused(png, size, "--max-pixels");
    expect_refused(png, size, "VL2_MAX_PIXELS");
    size = make_png(png, 0x7fffffff, 1, 16, 6, 1);
    expect_refused(png, size, "sides of at most");
    size = make_png(png, 0xffffffff, 0xffffffff, 16, 6, 1);
    expect_refused(png, size, "sides of at most");
    size = make_png(png, 0, 5, 8, 2, 0);
    expect_refused(png, size, "at least 1x1");
    static const uint8_t jpeg[] = {0xff, 0xd8, 0xff, 0xc0, 0,    17, 8, 0xea, 0x60, 0xea, 0x60, 3,
                                   1,    0x11, 0,    2,    0x11, 0,  3, 0x11, 0,    0xff, 0xda, 0,
                                   12,   3,    1,    0,    2,    0,  3, 0,    0,    63,   0};
    expect_refused(jpeg, sizeof(jpeg), "60000x60000 = 3600000000 pixels");
}

static void test_limit_is_the_callers(void **state)
{
    (void)state;
    size_t size;
    uint8_t *bytes = load_file(IMAGE_DATA, "tiny_40x28.png", &size);
    vl2_error error;
    assert_int_equal(decode(bytes, size, 40 * 28, &error), VL2_OK);
    assert_int_equal(decode(bytes, size, 40 * 28 - 1, &error), VL2_ERROR_INPUT);
    assert_non_null(strstr(error.message, "40x28 = 1120 pixels, expected at most 1119"));
    base_free(bytes);
}

/* Each header that libpng or libjpeg has to refuse by itself. */
static void test_malformed_headers(void **state)
{
    (void)state;
    uint8_t png[64];
    vl2_error error;
    for (int depth = 0; depth < 256; depth += depth < 17 ? 1 : 119) {
        for (int colour = 0; colour < 9; colour++) {
            for (int interlace = 0; interlace < 3; interlace++) {
                size_t size =
                    make_png(png, 5, 4, (uint8_t)depth, (uint8_t)colour, (uint8_t)interlace);
                assert_int_equal(decode(png, size, 0, &error), VL2_ERROR_INPUT);
            }
        }
    }
    size_t size = make_png(png, 5, 4, 8, 2, 0);
    png[12] = 'X'; /* the first chunk is not IHDR */
    expect_refused(png, size, "damaged PNG");
    size = make_png(png, 5, 4, 8, 2, 0);
    png[30] ^= 1;
    expect_refused(png, size, "damaged PNG");
    static const char jpegs[][32] = {
        /* padded with zeros */
        "\xff\xd8\xff\xd9",                                     /* no picture in it */
        "\xff\xd8\xff\xda",                                     /* a scan without a frame */
        "\xff\xd8\xff\xc0\0\x0b\x0c\0\5\0\5\1\1\x11\0",         /* 12 bits */
        "\xff\xd8\xff\xc0\0\x0b\x08\0\0\0\5\1\1\x11\0",         /* no height */
        "\xff\xd8\xff\xc0\0\x0e\x08\0\5\0\5\2\1\x11\0\2\x11\0", /* two layers */
        "\xff\xd8\xff\xc0\0\x0b\x08\0\5\0\5\1\1\x55\0",         /* sampling 5 */
        "\xff\xd8\xff\xc3\0\x0b\x08\0\5\0\5\1\1\x11\0",         /* lossless */
        "\xff\xd8\xff\xdb\0\2",                                 /* an empty table */
        "\xff\xd8\xff\xc4\0\x14\0\xff\xff\xff\xff",             /* a full Huffman table */
    };
    for (size_t i = 0; i < sizeof(jpegs) / sizeof(jpegs[0]); i++) {
        assert_int_equal(decode((const uint8_t *)jpegs[i], sizeof(jpegs[i]), 0, &error),
                         VL2_ERROR_INPUT);
    }
}

/* A chain of scans over an otherwise small picture. */
static void test_scan_bomb_is_refused(void **state)
{
    (void)state;
    size_t size;
    uint8_t *bytes = load_file(IMAGE_DATA, "odd/progressive_420.jpg", &size);
    size_t scan = 0;
    while (scan + 1 < size && !(bytes[scan] == 0xff && bytes[scan + 1] == 0xda)) {
        scan++;
    }
    size_t end =
        scan + 2; /* the first scan ends where the next marker, other than a stuffed 0, begins */
    while (end + 1 < size && !(bytes[end] == 0xff && bytes[end + 1] != 0)) {
        end++;
    }
    size_t length = end - scan, total = scan + 2000 * length + 2;
    uint8_t *bomb = base_malloc(total, 1);
    assert_non_null(bomb);
    memcpy(bomb, bytes, scan);
    for (size_t i = 0; i < 2000; i++) {
        memcpy(bomb + scan + i * length, bytes + scan, length);
    }
    memcpy(bomb + total - 2, "\xff\xd9", 2);
    expect_refused(bomb, total, "JPEG scans: found more than 500");
    base_free(bomb);
    base_free(bytes);
}

/* Calls `visit` with each picture of the table. */
static void for_each_picture(void (*visit)(uint8_t *bytes, size_t size, const json_t *row))
{
    json_t *table = load_table(IMAGE_DATA, "images.json");
    const json_t *rows = json_object_get(table, "images");
    for (size_t i = 0; i < json_array_size(rows); i++) {
        const json_t *row = json_array_get(rows, i);
        size_t size;
        uint8_t *bytes =
            load_file(IMAGE_DATA, json_string_value(json_object_get(row, "file")), &size);
        visit(bytes, size, row);
        base_free(bytes);
    }
    json_decref(table);
}

static void visit_truncated(uint8_t *bytes, size_t size, const json_t *row)
{
    (void)row;
    vl2_error error;
    for (size_t cut = 0; cut < size; cut += cut < 64 || cut + 24 > size ? 1 : 1 + size / 41) {
        vl2_status status = decode(bytes, cut, 0, &error);
        if (cut < size / 2) {
            assert_int_equal(status, VL2_ERROR_INPUT);
        }
    }
}

static void test_truncation_anywhere(void **state)
{
    (void)state;
    for_each_picture(visit_truncated);
}

static void visit_damaged(uint8_t *bytes, size_t size, const json_t *row)
{
    (void)row;
    vl2_error error;
    uint32_t seed = 1;
    for (int round = 0; size > 0 && round < 60; round++) {
        seed = seed * 1664525u + 1013904223u;
        size_t at = (seed >> 8) % (round < 30 && size > 300 ? 300 : size);
        uint8_t before = bytes[at];
        bytes[at] ^= (uint8_t)(1u << (seed & 7));
        decode(bytes, size, 1u << 22, &error);
        bytes[at] = before;
    }
}

static void test_damage_anywhere(void **state)
{
    (void)state;
    for_each_picture(visit_damaged);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_other_formats_are_named), cmocka_unit_test(test_bombs_are_refused),
        cmocka_unit_test(test_limit_is_the_callers),    cmocka_unit_test(test_malformed_headers),
        cmocka_unit_test(test_scan_bomb_is_refused),    cmocka_unit_test(test_truncation_anywhere),
        cmocka_unit_test(test_damage_anywhere),
    };
    return cmocka_run_group_tests_name("image-bad", tests, NULL, NULL);
}
