/* The writer of packed files: every preset of every shape against the reader, equal bytes for any
 * number of threads, what is refused, and the plan. */
#include "pack_data.h"
#include "test_folder.h"

#include "base/alloc.h"
#include "base/file.h"
#include "text/tokenizer_compiled.h"

#include <fcntl.h>
#include <math.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

/* bf16 is the first: nothing else keeps everything. */
static const char *const quants[] = {"bf16", "int8", "int6", "int4", "mixed"};

/* The records come in the order of the model, each expert whole. */
static void check_order(const pack_file *file)
{
    int layer = -1, expert = -1;
    for (size_t i = 0; i < pack_record_count(file); i++) {
        const pack_record *record = pack_record_get(file, i);
        if (record->expert >= 0) {
            assert_int_equal(record->tensor_count, 3);
            assert_non_null(strstr(record->tensors[0].name, ".gate_proj.weight"));
            assert_non_null(strstr(record->tensors[1].name, ".up_proj.weight"));
            assert_non_null(strstr(record->tensors[2].name, ".down_proj.weight"));
            for (int t = 0; t < 3; t++) {
                weight_place place = weight_place_of(record->tensors[t].name);
                assert_int_equal(place.layer, record->layer);
                assert_int_equal(place.expert, record->expert);
            }
        }
        if (record->layer == layer && expert >= 0) {
            assert_int_equal(record->expert, expert + 1); /* nothing comes behind the experts */
        } else if (record->layer >= 0 && record->layer != layer) {
            assert_int_equal(record->layer, layer + 1);
        }
        if (record->layer >= 0) {
            layer = record->layer;
            expert = record->expert;
        }
    }
    assert_int_equal(weight_place_of(pack_record_get(file, 0)->tensors[0].name).group,
                     WEIGHT_EMBEDDING);
    assert_true(layer > 0 && expert > 0);
}

/* Checksums, ranges of codes and scales, and zeros wherever nothing is. */
static void expect_verified(const char *path)
{
    vl2_verify_options options;
    vl2_verify_report report;
    vl2_error error = {VL2_OK, ""};
    vl2_verify_options_defaults(&options);
    options.path = path;
    if (vl2_verify_file(&options, &report, &error) != VL2_OK) {
        fail_msg("%s", error.message);
    }
    vl2_verify_report_clear(&report);
}

/* Every tensor of the checkpoint is in the file as it should be, or rightly left out. */
static void check_file(const char *path, const checkpoint *checkpoint, bool lossless)
{
    pack_file *file = open_pack(path);
    size_t stored = 0;
    expect_verified(path);
    for (size_t i = 0; i < checkpoint_count(checkpoint); i++) {
        const tensor_view *source = checkpoint_tensor(checkpoint, i);
        weight_place place = weight_place_of(source->name);
        const pack_tensor *packed = pack_find(file, source->name);
        if (place.group == WEIGHT_UNUSED && !lossless) {
            assert_null(packed);
            continue;
        }
        assert_non_null(packed);
        assert_int_equal(packed->group, place.group);
        check_tensor(file, packed, source, NULL);
        if (lossless) {
            assert_int_equal(packed->type, packed->source);
        } else if (source->rank < 2 || place.group == WEIGHT_ROUTER) {
            assert_int_equal(packed->type, PACK_F32);
        } else {
            assert_int_equal(packed->type >= PACK_INT8, source->rank == 2);
        }
        stored++;
    }
    assert_int_equal(stored, pack_tensor_count(file));
    check_order(file);
    pack_close(file);
}

/* ------------------------------------------------------------------------------------ presets */

static void test_presets(void **state)
{
    static const char *const sizes[] = {"tiny-dev", "small-dev", "base-dev"};
    static const data_type types[] = {DATA_BF16, DATA_F16, DATA_F32};
    char model[PATH_SIZE], one[PATH_SIZE], three[PATH_SIZE];
    in_folder(state, "one.vl2", one);
    in_folder(state, "three.vl2", three);
    for (size_t s = 0; s < 3; s++) {
        write_model(state, sizes[s], types[s], model);
        checkpoint *checkpoint = open_model(model);
        for (size_t q = 0; q < sizeof(quants) / sizeof(quants[0]); q++) {
            vl2_pack_options options;
            vl2_pack_options_defaults(&options);
            options.model = model;
            options.quant = quants[q];
            options.overwrite = true;
            options.threads = 1;
            options.out = one;
            pack_with(&options);
            options.threads = 3;
            options.out = three;
            pack_with(&options);
            expect_equal_files(one, three);
            assert_false(part_is_there(one) || part_is_there(three));
            check_file(one, checkpoint, q == 0);
        }
        checkpoint_close(checkpoint);
    }
}

