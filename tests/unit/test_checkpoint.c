/* weights/checkpoint: folders as they are published, and folders that are not whole. */
#include "test.h"
#include "test_folder.h"

#include "base/alloc.h"
#include "base/file.h"
#include "weights/checkpoint.h"

#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

static void write_bytes(const char *folder, const char *name, const void *bytes, size_t size)
{
    char *path = path_join(folder, name);
    FILE *stream = fopen(path, "wb");
    assert_non_null(stream);
    assert_int_equal(fwrite(bytes, 1, size, stream), size);
    assert_int_equal(fclose(stream), 0);
    base_free(path);
}

static void write_text(const char *folder, const char *name, const char *text)
{
    write_bytes(folder, name, text, strlen(text));
}

/* A shard of bf16 tensors [2] with the given names (up to a NULL); each holds `value` four
 * times. */
static void write_shard(const char *folder, const char *name, int value, const char *const *tensors)
{
    char bytes[4096] = {0};
    size_t length = 8, count = 0;
    for (; tensors[count] != NULL; count++) {
        length += (size_t)snprintf(bytes + length, sizeof(bytes) - length,
                                   "%s\"%s\":{\"dtype\":\"BF16\",\"shape\":[2],"
                                   "\"data_offsets\":[%zu,%zu]}",
                                   count == 0 ? "{" : ",", tensors[count], 4 * count,
                                   4 * count + 4);
    }
    length += (size_t)snprintf(bytes + length, sizeof(bytes) - length, "%s",
                               count == 0 ? "{}" : "}");
    bytes[0] = (char)((length - 8) & 255);
    bytes[1] = (char)((length - 8) >> 8);
    memset(bytes + length, value, 4 * count);
    write_bytes(folder, name, bytes, length + 4 * count);
}

#define NAMES(...) ((const char *const[]){__VA_ARGS__, NULL})

/* Opening must fail as a corrupt model, with all of these words in the message. */
static void expect_refusal(const char *path, const char *const *words)
{
    checkpoint *opened = NULL;
    vl2_error error;
    assert_int_equal(checkpoint_open(path, &opened, &error), VL2_ERROR_MODEL);
    assert_null(opened);
    for (; *words != NULL; words++) {
        if (strstr(error.message, *words) == NULL) {
            fail_msg("\"%s\" is not in: %s", *words, error.message);
        }
    }
}

static int first_byte(const checkpoint *opened, const char *name)
{
    const tensor_view *tensor = checkpoint_find(opened, name);
    assert_non_null(tensor);
    assert_string_equal(tensor->name, name);
    return *(const uint8_t *)tensor->data;
}

static void test_single_file(void **state)
{
    const char *folder = *state;
    write_shard(folder, "model.safetensors", 1, NAMES("one", "two"));
    checkpoint *opened;
    vl2_error error;
    assert_int_equal(checkpoint_open(folder, &opened, &error), VL2_OK);
    assert_int_equal(checkpoint_count(opened), 2);
    assert_int_equal(checkpoint_shards(opened), 1);
    assert_int_equal(first_byte(opened, "two"), 1);
    assert_null(checkpoint_find(opened, "three"));
    assert_null(checkpoint_find(opened, ""));
    const tensor_view *tensor = checkpoint_tensor(opened, 0);
    assert_string_equal(tensor->name, "one");
    assert_ptr_equal(tensor, checkpoint_find(opened, "one"));
    assert_non_null(strstr(checkpoint_file_of(opened, tensor), "/model.safetensors"));
    assert_string_equal(checkpoint_dtype_of(opened, tensor), "BF16");
    char *path = path_join(folder, "model.safetensors");
    struct stat info;
    assert_int_equal(stat(path, &info), 0);
    assert_int_equal(checkpoint_file_bytes(opened), info.st_size);
    checkpoint_close(opened);
    checkpoint_close(NULL);

    assert_int_equal(checkpoint_open(path, &opened, &error), VL2_OK); /* the file by itself */
    assert_int_equal(checkpoint_count(opened), 2);
    checkpoint_close(opened);

    char *other = path_join(folder, "weights.safetensors"); /* the only file, under another name */
    assert_int_equal(rename(path, other), 0);
    assert_int_equal(checkpoint_open(folder, &opened, &error), VL2_OK);
    assert_int_equal(checkpoint_count(opened), 2);
    checkpoint_close(opened);
    write_shard(folder, "second.safetensors", 1, NAMES("one"));
    expect_refusal(folder, NAMES(folder, "found 2", "model.safetensors.index.json"));
    base_free(other);
    base_free(path);
}

