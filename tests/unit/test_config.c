/* config.json: every field wrong in its turn, and what absent and null mean. */
#include "test_model_data.h"

#include "model/config.h"

#include <jansson.h>
#include <math.h>
#include <string.h>

static char folder[FOLDER_SIZE];
static json_t *latent, *multi_head; /* whole configurations to start from */

static json_t *written(void (*change)(synth_shape *shape))
{
    char path[128];
    synth_shape shape;
    miniature(&shape);
    change(&shape);
    miniature_write(&shape, 1, 0, folder);
    snprintf(path, sizeof(path), "%s/config.json", folder);
    json_t *root = json_load_file(path, 0, NULL);
    assert_non_null(root);
    return root;
}

static void grouped(synth_shape *shape)
{
    shape->language.topk_method = "noaux_tc";
    shape->language.n_group = 2;
    shape->language.topk_group = 1;
}

static void plain_heads(synth_shape *shape)
{
    shape->language.use_mla = false;
}

static int set_up(void **state)
{
    (void)state;
    folder_make(folder);
    latent = written(grouped);
    multi_head = written(plain_heads);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    json_decref(latent);
    json_decref(multi_head);
    folder_remove(folder);
    return 0;
}

/* One change: section "" is the top, "." in it goes deeper; value NULL removes the key. */
typedef struct change {
    const char *section, *key, *value;
} change;

static void apply(json_t *root, const change *c)
{
    json_t *object = root;
    if (strcmp(c->section, "rope") == 0) {
        object = json_object_get(root, "language_config");
        json_object_set_new(object, "rope_scaling",
                            json_loads("{\"type\": \"yarn\", \"factor\": 4}", 0, NULL));
        object = json_object_get(object, "rope_scaling");
    } else if (c->section[0] != '\0') {
        object = json_object_get(root, c->section);
    }
    if (c->value == NULL) {
        json_object_del(object, c->key);
        return;
    }
    json_t *value = json_loads(c->value, JSON_DECODE_ANY, NULL);
    assert_non_null(value);
    json_object_set_new(object, c->key, value);
}

static vl2_status read_changed(const json_t *from, const change *changes, size_t count,
                               model_config *config, vl2_error *error)
{
    char path[128];
    json_t *root = json_deep_copy(from);
    for (size_t i = 0; i < count; i++) {
        apply(root, &changes[i]);
    }
    snprintf(path, sizeof(path), "%s/config.json", folder);
    assert_int_equal(json_dump_file(root, path, 0), 0);
    json_decref(root);
    return model_config_open(path, config, error);
}

#define V "vision_config"
#define P "projector_config"
#define L "language_config"

static void expect_refused(const json_t *from, const change *c)
{
    model_config config;
    memset(&config, 7, sizeof(config));
    const model_config before = config;
    vl2_error error = {VL2_OK, ""};
    if (read_changed(from, c, 1, &config, &error) != VL2_ERROR_MODEL) {
        fail_msg("%s.%s = %s is accepted", c->section, c->key, c->value);
    }
    assert_int_equal(error.status, VL2_ERROR_MODEL);
    if (strstr(error.message, "config.json") == NULL || strstr(error.message, c->key) == NULL ||
        strstr(error.message, "found") == NULL || strstr(error.message, "expected") == NULL) {
        fail_msg("%s.%s = %s: \"%s\" does not name file, field, found and expected", c->section,
                 c->key, c->value, error.message);
    }
    assert_memory_equal(&config, &before, sizeof(config)); /* untouched on failure */
}

/* A section that is no object is not taken for an empty one. */
static void test_sections(void **state)
{
    (void)state;
    static const char *const sections[] = {V, P, L};
    static const char *const values[] = {"5", "[1]", "\"x\""};
    for (size_t i = 0; i < 9; i++) {
        expect_refused(latent, &(change){"", sections[i / 3], values[i % 3]});
    }
}

