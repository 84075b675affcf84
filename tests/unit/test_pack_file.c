/* weights/pack_file: what a second writer makes of the specification is read, and nothing else
 * is. */
#include "fuzz_pack.h"
#include "pack_builder.h"
#include "test_folder.h"

#include "base/alloc.h"
#include "base/file.h"
#include "weights/pack_file.h"

#include <sys/stat.h>
#include <unistd.h>

static pack_file *parse(const uint8_t *bytes, size_t size)
{
    pack_file *file = NULL;
    vl2_error error = {VL2_OK, ""};
    if (pack_parse(bytes, size, "sample", &file, &error) != VL2_OK) {
        fail_msg("%s", error.message);
    }
    return file;
}

static void test_sample(void **state)
{
    (void)state;
    size_t size, meta_size;
    uint8_t *bytes = build_sample(&size);
    pack_file *file = parse(bytes, size);
    assert_int_equal(pack_size(file), size);
    assert_ptr_equal(pack_data(file), bytes);
    assert_string_equal(pack_name(file), "sample");
    assert_int_equal(pack_file_hash(file)[1], pack_get(bytes, 56, 8));
    const char *meta = pack_meta(file, &meta_size);
    assert_int_equal(meta_size, 21);
    assert_memory_equal(meta, "{\"program\": \"a test\"}", 21);

    assert_int_equal(pack_record_count(file), 6);
    assert_int_equal(pack_tensor_count(file), 17);
    const pack_record *expert = pack_record_get(file, 3);
    assert_int_equal(expert->layer, 1);
    assert_int_equal(expert->expert, 1);
    assert_int_equal(expert->tensor_count, 3);
    assert_int_equal(expert->offset % 4096, 0);
    assert_int_equal(pack_record_get(file, 0)->layer, -1);

    const pack_tensor *down = &expert->tensors[2];
    assert_ptr_equal(pack_find(file, "language.model.layers.1.mlp.experts.1.down_proj.weight"),
                     down);
    assert_int_equal(down->type, PACK_INT4);
    assert_int_equal(down->source, PACK_BF16);
    assert_int_equal(down->layout, LAYOUT_INT4_CODEBOOK);
    assert_int_equal(down->group, 9);
    assert_int_equal(down->rank, 2);
    assert_int_equal(down->shape[0], 40);
    assert_int_equal(down->shape[1], 22);
    assert_int_equal(down->shape[2], 1);
    assert_int_equal(down->record, 3);
    assert_int_equal(down->frame_count, 4);
    assert_int_equal(down->frames[3].plane, LAYOUT_TABLE);
    assert_int_equal(down->frames[3].offset + 16, expert->offset + expert->size);
    for (size_t i = 0; i < pack_tensor_count(file); i++) {
        const pack_tensor *tensor = pack_tensor_get(file, i);
        assert_ptr_equal(pack_find(file, tensor->name), tensor);
    }
    assert_null(pack_find(file, "language"));
    assert_null(pack_find(file, ""));
    pack_close(file);
    free(bytes);
}

static void test_frames(void **state)
{
    (void)state;
    size_t size, expanded = 0;
    uint8_t *bytes = build_sample(&size);
    pack_file *file = parse(bytes, size);
    for (size_t i = 0; i < pack_tensor_count(file); i++) {
        const pack_tensor *tensor = pack_tensor_get(file, i);
        for (int j = 0; j < tensor->frame_count; j++) {
            const pack_frame *frame = &tensor->frames[j];
            uint8_t *out = malloc((size_t)frame->content);
            assert_non_null(out);
            assert_int_equal(pack_check(file, tensor, frame, NULL), VL2_OK);
            assert_int_equal(pack_expand(file, tensor, frame, out, NULL), VL2_OK);
            if (frame->codec == PACK_RAW) {
                assert_memory_equal(out, bytes + frame->offset, frame->content);
            } else {
                expanded++;
            }
            free(out);
        }
    }
    assert_true(expanded > 10);
    pack_close(file);
    free(bytes);
}