static void test_shards(void **state)
{
    const char *folder = *state;
    write_shard(folder, "b.safetensors", 2, NAMES("three", "unlisted"));
    write_shard(folder, "a.safetensors", 1, NAMES("one", "two", "three"));
    write_shard(folder, "stray.safetensors", 3, NAMES("one"));
    write_text(folder, "model.safetensors.index.json",
               "{\"metadata\":{\"total_size\":16},\"weight_map\":{\"one\":\"a.safetensors\","
               "\"three\":\"b.safetensors\",\"two\":\"a.safetensors\"}}");
    checkpoint *opened;
    vl2_error error;
    assert_int_equal(checkpoint_open(folder, &opened, &error), VL2_OK);
    assert_int_equal(checkpoint_shards(opened), 2);
    assert_int_equal(checkpoint_count(opened), 4);
    assert_int_equal(first_byte(opened, "one"), 1);
    assert_int_equal(first_byte(opened, "three"), 2); /* both have it: the index decides */
    assert_int_equal(first_byte(opened, "unlisted"), 2);
    assert_non_null(strstr(checkpoint_file_of(opened, checkpoint_find(opened, "three")),
                           "/b.safetensors"));
    for (size_t i = 0; i < checkpoint_count(opened); i++) {
        const tensor_view *tensor = checkpoint_tensor(opened, i);
        assert_ptr_equal(tensor, checkpoint_find(opened, tensor->name));
    }
    checkpoint_close(opened);

    write_shard(folder, "a.safetensors", 1, NAMES("one", "two", "unlisted"));
    expect_refusal(folder, NAMES("unlisted", "a.safetensors", "b.safetensors"));
}

static void test_bad_index(void **state)
{
    const char *folder = *state;
    static const char index[] = "model.safetensors.index.json";
    static const struct {
        const char *text;
        const char *words[3];
    } cases[] = {
        {"", {"not valid JSON"}},
        {"{\"weight_map\":", {"not valid JSON"}},
        {"[]", {"weight_map", "found nothing"}},
        {"{}", {"weight_map", "found nothing"}},
        {"{\"weight_map\":{}}", {"weight_map", "0 fields"}},
        {"{\"weight_map\":[1]}", {"weight_map", "a list of 1"}},
        {"{\"weight_map\":{\"one\":1}}", {"weight_map.one", "found 1"}},
        {"{\"weight_map\":{\"one\":\"\"}}", {"weight_map.one", "found \"\""}},
        {"{\"weight_map\":{\"one\":\"../a.safetensors\"}}", {"weight_map.one", "\"../a.saf"}},
        {"{\"weight_map\":{\"one\":\"/etc/a.safetensors\"}}", {"weight_map.one", "\"/etc/a"}},
        {"{\"weight_map\":{\"one\":\"x/../../a.safetensors\"}}", {"weight_map.one", "\"x/.."}},
        {"{\"weight_map\":{\"one\":\"a.bin\"}}", {"weight_map.one", "\"a.bin\""}},
        {"{\"weight_map\":{\"one\":\"c.safetensors\"}}", {"weight_map", "c.safetensors"}},
        {"{\"weight_map\":{\"four\":\"a.safetensors\"}}", {"weight_map.four", "a.safetensors"}},
        {"{\"weight_map\":{\"one\":\"a.safetensors\",\"one\":\"a.safetensors\"}}",
         {"duplicate", "one"}},
        {"{\"weight_map\":{\"one\":\"a.safetensors\",\"three\":\"a.safetensors\","
         "\"two\":\"b.safetensors\"}}",
         {"weight_map.three", "a.safetensors"}},
    };
    write_shard(folder, "a.safetensors", 1, NAMES("one"));
    write_shard(folder, "b.safetensors", 2, NAMES("two", "three"));
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        write_text(folder, index, cases[i].text);
        expect_refusal(folder, NAMES(folder, index, cases[i].words[0]));
        if (cases[i].words[1] != NULL) {
            expect_refusal(folder, NAMES(cases[i].words[1]));
        }
    }
}

static void test_bad_folders(void **state)
{
    const char *folder = *state;
    expect_refusal(folder, NAMES(folder, "found 0 .safetensors files"));
    char *missing = path_join(folder, "missing");
    expect_refusal(missing, NAMES(missing, "No such file"));
    expect_refusal("", NAMES("cannot be opened"));
    base_free(missing);

    write_text(folder, "notes.txt", "x");
    char *notes = path_join(folder, "notes.txt");
    expect_refusal(notes, NAMES(notes, "header length"));
    base_free(notes);

    write_text(folder, "model.safetensors", "");
    expect_refusal(folder, NAMES("/model.safetensors", "found a file of 0 bytes"));

    if (geteuid() == 0) {
        print_message("SKIPPED: root may read a folder without permissions\n");
        return;
    }
    assert_int_equal(chmod(folder, 0), 0);
    expect_refusal(folder, NAMES(folder, "Permission denied"));
    assert_int_equal(chmod(folder, 0700), 0);
}