/* Integers from 1 on: none of these can be. */
static void test_integers(void **state)
{
    (void)state;
    static const change fields[] = {
        {V, "image_size", ""}, {V, "patch_size", ""}, {V, "width", ""}, {V, "layers", ""},
        {V, "heads", ""}, {P, "input_dim", ""}, {P, "n_embed", ""}, {P, "depth", ""},
        {P, "mlp_ratio", ""}, {P, "downsample_ratio", ""}, {L, "vocab_size", ""},
        {L, "hidden_size", ""}, {L, "intermediate_size", ""}, {L, "num_hidden_layers", ""},
        {L, "num_attention_heads", ""}, {L, "max_position_embeddings", ""},
        {L, "q_lora_rank", ""}, {L, "kv_lora_rank", ""}, {L, "qk_nope_head_dim", ""},
        {L, "qk_rope_head_dim", ""}, {L, "v_head_dim", ""}, {L, "n_routed_experts", ""},
        {L, "n_shared_experts", ""}, {L, "num_experts_per_tok", ""},
        {L, "moe_intermediate_size", ""}, {L, "moe_layer_freq", ""}, {L, "n_group", ""},
        {L, "topk_group", ""}, {"rope", "original_max_position_embeddings", ""},
    };
    static const char *const values[] = {"0", "-1", "2147483647", "2147483648", "4294967297",
                                         "9223372036854775807", "-9223372036854775808", "2.5",
                                         "1e300", "\"4\"", "true", "[4]", "{}"};
    for (size_t f = 0; f < sizeof(fields) / sizeof(fields[0]); f++) {
        for (size_t v = 0; v < sizeof(values) / sizeof(values[0]); v++) {
            expect_refused(latent, &(change){fields[f].section, fields[f].key, values[v]});
        }
    }
}

static void test_other_values(void **state)
{
    (void)state;
    static const change wrong[] = {
        {"", "model_type", "\"llama\""}, {"", "model_type", NULL}, {"", "model_type", "null"},
        {"", "model_type", "5"}, {"", "tile_tag", "\"1D\""}, {"", "tile_tag", NULL},
        {"", "tile_tag", "2"}, {"", "tile_tag", "\"\""}, {"", "global_view_pos", "1"},
        {"", V, "7"}, {"", V, "[]"}, {"", P, "\"x\""}, {"", L, "true"},
        {V, "patch_size", "29"}, {V, "heads", "5"}, {V, "heads", "25"}, {V, "width", "25"},
        {V, "mlp_ratio", "0"}, {V, "mlp_ratio", "-1"}, {V, "mlp_ratio", "1e9"},
        {V, "mlp_ratio", "\"4\""}, {V, "mlp_ratio", "0.01"}, {V, "class_token", "true"},
        {V, "class_token", "1"}, {V, "ignore_head", "false"},
        {P, "projector_type", "\"mlp_gelu\""}, {P, "projector_type", "1"}, {P, "depth", "1"},
        {P, "token_pooling", "true"}, {P, "input_dim", "23"},
        {L, "num_experts_per_tok", "9"}, {L, "num_experts_per_tok", NULL},
        {L, "n_group", "3"}, {L, "n_group", "8"}, {L, "topk_group", "3"},
        {L, "first_k_dense_replace", "-1"}, {L, "first_k_dense_replace", "\"0\""},
        {L, "topk_method", "\"gready\""}, {L, "topk_method", "\"best\""}, {L, "topk_method", NULL},
        {L, "topk_method", "3"}, {L, "scoring_func", "\"relu\""}, {L, "scoring_func", "1"},
        {L, "hidden_act", "\"gelu\""}, {L, "hidden_act", "0"}, {L, "norm_topk_prob", "1"},
        {L, "norm_topk_prob", "\"true\""}, {L, "use_mla", "0"}, {L, "attention_bias", "0"},
        {L, "tie_word_embeddings", "\"no\""}, {L, "routed_scaling_factor", "\"1\""},
        {L, "routed_scaling_factor", "1e30"}, {L, "rms_norm_eps", "-1"},
        {L, "rms_norm_eps", "\"1e-6\""}, {L, "rope_theta", "0"}, {L, "rope_theta", "-10000"},
        {L, "rope_theta", "\"a\""}, {L, "qk_rope_head_dim", "7"}, {L, "eos_token_id", "-2"},
        {L, "bos_token_id", "\"a\""}, {L, "rope_scaling", "4"}, {L, "rope_scaling", "[]"},
        {"rope", "type", "\"dynamic\""}, {"rope", "type", NULL}, {"rope", "type", "1"},
        {"rope", "factor", "0"}, {"rope", "factor", "-4"}, {"rope", "factor", "\"4\""},
        {"rope", "factor", "1e300"}, {"rope", "beta_fast", "0"}, {"rope", "beta_slow", "-1"},
        {"rope", "mscale", "\"1\""}, {"rope", "mscale", "-1"}, {"rope", "mscale_all_dim", "-1"},
        {"rope", "mscale_all_dim", "1e9"},
    };
    for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
        expect_refused(latent, &wrong[i]);
    }
    static const change wrong_heads[] = {
        {L, "num_attention_heads", "5"},  {L, "num_attention_heads", "4"}, /* 36 / 4 is odd */
        {L, "num_key_value_heads", "2"},  {L, "num_key_value_heads", "0"},
        {L, "num_key_value_heads", "-3"}, {L, "num_key_value_heads", "6"},
        {L, "num_key_value_heads", NULL}, /* 32, the reference's default, does not divide 3 */
        {"rope", "type", "\"yarn\""},
    };
    for (size_t i = 0; i < sizeof(wrong_heads) / sizeof(wrong_heads[0]); i++) {
        expect_refused(multi_head, &wrong_heads[i]);
    }
    /* Here another field is to blame than the one that was changed. */
    model_config config;
    vl2_error error = {VL2_OK, ""};
    assert_int_equal(read_changed(latent, &(change){P, "n_embed", "37"}, 1, &config, &error),
                     VL2_ERROR_MODEL);
    assert_non_null(strstr(error.message, "hidden_size"));
}

