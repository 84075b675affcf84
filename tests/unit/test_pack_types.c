/* weights/place and weights/pack_types: where a tensor belongs, and which type it gets. */
#include "test.h"

#include "weights/pack_types.h"
#include "weights/place.h"

#include <string.h>

#define LAYER "language.model.layers.3."

static void test_places(void **state)
{
    (void)state;
    static const struct {
        const char *name;
        weight_place place;
    } rows[] = {
        {"vision.pos_embed", {WEIGHT_VISION, -1, -1, WEIGHT_OTHER}},
        {"vision.patch_embed.proj.weight", {WEIGHT_VISION, -1, -1, WEIGHT_OTHER}},
        {"vision.blocks.12.attn.qkv.weight", {WEIGHT_VISION, 12, -1, WEIGHT_OTHER}},
        {"vision.blocks.x.attn", {WEIGHT_VISION, -1, -1, WEIGHT_OTHER}},
        {"vision.attn_pool.q.weight", {WEIGHT_UNUSED, -1, -1, WEIGHT_OTHER}},
        {"projector.layers.2.bias", {WEIGHT_PROJECTOR, -1, -1, WEIGHT_OTHER}},
        {"image_newline", {WEIGHT_PROJECTOR, -1, -1, WEIGHT_OTHER}},
        {"view_seperator", {WEIGHT_PROJECTOR, -1, -1, WEIGHT_OTHER}},
        {"view_separator", {WEIGHT_UNUSED, -1, -1, WEIGHT_OTHER}},
        {"language.model.embed_tokens.weight", {WEIGHT_EMBEDDING, -1, -1, WEIGHT_OTHER}},
        {"language.lm_head.weight", {WEIGHT_HEAD, -1, -1, WEIGHT_OTHER}},
        {"language.model.norm.weight", {WEIGHT_NORMS, -1, -1, WEIGHT_OTHER}},
        {LAYER "input_layernorm.weight", {WEIGHT_NORMS, 3, -1, WEIGHT_OTHER}},
        {LAYER "self_attn.kv_a_layernorm.weight", {WEIGHT_NORMS, 3, -1, WEIGHT_OTHER}},
        {LAYER "self_attn.q_proj.weight", {WEIGHT_ATTENTION, 3, -1, WEIGHT_OTHER}},
        {LAYER "self_attn.o_proj.bias", {WEIGHT_ATTENTION, 3, -1, WEIGHT_OTHER}},
        {LAYER "self_attn.kv_a_proj_with_mqa.weight", {WEIGHT_LATENT, 3, -1, WEIGHT_OTHER}},
        {LAYER "self_attn.q_b_proj.weight", {WEIGHT_LATENT, 3, -1, WEIGHT_OTHER}},
        {LAYER "self_attn.rotary_emb.inv_freq", {WEIGHT_UNUSED, -1, -1, WEIGHT_OTHER}},
        {LAYER "self_attn.q_proj.lora_A", {WEIGHT_UNUSED, -1, -1, WEIGHT_OTHER}},
        {LAYER "mlp.gate_proj.weight", {WEIGHT_DENSE, 3, -1, WEIGHT_GATE}},
        {LAYER "mlp.down_proj.weight", {WEIGHT_DENSE, 3, -1, WEIGHT_DOWN}},
        {LAYER "mlp.shared_experts.up_proj.weight", {WEIGHT_SHARED, 3, -1, WEIGHT_UP}},
        {LAYER "mlp.experts.63.down_proj.weight", {WEIGHT_EXPERTS, 3, 63, WEIGHT_DOWN}},
        {LAYER "mlp.experts.0.gate_proj.weight", {WEIGHT_EXPERTS, 3, 0, WEIGHT_GATE}},
        {LAYER "mlp.experts.00.gate_proj.weight", {WEIGHT_UNUSED, -1, -1, WEIGHT_OTHER}},
        {LAYER "mlp.experts.99999999999.up_proj.weight", {WEIGHT_UNUSED, -1, -1, WEIGHT_OTHER}},
        {LAYER "mlp.experts.5.gate_proj.bias", {WEIGHT_UNUSED, -1, -1, WEIGHT_OTHER}},
        {LAYER "mlp.gate.weight", {WEIGHT_ROUTER, 3, -1, WEIGHT_OTHER}},
        {LAYER "mlp.gate.e_score_correction_bias", {WEIGHT_ROUTER, 3, -1, WEIGHT_OTHER}},
        {"language.model.layers.03.mlp.gate.weight", {WEIGHT_UNUSED, -1, -1, WEIGHT_OTHER}},
        {"model.norm.weight", {WEIGHT_UNUSED, -1, -1, WEIGHT_OTHER}},
        {"", {WEIGHT_UNUSED, -1, -1, WEIGHT_OTHER}},
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        weight_place found = weight_place_of(rows[i].name), wanted = rows[i].place;
        if (found.group != wanted.group || found.layer != wanted.layer ||
            found.expert != wanted.expert || found.part != wanted.part) {
            fail_msg("%s: group %d, layer %d, expert %d, part %d", rows[i].name, found.group,
                     found.layer, found.expert, found.part);
        }
    }
    for (uint32_t i = 1; i < WEIGHT_GROUP_END; i++) {
        assert_int_equal(weight_group_find(weight_group_name(i)), i);
    }
    assert_null(weight_group_name(0));
    assert_null(weight_group_name(WEIGHT_GROUP_END));
    assert_int_equal(weight_group_find("expert"), 0);
}