/* 20000 tensors, as many as any published mixture of experts has: opened and found at once. */
static void test_many_tensors(void **state)
{
    const char *folder = *state;
    const size_t count = 20000;
    size_t capacity = 8 + count * 160, length = 8;
    char *bytes = malloc(capacity + 4 * count);
    assert_non_null(bytes);
    for (size_t i = 0; i < count; i++) {
        length += (size_t)snprintf(bytes + length, capacity - length,
                                   "%c\"language.model.layers.%zu.mlp.experts.%zu.up_proj.weight\":"
                                   "{\"dtype\":\"BF16\",\"shape\":[2,1],"
                                   "\"data_offsets\":[%zu,%zu]}",
                                   i == 0 ? '{' : ',', i / 200, i % 200, 4 * i, 4 * i + 4);
    }
    bytes[length++] = '}';
    uint64_t header = length - 8;
    memcpy(bytes, &header, 8);
    memset(bytes + length, 5, 4 * count);
    write_bytes(folder, "model.safetensors", bytes, length + 4 * count);
    free(bytes);

    clock_t before = clock();
    checkpoint *opened;
    vl2_error error;
    assert_int_equal(checkpoint_open(folder, &opened, &error), VL2_OK);
    assert_int_equal(checkpoint_count(opened), count);
    for (size_t i = 0; i < count; i++) {
        const tensor_view *tensor = checkpoint_tensor(opened, i);
        assert_ptr_equal(checkpoint_find(opened, tensor->name), tensor);
    }
    double seconds = (double)(clock() - before) / CLOCKS_PER_SEC;
    checkpoint_close(opened);
    assert_true(seconds < 5); /* about 0.05; a search in a list would take minutes */
}

static void expect_shape(const checkpoint *opened, const char *name, int rank, const int64_t *shape)
{
    const tensor_view *tensor = checkpoint_find(opened, name);
    assert_non_null(tensor);
    assert_int_equal(tensor->type, DATA_BF16);
    assert_int_equal(tensor->rank, rank);
    assert_memory_equal(tensor->shape, shape, (size_t)rank * sizeof(*shape));
}

static void test_golden_checkpoints(void **state)
{
    (void)state;
    const char *golden = golden_or_skip();
    static const struct {
        const char *name;
        size_t shards, tensors;
        int64_t hidden, vocabulary, vision;
    } cases[] = {
        {"models/vl2-tiny-dev", 1, 246, 160, 2304, 144},
        {"models/vl2-small-dev", 3, 202, 128, 2176, 128},
        {"models/vl2-base-dev", 1, 259, 160, 2560, 160},
    };
    for (size_t i = 0; i < 3; i++) {
        char *folder = path_join(golden, cases[i].name);
        checkpoint *opened;
        vl2_error error;
        assert_int_equal(checkpoint_open(folder, &opened, &error), VL2_OK);
        assert_int_equal(checkpoint_shards(opened), cases[i].shards);
        assert_int_equal(checkpoint_count(opened), cases[i].tensors);
        int64_t hidden = cases[i].hidden, vision = cases[i].vision;
        expect_shape(opened, "image_newline", 1, &hidden);
        expect_shape(opened, "language.lm_head.weight", 2,
                     (int64_t[]){cases[i].vocabulary, hidden});
        expect_shape(opened, "vision.pos_embed", 3, (int64_t[]){1, 729, vision});
        expect_shape(opened, "vision.patch_embed.proj.weight", 4, (int64_t[]){vision, 3, 14, 14});
        checkpoint_close(opened);
        base_free(folder);
    }
}

#define IN_FOLDER(test) cmocka_unit_test_setup_teardown(test, make_folder, remove_folder)

int main(void)
{
    const struct CMUnitTest tests[] = {
        IN_FOLDER(test_single_file), IN_FOLDER(test_shards),
        IN_FOLDER(test_bad_index),   IN_FOLDER(test_bad_folders),
        IN_FOLDER(test_many_tensors), cmocka_unit_test(test_golden_checkpoints),
    };
    return cmocka_run_group_tests_name("checkpoint", tests, NULL, NULL);
}
