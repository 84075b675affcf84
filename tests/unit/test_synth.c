/* weights/synth: the published shapes, bytes that depend on shape and seed only, nothing
 * half-written. */
#include "test.h"
#include "test_folder.h"

#include "base/alloc.h"
#include "base/file.h"
#include "base/json.h"
#include "text/tokenizer.h"
#include "weights/checkpoint.h"
#include "weights/synth.h"
#include "weights/synth_random.h"

#include <dirent.h>
#include <math.h>
#include <signal.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

/* A shape of a hundred kilobytes with the features of base. */
static synth_shape miniature(const char *like)
{
    synth_shape shape;
    assert_int_equal(synth_shape_named(like, &shape), VL2_OK);
    shape.vision.image_size = 56;
    shape.vision.width = 16;
    shape.vision.layers = 1;
    shape.vision.heads = 2;
    shape.language.hidden_size = 32;
    shape.language.intermediate_size = 48;
    shape.language.moe_intermediate_size = 16;
    shape.language.num_hidden_layers = 3;
    shape.language.num_attention_heads = 4;
    shape.language.num_key_value_heads = 4;
    shape.language.n_routed_experts = 8;
    shape.language.num_experts_per_tok = 2;
    shape.language.vocab_size = 320;
    shape.tokenizer.tokens = 300;
    return shape;
}

static checkpoint *write_and_open(const synth_shape *shape, const vl2_synth_options *options,
                                  int threads)
{
    vl2_error error = {VL2_OK, ""};
    if (synth_write_team(shape, options, &(team){.threads = threads}, &error) != VL2_OK) {
        fail_msg("%s", error.message);
    }
    checkpoint *opened;
    if (checkpoint_open(options->out, &opened, &error) != VL2_OK) {
        fail_msg("%s", error.message);
    }
    return opened;
}

static size_t tensor_bytes(const tensor_view *tensor)
{
    return (size_t)tensor_elements(tensor) * data_type_size(tensor->type);
}

/* Every tensor of one is in the other, with equal shape, and with equal bytes if `bytes`. */
static void expect_equal(const checkpoint *a, const checkpoint *b, bool bytes)
{
    for (size_t i = 0; i < checkpoint_count(b); i++) {
        if (checkpoint_find(a, checkpoint_tensor(b, i)->name) == NULL) {
            fail_msg("%s is in the second only", checkpoint_tensor(b, i)->name);
        }
    }
    for (size_t i = 0; i < checkpoint_count(a); i++) {
        const tensor_view *left = checkpoint_tensor(a, i);
        const tensor_view *right = checkpoint_find(b, left->name);
        if (right == NULL || right->type != left->type || right->rank != left->rank ||
            memcmp(left->shape, right->shape, sizeof(left->shape)) != 0) {
            fail_msg("%s differs", left->name);
        }
        if (bytes) {
            assert_memory_equal(left->data, right->data, tensor_bytes(left));
        }
    }
}

static void expect_equal_files(const char *a, const char *b, const char *name)
{
    char *paths[] = {path_join(a, name), path_join(b, name)}, *data[2];
    size_t sizes[2];
    for (int i = 0; i < 2; i++) {
        assert_int_equal(file_read(paths[i], 1 << 24, VL2_ERROR_INPUT, &data[i], &sizes[i], NULL),
                         VL2_OK);
        base_free(paths[i]);
    }
    assert_int_equal(sizes[0], sizes[1]);
    assert_memory_equal(data[0], data[1], sizes[0]);
    base_free(data[0]);
    base_free(data[1]);
}

/* The published sizes are 3.37, 16.1 and 27.5 thousand million parameters. */
static void test_published_sizes(void **state)
{
    (void)state;
    static const struct {
        const char *name;
        uint64_t parameters;
    } sizes[] = {{"tiny", 3370501440}, {"small", 16148349504}, {"base", 27480134248}};
    for (int i = 0; i < 3; i++) {
        synth_shape shape;
        assert_int_equal(synth_shape_named(sizes[i].name, &shape), VL2_OK);
        assert_true(synth_tensor_bytes(&shape) == 2 * sizes[i].parameters);
    }
    synth_shape shape;
    assert_int_equal(synth_shape_named("huge", &shape), VL2_ERROR_ARGUMENT);
    assert_int_equal(synth_shape_named("", &shape), VL2_ERROR_ARGUMENT);
}