static void check_blob(const pack_file *file, const char *model, const char *name)
{
    char path[2 * PATH_SIZE], *wanted, *found;
    size_t wanted_size, found_size;
    snprintf(path, sizeof(path), "%s/%s", model, name);
    assert_int_equal(file_read(path, 1 << 30, VL2_ERROR_IO, &wanted, &wanted_size, NULL), VL2_OK);
    assert_int_equal(pack_blob(file, name, &found, &found_size, NULL), VL2_OK);
    assert_int_equal(found_size, wanted_size);
    assert_memory_equal(found, wanted, wanted_size);
    base_free(wanted);
    base_free(found);
}

/* The compiled tokenizer is that of tokenizer.json alone. */
static void check_compiled(const pack_file *file)
{
    char *json, *found;
    size_t json_size, found_size;
    tokenizer *parsed;
    buffer wanted = {0};
    assert_int_equal(pack_blob(file, "tokenizer.json", &json, &json_size, NULL), VL2_OK);
    assert_int_equal(tokenizer_parse(json, json_size, "tokenizer.json", &parsed, NULL), VL2_OK);
    assert_int_equal(tokenizer_compile(parsed, &wanted, NULL), VL2_OK);
    assert_int_equal(pack_blob(file, "tokenizer", &found, &found_size, NULL), VL2_OK);
    assert_int_equal(found_size, wanted.size);
    assert_memory_equal(found, wanted.data, wanted.size);
    tokenizer_close(parsed);
    buffer_free(&wanted);
    base_free(json);
    base_free(found);
}

/* The text files of the checkpoint, and rules from the options to the file. */
static void test_blobs_and_rules(void **state)
{
    static const char *const rules[] = {"*.experts.1.up_proj.weight=int4-symmetric",
                                        "head=int8-row", "unused=bf16"};
    char model[PATH_SIZE], out[PATH_SIZE], extra[2 * PATH_SIZE];
    vl2_pack_options options;
    write_model(state, "small-dev", DATA_BF16, model);
    vl2_pack_options_defaults(&options);
    options.model = model;
    options.out = in_folder(state, "out.vl2", out);
    options.types = rules;
    options.type_count = 3;
    pack_with(&options);
    pack_file *file = open_pack(out);
    check_blob(file, model, "config.json");
    check_blob(file, model, "processor_config.json");
    check_blob(file, model, "tokenizer.json");
    check_blob(file, model, "tokenizer_config.json");
    check_blob(file, model, "special_tokens_map.json");
    check_compiled(file);
    assert_int_equal(pack_find(file, "language.lm_head.weight")->layout, LAYOUT_INT8_ROW);
    const char *expert = "language.model.layers.2.mlp.experts.1.up_proj.weight";
    assert_int_equal(pack_find(file, expert)->layout, LAYOUT_INT4_SYMMETRIC);
    expert = "language.model.layers.2.mlp.experts.1.down_proj.weight";
    assert_int_equal(pack_find(file, expert)->layout, LAYOUT_INT4_CODEBOOK);
    const pack_tensor *unused = pack_find(file, "vision.attn_pool.q.weight");
    assert_int_equal(unused->layout, PACK_SPLIT_BF16);
    assert_int_equal(unused->group, WEIGHT_UNUSED);
    size_t meta_size;
    const char *meta = pack_meta(file, &meta_size);
    assert_non_null(memmem(meta, meta_size, "\"quant\":\"mixed\"", 15));
    pack_close(file);

    /* Without the optional ones. */
    snprintf(extra, sizeof(extra), "%s/special_tokens_map.json", model);
    assert_int_equal(unlink(extra), 0);
    options.overwrite = true;
    pack_with(&options);
    file = open_pack(out);
    char *bytes;
    size_t size;
    assert_int_equal(pack_blob(file, "special_tokens_map.json", &bytes, &size, NULL),
                     VL2_ERROR_MODEL);
    pack_close(file);
}

