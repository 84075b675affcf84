/* weights/lora: names, shapes and configurations of adapters, and what they are merged to. */
#include "test.h"
#include "test_folder.h"

#include "base/alloc.h"
#include "base/file.h"
#include "weights/lora.h"
#include "weights/lora_config.h"
#include "weights/safetensors_write.h"

#include <math.h>
#include <string.h>

#define Q_PROJ  "language.model.layers.0.self_attn.q_proj"
#define ADAPTED "base_model.model." Q_PROJ

/* -------------------------------------------------------------------------------- writing files */

typedef struct test_tensor {
    const char *name;
    int rank;
    int64_t shape[4];
    data_type type;
    const float *numbers; /* NULL: 1, 2, 3, ... */
    const char *dtype;    /* instead of the type's own name; may be NULL */
} test_tensor;

static uint64_t elements_of(const test_tensor *tensor)
{
    tensor_view view = {.rank = tensor->rank};
    memcpy(view.shape, tensor->shape, sizeof(tensor->shape));
    return tensor_elements(&view);
}

/* Up to a tensor without a name. */
static void write_tensors(const char *folder, const char *name, const test_tensor *tensors)
{
    static const char *const dtypes[] = {"F32", "F16", "BF16"};
    safetensors_header header;
    buffer data = {0};
    vl2_error error;
    safetensors_header_begin(&header, NULL, 0);
    for (; tensors->name != NULL; tensors++) {
        uint64_t count = elements_of(tensors);
        size_t size = data_type_size(tensors->type);
        safetensors_header_tensor(&header, tensors->name,
                                  tensors->dtype != NULL ? tensors->dtype : dtypes[tensors->type],
                                  tensors->shape, tensors->rank, count * size);
        for (uint64_t i = 0; i < count; i++) {
            float number = tensors->numbers != NULL ? tensors->numbers[i] : (float)(i + 1);
            char bytes[4];
            numbers_narrow(&number, 1, tensors->type, bytes);
            assert_true(buffer_append(&data, bytes, size));
        }
    }
    assert_int_equal(safetensors_header_end(&header, &error), VL2_OK);
    assert_true(buffer_append(&header.text, data.data, data.size));
    char *path = path_join(folder, name);
    assert_int_equal(file_write(path, header.text.data, header.text.size, &error), VL2_OK);
    base_free(path);
    buffer_free(&data);
    safetensors_header_free(&header);
}

static void write_config(const char *folder, const char *fields)
{
    char *path = path_join(folder, "adapter_config.json");
    buffer json = {0};
    vl2_error error;
    buffer_append_text(&json, "{\"peft_type\":\"LORA\"");
    buffer_append_text(&json, fields);
    buffer_append_text(&json, "}");
    assert_int_equal(file_write(path, json.data, json.size, &error), VL2_OK);
    buffer_free(&json);
    base_free(path);
}

static lora *open_lora(const char *folder)
{
    lora *opened = NULL;
    vl2_error error;
    if (lora_open(folder, &opened, &error) != VL2_OK) {
        fail_msg("%s", error.message);
    }
    return opened;
}

static lora *make_lora(const char *folder, const char *fields, const test_tensor *tensors)
{
    write_config(folder, fields);
    write_tensors(folder, "adapter_model.safetensors", tensors);
    return open_lora(folder);
}

static void assert_says(const vl2_error *error, const char *words)
{
    if (strstr(error->message, words) == NULL) {
        fail_msg("\"%s\" does not say \"%s\"", error->message, words);
    }
}

static void assert_refused(const char *folder, const char *words)
{
    lora *opened = NULL;
    vl2_error error = {0};
    assert_int_equal(lora_open(folder, &opened, &error), VL2_ERROR_MODEL);
    assert_null(opened);
    assert_says(&error, words);
    assert_says(&error, folder);
}

/* ------------------------------------------------------------------------------------ merging */

static float next_random(uint64_t *state)
{
    *state = *state * 6364136223846793005u + 1442695040888963407u;
    return (float)(int32_t)(*state >> 32) * 0x1p-31f;
}

