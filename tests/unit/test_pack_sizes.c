/* How large the published models become: plans of checkpoints that have the shapes and no data, and
 * what the planes of 16-bit weights compress to. */
#include "pack_data.h"
#include "test_folder.h"

#include "base/alloc.h"
#include "base/file.h"
#include "weights/pack_summary.h"
#include "weights/safetensors_write.h"
#include "weights/synth.h"
#include "weights/synth_tensors.h"

#include <fcntl.h>
#include <math.h>
#include <string.h>
#include <unistd.h>

/* A safetensors file with the tensors of a published shape, all of it a hole: it takes no space. */
static checkpoint *open_hole(void **state, const char *size)
{
    char path[PATH_SIZE];
    synth_shape shape;
    synth_tensors tensors;
    safetensors_header header;
    assert_int_equal(synth_shape_named(size, &shape), VL2_OK);
    assert_int_equal(synth_list_tensors(&shape, &tensors, NULL), VL2_OK);
    safetensors_header_begin(&header, NULL, 0);
    for (size_t i = 0; i < tensors.count; i++) {
        const synth_tensor *tensor = &tensors.items[i];
        safetensors_header_tensor(&header, tensor->name, "BF16", tensor->shape, tensor->rank,
                                  2 * tensor->elements);
    }
    uint64_t data = header.offset;
    assert_int_equal(safetensors_header_end(&header, NULL), VL2_OK);
    in_folder(state, "model.safetensors", path);
    assert_int_equal(file_write(path, header.text.data, header.text.size, NULL), VL2_OK);
    int result = truncate(path, (off_t)(header.text.size + data));
    safetensors_header_free(&header);
    synth_free_tensors(&tensors);
    if (result != 0) {
        print_message("SKIPPED: the temporary folder cannot hold a large empty file\n");
        skip();
    }
    return open_model(path);
}

/* Bytes of the file, without its text files. */
static uint64_t planned_bytes(const checkpoint *checkpoint, const char *quant,
                              vl2_pack_summary *summary)
{
    pack_types types;
    pack_plan plan;
    pack_compression compression = {0.08, 0};
    assert_int_equal(pack_types_read(quant, NULL, 0, &types, NULL), VL2_OK);
    assert_int_equal(pack_plan_make(checkpoint, &types, NULL, NULL, &plan, NULL), VL2_OK);
    pack_plan_summarise(&plan, &compression, 0, 1 << 20, summary);
    pack_plan_clear(&plan);
    pack_types_clear(&types);
    return summary->file_bytes;
}

static const vl2_pack_group *group_of(const vl2_pack_summary *summary, const char *name)
{
    for (size_t i = 0; i < summary->group_count; i++) {
        if (strcmp(summary->groups[i].name, name) == 0) {
            return &summary->groups[i];
        }
    }
    fail_msg("no group %s", name);
    return NULL;
}

/* The limits that were set for `small`. */
static void test_small(void **state)
{
    static const struct {
        const char *quant;
        double most; /* GB */
    } rows[] = {{"mixed", 9.6}, {"int6", 13.5}, {"int8", 16.5}, {"int4", 9.0}};
    checkpoint *checkpoint = open_hole(state, "small");
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        vl2_pack_summary summary;
        double size = (double)planned_bytes(checkpoint, rows[i].quant, &summary) * 1e-9;
        print_message("small, %s: %.2f GB\n", rows[i].quant, size);
        assert_true(size < rows[i].most);
        assert_true(size > 0.9 * rows[i].most);
    }
    checkpoint_close(checkpoint);
}