/* The reference's small checkpoints have the names and shapes of ours. */
static void test_names_of_the_reference(void **state)
{
    const char *golden = golden_or_skip();
    static const char *const sizes[] = {"tiny-dev", "small-dev", "base-dev"};
    for (int i = 0; i < 3; i++) {
        char name[64];
        snprintf(name, sizeof(name), "models/vl2-%s", sizes[i]);
        char *reference = path_join(golden, name), *out = path_join(*state, sizes[i]);
        vl2_synth_options options = {.size = sizes[i], .out = out, .seed = 1};
        vl2_error error;
        checkpoint *theirs, *ours;
        assert_int_equal(synth_write(&options, &error), VL2_OK);
        assert_int_equal(checkpoint_open(reference, &theirs, &error), VL2_OK);
        assert_int_equal(checkpoint_open(out, &ours, &error), VL2_OK);
        expect_equal(ours, theirs, false);
        checkpoint_close(theirs);
        checkpoint_close(ours);
        base_free(reference);
        base_free(out);
    }
}

static void test_same_bytes(void **state)
{
    synth_shape shape = miniature("base-dev");
    /* one tensor of more than a piece that one task fills, and more than all pieces together */
    shape.language.intermediate_size = 70001;
    char *paths[4];
    static const char *const names[] = {"a", "b", "c", "d"};
    for (int i = 0; i < 4; i++) {
        paths[i] = path_join(*state, names[i]);
    }
    vl2_synth_options options = {.seed = 7, .out = paths[0]};
    checkpoint *first = write_and_open(&shape, &options, 1);
    options.out = paths[1];
    checkpoint *second = write_and_open(&shape, &options, 2);
    options.out = paths[2];
    options.shard_bytes = 100000;
    checkpoint *shards = write_and_open(&shape, &options, 2);
    assert_int_equal(checkpoint_shards(first), 1);
    assert_true(checkpoint_shards(shards) > 3);
    expect_equal(first, second, true);
    expect_equal(first, shards, true);
    expect_equal_files(paths[0], paths[1], "model.safetensors");
    expect_equal_files(paths[0], paths[1], "config.json");
    expect_equal_files(paths[0], paths[2], "tokenizer.json");

    options.out = paths[3];
    options.seed = 8;
    checkpoint *other = write_and_open(&shape, &options, 1);
    expect_equal(first, other, false);
    for (size_t i = 0; i < checkpoint_count(first); i++) {
        const tensor_view *tensor = checkpoint_tensor(first, i);
        assert_memory_not_equal(tensor->data, checkpoint_find(other, tensor->name)->data,
                                tensor_bytes(tensor));
    }
    checkpoint_close(first);
    checkpoint_close(second);
    checkpoint_close(shards);
    checkpoint_close(other);
    for (int i = 0; i < 4; i++) {
        base_free(paths[i]);
    }
}

/* No file is larger than asked for, unless a single tensor is. */
static void test_shard_sizes(void **state)
{
    synth_shape shape = miniature("small-dev");
    char *out = path_join(*state, "x");
    for (uint64_t limit = 1; limit < 1000000; limit = limit * 3 + 11) {
        vl2_synth_options options = {.out = out, .shard_bytes = limit, .overwrite = true};
        checkpoint *opened = write_and_open(&shape, &options, 1);
        assert_true(checkpoint_file_bytes(opened) > synth_tensor_bytes(&shape));
        size_t begin = 0; /* runs of tensors in one file */
        for (size_t i = 1; i <= checkpoint_count(opened); i++) {
            const char *file = checkpoint_file_of(opened, checkpoint_tensor(opened, begin));
            if (i < checkpoint_count(opened) &&
                strcmp(file, checkpoint_file_of(opened, checkpoint_tensor(opened, i))) == 0) {
                continue;
            }
            mapped_file mapped;
            assert_int_equal(file_map(file, VL2_ERROR_MODEL, &mapped, NULL), VL2_OK);
            assert_true(mapped.size <= limit || i - begin == 1);
            file_unmap(&mapped);
            begin = i;
        }
        checkpoint_close(opened);
    }
    base_free(out);
}

