/* The order of a picture's embedding rows: written out for a small one, and as a bijection for
 * many. */
#include "test.h"

#include "model/joining.h"

#include <string.h>

/* One letter per row: n newline, s separator, else the tile's digit and the cell's letter. */
static void describe(const joining_layout *layout, char *text)
{
    for (size_t i = 0; i < joining_count(layout); i++) {
        joining_row row = joining_at(layout, i);
        if (row.source == JOINING_TILE) {
            *text++ = (char)('0' + row.tile);
            *text++ = (char)('a' + row.cell);
        } else {
            *text++ = row.source == JOINING_NEWLINE ? 'n' : 's';
        }
        *text++ = ' ';
    }
    text[-1] = '\0';
}

static void test_written_out(void **state)
{
    (void)state;
    char text[256];
    describe(&(joining_layout){2, 2, 1, true}, text);
    assert_string_equal(text, "0a 0b n 0c 0d n s 1a 1b 2a 2b n 1c 1d 2c 2d n");
    describe(&(joining_layout){2, 1, 2, false}, text);
    assert_string_equal(text, "1a 1b n 1c 1d n 2a 2b n 2c 2d n s 0a 0b n 0c 0d n");
    describe(&(joining_layout){1, 1, 1, true}, text);
    assert_string_equal(text, "0a n s 1a n");
}

static void expect_bijection(const joining_layout *layout)
{
    size_t cells = layout->grid * layout->grid, tiles = 1 + layout->columns * layout->rows;
    size_t count = joining_count(layout), newlines = 0, separators = 0;
    assert_int_equal(count, layout->grid * (layout->grid + 1) + 1 +
                                layout->grid * layout->rows * (layout->grid * layout->columns + 1));
    unsigned char *seen = calloc(tiles * cells, 1);
    assert_non_null(seen);
    for (size_t i = 0; i < count; i++) {
        joining_row row = joining_at(layout, i);
        newlines += row.source == JOINING_NEWLINE;
        separators += row.source == JOINING_SEPARATOR;
        if (row.source == JOINING_TILE) {
            assert_true(row.tile < tiles && row.cell < cells);
            assert_int_equal(seen[row.tile * cells + row.cell]++, 0);
        }
    }
    assert_int_equal(newlines, layout->grid * (1 + layout->rows));
    assert_int_equal(separators, 1);
    assert_int_equal(count - newlines - separators, tiles * cells); /* each once, so all */
    size_t global = layout->grid * (layout->grid + 1);
    size_t at = layout->global_first ? global : count - 1 - global;
    assert_int_equal(joining_at(layout, at).source, JOINING_SEPARATOR);
    assert_int_equal(joining_at(layout, count - 1).source, JOINING_NEWLINE);
    free(seen);
}

static void test_bijection(void **state)
{
    (void)state;
    for (size_t grid = 1; grid <= 14; grid += grid < 4 ? 1 : 5) {
        for (size_t columns = 1; columns <= 9; columns++) {
            for (size_t rows = 1; rows <= 9; rows++) {
                expect_bijection(&(joining_layout){grid, columns, rows, true});
                expect_bijection(&(joining_layout){grid, columns, rows, false});
            }
        }
    }
    const joining_layout published = {14, 1, 1, true};
    assert_int_equal(joining_count(&published), 421);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_written_out),
                                       cmocka_unit_test(test_bijection)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