/* What is no configuration at all. */
static void test_not_an_object(void **state)
{
    (void)state;
    static const char *const texts[] = {
        "", "[]", "3", "null", "{\"a\": ", "{\"model_type\": 1e999}", "\xff\xfe", "{} {}"};
    char path[128];
    snprintf(path, sizeof(path), "%s/bad.json", folder);
    for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
        FILE *file = fopen(path, "wb");
        assert_non_null(file);
        fputs(texts[i], file);
        fclose(file);
        model_config config;
        vl2_error error = {VL2_OK, ""};
        assert_int_equal(model_config_open(path, &config, &error), VL2_ERROR_MODEL);
        assert_non_null(strstr(error.message, "bad.json"));
    }
    model_config config;
    vl2_error error = {VL2_OK, ""};
    assert_int_equal(model_config_open("/no/such/config.json", &config, &error), VL2_ERROR_MODEL);
    assert_non_null(strstr(error.message, "/no/such/config.json"));
    assert_int_equal(model_config_open("/no/such/config.json", &config, NULL), VL2_ERROR_MODEL);
}

static model_config accepted(const json_t *from, const change *changes, size_t count)
{
    model_config config;
    vl2_error error = {VL2_OK, ""};
    if (read_changed(from, changes, count, &config, &error) != VL2_OK) {
        fail_msg("%s", error.message);
    }
    return config;
}

static model_config accepted_one(const json_t *from, const char *section, const char *key,
                                 const char *value)
{
    return accepted(from, &(change){section, key, value}, 1);
}