static void test_refusals(void **state)
{
    static const char *const nothing[] = {"*.experts.99.*=int8"}, *const norms[] = {"norms=int8"};
    char model[PATH_SIZE], out[PATH_SIZE], path[2 * PATH_SIZE];
    vl2_pack_options options, good;
    write_model(state, "small-dev", DATA_BF16, model);
    vl2_pack_options_defaults(&good);
    good.model = model;
    good.out = in_folder(state, "out.vl2", out);

    options = good;
    options.model = NULL;
    expect_failure(&options, VL2_ERROR_ARGUMENT, "model");
    options = good;
    options.out = "";
    expect_failure(&options, VL2_ERROR_ARGUMENT, "out");
    options = good;
    options.quant = "int7";
    expect_failure(&options, VL2_ERROR_ARGUMENT, "int7");
    options = good;
    options.threshold = NAN;
    expect_failure(&options, VL2_ERROR_ARGUMENT, "threshold");
    options = good;
    options.level = 23;
    expect_failure(&options, VL2_ERROR_ARGUMENT, "level");
    options = good;
    options.types = nothing;
    options.type_count = 1;
    expect_failure(&options, VL2_ERROR_ARGUMENT, "experts.99");
    options.types = norms;
    expect_failure(&options, VL2_ERROR_ARGUMENT, "norms=int8");
    options = good;
    options.out = *state;
    expect_failure(&options, VL2_ERROR_IO, "folder");
    options = good;
    options.out = "/no/such/folder/out.vl2";
    expect_failure(&options, VL2_ERROR_IO, "/no/such/folder/out.vl2.part");
    assert_false(is_there(out) || part_is_there(out));

    /* A file that is there stays until the new one is whole. */
    assert_int_equal(file_write(out, "mine", 4, NULL), VL2_OK);
    expect_failure(&good, VL2_ERROR_ARGUMENT, out);
    struct stat info;
    assert_int_equal(stat(out, &info), 0);
    assert_int_equal(info.st_size, 4);
    options = good;
    options.model = out;
    expect_failure(&options, VL2_ERROR_MODEL, "folder");

    /* Another program packs into it. */
    options = good;
    options.overwrite = true;
    snprintf(path, sizeof(path), "%s.part", out);
    int descriptor = open(path, O_RDWR | O_CREAT, 0666);
    assert_int_equal(flock(descriptor, LOCK_EX), 0);
    expect_failure(&options, VL2_ERROR_IO, "another program");
    assert_true(is_there(path));
    close(descriptor);
    pack_with(&options);
    assert_false(part_is_there(out));

    /* A model that cannot be opened is none that can be packed. */
    snprintf(path, sizeof(path), "%s/processor_config.json", model);
    assert_int_equal(unlink(path), 0);
    expect_failure(&options, VL2_ERROR_MODEL, "processor_config.json");
}

/* ------------------------------------------------------------------------------------ numbers */

/* Writes 16 bits over number `index` of a tensor of a checkpoint on the disk. */
static void patch_number(const char *model, const char *name, size_t index, uint16_t bits)
{
    checkpoint *checkpoint = open_model(model);
    const tensor_view *tensor = checkpoint_find(checkpoint, name);
    mapped_file file;
    char path[2 * PATH_SIZE];
    snprintf(path, sizeof(path), "%s", checkpoint_file_of(checkpoint, tensor));
    assert_int_equal(file_map(path, VL2_ERROR_IO, &file, NULL), VL2_OK);
    /* Where the tensor lies is found by its bytes. */
    size_t size = (size_t)tensor_elements(tensor) * data_type_size(tensor->type);
    const uint8_t *found = memmem(file.data, file.size, tensor->data, size);
    assert_non_null(found);
    off_t at = (off_t)(found - file.data) + 2 * (off_t)index;
    file_unmap(&file);
    checkpoint_close(checkpoint);
    int descriptor = open(path, O_WRONLY);
    assert_int_equal(pwrite(descriptor, &bits, sizeof(bits), at), sizeof(bits));
    close(descriptor);
}