static float *random_numbers(size_t count, float scale, uint64_t *state)
{
    float *numbers = malloc((count + 1) * sizeof(*numbers));
    assert_non_null(numbers);
    for (size_t i = 0; i < count; i++) {
        numbers[i] = scale * next_random(state);
    }
    return numbers;
}

/* As stored: what the file will have. */
static void round_to(float *numbers, size_t count, data_type type)
{
    for (size_t i = 0; i < count; i++) {
        char bytes[4];
        numbers_narrow(&numbers[i], 1, type, bytes);
        numbers_widen(bytes, type, 1, &numbers[i]);
    }
}

/* Merges `count` numbers with several teams, at an odd address; all give the same bytes, which are
 * widened into fresh memory. */
static float *merge(const lora *lora, const tensor_view *source, data_type type)
{
    size_t count = (size_t)tensor_elements(source), size = count * data_type_size(type);
    char *first = malloc(size + 1), *other = malloc(size + 1);
    float *numbers = malloc((count + 1) * sizeof(*numbers));
    assert_true(first != NULL && other != NULL && numbers != NULL);
    for (int threads = 1; threads <= 3; threads++) {
        vl2_error error;
        char *out = threads == 1 ? first : other;
        memset(out, 0xA5, size + 1);
        if (lora_merge(lora, source, type, &(team){.threads = threads}, out + 1, &error) !=
            VL2_OK) {
            fail_msg("%s", error.message);
        }
        assert_int_equal((uint8_t)out[0], 0xA5);
        assert_memory_equal(out + 1, first + 1, size);
    }
    numbers_widen(first + 1, type, count, numbers);
    free(first);
    free(other);
    return numbers;
}

typedef struct merge_case {
    int64_t rows, columns, rank;
    data_type adapter, source, out;
    double alpha;
    bool root_scaled;
} merge_case;

/* The largest relative error of rounding to a type. */
static double rounding(data_type type)
{
    return type == DATA_F32 ? 0x1p-24 : type == DATA_F16 ? 0x1p-11 : 0x1p-8;
}

/* Against sums in long double, from the last term to the first. */
static void check_case(const char *folder, const merge_case *c, uint64_t *state)
{
    size_t rows = (size_t)c->rows, columns = (size_t)c->columns, rank = (size_t)c->rank;
    float *a = random_numbers(rank * columns, 1, state);
    float *b = random_numbers(rows * rank, 0.1f, state);
    float *w = random_numbers(rows * columns, 1, state);
    round_to(a, rank * columns, c->adapter);
    round_to(b, rows * rank, c->adapter);
    round_to(w, rows * columns, c->source);
    char fields[160];
    snprintf(fields, sizeof(fields), ",\"r\":%d,\"lora_alpha\":%g,\"use_rslora\":%s", (int)c->rank,
             c->alpha, c->root_scaled ? "true" : "false");
    lora *lora = make_lora(
        folder, fields,
        (test_tensor[]){{ADAPTED ".lora_A.weight", 2, {c->rank, c->columns}, c->adapter, a, NULL},
                        {ADAPTED ".lora_B.weight", 2, {c->rows, c->rank}, c->adapter, b, NULL},
                        {0}});
    char *bytes = malloc(rows * columns * 4);
    assert_non_null(bytes);
    numbers_narrow(w, rows * columns, c->source, bytes);
    tensor_view source = {Q_PROJ ".weight", bytes, c->source, 2, {c->rows, c->columns}};
    float *merged = merge(lora, &source, c->out);
    long double scaling =
        (long double)c->alpha / (c->root_scaled ? sqrtl((long double)rank) : (long double)rank);
    for (size_t n = 0; n < rows; n++) {
        for (size_t k = 0; k < columns; k++) {
            long double sum = 0, magnitude = 0;
            for (size_t r = rank; r-- > 0;) {
                long double term = scaling * b[n * rank + r] * a[r * columns + k];
                sum += term;
                magnitude += fabsl(term);
            }
            double expected = (double)(w[n * columns + k] + sum);
            double allowed = 0x1p-23 * (double)magnitude +
                             1.01 * (rounding(c->out) + 0x1p-24) * fabs(expected) + 0x1p-25;
            double found = (double)merged[n * columns + k];
            if (!(fabs(found - expected) <= allowed)) {
                fail_msg("[%zu, %zu]: %g, expected %g +- %g", n, k, found, expected, allowed);
            }
        }
    }
    free(merged);
    free(bytes);
    free(a);
    free(b);
    free(w);
    lora_close(lora);
}

