/* image/: boxes and labels drawn on pictures. */
#include "test_image.h"

#include "image/draw.h"
#include "image/font.h"
#include "image/lettering.h"

static image_rgb flat(int width, int height, int grey)
{
    vl2_error error;
    image_rgb image;
    assert_int_equal(image_create(width, height, &image, &error), VL2_OK);
    memset(image.pixels, grey, (size_t)width * (size_t)height * 3);
    return image;
}

static const uint8_t *pixel(const image_rgb *image, int x, int y)
{
    return image->pixels + ((size_t)y * (size_t)image->width + (size_t)x) * 3;
}

static bool is_grey(const image_rgb *image, int x, int y, int grey)
{
    const uint8_t *p = pixel(image, x, y);
    return p[0] == grey && p[1] == grey && p[2] == grey;
}

static image_rgb draw(const image_rgb *image, const draw_box *boxes, size_t count)
{
    vl2_error error;
    image_rgb drawn;
    assert_int_equal(image_draw_boxes(image, boxes, count, &drawn, &error), VL2_OK);
    assert_int_equal(drawn.width, image->width);
    assert_int_equal(drawn.height, image->height);
    return drawn;
}

/* Pixels inside [left, right) x [top, bottom) that are not of this grey. */
static int changed(const image_rgb *image, int left, int top, int right, int bottom, int grey)
{
    int count = 0;
    for (int y = top; y < bottom; y++) {
        for (int x = left; x < right; x++) {
            count += !is_grey(image, x, y, grey);
        }
    }
    return count;
}

static void test_frame_lies_on_the_corners(void **state)
{
    (void)state;
    image_rgb image = flat(400, 300, 128);
    draw_box box = {100, 80, 300, 200, NULL, 1};
    image_rgb drawn = draw(&image, &box, 1);
    assert_true(!is_grey(&drawn, 100, 80, 128) && !is_grey(&drawn, 300, 200, 128));
    assert_true(!is_grey(&drawn, 200, 80, 128) && !is_grey(&drawn, 100, 150, 128));
    assert_memory_equal(pixel(&drawn, 100, 150), pixel(&drawn, 200, 80), 3); /* one colour */
    assert_int_equal(changed(&drawn, 108, 88, 293, 193, 128), 0);            /* not filled */
    assert_int_equal(changed(&drawn, 0, 0, 400, 72, 128), 0);
    assert_int_equal(changed(&image, 0, 0, 400, 300, 128), 0); /* the picture itself stays */
    draw_box reversed = {300, 200, 100, 80, "", 1};
    image_rgb again = draw(&image, &reversed, 1);
    assert_memory_equal(again.pixels, drawn.pixels, 400 * 300 * 3);
    image_free(&again);
    image_free(&drawn);
    image_free(&image);
}

static void test_colours_are_distinct(void **state)
{
    (void)state;
    image_rgb image = flat(64, 64, 0);
    uint8_t seen[12][3];
    for (int i = 0; i < 12; i++) {
        draw_box box = {10, 10, 50, 50, NULL, i};
        image_rgb drawn = draw(&image, &box, 1);
        memcpy(seen[i], pixel(&drawn, 10, 30), 3);
        image_free(&drawn);
        for (int k = 0; k < i; k++) {
            int distance = 0;
            for (int c = 0; c < 3; c++) {
                distance += abs(seen[i][c] - seen[k][c]);
            }
            assert_true(distance > 30);
        }
    }
    draw_box negative = {10, 10, 50, 50, NULL, -1};
    image_rgb drawn = draw(&image, &negative, 1); /* any index is allowed */
    image_free(&drawn);
    image_free(&image);
}

/* The label stands over the frame on a ground of the frame's colour with something written on it.
 */
static void test_label_is_readable(void **state)
{
    (void)state;
    image_rgb image = flat(800, 600, 128);
    draw_box box = {200, 200, 600, 500, "carrot", 0};
    image_rgb drawn = draw(&image, &box, 1);
    const uint8_t *frame = pixel(&drawn, 201, 400);
    int ground = 0, ink = 0;
    for (int y = 160; y < 195; y++) {
        for (int x = 200; x < 320; x++) {
            const uint8_t *p = pixel(&drawn, x, y);
            ground += memcmp(p, frame, 3) == 0;
            ink += p[0] > 240 && p[1] > 240 && p[2] > 240; /* white on red */
        }
    }
    assert_true(ground > 500);
    assert_true(ink > 60 && ink < ground);
    image_free(&drawn);
    image_free(&image);
}

