/* weights/safetensors: what a file may say, and a message for each thing that it must not. */
#include "test.h"

#include "base/alloc.h"
#include "base/file.h"
#include "weights/safetensors.h"
#include "weights/safetensors_write.h"

#include <string.h>
#include <unistd.h>

/* Length, header and `data_size` counting bytes, in fresh memory of exactly that size. */
static uint8_t *make_file(const char *header, size_t data_size, size_t *size)
{
    size_t length = strlen(header);
    *size = 8 + length + data_size;
    uint8_t *bytes = malloc(*size);
    assert_non_null(bytes);
    for (int i = 0; i < 8; i++) {
        bytes[i] = (uint8_t)((uint64_t)length >> (8 * i));
    }
    memcpy(bytes + 8, header, length);
    for (size_t i = 0; i < data_size; i++) {
        bytes[8 + length + i] = (uint8_t)i;
    }
    return bytes;
}

static void test_good_file(void **state)
{
    (void)state;
    const char *header =
        "{\"__metadata__\":{\"format\":\"pt\"},"
        "\"b\":{\"dtype\":\"F32\",\"shape\":[],\"data_offsets\":[12,16]},"
        "\"a\":{\"dtype\":\"BF16\",\"shape\":[2,3],\"data_offsets\":[0,12]},"
        "\"empty\":{\"dtype\":\"F16\",\"shape\":[0,7],\"data_offsets\":[16,16]},"
        "\"ids\":{\"dtype\":\"I64\",\"shape\":[1],\"data_offsets\":[16,24]},"
        "\"half\":{\"dtype\":\"F16\",\"shape\":[1],\"data_offsets\":[24,26]},"
        "\"later\":{\"dtype\":\"F1_E0M0\",\"shape\":[9],\"data_offsets\":[26,27]}}   ";
    size_t size;
    uint8_t *bytes = make_file(header, 27, &size);
    safetensors *file;
    vl2_error error;
    assert_int_equal(safetensors_parse(bytes, size, "good", &file, &error), VL2_OK);
    assert_int_equal(safetensors_count(file), 6);
    assert_int_equal(safetensors_bytes(file), size);
    assert_string_equal(safetensors_name(file), "good");

    const tensor_view *a = safetensors_get(file, 0);
    assert_string_equal(a->name, "a");
    assert_int_equal(a->type, DATA_BF16);
    assert_int_equal(a->rank, 2);
    assert_int_equal(a->shape[0], 2);
    assert_int_equal(a->shape[1], 3);
    assert_ptr_equal(a->data, bytes + 8 + strlen(header));
    assert_string_equal(safetensors_dtype(file, 0), "BF16");

    const tensor_view *b = safetensors_get(file, 1);
    assert_string_equal(b->name, "b");
    assert_int_equal(b->rank, 0);
    assert_int_equal(tensor_elements(b), 1);
    assert_int_equal(*(const uint8_t *)b->data, 12);
    assert_int_equal(safetensors_index(file, b), 1);
    tensor_view other = *b;
    assert_true(safetensors_index(file, &other) == SIZE_MAX);

    assert_string_equal(safetensors_get(file, 2)->name, "empty");
    for (size_t i = 3; i < 6; i += 2) { /* data types that nobody computes with: listed only */
        assert_int_equal(safetensors_get(file, i)->type, DATA_TYPE_COUNT);
        assert_null(safetensors_get(file, i)->data);
    }
    assert_string_equal(safetensors_dtype(file, 3), "I64");
    assert_string_equal(safetensors_dtype(file, 5), "F1_E0M0");
    assert_int_equal(safetensors_get(file, 4)->type, DATA_F16);
    safetensors_close(file);
    free(bytes);
    safetensors_close(NULL);
}

#define TENSOR(name, dtype, shape, offsets)                                                        \
    "\"" name "\":{\"dtype\":\"" dtype "\",\"shape\":" shape ",\"data_offsets\":" offsets "}"