static float number_at(const tensor_view *tensor, size_t index)
{
    uint32_t bits = 0;
    float number;
    size_t size = data_type_size(tensor->type);
    memcpy(&bits, (const uint8_t *)tensor->data + index * size, size);
    bits <<= tensor->type == DATA_BF16 ? 16 : 0;
    memcpy(&number, &bits, sizeof(number));
    return number;
}

static void expect_distribution(const checkpoint *opened, const char *name, double mean,
                                double deviation)
{
    const tensor_view *tensor = checkpoint_find(opened, name);
    assert_non_null(tensor);
    size_t count = (size_t)tensor_elements(tensor);
    double sum = 0, squares = 0;
    for (size_t i = 0; i < count; i++) {
        sum += (double)number_at(tensor, i);
        squares += (double)number_at(tensor, i) * (double)number_at(tensor, i);
    }
    double found = sum / (double)count, spread = sqrt(squares / (double)count - found * found);
    double error = 4 * deviation / sqrt((double)count); /* four standard errors of the mean */
    if (fabs(found - mean) > error || fabs(spread - deviation) > error) {
        fail_msg("%s: found %g +- %g, expected %g +- %g", name, found, spread, mean, deviation);
    }
}

static void test_distributions(void **state)
{
    synth_shape shape = miniature("base-dev");
    shape.language.hidden_size = 512;
    shape.language.intermediate_size = 600; /* drawn by the table: more than 65536 numbers */
    char *out = path_join(*state, "x");
    vl2_synth_options options = {.out = out, .seed = 3};
    checkpoint *opened = write_and_open(&shape, &options, 2);
    expect_distribution(opened, "language.model.layers.0.mlp.gate_proj.weight", 0,
                        1 / sqrt(512.0));
    expect_distribution(opened, "language.model.layers.0.mlp.down_proj.weight", 0,
                        1 / sqrt(600.0) / sqrt(6.0));
    expect_distribution(opened, "language.model.layers.1.mlp.gate.weight", 0, 1 / sqrt(512.0));
    expect_distribution(opened, "language.model.norm.weight", 1, 0.1);
    expect_distribution(opened, "vision.blocks.0.attn.qkv.bias", 0, 0.02);

    static const char *const tables[] = {"language.model.embed_tokens.weight",
                                         "language.lm_head.weight"};
    for (int i = 0; i < 2; i++) { /* rows behind the last token are zero, others are not */
        const tensor_view *table = checkpoint_find(opened, tables[i]);
        for (size_t row = 0; row < 320; row++) {
            int zeros = 0;
            for (size_t j = 0; j < 512; j++) {
                zeros += number_at(table, row * 512 + j) == 0.0f;
            }
            assert_int_equal(zeros, row < 300 ? 0 : 512);
        }
    }
    checkpoint_close(opened);
    base_free(out);
}

