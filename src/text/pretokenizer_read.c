#include "text/pretokenizer.h"

#include <stdio.h>
#include <string.h>

/* GPT-2's pattern, for ByteLevel with use_regex (pre_tokenizers/byte_level.rs). */
static const char gpt2_pattern[] =
    "'s|'t|'re|'ve|'m|'ll|'d| ?\\p{L}+| ?\\p{N}+| ?[^\\s\\p{L}\\p{N}]+|\\s+(?!\\S)|\\s+";

static const char *const behavior_names[] = {
    [SPLIT_ISOLATED] = "Isolated",
    [SPLIT_REMOVED] = "Removed",
    [SPLIT_MERGED_WITH_PREVIOUS] = "MergedWithPrevious",
    [SPLIT_MERGED_WITH_NEXT] = "MergedWithNext",
    [SPLIT_CONTIGUOUS] = "Contiguous",
};

typedef struct reader {
    pretokenizer *out;
    const char *file;
    vl2_error *error;
} reader;

static vl2_status add_step(const reader *in, const char *section, const char *text, bool literal,
                           split_step step)
{
    if (in->out->count == PRETOKENIZER_MAX_STEPS) {
        return vl2_fail(in->error, VL2_ERROR_MODEL,
                        "%s: %s: found one more step, expected at most %d", in->file, section,
                        PRETOKENIZER_MAX_STEPS);
    }
    if (text != NULL) {
        char name[512];
        snprintf(name, sizeof(name), "%s: %s", in->file, section);
        vl2_status status =
            pattern_compile(text, strlen(text), literal, name, &step.pattern, in->error);
        if (status != VL2_OK) {
            return status;
        }
    }
    in->out->steps[in->out->count++] = step;
    return VL2_OK;
}

static vl2_status read_split(const reader *in, json_fields *fields)
{
    split_step step = {0};
    const json_t *pattern = json_fields_object(fields, "pattern");
    const char *regex = json_string_value(json_object_get(pattern, "Regex"));
    const char *literal = json_string_value(json_object_get(pattern, "String"));
    if ((regex == NULL) == (literal == NULL)) {
        char found[96];
        json_fields_fail(fields, "pattern", json_describe(pattern, found, sizeof(found)),
                         "an object with a string \"Regex\" or \"String\"");
    }
    const char *behavior = json_fields_text(fields, "behavior", "");
    size_t known = 0, count = sizeof(behavior_names) / sizeof(behavior_names[0]);
    while (known < count && strcmp(behavior_names[known], behavior) != 0) {
        known++;
    }
    if (known == count) {
        json_fields_fail(fields, "behavior", behavior,
                         "Isolated, Removed, MergedWithPrevious, MergedWithNext or Contiguous");
    }
    step.behavior = (split_behavior)known;
    step.invert = json_fields_boolean(fields, "invert", false);
    if (fields->status != VL2_OK) {
        return fields->status;
    }
    return add_step(in, fields->section, regex != NULL ? regex : literal, regex == NULL, step);
}

static vl2_status read_digits(const reader *in, json_fields *fields)
{
    /* Rust's char::is_numeric is the general category N. */
    bool individual = json_fields_boolean(fields, "individual_digits", false);
    split_step step = {.behavior = individual ? SPLIT_ISOLATED : SPLIT_CONTIGUOUS};
    if (fields->status != VL2_OK) {
        return fields->status;
    }
    return add_step(in, fields->section, "\\p{N}", false, step);
}

static vl2_status read_byte_level(const reader *in, json_fields *fields)
{
    split_step step = {.behavior = SPLIT_ISOLATED};
    step.prefix_space = json_fields_boolean(fields, "add_prefix_space", true);
    bool use_regex = json_fields_boolean(fields, "use_regex", true);
    json_fields_boolean(fields, "trim_offsets", true); /* changes offsets only, never ids */
    if (fields->status != VL2_OK) {
        return fields->status;
    }
    in->out->byte_level = true;
    if (!use_regex && !step.prefix_space) {
        return VL2_OK;
    }
    return add_step(in, fields->section, use_regex ? gpt2_pattern : NULL, false, step);
}

static vl2_status read_step(const reader *in, const json_t *object, const char *section, int depth);

static vl2_status read_sequence(const reader *in, json_fields *fields, int depth)
{
    const json_t *list = json_fields_array(fields, "pretokenizers");
    if (list == NULL || depth > 8) {
        json_fields_fail(fields, "pretokenizers", list == NULL ? "nothing" : "a deep nest",
                         "a list of steps, at most 8 deep");
        return fields->status;
    }
    vl2_status status = VL2_OK;
    for (size_t i = 0; i < json_array_size(list) && status == VL2_OK; i++) {
        char section[256];
        snprintf(section, sizeof(section), "%s.pretokenizers[%zu]", fields->section, i);
        status = read_step(in, json_array_get(list, i), section, depth + 1);
    }
    return status;
}

static vl2_status read_step(const reader *in, const json_t *object, const char *section, int depth)
{
    json_fields fields = {in->file, section, object, VL2_ERROR_MODEL, VL2_OK, in->error};
    const char *type = json_fields_text(&fields, "type", "nothing");
    if (in->out->byte_level) {
        json_fields_fail(&fields, "type", type, "no step behind ByteLevel");
    }
    if (fields.status != VL2_OK) {
        return fields.status;
    }
    if (strcmp(type, "Sequence") == 0) {
        return read_sequence(in, &fields, depth);
    }
    if (strcmp(type, "Split") == 0) {
        return read_split(in, &fields);
    }
    if (strcmp(type, "Digits") == 0) {
        return read_digits(in, &fields);
    }
    if (strcmp(type, "ByteLevel") == 0) {
        return read_byte_level(in, &fields);
    }
    json_fields_fail(&fields, "type", type, "Sequence, Split, Digits or ByteLevel");
    return fields.status;
}

vl2_status pretokenizer_read(const json_t *object, const char *file, pretokenizer *pretokenizer,
                             vl2_error *error)
{
    reader in = {pretokenizer, file, error};
    vl2_status status = read_step(&in, object, "pre_tokenizer", 0);
    if (status == VL2_OK && !pretokenizer->byte_level) {
        status =
            vl2_fail(error, VL2_ERROR_MODEL,
                     "%s: pre_tokenizer: found no ByteLevel, expected it as the last step", file);
    }
    return status;
}

void pretokenizer_free(pretokenizer *pretokenizer)
{
    for (size_t i = 0; i < pretokenizer->count; i++) {
        pattern_free(pretokenizer->steps[i].pattern);
    }
    pretokenizer->count = 0;
}