static void test_bad_headers(void **state)
{
    (void)state;
    static const struct {
        const char *header;
        size_t data_size;
        const char *field, *found; /* both must stand in the message */
    } cases[] = {
        {"", 0, "header", "nothing"},
        {"  {}", 0, "header", "other text"},
        {"[1]", 0, "header", "other text"},
        {"{\"a\":", 0, "line 1", "not valid JSON"},
        {"{} x", 0, "line 1", "not valid JSON"},
        {"{\"a\":{\"dtype\":\"F32\",\"shape\":[99999999999999999999]}}", 0, "line 1",
         "big integer"},
        {"{" TENSOR("a", "F32", "[1]", "[0,4]") "," TENSOR("a", "F32", "[1]", "[0,4]") "}", 4,
         "\"a\"", "duplicate"},
        {"{\"__metadata__\":3}", 0, "__metadata__", "3"},
        {"{\"a\":3}", 0, ": a:", "3"},
        {"{\"\":{}}", 0, "header", "empty"},
        {"{\"a\\u001bb\":{}}", 0, "header", "control"},
        {"{\"a\":{\"shape\":[1],\"data_offsets\":[0,4]}}", 4, "a.dtype", "nothing"},
        {"{\"a\":{\"dtype\":7,\"shape\":[1],\"data_offsets\":[0,4]}}", 4, "a.dtype", "7"},
        {"{\"a\":{\"dtype\":\"F32\",\"data_offsets\":[0,4]}}", 4, "a.shape", "nothing"},
        {"{\"a\":{\"dtype\":\"F32\",\"shape\":[1]}}", 4, "a.data_offsets", "nothing"},
        {"{" TENSOR("a", "F32", "\"1\"", "[0,4]") "}", 4, "a.shape", "\"1\""},
        {"{" TENSOR("a", "F32", "[-1]", "[0,4]") "}", 4, "a.shape", "-1"},
        {"{" TENSOR("a", "F32", "[1.0]", "[0,4]") "}", 4, "a.shape", "1"},
        {"{" TENSOR("a", "F32", "[1,1,1,1,1,1,1,1,1]", "[0,4]") "}", 4, "a.shape", "a list of 9"},
        {"{" TENSOR("a", "F32", "[4294967296,4294967296]", "[0,4]") "}", 4, "a.shape",
         "[4294967296, 4294967296]"},
        {"{" TENSOR("a", "F32", "[9223372036854775807]", "[0,4]") "}", 4, "a.shape",
         "[9223372036854775807]"},
        {"{" TENSOR("a", "F32", "[1]", "[0]") "}", 4, "a.data_offsets", "a list of 1"},
        {"{" TENSOR("a", "F32", "[1]", "[0,\"4\"]") "}", 4, "a.data_offsets", "a list of 2"},
        {"{" TENSOR("a", "F32", "[1]", "[-4,0]") "}", 4, "a.data_offsets", "[-4, 0]"},
        {"{" TENSOR("a", "F32", "[1]", "[4,0]") "}", 4, "a.data_offsets", "[4, 0]"},
        {"{" TENSOR("a", "F32", "[2]", "[0,8]") "}", 4, "a.data_offsets", "[0, 8]"},
        {"{" TENSOR("a", "F32", "[1]", "[0,9223372036854775807]") "}", 4, "a.data_offsets",
         "9223372036854775807"},
        {"{" TENSOR("a", "F32", "[1]", "[0,2]") "}", 2, "a.data_offsets", "2 bytes"},
        {"{" TENSOR("a", "F4", "[1]", "[0,1]") "}", 1, "a.data_offsets", "1 bytes"},
        {"{" TENSOR("a", "I64", "[1]", "[0,4]") "}", 4, "a.data_offsets", "4 bytes"},
        {"{" TENSOR("a", "F16", "[2]", "[0,4]") "," TENSOR("b", "F16", "[2]", "[2,6]") "}", 6,
         "b.data_offsets", "overlap"},
        {"{" TENSOR("a", "F16", "[2]", "[0,4]") "," TENSOR("b", "F16", "[2]", "[0,4]") "}", 4,
         "b.data_offsets", "overlap"},
        {"{" TENSOR("a", "F16", "[1]", "[0,2]") "," TENSOR("b", "F16", "[1]", "[4,6]") "}", 6,
         "b.data_offsets", "hole"},
        {"{" TENSOR("a", "F16", "[1]", "[2,4]") "}", 4, "a.data_offsets", "hole"},
        {"{" TENSOR("a", "F16", "[1]", "[0,2]") "}", 3, "data:", "3 bytes"},
        {"{}", 1, "data:", "1 bytes"},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        size_t size;
        uint8_t *bytes = make_file(cases[i].header, cases[i].data_size, &size);
        safetensors *file = NULL;
        vl2_error error;
        vl2_status status = safetensors_parse(bytes, size, "bad.safetensors", &file, &error);
        free(bytes);
        if (status != VL2_ERROR_MODEL || file != NULL) {
            fail_msg("case %zu was accepted: %s", i, cases[i].header);
        }
        if (strncmp(error.message, "bad.safetensors: ", 17) != 0 ||
            strstr(error.message, cases[i].field) == NULL ||
            strstr(error.message, cases[i].found) == NULL) {
            fail_msg("case %zu: %s", i, error.message);
        }
    }
}