static void test_conversion(void **state)
{
    (void)state;
    static const struct {
        float number;
        uint16_t bf16, f16;
    } cases[] = {
        {0.0f, 0, 0},
        {1.0f, 0x3f80, 0x3c00},
        {-2.5f, 0xc020, 0xc100},
        {0.1f, 0x3dcd, 0x2e66},
        {1.00390625f, 0x3f80, 0x3c04},             /* half way between two bf16: to the even one */
        {1.01171875f, 0x3f82, 0x3c0c},             /* half way again, upwards */
        {1.00048828125f, 0x3f80, 0x3c00},          /* half way between two f16 */
        {1.00146484375f, 0x3f80, 0x3c02},
        {65504.0f, 0x4780, 0x7bff},                /* the largest f16 */
        {70000.0f, 0x4789, 0x7c00},
        {6.103515625e-05f, 0x3880, 0x0400},        /* 2^-14, the smallest normal f16 */
        {5.9604644775390625e-08f, 0x3380, 0x0001}, /* 2^-24, the smallest f16 */
        {2.98023223876953125e-08f, 0x3300, 0x0000},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        uint16_t bf16, f16;
        numbers_narrow(&cases[i].number, 1, DATA_BF16, &bf16);
        numbers_narrow(&cases[i].number, 1, DATA_F16, &f16);
        assert_int_equal(bf16, cases[i].bf16);
        assert_int_equal(f16, cases[i].f16);
    }
}

/* Any part of a tensor is the same as that part of the whole, and the same as number by number. */
static void test_parts(void **state)
{
    (void)state;
    float *quantiles = base_malloc(SYNTH_QUANTILES, sizeof(float));
    float *table = base_malloc(SYNTH_QUANTILES, sizeof(float));
    float whole[1000], part[1000];
    synth_quantiles(quantiles);
    for (size_t i = 1; i < SYNTH_QUANTILES; i++) {
        assert_true(quantiles[i] > quantiles[i - 1]);
    }
    /* published quantiles of the normal distribution: 0.975 is at 1.959964, 0.99 at 2.326348 */
    assert_true(fabsf(quantiles[63897] - 1.959964f) < 2e-4f);
    assert_true(fabsf(quantiles[64880] - 2.326348f) < 4e-4f);
    synth_table(quantiles, 0, 1, DATA_F32, table);
    uint64_t key = synth_key(5, "a name");
    assert_true(key != synth_key(6, "a name") && key != synth_key(5, "another name"));
    synth_fill(key, table, DATA_F32, 0, 1000, whole);
    for (size_t first = 0; first < 1000; first += 4 * 37) {
        for (size_t count = 0; count < 9; count++) {
            synth_fill(key, table, DATA_F32, first, count, part);
            assert_memory_equal(part, whole + first, count * sizeof(float));
        }
    }
    for (size_t i = 0; i < 1000; i++) {
        assert_true(quantiles[synth_pick(key, i)] == whole[i]);
    }
    base_free(quantiles);
    base_free(table);
}

static json_t *open_json(const char *folder, const char *name)
{
    char *path = path_join(folder, name);
    json_t *root;
    vl2_error error;
    if (json_open(path, 1 << 26, VL2_ERROR_MODEL, &root, &error) != VL2_OK) {
        fail_msg("%s", error.message);
    }
    base_free(path);
    return root;
}

static void expect_tensor(const checkpoint *opened, const char *name, bool there)
{
    if ((checkpoint_find(opened, name) != NULL) != there) {
        fail_msg("%s is %s", name, there ? "missing" : "there");
    }
}

#define LAYER(rest) "language.model.layers." rest