static void test_product(void **state)
{
    static const merge_case cases[] = {
        {1, 1, 1, DATA_F32, DATA_F32, DATA_F32, 1, false},
        {2, 8, 3, DATA_F32, DATA_BF16, DATA_F32, 16, false},
        {3, 7, 2, DATA_BF16, DATA_F16, DATA_F16, 5, false},
        {31, 9, 5, DATA_F16, DATA_BF16, DATA_BF16, 32, false},
        {33, 40, 16, DATA_BF16, DATA_BF16, DATA_BF16, 32, true},
        {100, 65, 8, DATA_F32, DATA_F32, DATA_F32, 3.3, true},
        {70, 130, 64, DATA_F32, DATA_BF16, DATA_F32, 128, false},
        {5, 3, 200, DATA_F32, DATA_F16, DATA_BF16, 1, false},
    };
    uint64_t random = 2415;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        check_case(*state, &cases[i], &random);
    }
}

/* Small integers, so that every bit is known. A has 1, 2, 3, ...; so has B. */
static void test_kinds(void **state)
{
    static const test_tensor tensors[] = {
        {ADAPTED ".lora_A.default.weight", 2, {2, 3}, DATA_F32, NULL, NULL},
        {ADAPTED ".lora_B.default.weight", 2, {2, 2}, DATA_F16, NULL, NULL},
        {"base_model.model.language.model.embed_tokens.lora_embedding_A",
         2,
         {2, 4},
         DATA_BF16,
         NULL,
         NULL},
        {"base_model.model.language.model.embed_tokens.lora_embedding_B",
         2,
         {3, 2},
         DATA_F32,
         NULL,
         NULL},
        {"base_model.model.vision.patch_embed.proj.lora_A.weight",
         4,
         {1, 1, 2, 2},
         DATA_F32,
         NULL,
         NULL},
        {"base_model.model.vision.patch_embed.proj.lora_B.weight",
         4,
         {3, 1, 1, 1},
         DATA_F32,
         NULL,
         NULL},
        {"base_model.model.vision.norm.weight", 1, {5}, DATA_F16, NULL, NULL},
        {"base_model.model.language.lm_head.base_layer.weight", 2, {3, 2}, DATA_F32, NULL, NULL},
        {"base_model.model.language.lm_head.lora_A.weight", 2, {2, 2}, DATA_F32, NULL, NULL},
        {"base_model.model.language.lm_head.lora_B.weight", 2, {3, 2}, DATA_F32, NULL, NULL},
        {0}};
    static const float ones[64] = {1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1};
    static const struct {
        const char *name;
        int rank;
        int64_t shape[4];
        float expected[12];
    } cases[] = {
        /* 1 + 2 * [[1, 2], [3, 4]] [[1, 2, 3], [4, 5, 6]] */
        {Q_PROJ ".weight", 2, {2, 3}, {19, 25, 31, 39, 53, 67}},
        /* 1 + 2 * ([[1, 2], [3, 4], [5, 6]] [[1, 2, 3, 4], [5, 6, 7, 8]])^T */
        {"language.model.embed_tokens.weight",
         2,
         {4, 3},
         {23, 47, 71, 29, 61, 93, 35, 75, 115, 41, 89, 137}},
        /* 1 + 4 * [1, 2, 3]^T [1, 2, 3, 4]: this module has r 1 */
        {"vision.patch_embed.proj.weight",
         4,
         {3, 1, 2, 2},
         {5, 9, 13, 17, 9, 17, 25, 33, 13, 25, 37, 49}},
        {"vision.norm.weight", 1, {5}, {1, 2, 3, 4, 5}},
        /* [[1, 2], [3, 4], [5, 6]] + 2 * [[1, 2], [3, 4], [5, 6]] [[1, 2], [3, 4]] */
        {"language.lm_head.weight", 2, {3, 2}, {15, 22, 33, 48, 51, 74}},
        {"vision.norm.bias", 1, {3}, {1, 1, 1}}, /* not touched */
        {"one", 0, {0}, {1}},
    };
    lora *lora =
        make_lora(*state, ",\"r\":2,\"lora_alpha\":4,\"rank_pattern\":{\"proj\":1}", tensors);
    assert_int_equal(lora_count(lora), 5);
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        tensor_view source = {cases[i].name, ones, DATA_F32, cases[i].rank, {0}};
        memcpy(source.shape, cases[i].shape, sizeof(cases[i].shape));
        float *merged = merge(lora, &source, DATA_F32);
        for (size_t j = 0; j < tensor_elements(&source); j++) {
            if (merged[j] != cases[i].expected[j]) {
                fail_msg("%s: number %zu is %g, expected %g", cases[i].name, j, (double)merged[j],
                         (double)cases[i].expected[j]);
            }
        }
        assert_int_equal(lora_touches(lora, cases[i].name), i < 5);
        free(merged);
    }
    lora_close(lora);
    lora_close(NULL);
}