/* Every cut of a good file is refused, and none is read beyond its end. */
static void test_truncated(void **state)
{
    (void)state;
    size_t size;
    uint8_t *bytes = make_file("{" TENSOR("a", "F32", "[2]", "[0,8]") "}", 8, &size);
    for (size_t cut = 0; cut < size; cut++) {
        uint8_t *part = malloc(cut > 0 ? cut : 1);
        assert_non_null(part);
        memcpy(part, bytes, cut);
        safetensors *file;
        vl2_error error;
        assert_int_equal(safetensors_parse(part, cut, "cut", &file, &error), VL2_ERROR_MODEL);
        assert_non_null(
            strstr(error.message, cut < 8 ? "header length: found a file of" : "cut: "));
        free(part);
    }
    free(bytes);
}

static void test_header_length(void **state)
{
    (void)state;
    static const struct {
        uint8_t bytes[10];
        const char *found;
    } cases[] = {
        {{0x00, 0xe1, 0xf5, 0x05, 0, 0, 0, 0, '{', '}'}, "found 100000000, expected at most the 2"},
        {{0x01, 0xe1, 0xf5, 0x05, 0, 0, 0, 0, '{', '}'}, "found 100000001, expected at most 10000"},
        {{255, 255, 255, 255, 255, 255, 255, 255, '{', '}'}, "found 18446744073709551615"},
        {{3, 0, 0, 0, 0, 0, 0, 0, '{', '}'}, "found 3, expected at most the 2 bytes"},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        safetensors *file;
        vl2_error error;
        assert_int_equal(safetensors_parse(cases[i].bytes, 10, "long", &file, &error),
                         VL2_ERROR_MODEL);
        assert_non_null(strstr(error.message, "long: header length"));
        assert_non_null(strstr(error.message, cases[i].found));
    }
}

static void test_files(void **state)
{
    (void)state;
    char folder[] = "/tmp/vl2-test-XXXXXX";
    assert_non_null(mkdtemp(folder));
    char *path = path_join(folder, "x.safetensors");
    safetensors *file;
    vl2_error error;
    assert_int_equal(safetensors_open(path, &file, &error), VL2_ERROR_MODEL); /* missing */
    assert_non_null(strstr(error.message, path));
    assert_int_equal(safetensors_open(folder, &file, &error), VL2_ERROR_MODEL); /* a folder */
    assert_non_null(strstr(error.message, folder));

    FILE *stream = fopen(path, "wb");
    assert_non_null(stream);
    fclose(stream);
    assert_int_equal(safetensors_open(path, &file, &error), VL2_ERROR_MODEL); /* empty */
    assert_non_null(strstr(error.message, path));
    assert_non_null(strstr(error.message, "found a file of 0 bytes"));

    size_t size;
    uint8_t *bytes = make_file("{" TENSOR("a", "F32", "[2]", "[0,8]") "}", 8, &size);
    stream = fopen(path, "wb");
    assert_non_null(stream);
    assert_int_equal(fwrite(bytes, 1, size, stream), size);
    fclose(stream);
    free(bytes);
    assert_int_equal(safetensors_open(path, &file, &error), VL2_OK);
    assert_string_equal(safetensors_name(file), path);
    assert_int_equal(((const uint8_t *)safetensors_get(file, 0)->data)[7], 7);
    safetensors_close(file);
    unlink(path);
    rmdir(folder);
    base_free(path);
}