static void test_every_feature(void **state)
{
    char *out = path_join(*state, "x");
    synth_shape shape = miniature("base-dev");
    shape.type = DATA_F16;
    shape.global_view_pos = "tail";
    shape.projector.depth = 3;
    shape.vision.attn_pool = false;
    shape.language.num_hidden_layers = 5;
    shape.language.q_lora_rank = 24;
    shape.language.n_group = 4;
    shape.language.topk_group = 2;
    shape.language.moe_layer_freq = 2;
    shape.language.first_k_dense_replace = 2;
    shape.language.attention_bias = true;
    shape.language.rope_scaling.factor = 40;
    shape.language.rope_scaling.beta_fast = 32;
    shape.language.rope_scaling.beta_slow = 1;
    shape.language.rope_scaling.mscale = 0.707;
    shape.language.rope_scaling.mscale_all_dim = 0.707;
    shape.language.rope_scaling.original_max_position_embeddings = 4096;
    vl2_synth_options options = {.out = out};
    checkpoint *opened = write_and_open(&shape, &options, 1);
    assert_int_equal(checkpoint_tensor(opened, 0)->type, DATA_F16);
    expect_tensor(opened, LAYER("0.self_attn.q_proj.weight"), false);
    expect_tensor(opened, LAYER("0.self_attn.q_a_proj.weight"), true);
    expect_tensor(opened, LAYER("0.self_attn.q_a_proj.bias"), true);
    expect_tensor(opened, LAYER("0.self_attn.q_b_proj.bias"), false);
    expect_tensor(opened, LAYER("0.self_attn.kv_a_proj_with_mqa.bias"), true);
    for (int i = 0; i < 5; i++) { /* experts in layers 2 and 4 */
        char name[80];
        snprintf(name, sizeof(name), LAYER("%d.mlp.experts.7.up_proj.weight"), i);
        expect_tensor(opened, name, i == 2 || i == 4);
        snprintf(name, sizeof(name), LAYER("%d.mlp.up_proj.weight"), i);
        expect_tensor(opened, name, i != 2 && i != 4);
    }
    expect_tensor(opened, LAYER("2.mlp.gate.e_score_correction_bias"), true);
    expect_tensor(opened, "projector.layers.4.weight", true);
    expect_tensor(opened, "vision.attn_pool.latent", false);
    checkpoint_close(opened);
    json_t *config = open_json(out, "config.json");
    const char *position, *type;
    int group, group_limit, rank;
    double factor, mscale;
    assert_int_equal(json_unpack(config, "{s:s, s:s, s:{s:i, s:i, s:i, s:{s:F, s:F}}}",
                                 "global_view_pos", &position, "torch_dtype", &type,
                                 "language_config", "n_group", &group, "topk_group", &group_limit,
                                 "q_lora_rank", &rank, "rope_scaling", "factor", &factor, "mscale",
                                 &mscale),
                     0);
    assert_string_equal(position, "tail");
    assert_string_equal(type, "float16");
    assert_int_equal(group * 10 + group_limit, 42);
    assert_int_equal(rank, 24);
    assert_true(factor == 40 && mscale == 0.707);
    json_decref(config);

    shape = miniature("tiny-dev"); /* grouped keys, no experts at all, f32 */
    shape.type = DATA_F32;
    shape.language.num_key_value_heads = 2;
    shape.language.n_routed_experts = 0;
    shape.language.topk_method = "group_limited_greedy";
    options.overwrite = true;
    opened = write_and_open(&shape, &options, 1);
    const tensor_view *keys = checkpoint_find(opened, LAYER("2.self_attn.k_proj.weight"));
    assert_int_equal(keys->type, DATA_F32);
    assert_int_equal(keys->shape[0], 16);
    expect_tensor(opened, LAYER("2.mlp.gate.weight"), false);
    expect_tensor(opened, LAYER("2.mlp.up_proj.weight"), true);
    checkpoint_close(opened);
    base_free(out);
}

static int token_id(const json_t *tokenizer, const char *text)
{
    json_t *added;
    size_t i;
    json_array_foreach(json_object_get(tokenizer, "added_tokens"), i, added) {
        if (strcmp(json_string_value(json_object_get(added, "content")), text) == 0) {
            return (int)json_integer_value(json_object_get(added, "id"));
        }
    }
    return -1;
}

/* Every id below the last has exactly one token, and the special ones are where the real ones
 * are. */
