/* What changes weights on their way into a packed file: the importance of inputs, and adapters. */
#include "pack_data.h"
#include "test_folder.h"

#include "base/alloc.h"
#include "base/buffer.h"
#include "base/file.h"
#include "weights/lora.h"
#include "weights/safetensors_write.h"

#include <math.h>
#include <string.h>
#include <unistd.h>

typedef struct test_matrix {
    const char *name;
    int64_t rows, columns; /* rows 0: a vector */
    const float *numbers;
} test_matrix;

static void write_matrices(const char *path, const test_matrix *matrices, size_t count)
{
    safetensors_header header;
    buffer data = {0};
    safetensors_header_begin(&header, NULL, 0);
    for (size_t i = 0; i < count; i++) {
        const test_matrix *matrix = &matrices[i];
        int64_t shape[] = {matrix->rows, matrix->columns};
        size_t size = (size_t)(matrix->rows > 0 ? matrix->rows : 1) * (size_t)matrix->columns * 4;
        safetensors_header_tensor(&header, matrix->name, "F32", shape + (matrix->rows == 0),
                                  matrix->rows > 0 ? 2 : 1, size);
        assert_true(buffer_append(&data, matrix->numbers, size));
    }
    assert_int_equal(safetensors_header_end(&header, NULL), VL2_OK);
    assert_true(buffer_append(&header.text, data.data, data.size));
    assert_int_equal(file_write(path, header.text.data, header.text.size, NULL), VL2_OK);
    buffer_free(&data);
    safetensors_header_free(&header);
}

/* A file of vectors of `count` numbers each, one after the other in `numbers`. */
static void write_vectors(const char *path, const char *const *names, size_t entries, size_t count,
                          const float *numbers)
{
    test_matrix matrices[8];
    assert_true(entries <= 8);
    for (size_t i = 0; i < entries; i++) {
        matrices[i] = (test_matrix){names[i], 0, (int64_t)count, numbers + i * count};
    }
    write_matrices(path, matrices, entries);
}

#define UP(expert) "language.model.layers.1.mlp.experts." #expert ".up_proj.weight"
#define COLUMNS    128 /* of small-dev */

static void test_importance(void **state)
{
    static const char *const entries[] = {UP(0), UP(1), UP(2), "some.other.weight"};
    static float numbers[4][COLUMNS];
    char model[PATH_SIZE], out[PATH_SIZE], path[PATH_SIZE];
    vl2_pack_options options;
    vl2_pack_options_defaults(&options);
    options.model = write_model(state, "small-dev", DATA_BF16, model);
    options.out = in_folder(state, "out.vl2", out);
    options.importance = in_folder(state, "importance.safetensors", path);
    options.overwrite = true;
    float mean[COLUMNS];
    for (size_t i = 0; i < COLUMNS; i++) {
        numbers[0][i] = (float)(i % 7) * 0.25f;
        numbers[1][i] = (float)(i % 5) + 0.5f;
        mean[i] = (numbers[0][i] + numbers[1][i]) / 2;
    }
    write_vectors(path, entries, 4, COLUMNS, numbers[0]);
    pack_with(&options);
    checkpoint *checkpoint = open_model(model);
    pack_file *file = open_pack(out);
    const struct {
        const char *name;
        const float *importance;
    } rows[] = {
        {UP(0), numbers[0]},
        {UP(1), numbers[1]},
        {UP(2), mean}, /* no token came there */
        {UP(7), mean}, /* not even an entry */
        {"language.model.layers.2.mlp.experts.7.up_proj.weight", NULL},
        {"language.model.layers.1.mlp.experts.7.gate_proj.weight", NULL},
        {"language.lm_head.weight", NULL},
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        check_tensor(file, pack_find(file, rows[i].name), checkpoint_find(checkpoint, rows[i].name),
                     rows[i].importance);
    }
    pack_close(file);
    checkpoint_close(checkpoint);

    write_vectors(path, entries + 3, 1, COLUMNS, numbers[0]);
    expect_failure(&options, VL2_ERROR_MODEL, "none of a weight");
    write_vectors(path, entries, 1, COLUMNS - 1, numbers[0]);
    expect_failure(&options, VL2_ERROR_MODEL, "expected F32 [128]");
    numbers[0][3] = -1;
    write_vectors(path, entries, 1, COLUMNS, numbers[0]);
    expect_failure(&options, VL2_ERROR_MODEL, "input 3: found -1");
    assert_int_equal(unlink(path), 0);
    expect_failure(&options, VL2_ERROR_MODEL, path);
}

