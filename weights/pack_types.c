#include "weights/pack_types.h"

#include "base/alloc.h"

#include <fnmatch.h>
#include <string.h>

#define INT8 PACK_INT8_LAYOUT
#define INT6 LAYOUT_INT6
#define INT4 PACK_INT4_LAYOUT

/* Of matrices. Presets and groups without a row here keep what is stored. */
static const uint32_t preset_layouts[PACK_PRESET_COUNT][WEIGHT_GROUP_END] = {
    [PACK_PRESET_INT8] = {[WEIGHT_VISION] = INT8, [WEIGHT_PROJECTOR] = INT8,
                          [WEIGHT_EMBEDDING] = INT8, [WEIGHT_HEAD] = INT8,
                          [WEIGHT_ATTENTION] = INT8, [WEIGHT_LATENT] = INT8, [WEIGHT_DENSE] = INT8,
                          [WEIGHT_SHARED] = INT8, [WEIGHT_EXPERTS] = INT8},
    [PACK_PRESET_INT6] = {[WEIGHT_VISION] = INT8, [WEIGHT_PROJECTOR] = INT8,
                          [WEIGHT_EMBEDDING] = INT8, [WEIGHT_HEAD] = INT8,
                          [WEIGHT_ATTENTION] = INT6, [WEIGHT_LATENT] = INT6, [WEIGHT_DENSE] = INT6,
                          [WEIGHT_SHARED] = INT6, [WEIGHT_EXPERTS] = INT6},
    [PACK_PRESET_INT4] = {[WEIGHT_VISION] = INT6, [WEIGHT_PROJECTOR] = INT6,
                          [WEIGHT_EMBEDDING] = INT4, [WEIGHT_HEAD] = INT6,
                          [WEIGHT_ATTENTION] = INT4, [WEIGHT_LATENT] = INT4, [WEIGHT_DENSE] = INT4,
                          [WEIGHT_SHARED] = INT4, [WEIGHT_EXPERTS] = INT4},
    [PACK_PRESET_MIXED] = {[WEIGHT_VISION] = INT8, [WEIGHT_PROJECTOR] = INT8,
                           [WEIGHT_EMBEDDING] = INT8, [WEIGHT_HEAD] = INT8,
                           [WEIGHT_ATTENTION] = INT8, [WEIGHT_LATENT] = INT8,
                           [WEIGHT_DENSE] = INT8, [WEIGHT_SHARED] = INT8,
                           [WEIGHT_EXPERTS] = INT4},
};

static const char *const preset_names[PACK_PRESET_COUNT] = {
#define PACK_NAME(constant, name) [constant] = name,
    PACK_PRESETS(PACK_NAME)
#undef PACK_NAME
};

const char *pack_preset_name(pack_preset preset)
{
    return preset_names[preset];
}

/* False for a word that is no type. */
static bool find_type(const char *word, uint32_t *layout)
{
    static const struct {
        const char *name;
        uint32_t layout;
    } types[] = {
        {"f32", PACK_PLAIN_F32}, {"bf16", PACK_LEFT_OUT}, {"int8", INT8},
        {"int6", INT6},          {"int4", INT4},          {"plain-f32", PACK_PLAIN_F32},
    };
    for (size_t i = 0; i < sizeof(types) / sizeof(types[0]); i++) {
        if (strcmp(types[i].name, word) == 0) {
            *layout = types[i].layout;
            return true;
        }
    }
    const layout_info *info = layout_find_name(word);
    *layout = info != NULL ? (uint32_t)info->id : PACK_LEFT_OUT;
    return info != NULL;
}

static vl2_status read_rule(const char *text, pack_rule *rule, vl2_error *error)
{
    const char *sign = strrchr(text, '=');
    if (sign == NULL || sign == text) {
        return vl2_fail(error, VL2_ERROR_ARGUMENT,
                        "type: found \"%.200s\", expected PATTERN=TYPE, such as experts=int8",
                        text);
    }
    rule->text = text;
    if (!find_type(sign + 1, &rule->layout)) {
        return vl2_fail(error, VL2_ERROR_ARGUMENT,
                        "type: \"%.200s\": found \"%.60s\", expected f32, bf16, int8, int6, int4 "
                        "or a layout such as int4-symmetric",
                        text, sign + 1);
    }
    rule->pattern = base_copy_text(text, (size_t)(sign - text));
    if (rule->pattern == NULL) {
        return vl2_fail_memory(error, "the rules of types", strlen(text));
    }
    rule->group = weight_group_find(rule->pattern);
    return VL2_OK;
}