static void expect_vocabulary(const char *folder, int tokens, int bos, int image)
{
    json_t *root = open_json(folder, "tokenizer.json");
    const json_t *vocabulary = json_object_get(json_object_get(root, "model"), "vocab");
    char *seen = base_calloc((size_t)tokens, 1);
    const char *text;
    json_t *value;
    json_object_foreach((json_t *)vocabulary, text, value) {
        assert_in_range(json_integer_value(value), 0, tokens - 1);
        seen[json_integer_value(value)]++;
    }
    int next = (int)json_object_size(vocabulary);
    size_t i;
    json_array_foreach(json_object_get(root, "added_tokens"), i, value) {
        /* As the tokenizers library numbers them: what the vocabulary has, else the next free
         * id. */
        int id = (int)json_integer_value(json_object_get(value, "id"));
        text = json_string_value(json_object_get(value, "content"));
        const json_t *known = json_object_get(vocabulary, text);
        assert_int_equal(id, known != NULL ? json_integer_value(known) : next);
        if (known == NULL) {
            next++;
            assert_in_range(id, 0, tokens - 1);
            seen[id]++;
        }
    }
    for (int id = 0; id < tokens; id++) {
        assert_int_equal(seen[id], 1);
    }
    assert_int_equal(token_id(root, "<｜begin▁of▁sentence｜>"), bos);
    assert_int_equal(token_id(root, "<｜end▁of▁sentence｜>"), bos + 1);
    assert_int_equal(token_id(root, "<｜▁pad▁｜>"), bos + 2);
    static const char *const last[] = {"<image>",  "<|ref|>",       "<|/ref|>", "<|det|>",
                                       "<|/det|>", "<|grounding|>", "<|User|>", "<|Assistant|>"};
    for (int j = 0; j < 8; j++) {
        assert_int_equal(token_id(root, last[j]), image + j);
    }
    int first = bos == 0 ? 3 : 0; /* GPT-2's alphabet: "!" is the first printable byte, 0x21 */
    assert_int_equal(json_integer_value(json_object_get(vocabulary, "!")), first + 0x21);
    assert_int_equal(json_integer_value(json_object_get(vocabulary, "Ġ")), first + 0x20);
    assert_int_equal(json_integer_value(json_object_get(vocabulary, "\"")), first + 0x22);
    assert_int_equal(json_integer_value(json_object_get(vocabulary, "\\")), first + 0x5c);
    assert_int_equal(json_integer_value(json_object_get(vocabulary, "Ń")), first + 0xad);
    assert_int_equal(json_integer_value(json_object_get(vocabulary, "ÿ")), first + 0xff);
    base_free(seen);
    json_decref(root);
}

static void test_vocabularies(void **state)
{
    char *out = path_join(*state, "x");
    vl2_synth_options options = {.out = out, .overwrite = true};
    static const struct {
        const char *size;
        int tokens, rows, bos, image;
    } cases[] = {{"tiny", 128823, 129280, 0, 128815}, {"small", 100011, 102400, 100000, 100003}};
    for (int i = 0; i < 2; i++) {
        synth_shape real, shape = miniature(i == 0 ? "tiny-dev" : "small-dev");
        assert_int_equal(synth_shape_named(cases[i].size, &real), VL2_OK);
        assert_int_equal(real.language.vocab_size, cases[i].rows);
        shape.language.vocab_size = real.language.vocab_size;
        shape.tokenizer = real.tokenizer;
        checkpoint_close(write_and_open(&shape, &options, 2));
        expect_vocabulary(out, cases[i].tokens, cases[i].bos, cases[i].image);
        json_t *config = open_json(out, "config.json");
        int bos, eos;
        assert_int_equal(json_unpack(config, "{s:{s:i, s:i}}", "language_config", "bos_token_id",
                                     &bos, "eos_token_id", &eos),
                         0);
        assert_int_equal(bos, cases[i].bos);
        assert_int_equal(eos, cases[i].bos + 1);
        json_decref(config);
    }
    base_free(out);
}