/* A made-up tensor: what its rank is and what it is called decides. */
static tensor_view tensor_of(const char *name, data_type type, int rank)
{
    static const uint8_t data[64];
    return (tensor_view){name, type == DATA_TYPE_COUNT ? NULL : data, type, rank, {2, 2, 2, 2}};
}

static uint32_t choose(const char *quant, const char *const *rules, size_t count, const char *name,
                       data_type type, int rank)
{
    pack_types types;
    vl2_error error = {VL2_OK, ""};
    if (pack_types_read(quant, rules, count, &types, &error) != VL2_OK) {
        fail_msg("%s", error.message);
    }
    tensor_view tensor = tensor_of(name, type, rank);
    uint32_t layout = pack_types_choose(&types, &tensor, weight_place_of(name).group, NULL);
    pack_types_clear(&types);
    return layout;
}

static const char *const names[WEIGHT_GROUP_END] = {
    [WEIGHT_VISION] = "vision.blocks.0.mlp.fc1.weight",
    [WEIGHT_PROJECTOR] = "projector.layers.0.weight",
    [WEIGHT_EMBEDDING] = "language.model.embed_tokens.weight",
    [WEIGHT_HEAD] = "language.lm_head.weight",
    [WEIGHT_ATTENTION] = LAYER "self_attn.q_proj.weight",
    [WEIGHT_LATENT] = LAYER "self_attn.kv_b_proj.weight",
    [WEIGHT_DENSE] = LAYER "mlp.up_proj.weight",
    [WEIGHT_SHARED] = LAYER "mlp.shared_experts.up_proj.weight",
    [WEIGHT_EXPERTS] = LAYER "mlp.experts.1.up_proj.weight",
    [WEIGHT_ROUTER] = LAYER "mlp.gate.weight",
    [WEIGHT_NORMS] = LAYER "input_layernorm.weight",
    [WEIGHT_UNUSED] = "vision.attn_pool.q.weight",
};

