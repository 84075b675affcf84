/* base/: digests, buffers, JSON fields, files that appear whole. */
#include "test.h"

#include "base/alloc.h"
#include "base/buffer.h"
#include "base/file.h"
#include "base/json.h"
#include "base/sha256.h"

#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static void test_sha256_published_vectors(void **state)
{
    (void)state;
    static const struct {
        const char *text, *digest;
    } vectors[] = {
        {"", "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"},
        {"abc", "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"},
        {"abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq",
         "248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1"},
    };
    for (size_t i = 0; i < sizeof(vectors) / sizeof(vectors[0]); i++) {
        uint8_t digest[SHA256_SIZE];
        char text[SHA256_HEX_SIZE];
        sha256(vectors[i].text, strlen(vectors[i].text), digest);
        sha256_hex(digest, text);
        assert_string_equal(text, vectors[i].digest);
    }
}

static void test_multiply_overflow(void **state)
{
    (void)state;
    size_t product;
    assert_true(base_multiply(3, 7, &product));
    assert_int_equal(product, 21);
    assert_false(base_multiply(SIZE_MAX / 2, 3, &product));
    assert_null(base_malloc(SIZE_MAX / 2, 3));
    assert_null(base_alloc_aligned(SIZE_MAX / 2, 3));
}

static void test_buffer_grows(void **state)
{
    (void)state;
    buffer text = {0};
    for (int i = 0; i < 1000; i++) {
        assert_true(buffer_append_text(&text, "0123456789"));
    }
    assert_int_equal(text.size, 10000);
    assert_int_equal(strlen(text.data), 10000);
    buffer_clear(&text);
    assert_string_equal(text.data, "");
    buffer_free(&text);
}

static void test_json_fields_messages(void **state)
{
    (void)state;
    vl2_error error;
    json_t *root;
    const char *text = "{\"a\": 3, \"b\": \"x\", \"c\": null, \"d\": 1.5}";
    assert_int_equal(json_parse(text, strlen(text), "t.json", VL2_ERROR_MODEL, &root, &error),
                     VL2_OK);
    json_fields fields = {"t.json", "top", root, VL2_ERROR_MODEL, VL2_OK, &error};
    assert_int_equal(json_fields_integer(&fields, "a", 0, 5, 9), 3);
    assert_int_equal(json_fields_integer(&fields, "c", 0, 5, 9), 9);
    assert_true(json_fields_number(&fields, "d", 0, 5, 9) == 1.5);
    assert_int_equal(fields.status, VL2_OK);
    json_fields_integer(&fields, "b", 0, 5, 9);
    assert_int_equal(fields.status, VL2_ERROR_MODEL);
    assert_string_equal(error.message,
                        "t.json: top.b: found \"x\", expected an integer from 0 to 5");
    json_fields_required_integer(&fields, "missing", 0, 5);
    assert_non_null(strstr(error.message, "top.b")); /* the first failure stays */
    json_decref(root);
    assert_int_equal(json_parse("{", 1, "t.json", VL2_ERROR_INPUT, &root, &error),
                     VL2_ERROR_INPUT);
}

static void test_writer_leaves_nothing_half(void **state)
{
    (void)state;
    char folder[] = "/tmp/vl2-test-XXXXXX";
    assert_non_null(mkdtemp(folder));
    char *path = path_join(folder, "a/b");
    vl2_error error;
    assert_int_equal(folder_create(path, &error), VL2_OK);
    char *name = path_join(path, "file");
    file_writer writer;
    assert_int_equal(file_writer_open(&writer, name, &error), VL2_OK);
    assert_int_equal(file_writer_write(&writer, "half", 4, &error), VL2_OK);
    assert_int_not_equal(access(name, F_OK), 0);
    file_writer_abandon(&writer);
    assert_int_equal(rmdir(path), 0); /* empty: the temporary file is gone too */
    assert_int_equal(folder_create(path, &error), VL2_OK);
    assert_int_equal(file_writer_open(&writer, name, &error), VL2_OK);
    assert_int_equal(file_writer_write(&writer, "whole", 5, &error), VL2_OK);
    assert_int_equal(file_writer_commit(&writer, &error), VL2_OK);
    char *data;
    size_t size;
    assert_int_equal(file_read(name, 100, VL2_ERROR_INPUT, &data, &size, &error), VL2_OK);
    assert_int_equal(size, 5);
    assert_string_equal(data, "whole");
    base_free(data);
    assert_int_equal(file_read(name, 4, VL2_ERROR_INPUT, &data, &size, &error), VL2_ERROR_INPUT);
    assert_int_equal(file_read(path, 4, VL2_ERROR_INPUT, &data, &size, &error), VL2_ERROR_INPUT);
    unlink(name);
    rmdir(path);
    base_free(name);
    base_free(path);
    path = path_join(folder, "a");
    rmdir(path);
    rmdir(folder);
    base_free(path);
}

/* A pipe stands for every special file: what is written goes into it, and it is still there. */
static void test_writer_keeps_special_files(void **state)
{
    (void)state;
    char folder[] = "/tmp/vl2-test-XXXXXX";
    assert_non_null(mkdtemp(folder));
    char *name = path_join(folder, "pipe");
    assert_int_equal(mkfifo(name, 0600), 0);
    int reader = open(name, O_RDONLY | O_NONBLOCK);
    assert_true(reader >= 0);
    vl2_error error;
    assert_int_equal(file_write(name, "whole", 5, &error), VL2_OK);
    char data[8];
    assert_int_equal(read(reader, data, sizeof(data)), 5);
    assert_memory_equal(data, "whole", 5);
    close(reader);
    struct stat info;
    assert_int_equal(stat(name, &info), 0);
    assert_true(S_ISFIFO(info.st_mode));
    unlink(name);
    assert_int_equal(rmdir(folder), 0);
    base_free(name);
    assert_int_equal(file_write("/dev/full", "whole", 5, &error), VL2_ERROR_IO);
    assert_non_null(strstr(error.message, "/dev/full: writing failed"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_sha256_published_vectors),
        cmocka_unit_test(test_multiply_overflow),
        cmocka_unit_test(test_buffer_grows),
        cmocka_unit_test(test_json_fields_messages),
        cmocka_unit_test(test_writer_leaves_nothing_half),
        cmocka_unit_test(test_writer_keeps_special_files),
    };
    return cmocka_run_group_tests_name("base", tests, NULL, NULL);
}