vl2_status pack_types_read(const char *quant, const char *const *rules, size_t count,
                           pack_types *types, vl2_error *error)
{
    *types = (pack_types){.preset = PACK_PRESET_MIXED};
    bool known = quant == NULL;
    for (int i = 0; i < PACK_PRESET_COUNT && !known; i++) {
        known = strcmp(quant, preset_names[i]) == 0;
        types->preset = (pack_preset)i;
    }
    if (!known) {
        return vl2_fail(error, VL2_ERROR_ARGUMENT,
                        "quant: found \"%.60s\", expected bf16, int8, int6, int4 or mixed", quant);
    }
    types->rules = base_calloc(count, sizeof(*types->rules));
    if (types->rules == NULL) {
        return vl2_fail_memory(error, "the rules of types", count * sizeof(*types->rules));
    }
    vl2_status status = VL2_OK;
    for (; status == VL2_OK && types->rule_count < count; types->rule_count++) {
        status = read_rule(rules[types->rule_count], &types->rules[types->rule_count], error);
    }
    if (status != VL2_OK) {
        pack_types_clear(types);
    }
    return status;
}

void pack_types_clear(pack_types *types)
{
    for (size_t i = 0; i < types->rule_count; i++) {
        base_free(types->rules[i].pattern);
    }
    base_free(types->rules);
    *types = (pack_types){.preset = PACK_PRESET_MIXED};
}

uint32_t pack_stored_layout(const tensor_view *tensor)
{
    static const uint32_t layouts[DATA_TYPE_COUNT] = {
        [DATA_F32] = PACK_PLAIN_F32, [DATA_F16] = PACK_SPLIT_F16, [DATA_BF16] = PACK_SPLIT_BF16};
    bool empty = false;
    for (int i = 0; i < tensor->rank; i++) {
        empty = empty || tensor->shape[i] <= 0;
    }
    if (empty || tensor->rank > PACK_MAX_RANK || tensor->type == DATA_TYPE_COUNT ||
        strlen(tensor->name) > PACK_MAX_NAME) {
        return PACK_LEFT_OUT;
    }
    return layouts[tensor->type];
}

static uint32_t preset_layout(const pack_types *types, const tensor_view *tensor,
                              weight_group group)
{
    if (types->preset == PACK_PRESET_BF16) {
        return pack_stored_layout(tensor);
    }
    if (group == WEIGHT_UNUSED) {
        return PACK_LEFT_OUT;
    }
    if (tensor->rank <= 1 || group == WEIGHT_ROUTER) {
        return PACK_PLAIN_F32;
    }
    uint32_t layout = tensor->rank == 2 ? preset_layouts[types->preset][group] : 0;
    return layout != 0 ? layout : pack_stored_layout(tensor);
}

static bool matches(const pack_rule *rule, const tensor_view *tensor, weight_group group)
{
    return rule->group != 0 ? rule->group == (uint32_t)group
                            : fnmatch(rule->pattern, tensor->name, 0) == 0;
}

uint32_t pack_types_choose(const pack_types *types, const tensor_view *tensor, weight_group group,
                           bool *took)
{
    uint32_t stored = pack_stored_layout(tensor), layout = preset_layout(types, tensor, group);
    if (stored == PACK_LEFT_OUT) {
        return PACK_LEFT_OUT;
    }
    bool wanted = layout != PACK_LEFT_OUT, matrix = tensor->rank == 2 && group != WEIGHT_ROUTER;
    for (size_t i = 0; i < types->rule_count; i++) {
        const pack_rule *rule = &types->rules[i];
        bool integers = layout_find(rule->layout) != NULL;
        if ((integers && !matrix) || !matches(rule, tensor, group)) {
            continue;
        }
        wanted = wanted || rule->group == WEIGHT_UNUSED;
        layout = rule->layout != PACK_LEFT_OUT ? rule->layout : stored;
        if (took != NULL && wanted) {
            took[i] = true;
        }
    }
    return wanted ? layout : PACK_LEFT_OUT;
}