/* Matrices of every group under every preset; the router is one that stays f32. */
static void test_presets(void **state)
{
    (void)state;
    enum { I8 = LAYOUT_INT8_GROUP_128, I6 = LAYOUT_INT6, I4 = LAYOUT_INT4_CODEBOOK };
    static const struct {
        const char *quant;
        uint32_t layouts[9]; /* vision to experts */
    } rows[] = {
        {"int8", {I8, I8, I8, I8, I8, I8, I8, I8, I8}},
        {"int6", {I8, I8, I8, I8, I6, I6, I6, I6, I6}},
        {"int4", {I6, I6, I4, I6, I4, I4, I4, I4, I4}},
        {"mixed", {I8, I8, I8, I8, I8, I8, I8, I8, I4}},
        {NULL, {I8, I8, I8, I8, I8, I8, I8, I8, I4}},
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        const char *quant = rows[i].quant;
        for (uint32_t group = WEIGHT_VISION; group <= WEIGHT_EXPERTS; group++) {
            for (data_type type = DATA_F32; type < DATA_TYPE_COUNT; type++) {
                assert_int_equal(choose(quant, NULL, 0, names[group], type, 2),
                                 rows[i].layouts[group - 1]);
                assert_int_equal(choose(quant, NULL, 0, names[group], type, 1), PACK_PLAIN_F32);
                assert_int_equal(choose(quant, NULL, 0, names[group], type, 0), PACK_PLAIN_F32);
            }
            assert_int_equal(choose(quant, NULL, 0, names[group], DATA_BF16, 4), PACK_SPLIT_BF16);
            assert_int_equal(choose(quant, NULL, 0, names[group], DATA_F16, 3), PACK_SPLIT_F16);
            assert_int_equal(choose(quant, NULL, 0, names[group], DATA_F32, 3), PACK_PLAIN_F32);
        }
        assert_int_equal(choose(quant, NULL, 0, names[WEIGHT_ROUTER], DATA_BF16, 2),
                         PACK_PLAIN_F32);
        assert_int_equal(choose(quant, NULL, 0, names[WEIGHT_NORMS], DATA_BF16, 1),
                         PACK_PLAIN_F32);
        assert_int_equal(choose(quant, NULL, 0, names[WEIGHT_UNUSED], DATA_BF16, 2),
                         PACK_LEFT_OUT);
    }
    for (uint32_t group = 1; group < WEIGHT_GROUP_END; group++) {
        for (int rank = 0; rank <= 4; rank++) {
            assert_int_equal(choose("bf16", NULL, 0, names[group], DATA_BF16, rank),
                             PACK_SPLIT_BF16);
            assert_int_equal(choose("bf16", NULL, 0, names[group], DATA_F16, rank),
                             PACK_SPLIT_F16);
            assert_int_equal(choose("bf16", NULL, 0, names[group], DATA_F32, rank),
                             PACK_PLAIN_F32);
        }
        /* What the format cannot hold. */
        assert_int_equal(choose("bf16", NULL, 0, names[group], DATA_BF16, 5), PACK_LEFT_OUT);
        assert_int_equal(choose("bf16", NULL, 0, names[group], DATA_TYPE_COUNT, 2),
                         PACK_LEFT_OUT);
    }
}

#define RULES(...) (const char *const[]){__VA_ARGS__}, \
                   sizeof((const char *const[]){__VA_ARGS__}) / sizeof(char *)