/* Results that a type cannot hold. */
static void test_not_finite(void **state)
{
    static const struct {
        float a, b, w;
        data_type source, out;
        bool fails;
    } cases[] = {
        {1, 1, 65519, DATA_F32, DATA_F16, true}, /* 65520 is half way to what f16 does not have */
        {1, 1, 65518, DATA_F32, DATA_F16, false},
        {0x1p127f, 1, 0x1.fcp126f, DATA_F32, DATA_BF16, false},
        {0x1p127f, 1, 0x1.fep126f, DATA_F32, DATA_BF16, true},
        {0x1p127f, 1, 0x1.fep127f, DATA_F32, DATA_F32, true},
        {0x1p127f, 2, -0x1p127f, DATA_F32, DATA_F32, false},
        {INFINITY, 1, 1, DATA_F32, DATA_F32, true},
        {1, NAN, 1, DATA_F32, DATA_BF16, true},
        {1, 1, INFINITY, DATA_BF16, DATA_F32, true},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        float a[11] = {0}, b[40] = {0}, w[440] = {0}, out[440];
        char bytes[440 * 4];
        a[7] = cases[i].a;
        b[35] = cases[i].b;
        w[35 * 11 + 7] = cases[i].w;
        lora *lora =
            make_lora(*state, ",\"r\":1,\"lora_alpha\":1",
                      (test_tensor[]){{ADAPTED ".lora_A.weight", 2, {1, 11}, DATA_F32, a, NULL},
                                      {ADAPTED ".lora_B.weight", 2, {40, 1}, DATA_F32, b, NULL},
                                      {0}});
        numbers_narrow(w, 440, cases[i].source, bytes);
        tensor_view source = {Q_PROJ ".weight", bytes, cases[i].source, 2, {40, 11}};
        vl2_error error = {0};
        vl2_status status =
            lora_merge(lora, &source, cases[i].out, &(team){.threads = 2}, out, &error);
        assert_int_equal(status, cases[i].fails ? VL2_ERROR_MODEL : VL2_OK);
        if (cases[i].fails) {
            /* 0 * inf of other numbers comes first */
            bool spread = isinf(cases[i].a) || isnan(cases[i].b);
            assert_says(&error, !spread ? "row 35, column 7 of the merged " Q_PROJ ".weight"
                                : isinf(cases[i].a) ? "row 0, column 7 of the merged"
                                                    : "row 35, column 0 of the merged");
        }
        lora_close(lora);
    }
}

/* ------------------------------------------------------------------------------------ names */