#define LAYER   "language.model.layers.1."
#define EXPERTS 8

/* How often experts were used stands beside their records, and nowhere else. */
static void test_uses(void **state)
{
    static float ones[COLUMNS], counts[EXPERTS];
    char model[PATH_SIZE], out[PATH_SIZE], path[PATH_SIZE];
    const test_matrix entries[] = {{LAYER "mlp.gate.weight", 0, COLUMNS, ones},
                                   {LAYER "mlp.gate.answer_counts", 0, EXPERTS - 1, counts}};
    vl2_pack_options options;
    vl2_pack_options_defaults(&options);
    options.model = write_model(state, "small-dev", DATA_BF16, model);
    options.out = in_folder(state, "out.vl2", out);
    options.importance = in_folder(state, "importance.safetensors", path);
    options.overwrite = true;
    for (size_t i = 0; i < COLUMNS; i++) {
        ones[i] = 1;
    }
    for (size_t e = 0; e < EXPERTS; e++) {
        counts[e] = (float)(e * e * 1000);
    }
    write_matrices(path, entries, 2);
    pack_with(&options);
    pack_file *file = open_pack(out);
    size_t routed = 0;
    for (size_t i = 0; i < pack_record_count(file); i++) {
        const pack_record *record = pack_record_get(file, i);
        /* The file says nothing of the last expert, nor of other layers. */
        bool known = record->layer == 1 && record->expert >= 0 && record->expert < EXPERTS - 1;
        assert_int_equal(record->uses, known ? (uint64_t)counts[record->expert] : 0);
        routed += known;
    }
    assert_int_equal(routed, EXPERTS - 1);
    pack_close(file);

    counts[5] = -1;
    write_matrices(path, entries, 2);
    expect_failure(&options, VL2_ERROR_MODEL, "gate.answer_counts: expert 5: found -1");
    counts[5] = NAN;
    write_matrices(path, entries, 2);
    expect_failure(&options, VL2_ERROR_MODEL, "gate.answer_counts: expert 5: found nan");
    counts[5] = 2e15f;
    write_matrices(path, entries, 2);
    expect_failure(&options, VL2_ERROR_MODEL, "gate.answer_counts: expert 5: found 2e+15");
    const test_matrix matrix[] = {entries[0], {LAYER "mlp.gate.answer_counts", 1, EXPERTS, ones}};
    write_matrices(path, matrix, 2);
    expect_failure(&options, VL2_ERROR_MODEL, "gate.answer_counts: found rank 2");
}

#define RANK    2
#define ROWS    56 /* of an up projection of small-dev */
#define ADAPTED "language.model.layers.1.mlp.experts.0.up_proj"

/* Progress ends where it should, though merged numbers are larger than stored ones. */
static void note_progress(const vl2_progress *progress, void *user)
{
    *(vl2_progress *)user = *progress;
}

/* In every preset a tensor becomes what the merged one would: rounded once where it is quantized,
 * to its own type where it is not. */