/* The tokenizer of the text room reads the file, and what it reads comes back. */
static void test_stand_in_tokenizer(void **state)
{
    static const char *const sizes[] = {"tiny-dev", "small-dev"};
    static const char text[] = "\"A\" b\\ 12\n\n<image>\x7f w\xc3\xb6rld <|User|>\xe4\xbd\xa0";
    static const size_t specials = 2, length = sizeof(text) - 1 - 7 - 8;
    for (int i = 0; i < 2; i++) {
        char *out = path_join(*state, sizes[i]), *path = path_join(out, "tokenizer.json");
        synth_shape shape = miniature(sizes[i]);
        shape.language.vocab_size = 2304;
        shape.tokenizer.tokens = 2000;
        vl2_synth_options options = {.out = out};
        checkpoint_close(write_and_open(&shape, &options, 1));
        tokenizer *opened;
        vl2_error error;
        if (tokenizer_open(path, &opened, &error) != VL2_OK) {
            fail_msg("%s", error.message);
        }
        assert_int_equal(tokenizer_size(opened), 2000);
        assert_int_equal(tokenizer_id(opened, "<|Assistant|>"), 1999);
        id_list ids = {0};
        buffer decoded = {0};
        assert_int_equal(tokenizer_encode(opened, text, sizeof(text) - 1, &ids, &error), VL2_OK);
        assert_int_equal(ids.count, length + specials); /* a token for each byte */
        assert_int_equal(tokenizer_decode(opened, ids.ids, ids.count, false, &decoded, &error),
                         VL2_OK);
        assert_string_equal(decoded.data, text);
        buffer_clear(&decoded); /* a filler is a word */
        assert_int_equal(tokenizer_decode(opened, (int32_t[]){1000}, 1, false, &decoded, &error),
                         VL2_OK);
        assert_true(decoded.size > 3 && decoded.data[0] == ' ');
        buffer_free(&decoded);
        id_list_free(&ids);
        tokenizer_close(opened);
        base_free(path);
        base_free(out);
    }
}

static void count_progress(const vl2_progress *progress, void *user)
{
    vl2_progress *before = user;
    assert_int_equal(progress->stage, VL2_STAGE_WRITE);
    assert_true(progress->done > before->done);
    assert_true(progress->done <= progress->total);
    assert_true(progress->seconds >= before->seconds);
    *before = *progress;
}

static void test_progress(void **state)
{
    char *out = path_join(*state, "x");
    synth_shape shape = miniature("tiny-dev");
    vl2_progress last = {VL2_STAGE_WRITE, 0, 0, 0};
    vl2_synth_options options = {.out = out, .progress = count_progress, .progress_user = &last};
    checkpoint_close(write_and_open(&shape, &options, 1));
    assert_true(last.done == last.total);
    assert_true(last.total == synth_tensor_bytes(&shape));
    base_free(out);
}

/* True at the call that counts *user down to zero. */
static bool count_down(void *user)
{
    int *left = user;
    return --*left <= 0;
}

/* Cancelled within the first file, and when others are complete: nothing stays, the folder neither
 * unless it was there before. */
static void test_cancelled(void **state)
{
    synth_shape shape = miniature("base-dev");
    char *out = path_join(*state, "cancelled");
    for (int round = 0; round < 3; round++) {
        int left = round == 0 ? 1 : 40;
        vl2_synth_options options = {.out = out, .shard_bytes = 20000, .cancelled = count_down,
                                     .cancelled_user = &left};
        vl2_error error;
        if (round == 2) {
            assert_int_equal(folder_create(out, &error), VL2_OK);
        }
        assert_int_equal(synth_write_shape(&shape, &options, &error), VL2_ERROR_CANCELLED);
        assert_int_equal(left, 0);
        assert_int_equal(access(out, F_OK), round == 2 ? 0 : -1);
    }
    assert_int_equal(rmdir(out), 0); /* and it is empty */
    base_free(out);
}

static void expect_failure(const synth_shape *shape, const vl2_synth_options *options,
                           vl2_status status, const char *words)
{
    vl2_error error;
    assert_int_equal(synth_write_shape(shape, options, &error), status);
    if (strstr(error.message, words) == NULL) {
        fail_msg("\"%s\" is not in: %s", words, error.message);
    }
}