static void test_names(void **state)
{
    static const struct {
        const char *name, *target;
    } cases[] = {
        {"base_model.model.language.model.layers.3.mlp.experts.7.up_proj.lora_A.weight",
         "language.model.layers.3.mlp.experts.7.up_proj.weight"},
        {"language.model.layers.0.self_attn.kv_b_proj.lora_A.weight",
         "language.model.layers.0.self_attn.kv_b_proj.weight"},
        {"base_model.model.model.layers.1.self_attn.o_proj.lora_A.weight",
         "language.model.layers.1.self_attn.o_proj.weight"},
        {"base_model.model.layers.1.self_attn.o_proj.lora_A.some-name.weight",
         "language.model.layers.1.self_attn.o_proj.weight"},
        {"base_model.model.model.language.lm_head.lora_A.weight", "language.lm_head.weight"},
        {"base_model.model.lm_head.lora_A.weight", "language.lm_head.weight"},
        {"module.base_model.model._orig_mod.projector.layers.2.lora_A.weight",
         "projector.layers.2.weight"},
        {"base_model.model.vision.blocks.0.attn.qkv.lora_A.weight",
         "vision.blocks.0.attn.qkv.weight"},
        {"base_model.model.model.embed_tokens.lora_A.weight", "language.model.embed_tokens.weight"},
        {"base_model.model.transformer.h.0.lora_A.weight",
         "base_model.model.transformer.h.0.weight"},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        char partner[160];
        strcpy(partner, cases[i].name);
        *(strstr(partner, "lora_A") + 5) = 'B';
        lora *lora = make_lora(*state, "",
                               (test_tensor[]){{cases[i].name, 2, {8, 2}, DATA_F32, NULL, NULL},
                                               {partner, 2, {3, 8}, DATA_F32, NULL, NULL},
                                               {0}});
        assert_int_equal(lora_count(lora), 1);
        assert_string_equal(lora_target(lora, 0), cases[i].target);
        assert_true(lora_touches(lora, cases[i].target));
        assert_false(lora_touches(lora, "language.model.layers.0.self_attn.q_proj.weight"));
        lora_close(lora);
    }
    static const char *const whole[][2] = {
        {"base_model.model.image_newline", "image_newline"},
        {"base_model.model.view_seperator", "view_seperator"},
        {"base_model.model.model.norm.weight", "language.model.norm.weight"},
        {"language.model.layers.0.mlp.gate.weight", "language.model.layers.0.mlp.gate.weight"},
        {"base_model.model.model.embed_tokens.base_layer.weight",
         "language.model.embed_tokens.weight"},
    };
    for (size_t i = 0; i < sizeof(whole) / sizeof(whole[0]); i++) {
        lora *lora = make_lora(*state, "",
                               (test_tensor[]){{whole[i][0], 1, {4}, DATA_F32, NULL, NULL}, {0}});
        assert_string_equal(lora_target(lora, 0), whole[i][1]);
        lora_close(lora);
    }
}

static void test_bad_tensors(void **state)
{
    static const test_tensor b = {ADAPTED ".lora_B.weight", 2, {3, 2}, DATA_F32, NULL, NULL};
    static const struct {
        test_tensor tensors[4];
        const char *says;
    } cases[] = {
        {{{0}}, "found no tensor"},
        {{b}, Q_PROJ ".lora_B.weight: found no partner of its kind, expected an A and a B"},
        {{b, {ADAPTED ".lora_A.weight", 2, {3, 5}, DATA_F32, NULL, NULL}},
         "lora_B.weight: shape: found [3, 2], expected [outputs, r] with the r"},
        {{b, {ADAPTED ".lora_A.weight", 1, {2}, DATA_F32, NULL, NULL}},
         "lora_A.weight: shape: found [2], expected [r, inputs]"},
        {{b, {ADAPTED ".lora_A.weight", 2, {2, 0}, DATA_F32, NULL, NULL}},
         "lora_A.weight: shape: found [2, 0], expected [r, inputs]"},
        {{b, {ADAPTED ".lora_A.weight", 2, {2, 5}, DATA_F32, NULL, "I32"}},
         "lora_A.weight: dtype: found I32, expected F32, F16 or BF16"},
        {{b, {ADAPTED ".lora_embedding_A", 2, {2, 5}, DATA_F32, NULL, NULL}},
         "found no partner of its kind"},
        {{b, {ADAPTED ".lora_magnitude_vector", 1, {3}, DATA_F32, NULL, NULL}},
         "found base_model.model." Q_PROJ ".lora_magnitude_vector, expected lora_A or lora_B"},
        {{b, {ADAPTED ".lora_B.bias", 1, {3}, DATA_F32, NULL, NULL}}, "q_proj.lora_B.bias"},
        {{b,
          {ADAPTED ".lora_A.weight", 2, {2, 5}, DATA_F32, NULL, NULL},
          {Q_PROJ ".lora_A.weight", 2, {2, 5}, DATA_F32, NULL, NULL}},
         "too, expected one of them for " Q_PROJ ".weight"},
        {{{ADAPTED ".lora_B.weight", 3, {3, 2, 2}, DATA_F32, NULL, NULL},
          {ADAPTED ".lora_A.weight", 2, {2, 5}, DATA_F32, NULL, NULL}},
         "lora_B.weight: shape: found [3, 2, 2], expected [outputs, r]"},
        {{{ADAPTED ".lora_B.weight", 2, {3, 4}, DATA_F32, NULL, NULL},
          {ADAPTED ".lora_A.weight", 2, {4, 5}, DATA_F32, NULL, NULL}},
         "lora_A.weight: shape: found [4, 5], expected 2 rows, the r of adapter_config.json"},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        write_config(*state, ",\"r\":2");
        write_tensors(*state, "adapter_model.safetensors", cases[i].tensors);
        assert_refused(*state, cases[i].says);
    }
}