static void test_numbers_that_are_none(void **state)
{
    const char *name = "language.model.layers.1.mlp.experts.3.down_proj.weight";
    char model[PATH_SIZE], out[PATH_SIZE];
    vl2_pack_options options;
    vl2_pack_options_defaults(&options);
    options.model = write_model(state, "small-dev", DATA_BF16, model);
    options.out = in_folder(state, "out.vl2", out);
    patch_number(model, name, 56 * 20 + 9, 0x7fc1);
    expect_failure(&options, VL2_ERROR_MODEL, name);
    expect_failure(&options, VL2_ERROR_MODEL, "row 20, column 9");
    expect_failure(&options, VL2_ERROR_MODEL, ".safetensors: ");
    assert_false(part_is_there(out));
    /* bf16 loses nothing, not even this. */
    options.quant = "bf16";
    pack_with(&options);
    checkpoint *checkpoint = open_model(model);
    check_file(out, checkpoint, true);
    checkpoint_close(checkpoint);
}

static void test_thresholds(void **state)
{
    char model[PATH_SIZE], out[PATH_SIZE];
    vl2_pack_options options;
    vl2_pack_options_defaults(&options);
    options.model = write_model(state, "small-dev", DATA_BF16, model);
    options.out = in_folder(state, "out.vl2", out);
    options.quant = "bf16";
    options.overwrite = true;
    uint64_t sizes[3];
    for (int i = 0; i < 3; i++) {
        options.threshold = i == 0 ? 1 : 0.08;
        options.level = i == 2 ? 3 : 0;
        pack_with(&options);
        pack_file *file = open_pack(out);
        sizes[i] = pack_size(file);
        size_t compressed = 0;
        for (size_t t = 0; t < pack_tensor_count(file); t++) {
            const pack_tensor *tensor = pack_tensor_get(file, t);
            for (int f = 0; f < tensor->frame_count; f++) {
                compressed += tensor->frames[f].codec == PACK_ZSTD;
                if (tensor->frames[f].codec == PACK_ZSTD) {
                    assert_true((double)tensor->frames[f].stored <=
                                0.92 * (double)tensor->frames[f].content);
                }
            }
        }
        assert_true(i == 0 ? compressed == 0 : compressed > 100);
        checkpoint *checkpoint = open_model(model);
        check_file(out, checkpoint, true);
        checkpoint_close(checkpoint);
        pack_close(file);
    }
    assert_true((double)sizes[1] < 0.8 * (double)sizes[0]);
    assert_true(sizes[1] < sizes[2]); /* 0 is better than a level that looks for matches */
}

/* The plan says what comes out. */
static void test_plan(void **state)
{
    char model[PATH_SIZE], out[PATH_SIZE];
    vl2_pack_options options;
    vl2_pack_options_defaults(&options);
    options.model = write_model(state, "tiny-dev", DATA_BF16, model);
    options.overwrite = true;
    for (size_t q = 0; q < sizeof(quants) / sizeof(quants[0]); q++) {
        vl2_pack_summary plan;
        options.quant = quants[q];
        options.out = NULL;
        assert_int_equal(vl2_pack_plan(&options, &plan, NULL), VL2_OK);
        options.out = in_folder(state, "out.vl2", out);
        pack_with(&options);
        pack_file *file = open_pack(out);
        double size = (double)pack_size(file);
        /* Integers may come out smaller: the rows of a vocabulary that no token has are zero. */
        double planned = (double)plan.file_bytes;
        if (planned < 0.98 * size || planned > (q == 0 ? 1.03 : 1.1) * size) {
            fail_msg("%s: planned %.0f bytes, found %.0f", quants[q], planned, size);
        }
        assert_int_equal(plan.tensors, pack_tensor_count(file));
        assert_int_equal(plan.records, pack_record_count(file));
        uint64_t parameters = 0, memory = 0, bytes = 0;
        for (size_t i = 0; i < plan.group_count; i++) {
            parameters += plan.groups[i].parameters;
            memory += plan.groups[i].memory;
            bytes += plan.groups[i].bytes;
            assert_true(i == 0 || weight_group_find(plan.groups[i].name) >
                                      weight_group_find(plan.groups[i - 1].name));
        }
        assert_int_equal(parameters, plan.parameters);
        assert_int_equal(memory, plan.memory_resident);
        assert_int_equal(bytes, plan.weight_bytes);
        assert_true(plan.memory_paged < plan.memory_resident);
        assert_true((plan.left_out_tensors == 0) == (q == 0));
        pack_close(file);
    }
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, make_folder, remove_folder)
    const struct CMUnitTest tests[] = {
        TEST(test_presets),           TEST(test_blobs_and_rules), TEST(test_refusals),
        TEST(test_numbers_that_are_none), TEST(test_thresholds), TEST(test_plan),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