/* What is written is read back; names and notes may need quotes. */
static void test_written_header(void **state)
{
    (void)state;
    static const safetensors_note notes[] = {{"format", "pt"}, {"files", "a \"b\"\nc\\d"}};
    static const char *const names[] = {"plain", "quotes \" and \\", "\xc3\xa9", "empty"};
    static const int64_t shapes[][3] = {{2, 3}, {5}, {1, 1, 1}, {0, 7}};
    static const int ranks[] = {2, 1, 3, 2};
    for (size_t with = 0; with <= 2; with++) {
        safetensors_header header;
        uint64_t bytes = 0;
        safetensors_header_begin(&header, notes, with);
        for (size_t i = 0; i < 4; i++) {
            uint64_t elements = tensor_elements(&(tensor_view){
                .rank = ranks[i], .shape = {shapes[i][0], shapes[i][1], shapes[i][2]}});
            safetensors_header_tensor(&header, names[i], "F32", shapes[i], ranks[i], 4 * elements);
            bytes += 4 * elements;
        }
        assert_int_equal(safetensors_header_end(&header, NULL), VL2_OK);
        assert_int_equal(header.offset, bytes);
        assert_int_equal(header.text.size % 8, 0);
        assert_int_equal(strstr(header.text.data + 8, "__metadata__") != NULL, with > 0);
        assert_int_equal(strstr(header.text.data + 8, "\"a \\\"b\\\"\\nc\\\\d\"") != NULL,
                         with > 1);
        size_t head = header.text.size;
        static const char data[64];
        assert_true(bytes <= sizeof(data) && buffer_append(&header.text, data, (size_t)bytes));
        safetensors *file;
        vl2_error error;
        if (safetensors_parse((const uint8_t *)header.text.data, header.text.size, "written",
                              &file, &error) != VL2_OK) {
            fail_msg("%s", error.message);
        }
        assert_int_equal(safetensors_count(file), 4);
        for (size_t i = 0; i < 4; i++) {
            const tensor_view *tensor = safetensors_get(file, i);
            assert_string_equal(tensor->name, names[i]);
            assert_int_equal(tensor->rank, ranks[i]);
            assert_memory_equal(tensor->shape, shapes[i], (size_t)ranks[i] * sizeof(int64_t));
        }
        assert_ptr_equal(safetensors_get(file, 0)->data, header.text.data + head);
        safetensors_close(file);
        safetensors_header_free(&header);
    }
}

static void test_unwritable_header(void **state)
{
    (void)state;
    for (int i = 0; i < 2; i++) {
        vl2_error error = {VL2_OK, ""};
        safetensors_header header;
        safetensors_header_begin(&header, &(safetensors_note){"note", i == 0 ? "\xff" : "fine"}, 1);
        safetensors_header_tensor(&header, i == 1 ? "\xff" : "fine", "F32", NULL, 0, 4);
        assert_int_equal(safetensors_header_end(&header, &error), VL2_ERROR_ARGUMENT);
        assert_non_null(strstr(error.message, "UTF-8"));
        safetensors_header_free(&header);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size); /* tests/fuzz/fuzz_safetensors.c */

/* The fuzzer's starting points and deterministic damage to them; it aborts where a check fails. */
static void test_damaged_files(void **state)
{
    (void)state;
    static const char *const names[] = {"deep",       "duplicate", "good",          "good_empty",
                                        "hole",       "zero_size", "length_beyond", "length_huge",
                                        "not_json",   "overflow",  "overlap",       "short"};
    uint32_t random = 1;
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        char path[4200], *bytes;
        size_t size;
        snprintf(path, sizeof(path), "%s/data/weights/fuzz/%s", TEST_SOURCE_DIR, names[i]);
        assert_int_equal(file_read(path, 4096, VL2_ERROR_INPUT, &bytes, &size, NULL), VL2_OK);
        safetensors *file = NULL;
        bool good = safetensors_parse((uint8_t *)bytes, size, path, &file, NULL) == VL2_OK;
        assert_int_equal(good, strncmp(names[i], "good", 4) == 0 ||
                                   strcmp(names[i], "zero_size") == 0);
        safetensors_close(file);
        for (int round = 0; round < 2000; round++) {
            uint8_t *damaged = malloc(size);
            assert_non_null(damaged);
            memcpy(damaged, bytes, size);
            for (int changes = round % 4; changes >= 0; changes--) {
                random = random * 1664525 + 1013904223;
                damaged[(random >> 8) % size] =
                    random >> 31 ? (uint8_t)(random >> 4) : "0123456789,:[]{}\"-"[random % 18];
            }
            LLVMFuzzerTestOneInput(damaged, size);
            free(damaged);
        }
        base_free(bytes);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_good_file),     cmocka_unit_test(test_bad_headers),
        cmocka_unit_test(test_truncated),     cmocka_unit_test(test_header_length),
        cmocka_unit_test(test_files),         cmocka_unit_test(test_damaged_files),
        cmocka_unit_test(test_written_header), cmocka_unit_test(test_unwritable_header),
    };
    return cmocka_run_group_tests_name("safetensors", tests, NULL, NULL);
}