/* Two boxes at one place: the second label goes elsewhere, so both grounds stay whole. */
static void test_labels_avoid_each_other(void **state)
{
    (void)state;
    image_rgb image = flat(600, 600, 128);
    draw_box both[2] = {{100, 200, 500, 500, "first", 0}, {100, 200, 500, 500, "second", 1}};
    image_rgb one = draw(&image, both, 1), two = draw(&image, both, 2);
    for (int y = 150; y < 195; y++) { /* above the frame nothing of the first label changed */
        assert_memory_equal(pixel(&one, 100, y), pixel(&two, 100, y), 60 * 3);
    }
    image_free(&one);
    image_free(&two);
    image_free(&image);
}

/* Nothing is written outside the picture, whatever the boxes and labels (AddressSanitizer sees it).
 */
static void test_extremes_stay_inside(void **state)
{
    (void)state;
    static const int sizes[][2] = {{1, 1}, {3, 200}, {200, 3}, {40, 28}, {1000, 12}, {333, 777}};
    char huge[3000];
    memset(huge, 'W', sizeof(huge));
    huge[sizeof(huge) - 1] = '\0';
    const draw_box boxes[] = {
        {0, 0, 0, 0, "dot", 0},
        {INT32_MIN, INT32_MIN, INT32_MAX, INT32_MAX, "everything", 1},
        {INT32_MAX, INT32_MAX, INT32_MAX, INT32_MAX, "far away", 2},
        {-500, 5, -400, 9, "left of it", 3},
        {5, 5, 20, 9, huge, INT32_MAX},
        {5, 5, 20, 9, "\xff\xfe broken \xe2\x82", INT32_MIN},
        {2, 2, 30, 20, "\xe7\x8c\xab \xf0\x9f\x98\x80 \xc3\x84pfel\n\t", 6},
    };
    for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
        image_rgb image = flat(sizes[i][0], sizes[i][1], 90);
        image_rgb drawn = draw(&image, boxes, sizeof(boxes) / sizeof(boxes[0]));
        image_free(&drawn);
        drawn = draw(&image, NULL, 0);
        assert_memory_equal(drawn.pixels, image.pixels,
                            (size_t)image.width * (size_t)image.height * 3);
        image_free(&drawn);
        image_free(&image);
    }
}

/* Every printable character of ASCII and Latin-1 has a letter of its own inside the font's bounds.
 */
static void test_font_is_complete(void **state)
{
    (void)state;
    font_letter box = font_find(0x732b);
    for (uint32_t character = '!'; character <= 0xff; character++) {
        if (character > '~' && character < 0xa1) {
            continue;
        }
        font_letter letter = font_find(character);
        assert_true(letter.path != box.path && letter.path[0] != '\0');
        const char *path = letter.path;
        int numbers[4];
        char command, first = *path;
        assert_int_equal(first, 'M');
        while ((command = font_next_command(&path, numbers)) != '\0') {
            assert_true(command == 'M' || command == 'L' || command == 'Q');
            int end = command == 'Q' ? 2 : 0;
            assert_in_range(numbers[end] + 4, 0, letter.width + 8);
            assert_in_range(numbers[end + 1] - FONT_TOP, 0, FONT_BOTTOM - FONT_TOP);
        }
    }
    assert_true(font_find(0xe9).mark != NULL && font_find(0xe9).path == font_find('e').path);
    assert_true(font_find(0xe7).mark != font_find(0xe9).mark);
}

static void test_text_is_decoded(void **state)
{
    (void)state;
    static const char text[] = "a\xc3\xa9\xe7\x8c\xab\xf0\x9f\x98\x80\xff\xc0\xaf\xe2\x82";
    static const uint32_t expected[] = {'a', 0xe9, 0x732b, 0x1f600, 0xfffd, 0xfffd, 0xfffd};
    size_t at = 0;
    for (size_t i = 0; i < sizeof(expected) / sizeof(expected[0]); i++) {
        assert_int_equal(font_next_character(text, sizeof(text) - 1, &at), expected[i]);
    }
    assert_int_equal(at, sizeof(text) - 1);
    lettering style = {20};
    assert_true(lettering_width(&style, "ii", 2) < lettering_width(&style, "WW", 2));
    assert_int_equal(lettering_width(&style, "", 0), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_frame_lies_on_the_corners),
        cmocka_unit_test(test_colours_are_distinct),
        cmocka_unit_test(test_label_is_readable),
        cmocka_unit_test(test_labels_avoid_each_other),
        cmocka_unit_test(test_extremes_stay_inside),
        cmocka_unit_test(test_font_is_complete),
        cmocka_unit_test(test_text_is_decoded),
    };
    return cmocka_run_group_tests_name("image-draw", tests, NULL, NULL);
}