/* Bits of a weight, everything included. */
static void test_bits(void **state)
{
    vl2_pack_summary summary;
    checkpoint *checkpoint = open_hole(state, "base");
    planned_bytes(checkpoint, "mixed", &summary);
    const vl2_pack_group *experts = group_of(&summary, "experts");
    assert_true((double)experts->bytes * 8 < 4.5 * (double)experts->parameters);
    assert_string_equal(experts->types, "int4-codebook");
    assert_string_equal(group_of(&summary, "norms")->types, "f32");
    assert_non_null(strstr(group_of(&summary, "vision")->types, "int8-group128, "));
    planned_bytes(checkpoint, "int6", &summary);
    experts = group_of(&summary, "experts");
    assert_true((double)experts->bytes * 8 < 6.6 * (double)experts->parameters);
    /* Experts of one layer instead of 29, of 3 * 1536 * 2560 weights each. */
    uint64_t layer = experts->memory / 29;
    assert_int_equal(experts->parameters, 29ull * 72 * 3 * 1536 * 2560);
    assert_int_equal(summary.memory_paged, summary.memory_resident - 28 * layer);
    checkpoint_close(checkpoint);
}

static float normal(uint64_t *seed)
{
    double u[2];
    for (int i = 0; i < 2; i++) {
        *seed = *seed * 6364136223846793005u + 1442695040888963407u;
        u[i] = ((double)(*seed >> 11) + 0.5) * 0x1p-53;
    }
    return (float)(0.02 * sqrt(-2 * log(u[0])) * cos(2 * M_PI * u[1]));
}

/* bf16 is at least 30 % smaller than the checkpoint: of normal weights the low bytes are raw, and
 * less than four tenths of the high bytes are left, which expand to what they were. */
static void test_high_bytes(void **state)
{
    enum { COUNT = 1 << 20 };
    (void)state;
    uint64_t seed = 1;
    uint8_t *planes[2] = {malloc(COUNT), malloc(COUNT)};
    pack_compression compression = {0.08, 0};
    pack_stored stored[2];
    for (size_t i = 0; i < COUNT; i++) {
        float number = normal(&seed);
        uint8_t bytes[2];
        numbers_narrow(&number, 1, DATA_BF16, bytes);
        planes[0][i] = bytes[0];
        planes[1][i] = bytes[1];
    }
    for (int i = 0; i < 2; i++) {
        assert_int_equal(pack_compress(planes[i], COUNT, 2 * COUNT, &compression, &stored[i], NULL),
                         VL2_OK);
    }
    assert_int_equal(stored[0].codec, PACK_RAW);
    assert_int_equal(stored[0].size, COUNT);
    assert_int_equal(stored[1].codec, PACK_ZSTD);
    print_message("%.1f %% of bf16 are left\n",
                  100.0 * (double)(stored[0].size + stored[1].size) / (2.0 * COUNT));
    assert_true((double)(stored[0].size + stored[1].size) < 0.68 * 2 * COUNT);
    for (int i = 0; i < 2; i++) {
        base_free(stored[i].own);
        free(planes[i]);
    }
}

/* Planes beside codes that are raw stay raw, however well they compress: less than 1 % of the
 * tensor is not worth a copy in memory. */
static void test_least_saving(void **state)
{
    (void)state;
    static uint8_t plane[100000];
    pack_compression compression = {0.08, 0};
    pack_stored stored;
    memset(plane, 3, sizeof(plane));
    assert_int_equal(pack_compress(plane, sizeof(plane), 20000000, &compression, &stored, NULL),
                     VL2_OK);
    assert_int_equal(stored.codec, PACK_RAW);
    assert_int_equal(pack_compress(plane, sizeof(plane), 5000000, &compression, &stored, NULL),
                     VL2_OK);
    assert_int_equal(stored.codec, PACK_ZSTD);
    assert_true(stored.size < 1000);
    base_free(stored.own);
    /* A byte is raw whatever the threshold. */
    compression.threshold = 0;
    assert_int_equal(pack_compress(plane, 1, 1, &compression, &stored, NULL), VL2_OK);
    assert_int_equal(stored.codec, PACK_RAW);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_small, make_folder, remove_folder),
        cmocka_unit_test_setup_teardown(test_bits, make_folder, remove_folder),
        cmocka_unit_test(test_high_bytes),
        cmocka_unit_test(test_least_saving),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