/* Absent: the default of the reference's class. null: none. */
static void test_absent_and_null(void **state)
{
    (void)state;
    assert_int_equal(accepted_one(latent, L, "q_lora_rank", "null").language.query_rank, 0);
    assert_int_equal(accepted_one(latent, L, "q_lora_rank", NULL).language.query_rank, 1536);
    assert_int_equal(accepted_one(latent, L, "q_lora_rank", "9").language.query_rank, 9);
    assert_int_equal(accepted_one(latent, L, "kv_lora_rank", NULL).language.latent_rank, 512);
    assert_int_equal(accepted_one(latent, L, "v_head_dim", NULL).language.value_width, 128);
    assert_int_equal(accepted_one(latent, L, "qk_nope_head_dim", NULL).language.nope_width, 128);
    assert_int_equal(accepted_one(latent, L, "qk_rope_head_dim", NULL).language.rope_width, 64);
    assert_int_equal(accepted_one(multi_head, L, "num_key_value_heads", "null").language.kv_heads,
                     3);
    assert_int_equal(accepted_one(latent, L, "n_routed_experts", "null").language.gate.experts, 0);
    assert_int_equal(accepted_one(latent, L, "n_routed_experts", NULL).language.gate.experts, 0);
    assert_int_equal(accepted_one(latent, L, "n_shared_experts", NULL).language.shared_experts, 0);
    assert_int_equal(accepted_one(latent, L, "moe_layer_freq", NULL).language.expert_layer_step, 1);
    assert_int_equal(
        accepted_one(latent, L, "first_k_dense_replace", NULL).language.first_expert_layer, 0);
    assert_int_equal(accepted_one(latent, L, "rope_scaling", NULL).language.rope.scaling,
                     ROPE_PLAIN);
    const change wide[] = {{V, "heads", NULL}, {V, "width", "32"}, {P, "input_dim", "32"}};
    assert_int_equal(accepted(latent, wide, 3).vision.heads, 16);
    assert_true(accepted_one(latent, "", "global_view_pos", NULL).global_view_first);
    assert_false(accepted_one(latent, "", "global_view_pos", "\"tail\"").global_view_first);
    assert_true(accepted_one(latent, L, "rope_theta", NULL).language.rope.theta == 10000);
    assert_true(accepted_one(latent, L, "use_mla", NULL).language.latent_attention);
}

static void test_derived(void **state)
{
    (void)state;
    model_config config = accepted_one(latent, V, "mlp_ratio", "3.7362");
    assert_int_equal(config.vision.mlp_width, 89); /* int(24 * 3.7362) */
    assert_int_equal(config.vision.grid, 4);
    assert_int_equal(config.projector.grid, 2);
    config = accepted_one(latent, P, "downsample_ratio", "3");
    assert_int_equal(config.projector.grid, 2); /* 4 patches, padded to 6 */
    config = accepted_one(latent, P, "mlp_ratio", "2");
    assert_int_equal(config.projector.inner_width, 72);
    assert_true(fabs((double)config.language.score_scale - 1 / sqrt(20.0)) < 1e-7);
    const change yarn[] = {{"rope", "mscale_all_dim", "0.707"}};
    config = accepted(latent, yarn, 1);
    double mscale = 0.1 * 0.707 * log(4) + 1;
    assert_true(fabs((double)config.language.score_scale - mscale * mscale / sqrt(20.0)) < 1e-6);
    config = accepted(multi_head, NULL, 0);
    assert_true(fabs((double)config.language.score_scale - 1 / sqrt(12.0)) < 1e-7);
}

/* Which layers have experts: from first_k_dense_replace on, every moe_layer_freq-th by absolute
 * index. */
static void test_expert_layers(void **state)
{
    (void)state;
    static const struct {
        const char *first, *step, *layers;
    } rows[] = {{"0", "1", "11111111"}, {"1", "1", "01111111"}, {"0", "2", "10101010"},
                {"1", "2", "00101010"}, {"2", "3", "00010010"}, {"9", "1", "00000000"}};
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        const change changes[] = {{L, "first_k_dense_replace", rows[i].first},
                                  {L, "moe_layer_freq", rows[i].step}};
        model_config config = accepted(latent, changes, 2);
        for (int layer = 0; layer < 8; layer++) {
            assert_int_equal(language_config_has_experts(&config.language, layer),
                             rows[i].layers[layer] == '1');
        }
    }
    model_config config = accepted_one(latent, L, "n_routed_experts", "null");
    assert_false(language_config_has_experts(&config.language, 3));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_sections),
        cmocka_unit_test(test_integers),        cmocka_unit_test(test_other_values),
        cmocka_unit_test(test_not_an_object),   cmocka_unit_test(test_absent_and_null),
        cmocka_unit_test(test_derived),         cmocka_unit_test(test_expert_layers),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