/* -------------------------------------------------------------------------------- configurations
 */

static void test_bad_configs(void **state)
{
    static const char *const cases[][2] = {
        {",\"r\":0", "r: found 0, expected an integer from 1"},
        {",\"r\":\"8\"", "r: found \"8\""},
        {",\"lora_alpha\":-1", "lora_alpha: found -1"},
        {",\"bias\":\"lora_only\"", "bias: found lora_only, expected none"},
        {",\"use_dora\":true", "use_dora: found true, expected an adapter that is plain LoRA"},
        {",\"fan_in_fan_out\":true", "fan_in_fan_out: found true"},
        {",\"layer_replication\":[[0,4],[2,5]]", "layer_replication: found a list of 2"},
        {",\"trainable_token_indices\":{\"embed_tokens\":[1]}", "trainable_token_indices: found"},
        {",\"init_lora_weights\":\"pissa_niter_4\"", "init_lora_weights: found \"pissa_niter_4\""},
        {",\"init_lora_weights\":\"loftq\"", "init_lora_weights: found \"loftq\""},
        {",\"rank_pattern\":{\"q_(proj|x)\":4}", "rank_pattern: found q_(proj|x), expected names"},
        {",\"rank_pattern\":{\"q_proj\":0}", "rank_pattern.q_proj: found 0"},
        {",\"rank_pattern\":{\"q_proj\":null}", "rank_pattern.q_proj: found nothing"},
        {",\"alpha_pattern\":{\"q_proj\":null}", "alpha_pattern.q_proj: found null"},
        {",\"alpha_pattern\":{\"layers\\\\.\\\\d+\":4}", "alpha_pattern: found layers"},
        {",\"alpha_pattern\":{\"a**\":4}", "alpha_pattern: found a**"},
        {",\"alpha_pattern\":{\"a\\\\.*\":4}", "alpha_pattern: found a"},
        {",\"alpha_pattern\":{\"a$b\":4}", "alpha_pattern: found a$b"},
        {",\"alpha_pattern\":[]", "alpha_pattern: found a list of 0"},
        {",\"r\":8,\"r\":8", "not valid JSON"},
    };
    const char *folder = *state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        write_config(folder, cases[i][0]);
        assert_refused(folder, cases[i][1]);
    }
    char *path = path_join(folder, "adapter_config.json");
    vl2_error error;
    assert_int_equal(file_write(path, "[]", 2, &error), VL2_OK);
    assert_refused(folder, "found a list of 0, expected an object");
    assert_int_equal(file_write(path, "{\"peft_type\":\"LOHA\"}", 20, &error), VL2_OK);
    assert_refused(folder, "peft_type: found LOHA, expected LORA");
    assert_int_equal(file_write(path, "{}", 2, &error), VL2_OK);
    assert_refused(folder, "peft_type: found nothing, expected LORA");
    assert_int_equal(remove(path), 0);
    assert_refused(folder, "adapter_config.json");
    base_free(path);
    write_config(folder, "");
    assert_refused(folder, "adapter_model.safetensors");
    /* What is off, or says only how training went. */
    write_config(folder,
                 ",\"use_dora\":false,\"layer_replication\":null,\"target_parameters\":[],"
                 "\"bias\":\"none\",\"init_lora_weights\":\"gaussian\",\"lora_dropout\":0.1,"
                 "\"target_modules\":[\"q_proj\"],\"task_type\":\"CAUSAL_LM\","
                 "\"megatron_config\":null,\"megatron_core\":\"megatron.core\"");
    assert_refused(folder, "adapter_model.safetensors");
}

