/* The program against the full tables of the reference data, row by row; skipped where that is not
 * there. */
#include "test.h"

#include <jansson.h>
#include <string.h>
#include <unistd.h>

static char work[] = "/tmp/vl2-tables-XXXXXX";

static json_t *load(const char *folder, const char *name)
{
    char path[4300];
    json_error_t error;
    snprintf(path, sizeof(path), "%s/%s", folder, name);
    json_t *root = json_load_file(path, 0, &error);
    assert_non_null(root);
    return root;
}

/* Runs "vl2 WORDS" on `input` and returns its JSON; NULL if it fails or prints none. */
static json_t *run_json(const char *words, const char *input, size_t size)
{
    char path[64], command[9000];
    json_error_t error;
    snprintf(path, sizeof(path), "%s/input", work);
    FILE *file = fopen(path, "wb");
    assert_non_null(file);
    assert_int_equal(fwrite(input, 1, size, file), size);
    assert_int_equal(fclose(file), 0);
    snprintf(command, sizeof(command), "'%s' %s < %s 2> /dev/null", TEST_BUILD_DIR "/../vl2", words,
             path);
    FILE *pipe = popen(command, "r");
    assert_non_null(pipe);
    json_t *result = json_loadf(pipe, JSON_DECODE_ANY | JSON_ALLOW_NUL, &error);
    int status = pclose(pipe);
    if (status != 0) {
        json_decref(result);
        return NULL;
    }
    return result;
}

static void check_boxes_table(const char *name)
{
    json_t *root = load(TEST_SOURCE_DIR "/data/text", name), *row;
    json_t *rows = json_object_get(root, "rows");
    size_t index;
    assert_true(json_array_size(rows) > 50);
    json_array_foreach(rows, index, row)
    {
        char words[80];
        const json_t *answer = json_object_get(row, "response");
        const json_t *size = json_object_get(row, "image_wh");
        snprintf(words, sizeof(words), "boxes --json --size %dx%d",
                 (int)json_integer_value(json_array_get(size, 0)),
                 (int)json_integer_value(json_array_get(size, 1)));
        json_t *found = run_json(words, json_string_value(answer), json_string_length(answer));
        if (!json_equal(found, json_object_get(row, "parsed"))) {
            fail_msg("row %zu, %s", index, json_string_value(json_object_get(row, "note")));
        }
        json_decref(found);
    }
    json_decref(root);
}

static void test_boxes_table(void **state)
{
    (void)state;
    check_boxes_table("parse_ref_bbox.json");
    check_boxes_table("parse_ref_bbox_edge.json");
}

/* One picture, with or without tiling, against a list of digests. */
static void check_tiles(const json_t *row, const char *option, const char *key)
{
    char words[8800];
    const char *file = json_string_value(json_object_get(row, "file"));
    snprintf(words, sizeof(words), "tiles -m '%s/models/vl2-tiny-dev' --image '%s/%s' %s",
             golden_folder(), golden_folder(), file, option);
    json_t *found = run_json(words, "", 0);
    if (!json_equal(json_object_get(found, "tiles"), json_object_get(row, key)) ||
        !json_equal(json_object_get(found, "size"), json_object_get(row, "size_wh"))) {
        fail_msg("%s %s", file, option);
    }
    if (option[0] == '\0' &&
        (!json_equal(json_object_get(found, "resolution"),
                     json_object_get(row, "best_resolution_wh")) ||
         !json_equal(json_object_get(found, "grid"), json_object_get(row, "crop_wh")))) {
        fail_msg("%s: resolution or grid", file);
    }
    json_decref(found);
}

static void test_tiles_table(void **state)
{
    (void)state;
    json_t *root = load(golden_or_skip(), "preprocess/images.json"), *row;
    size_t index, checked = 0;
    json_array_foreach(json_object_get(root, "images"), index, row)
    {
        const char *format = json_string_value(json_object_get(row, "format"));
        if (json_object_get(row, "decode_error") == NULL && format != NULL &&
            strcmp(format, "WEBP") != 0) {
            check_tiles(row, "", "tiles_sha256");
            check_tiles(row, "--no-tiling", "nocrop_tiles_sha256");
            checked++;
        }
    }
    assert_true(checked > 40);
    json_decref(root);
}

static int make_folder(void **state)
{
    (void)state;
    return mkdtemp(work) == NULL;
}

static int remove_folder(void **state)
{
    char path[64];
    (void)state;
    snprintf(path, sizeof(path), "%s/input", work);
    unlink(path);
    return rmdir(work);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_boxes_table),
        cmocka_unit_test(test_tiles_table),
    };
    return cmocka_run_group_tests(tests, make_folder, remove_folder);
}