static void test_refusals(void **state)
{
    char *out = path_join(*state, "x"), *below = path_join(out, "config.json/y");
    synth_shape shape = miniature("tiny-dev");
    vl2_synth_options options = {.out = out};
    checkpoint_close(write_and_open(&shape, &options, 1));
    expect_failure(&shape, &options, VL2_ERROR_ARGUMENT, "without a checkpoint");
    options.overwrite = true;
    options.shard_bytes = 50000;
    checkpoint *opened = write_and_open(&shape, &options, 1); /* the single file is gone */
    assert_true(checkpoint_shards(opened) > 1);
    checkpoint_close(opened);
    options.shard_bytes = 0;
    opened = write_and_open(&shape, &options, 1); /* and now the shards are */
    assert_int_equal(checkpoint_shards(opened), 1);
    checkpoint_close(opened);
    options.out = below;
    expect_failure(&shape, &options, VL2_ERROR_IO, "config.json");
    options.out = "";
    expect_failure(&shape, &options, VL2_ERROR_ARGUMENT, "out");
    options.out = out;
    shape.language.hidden_size = 0;
    expect_failure(&shape, &options, VL2_ERROR_ARGUMENT, "language_config.hidden_size: found 0");
    shape = miniature("tiny-dev");
    shape.tokenizer.tokens = 321;
    expect_failure(&shape, &options, VL2_ERROR_ARGUMENT, "tokenizer.tokens: found 321");
    options.size = "huge";
    vl2_error error;
    assert_int_equal(synth_write(&options, &error), VL2_ERROR_ARGUMENT);
    assert_non_null(strstr(error.message, "size: found \"huge\""));
    /* what was there is still whole */
    assert_int_equal(checkpoint_open(out, &opened, &error), VL2_OK);
    checkpoint_close(opened);
    base_free(out);
    base_free(below);
}

static int count_files(const char *folder)
{
    DIR *directory = opendir(folder);
    if (directory == NULL) {
        return -1;
    }
    int files = 0;
    for (struct dirent *item; (item = readdir(directory)) != NULL;) {
        files += item->d_name[0] != '.';
    }
    closedir(directory);
    return files;
}

static void test_no_space(void **state)
{
    char *out = path_join(*state, "x");
    synth_shape shape = miniature("tiny-dev");
    vl2_synth_options options = {.out = out};
    shape.language.hidden_size = 1 << 20; /* 70 TB: refused before anything is written */
    shape.language.vocab_size = 1 << 24;
    expect_failure(&shape, &options, VL2_ERROR_IO, "space on the disk: found");
    assert_int_equal(count_files(out), -1);

    /* A limit on the size of a file fails a write as a full disk does. It strikes in the second
     * shard. */
    struct rlimit limit, saved;
    assert_int_equal(getrlimit(RLIMIT_FSIZE, &saved), 0);
    void (*handler)(int) = signal(SIGXFSZ, SIG_IGN);
    limit = saved;
    limit.rlim_cur = 60000;
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &limit), 0);
    shape = miniature("tiny-dev");
    shape.language.intermediate_size = 1000;
    options.shard_bytes = 50000;
    vl2_error error;
    vl2_status status = synth_write_shape(&shape, &options, &error);
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &saved), 0);
    signal(SIGXFSZ, handler);
    assert_int_equal(status, VL2_ERROR_IO);
    assert_non_null(strstr(error.message, "model-"));
    assert_int_equal(count_files(out), -1); /* the folder was ours and is gone */
    base_free(out);
}

#define IN_FOLDER(test) cmocka_unit_test_setup_teardown(test, make_folder, remove_folder)

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_published_sizes),
        IN_FOLDER(test_names_of_the_reference),
        IN_FOLDER(test_same_bytes),
        IN_FOLDER(test_shard_sizes),
        IN_FOLDER(test_distributions),
        cmocka_unit_test(test_conversion),
        cmocka_unit_test(test_parts),
        IN_FOLDER(test_every_feature),
        IN_FOLDER(test_vocabularies),
        IN_FOLDER(test_stand_in_tokenizer),
        IN_FOLDER(test_progress),
        IN_FOLDER(test_cancelled),
        IN_FOLDER(test_refusals),
        IN_FOLDER(test_no_space),
    };
    return cmocka_run_group_tests_name("synth", tests, NULL, NULL);
}