static void test_rules(void **state)
{
    (void)state;
    const char *expert = names[WEIGHT_EXPERTS], *head = names[WEIGHT_HEAD];
    assert_int_equal(choose("mixed", RULES("experts=int6"), expert, DATA_BF16, 2), LAYOUT_INT6);
    assert_int_equal(choose("mixed", RULES("experts=int6"), head, DATA_BF16, 2),
                     LAYOUT_INT8_GROUP_128);
    /* The last one wins, names and groups alike. */
    assert_int_equal(choose("mixed", RULES("experts=int8", "*.experts.1.*=int4-symmetric"), expert,
                            DATA_BF16, 2),
                     LAYOUT_INT4_SYMMETRIC);
    assert_int_equal(choose("mixed", RULES("*.experts.1.*=int4-symmetric", "experts=int8-row"),
                            expert, DATA_BF16, 2),
                     LAYOUT_INT8_ROW);
    assert_int_equal(choose("mixed", RULES("*.experts.2.*=int8"), expert, DATA_BF16, 2),
                     LAYOUT_INT4_CODEBOOK);
    /* bf16 is what is stored; f32 takes everything. */
    assert_int_equal(choose("int4", RULES("head=bf16"), head, DATA_F16, 2), PACK_SPLIT_F16);
    assert_int_equal(choose("int4", RULES("head=bf16"), head, DATA_F32, 2), PACK_PLAIN_F32);
    assert_int_equal(choose("int4", RULES("head=f32"), head, DATA_BF16, 2), PACK_PLAIN_F32);
    assert_int_equal(choose("int4", RULES("norms=bf16"), names[WEIGHT_NORMS], DATA_BF16, 1),
                     PACK_SPLIT_BF16);
    /* Integers are for matrices other than the router. */
    assert_int_equal(choose("int8", RULES("*=int4"), names[WEIGHT_NORMS], DATA_BF16, 1),
                     PACK_PLAIN_F32);
    assert_int_equal(choose("int8", RULES("*=int4"), names[WEIGHT_ROUTER], DATA_BF16, 2),
                     PACK_PLAIN_F32);
    assert_int_equal(choose("int8", RULES("*=int4"), names[WEIGHT_VISION], DATA_BF16, 4),
                     PACK_SPLIT_BF16);
    assert_int_equal(choose("int8", RULES("*=int4"), head, DATA_BF16, 2), LAYOUT_INT4_CODEBOOK);
    /* Unused tensors come in by their group alone. */
    const char *unused = names[WEIGHT_UNUSED];
    assert_int_equal(choose("int8", RULES("*=int4"), unused, DATA_BF16, 2), PACK_LEFT_OUT);
    assert_int_equal(choose("int8", RULES("unused=int4"), unused, DATA_BF16, 2),
                     LAYOUT_INT4_CODEBOOK);
    assert_int_equal(choose("int8", RULES("unused=bf16", "*attn_pool*=f32"), unused, DATA_BF16, 2),
                     PACK_PLAIN_F32);
    assert_int_equal(choose("bf16", RULES("*attn_pool*=int8"), unused, DATA_BF16, 2),
                     LAYOUT_INT8_GROUP_128);
    for (uint32_t id = LAYOUT_INT8_ROW; id <= LAYOUT_INT4_CODEBOOK; id++) {
        char rule[64];
        snprintf(rule, sizeof(rule), "head=%s", layout_find(id)->name);
        assert_int_equal(choose("bf16", RULES(rule), head, DATA_BF16, 2), id);
    }
}

/* Which rules took a tensor: those that others overrule too. */
static void test_rules_that_take(void **state)
{
    (void)state;
    static const char *const rules[] = {"head=int8", "*lm_head*=int4", "experts=int8",
                                        "*attn_pool*=int8"};
    pack_types types;
    bool took[4] = {false};
    tensor_view tensor = tensor_of(names[WEIGHT_HEAD], DATA_BF16, 2);
    assert_int_equal(pack_types_read("mixed", rules, 4, &types, NULL), VL2_OK);
    assert_int_equal(pack_types_choose(&types, &tensor, WEIGHT_HEAD, took), LAYOUT_INT4_CODEBOOK);
    tensor = tensor_of(names[WEIGHT_UNUSED], DATA_BF16, 2);
    assert_int_equal(pack_types_choose(&types, &tensor, WEIGHT_UNUSED, took), PACK_LEFT_OUT);
    assert_true(took[0] && took[1] && !took[2] && !took[3]);
    pack_types_clear(&types);
}

static void test_bad_words(void **state)
{
    (void)state;
    static const struct {
        const char *quant, *rule, *word;
    } rows[] = {
        {"int5", "head=int8", "int5"},         {"", "head=int8", "quant"},
        {"int8", "head", "\"head\""},          {"int8", "=int8", "PATTERN=TYPE"},
        {"int8", "head=", "found \"\""},       {"int8", "head=int3", "int3"},
        {"int8", "head=split-bf16", "split"},  {"int8", "head=mixed", "mixed"},
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        const char *rules[] = {"experts=int8", rows[i].rule};
        pack_types types;
        vl2_error error = {VL2_OK, ""};
        assert_int_equal(pack_types_read(rows[i].quant, rules, 2, &types, &error),
                         VL2_ERROR_ARGUMENT);
        if (strstr(error.message, rows[i].word) == NULL) {
            fail_msg("\"%s\" does not name %s", error.message, rows[i].word);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_places),          cmocka_unit_test(test_presets),
        cmocka_unit_test(test_rules),           cmocka_unit_test(test_rules_that_take),
        cmocka_unit_test(test_bad_words),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
