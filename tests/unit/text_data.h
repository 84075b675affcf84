/* Data for the tests of text/: tokenizers and tables. */
#ifndef TEXT_DATA_H
#define TEXT_DATA_H

#include "test.h"

#include "base/alloc.h"
#include "base/json.h"
#include "text/tokenizer.h"

#include <string.h>

#define TEXT_DATA TEST_SOURCE_DIR "/data/text/"

static inline json_t *load_json(const char *path)
{
    vl2_error error;
    json_t *root = NULL;
    if (json_open(path, (size_t)64 << 20, VL2_ERROR_INPUT, &root, &error) != VL2_OK) {
        fail_msg("%s", error.message);
    }
    return root;
}

/* The objects of a file that has one after the other. */
static inline json_t *load_rows(const char *folder, const char *name)
{
    char path[4300];
    snprintf(path, sizeof(path), "%s/%s", folder, name);
    FILE *file = fopen(path, "r");
    assert_non_null(file);
    json_t *rows = json_array();
    json_error_t reason;
    size_t flags = JSON_DISABLE_EOF_CHECK | JSON_ALLOW_NUL;
    for (json_t *row; (row = json_loadf(file, flags, &reason)) != NULL;) {
        json_array_append_new(rows, row);
    }
    assert_true(json_array_size(rows) > 0);
    assert_true(feof(file));
    fclose(file);
    return rows;
}

static inline tokenizer *open_tokenizer(const char *path)
{
    vl2_error error;
    tokenizer *opened = NULL;
    if (tokenizer_open(path, &opened, &error) != VL2_OK) {
        fail_msg("%s", error.message);
    }
    return opened;
}

/* One of the full tokenizers of the reference data, "128k" or "100k"; skips without xz. */
static inline tokenizer *open_full_tokenizer(const char *golden, const char *size)
{
    char command[4400], name[64];
    snprintf(name, sizeof(name), "vl2-%s/tokenizer.json.xz", size);
    snprintf(command, sizeof(command), "xz -dc '%s/tokenizers/%s'", golden, name);
    FILE *pipe = popen(command, "r");
    assert_non_null(pipe);
    buffer json = {0};
    char block[65536];
    for (size_t got; (got = fread(block, 1, sizeof(block), pipe)) > 0;) {
        assert_true(buffer_append(&json, block, got));
    }
    if (pclose(pipe) != 0) {
        buffer_free(&json);
        print_message("SKIPPED: xz cannot unpack %s (Debian package: xz-utils)\n", name);
        skip();
    }
    vl2_error error;
    tokenizer *opened = NULL;
    if (tokenizer_parse(json.data, json.size, name, &opened, &error) != VL2_OK) {
        fail_msg("%s", error.message);
    }
    buffer_free(&json);
    return opened;
}

static inline void assert_ids_equal(const id_list *ids, const json_t *expected, const char *what)
{
    size_t count = json_array_size(expected);
    for (size_t i = 0; i < count && i < ids->count; i++) {
        if (ids->ids[i] != json_integer_value(json_array_get(expected, i))) {
            fail_msg("%s: id %zu is %d, expected %d", what, i, (int)ids->ids[i],
                     (int)json_integer_value(json_array_get(expected, i)));
        }
    }
    if (ids->count != count) {
        fail_msg("%s: %zu ids, expected %zu", what, ids->count, count);
    }
}

#endif