static void test_adapter(void **state)
{
    static const char *const quants[] = {"bf16", "mixed", "int8"};
    static float a[RANK * COLUMNS], b[ROWS * RANK], norm[COLUMNS], merged[ROWS * COLUMNS];
    char model[PATH_SIZE], out[PATH_SIZE], plain[PATH_SIZE], adapter[PATH_SIZE];
    char path[2 * PATH_SIZE];
    vl2_pack_options options;
    vl2_pack_options_defaults(&options);
    for (size_t i = 0; i < sizeof(a) / sizeof(a[0]); i++) {
        a[i] = (float)(i % 11) * 0.01f;
    }
    for (size_t i = 0; i < sizeof(b) / sizeof(b[0]); i++) {
        b[i] = (float)(i % 5) * 0.1f - 0.2f;
    }
    for (size_t i = 0; i < COLUMNS; i++) {
        norm[i] = 1 + (float)i * 0x1p-9f; /* more digits than bf16 has */
    }
    const test_matrix matrices[] = {
        {"base_model.model." ADAPTED ".lora_A.weight", RANK, COLUMNS, a},
        {"base_model.model." ADAPTED ".lora_B.weight", ROWS, RANK, b},
        {"base_model.model.language.model.norm.weight", 0, COLUMNS, norm},
    };
    const char config[] = "{\"peft_type\": \"LORA\", \"r\": 2, \"lora_alpha\": 4}";
    options.model = write_model(state, "small-dev", DATA_BF16, model);
    options.lora = in_folder(state, "adapter", adapter);
    assert_int_equal(folder_create(adapter, NULL), VL2_OK);
    snprintf(path, sizeof(path), "%s/adapter_config.json", adapter);
    assert_int_equal(file_write(path, config, strlen(config), NULL), VL2_OK);
    snprintf(path, sizeof(path), "%s/adapter_model.safetensors", adapter);
    write_matrices(path, matrices, 3);

    checkpoint *checkpoint = open_model(model);
    const tensor_view *source = checkpoint_find(checkpoint, ADAPTED ".weight");
    lora *lora;
    assert_int_equal(lora_open(adapter, &lora, NULL), VL2_OK);
    options.overwrite = true;
    vl2_progress progress = {VL2_STAGE_OPEN, 0, 0, 0, NULL};
    options.progress = note_progress;
    options.progress_user = &progress;
    for (size_t q = 0; q < 3; q++) {
        options.quant = quants[q];
        options.out = in_folder(state, "out.vl2", out);
        pack_with(&options);
        assert_int_equal(progress.stage, VL2_STAGE_PACK);
        assert_true(progress.total > 0 && progress.done == progress.total);
        pack_file *file = open_pack(out);
        tensor_view changed = *source;
        changed.type = q == 0 ? DATA_BF16 : DATA_F32;
        changed.data = merged;
        assert_int_equal(
            lora_merge(lora, source, changed.type, &(team){.threads = 1}, merged, NULL), VL2_OK);
        const pack_tensor *packed = pack_find(file, source->name);
        assert_int_equal(packed->source, PACK_BF16); /* what unpacking gives back */
        check_numbers(file, packed, &changed, NULL);
        const pack_tensor *packed_norm = pack_find(file, "language.model.norm.weight");
        if (q > 0) {
            changed = *checkpoint_find(checkpoint, "language.model.norm.weight");
            changed.type = DATA_F32;
            changed.data = norm;
            check_numbers(file, packed_norm, &changed, NULL);
        }
        /* What the adapter does not touch is as it is without. */
        const char *other = "language.model.layers.1.mlp.experts.1.up_proj.weight";
        check_tensor(file, pack_find(file, other), checkpoint_find(checkpoint, other), NULL);
        pack_close(file);
    }
    lora_close(lora);
    checkpoint_close(checkpoint);

    options.lora = NULL;
    options.out = in_folder(state, "plain.vl2", plain);
    pack_with(&options);
    options.resume = true; /* a finished file is no work to go on with */
    options.overwrite = false;
    expect_failure(&options, VL2_ERROR_ARGUMENT, plain);
    options.overwrite = true;
    options.lora = model;
    expect_failure(&options, VL2_ERROR_MODEL, "adapter_config.json");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_importance, make_folder, remove_folder),
        cmocka_unit_test_setup_teardown(test_uses, make_folder, remove_folder),
        cmocka_unit_test_setup_teardown(test_adapter, make_folder, remove_folder),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