static void test_patterns(void **state)
{
    static const struct {
        const char *module;
        double rank, alpha;
    } cases[] = {
        {"language.model.layers.0.self_attn.q_proj", 8, 2},
        {"language.model.layers.0.self_attn.xq_proj", 8, 16},
        {"q_proj", 8, 2},
        {"language.model.layers.0.mlp.experts.3.up_proj", 8, 3},
        {"language.model.layers.0.mlp.experts.3.up_projx", 8, 16},
        {"vision.blocks.1.attn.qkv", 8, 4},
        {"model.vision.blocks.1.attn.qkv", 8, 16}, /* "^" is the front of the name */
        {"language.lm_head", 5, 16},
        {"language.lmxhead", 8, 16},
        {"a.b-c", 8, 6},
        {"aXb-c", 8, 7},
        {"model.layers.10.x.y.x.z", 8, 9},
        {"model.layers.10.x.y.z.x", 8, 16},
        {"model.layers.10.z", 8, 16},
        {"", 8, 16},
    };
    char *path = path_join(*state, "adapter_config.json");
    lora_config config;
    vl2_error error = {0};
    write_config(*state,
                 ",\"lora_alpha\":16,\"rank_pattern\":{\"lm_head\":5,\"head\":4},"
                 "\"alpha_pattern\":{\"self_attn.q_proj\":2,\"q_proj$\":2,\"experts.*.up_proj\":3,"
                 "\"^vision.blocks.1.attn.qkv\":4,\"a\\\\.b-c\":6,\"a.b-c\":7,"
                 "\"layers.*x.z\":9}");
    if (lora_config_open(path, &config, &error) != VL2_OK) {
        fail_msg("%s", error.message);
    }
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        double scaling = lora_config_scaling(&config, cases[i].module);
        if (fabs(scaling - cases[i].alpha / cases[i].rank) > 1e-12) {
            fail_msg("\"%s\": %g, expected %g / %g", cases[i].module, scaling, cases[i].alpha,
                     cases[i].rank);
        }
    }
    lora_config_close(&config);
    base_free(path);
}

/* ------------------------------------------------------------------------------------ base weights
 */