static void test_blobs(void **state)
{
    (void)state;
    size_t size, length;
    uint8_t *bytes = build_sample(&size);
    pack_file *file = parse(bytes, size);
    char *data;
    vl2_error error;
    assert_int_equal(pack_blob_count(file), 4);
    assert_string_equal(pack_blob_name(file, 1), "processor_config.json");
    assert_int_equal(pack_blob(file, "processor_config.json", &data, &length, &error), VL2_OK);
    assert_string_equal(data, "{}");
    assert_int_equal(length, 2);
    base_free(data);
    assert_int_equal(pack_blob(file, "tokenizer.json", &data, &length, &error), VL2_OK);
    assert_int_equal(length, 3000);
    assert_int_equal(data[2999], ' ');
    base_free(data);
    assert_int_equal(pack_blob(file, "token", &data, &length, &error), VL2_ERROR_MODEL);
    assert_string_equal(error.message, "sample: found no blob token, expected one");

    bytes[pack_blob_frame(file, 0)->offset] ^= 1;
    assert_int_equal(pack_blob(file, "config.json", &data, &length, &error), VL2_ERROR_MODEL);
    assert_non_null(strstr(error.message, "sample: blob config.json at offset "));
    assert_non_null(strstr(error.message, ": found checksum "));
    pack_close(file);
    free(bytes);
}

static void test_files(void **state)
{
    char *path = path_join(*state, "x.vl2");
    pack_file *file;
    vl2_error error;
    assert_false(pack_recognise(path));
    assert_false(pack_recognise(*state));
    assert_int_equal(mkfifo(path, 0600), 0);
    assert_false(pack_recognise(path)); /* does not wait */
    assert_int_equal(unlink(path), 0);
    assert_int_equal(pack_open(path, &file, &error), VL2_ERROR_MODEL); /* missing */
    assert_non_null(strstr(error.message, path));
    assert_int_equal(file_write(path, "", 0, NULL), VL2_OK);
    assert_false(pack_recognise(path));
    assert_int_equal(pack_open(path, &file, &error), VL2_ERROR_MODEL); /* empty */
    assert_non_null(strstr(error.message, "header: found a file of 0 bytes"));

    size_t size;
    uint8_t *bytes = build_sample(&size);
    assert_int_equal(file_write(path, bytes, size, NULL), VL2_OK);
    free(bytes);
    assert_true(pack_recognise(path));
    assert_int_equal(pack_open(path, &file, &error), VL2_OK);
    assert_string_equal(pack_name(file), path);
    assert_int_equal(pack_check(file, NULL, pack_blob_frame(file, 2), &error), VL2_OK);
    pack_close(file);
    pack_close(NULL);
    base_free(path);
}

/* The starting points for fuzzing are files of today's format. */
static void test_corpus(void **state)
{
    (void)state;
    static const char *const names[] = {"sample", "tiny", "later"};
    for (size_t i = 0; i < 3; i++) {
        char path[4200], *folded;
        size_t folded_size, size;
        snprintf(path, sizeof(path), "%s/data/weights/pack/%s", TEST_SOURCE_DIR, names[i]);
        assert_int_equal(file_read(path, 1 << 20, VL2_ERROR_INPUT, &folded, &folded_size, NULL),
                         VL2_OK);
        uint8_t *bytes = fuzz_pack_unfold((const uint8_t *)folded, folded_size, &size);
        assert_non_null(bytes);
        pack_file *file = parse(bytes, size);
        assert_int_equal(pack_tensor_count(file), i == 1 ? 1 : 17);
        pack_close(file);
        free(bytes);
        base_free(folded);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_sample),
        cmocka_unit_test(test_frames),
        cmocka_unit_test(test_blobs),
        cmocka_unit_test(test_corpus),
        cmocka_unit_test_setup_teardown(test_files, make_folder, remove_folder),
    };
    return cmocka_run_group_tests_name("pack_file", tests, NULL, NULL);
}
