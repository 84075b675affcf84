/* vl2_pack, vl2_verify_file and vl2_unpack, one after the other: nothing is lost on the way. */
#include "pack_data.h"
#include "test_folder.h"

#include <string.h>

static void verify(const char *path)
{
    vl2_error error = {VL2_OK, ""};
    vl2_verify_report report;
    vl2_verify_options options;
    vl2_verify_options_defaults(&options);
    options.path = path;
    options.threads = 2;
    if (vl2_verify_file(&options, &report, &error) != VL2_OK) {
        fail_msg("%s", error.message);
    }
    assert_int_equal(report.damaged, 0);
    assert_int_equal(strlen(report.file_hash), 32);
    assert_true(report.records > 10 && report.tensors > report.records);
    assert_true(report.frames >= report.tensors + report.blobs);
    vl2_verify_report_clear(&report);
}

static void unpack(const char *path, const char *out)
{
    vl2_error error = {VL2_OK, ""};
    vl2_unpack_options options;
    vl2_unpack_options_defaults(&options);
    options.path = path;
    options.out = out;
    options.threads = 2;
    if (vl2_unpack(&options, &error) != VL2_OK) {
        fail_msg("%s", error.message);
    }
}

static size_t bytes_of(const tensor_view *tensor)
{
    return (size_t)tensor_elements(tensor) * data_type_size(tensor->type);
}

static void expect_equal_tensors(const char *left, const char *right)
{
    checkpoint *a = open_model(left), *b = open_model(right);
    assert_true(checkpoint_count(b) > 100);
    for (size_t i = 0; i < checkpoint_count(b); i++) {
        const tensor_view *back = checkpoint_tensor(b, i);
        const tensor_view *source = checkpoint_find(a, back->name);
        if (source == NULL || source->type != back->type || source->rank != back->rank ||
            memcmp(source->shape, back->shape, sizeof(back->shape)) != 0 ||
            memcmp(source->data, back->data, bytes_of(back)) != 0) {
            fail_msg("%s differs", back->name);
        }
    }
    for (size_t i = 0; i < checkpoint_count(a); i++) {
        const char *name = checkpoint_tensor(a, i)->name;
        if (checkpoint_find(b, name) == NULL && strstr(name, "attn_pool") == NULL) {
            fail_msg("%s is missing", name);
        }
    }
    checkpoint_close(a);
    checkpoint_close(b);
}

static void test_lossless(void **state)
{
    static const data_type types[] = {DATA_BF16, DATA_F16};
    for (int i = 0; i < 2; i++) {
        char model[PATH_SIZE], file[PATH_SIZE], out[PATH_SIZE], path[2][PATH_SIZE + 64];
        static const char *const names[] = {"config.json", "processor_config.json",
                                            "tokenizer.json"};
        vl2_pack_options options;
        vl2_pack_options_defaults(&options);
        options.model = write_model(state, "base-dev", types[i], model);
        options.out = in_folder(state, "x.vl2", file);
        options.quant = "bf16";
        options.overwrite = true;
        pack_with(&options);
        verify(file);
        unpack(file, in_folder(state, i == 0 ? "back" : "back16", out));
        expect_equal_tensors(model, out);
        for (int j = 0; j < 3; j++) {
            snprintf(path[0], sizeof(path[0]), "%s/%s", model, names[j]);
            snprintf(path[1], sizeof(path[1]), "%s/%s", out, names[j]);
            expect_equal_files(path[0], path[1]);
        }
    }
}

/* What comes back from fewer bits is near to what went in; test_unpack.c has the exact values. */
static void test_presets(void **state)
{
    static const char *const presets[] = {"int8", "int6", "int4", "mixed"};
    char model[PATH_SIZE], file[PATH_SIZE], out[PATH_SIZE];
    write_model(state, "small-dev", DATA_BF16, model);
    for (int i = 0; i < 4; i++) {
        vl2_pack_options options;
        vl2_pack_options_defaults(&options);
        options.model = model;
        options.out = in_folder(state, presets[i], file);
        options.quant = presets[i];
        pack_with(&options);
        verify(file);
        char name[32];
        snprintf(name, sizeof(name), "from-%s", presets[i]);
        unpack(file, in_folder(state, name, out));
        checkpoint *source = open_model(model), *back = open_model(out);
        double error = 0, energy = 0;
        for (size_t j = 0; j < checkpoint_count(back); j++) {
            const tensor_view *tensor = checkpoint_tensor(back, j);
            size_t count = (size_t)tensor_elements(tensor);
            float *numbers = calloc(2 * count, sizeof(float));
            assert_non_null(numbers);
            numbers_widen(checkpoint_find(source, tensor->name)->data, DATA_BF16, count, numbers);
            numbers_widen(tensor->data, DATA_BF16, count, numbers + count);
            for (size_t k = 0; k < count; k++) {
                double difference = (double)numbers[k] - (double)numbers[count + k];
                error += difference * difference;
                energy += (double)numbers[k] * (double)numbers[k];
            }
            free(numbers);
        }
        /* The worst layout keeps 0.09 of relative error on Gaussian weights. */
        assert_true(error > 0 && error < 0.1 * 0.1 * energy);
        checkpoint_close(source);
        checkpoint_close(back);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_lossless, make_folder, remove_folder),
        cmocka_unit_test_setup_teardown(test_presets, make_folder, remove_folder),
    };
    return cmocka_run_group_tests_name("pack_round", tests, NULL, NULL);
}