static void test_check(void **state)
{
    const char *folder = *state;
    static const test_tensor pair[] = {
        {ADAPTED ".lora_A.weight", 2, {2, 5}, DATA_F32, NULL, NULL},
        {ADAPTED ".lora_B.weight", 2, {3, 2}, DATA_F32, NULL, NULL},
        {"base_model.model.vision.norm.weight", 1, {4}, DATA_F32, NULL, NULL},
        {0}};
    static const struct {
        test_tensor tensors[3];
        const char *says;
    } cases[] = {
        {{{Q_PROJ ".weight", 2, {3, 5}, DATA_BF16, NULL, NULL},
          {"vision.norm.weight", 1, {4}, DATA_BF16, NULL, NULL}},
         NULL},
        {{{Q_PROJ ".weight", 2, {3, 5}, DATA_BF16, NULL, NULL}},
         "adapter_model.safetensors: base_model.model.vision.norm.weight: found no "
         "vision.norm.weight in the checkpoint"},
        {{{"vision.norm.weight", 1, {4}, DATA_BF16, NULL, NULL}},
         ADAPTED ".lora_A.weight: found no " Q_PROJ ".weight in the checkpoint"},
        {{{Q_PROJ ".weight", 2, {5, 3}, DATA_BF16, NULL, NULL}},
         "found a product [3, 5], expected [5, 3], as " Q_PROJ ".weight has"},
        {{{Q_PROJ ".weight", 1, {15}, DATA_BF16, NULL, NULL}}, "expected [15]"},
        {{{Q_PROJ ".weight", 2, {3, 5}, DATA_BF16, NULL, "U16"}},
         "model.safetensors: " Q_PROJ ".weight: dtype: found U16"},
        {{{Q_PROJ ".weight", 2, {3, 5}, DATA_BF16, NULL, NULL},
          {"vision.norm.weight", 2, {1, 4}, DATA_BF16, NULL, NULL}},
         "vision.norm.weight: shape: found [4], expected [1, 4], as vision.norm.weight has"},
    };
    lora *lora = make_lora(folder, ",\"r\":2", pair);
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        write_tensors(folder, "model.safetensors", cases[i].tensors);
        checkpoint *checkpoint;
        vl2_error error = {0};
        assert_int_equal(checkpoint_open(folder, &checkpoint, &error), VL2_OK);
        assert_int_equal(lora_check(lora, checkpoint, &error),
                         cases[i].says == NULL ? VL2_OK : VL2_ERROR_MODEL);
        if (cases[i].says != NULL) {
            assert_says(&error, cases[i].says);
        }
        checkpoint_close(checkpoint);
    }
    /* lora_merge looks at the shape itself */
    static const float numbers[15];
    tensor_view source = {Q_PROJ ".weight", numbers, DATA_F32, 2, {5, 3}};
    float out[15];
    vl2_error error;
    assert_int_equal(lora_merge(lora, &source, DATA_F32, &(team){.threads = 1}, out, &error),
                     VL2_ERROR_MODEL);
    assert_says(&error, "found a product [3, 5], expected [5, 3]");
    lora_close(lora);
}

/* Bits of both files flipped: what opens can be merged, or says why not. */
static void test_flipped(void **state)
{
    static const char *const names[] = {"adapter_config.json", "adapter_model.safetensors"};
    static const float numbers[15];
    static const test_tensor tensors[] = {
        {ADAPTED ".lora_A.weight", 2, {2, 5}, DATA_F32, NULL, NULL},
        {ADAPTED ".lora_B.weight", 2, {3, 2}, DATA_BF16, NULL, NULL},
        {"base_model.model.vision.norm.weight", 1, {4}, DATA_F32, NULL, NULL},
        {0}};
    lora_close(make_lora(*state,
                         ",\"r\":2,\"lora_alpha\":8,\"use_rslora\":true,"
                         "\"alpha_pattern\":{\"self_attn.*q_proj\":4},\"rank_pattern\":{}",
                         tensors));
    size_t opened_count = 0, refused = 0;
    for (int i = 0; i < 2; i++) {
        char *path = path_join(*state, names[i]), *bytes;
        size_t size;
        vl2_error error;
        assert_int_equal(file_read(path, 1 << 20, VL2_ERROR_INPUT, &bytes, &size, &error), VL2_OK);
        for (size_t bit = 0; bit < 8 * size; bit += 3) {
            bytes[bit / 8] ^= (char)(1 << bit % 8);
            assert_int_equal(file_write(path, bytes, size, &error), VL2_OK);
            bytes[bit / 8] ^= (char)(1 << bit % 8);
            lora *opened = NULL;
            tensor_view source = {Q_PROJ ".weight", numbers, DATA_F32, 2, {3, 5}};
            float out[15];
            if (lora_open(*state, &opened, &error) != VL2_OK) {
                assert_says(&error, *state);
                refused++;
                continue;
            }
            opened_count++;
            vl2_status status =
                lora_merge(opened, &source, DATA_F32, &(team){.threads = 1}, out, &error);
            assert_true(status == VL2_OK || status == VL2_ERROR_MODEL);
            lora_close(opened);
        }
        assert_int_equal(file_write(path, bytes, size, &error), VL2_OK);
        base_free(bytes);
        base_free(path);
    }
    assert_true(opened_count > 0 && refused > 0);
}

#define TEST(function) cmocka_unit_test_setup_teardown(function, make_folder, remove_folder)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_product),  TEST(test_kinds),       TEST(test_not_finite),
        TEST(test_names),    TEST(test_bad_tensors), TEST(test_bad_configs),
        TEST(test_patterns), TEST(test_check),       TEST(test_flipped),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
