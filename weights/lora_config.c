#include "weights/lora_config.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#define FILE_LIMIT ((size_t)1 << 24)

/* Fields that make the adapter something else than B A beside the weights. Off is null, false, 0 or
 * empty. */
static const char *const foreign[] = {
    "use_dora",
    "fan_in_fan_out",
    "lora_bias",
    "use_qalora",
    "use_bdlora",
    "target_parameters",
    "layer_replication",
    "trainable_token_indices",
    "alora_invocation_tokens",
    "arrow_config",
    "monteclora_config",
    "megatron_config",
};

/* Ways to begin training that leave the base weights as they are. */
static const char *const initialisations[] = {"gaussian", "eva", "orthogonal"};

static bool is_off(const json_t *value)
{
    return value == NULL || json_is_null(value) || json_is_false(value) ||
           (json_is_integer(value) && json_integer_value(value) == 0) ||
           (json_is_array(value) && json_array_size(value) == 0) ||
           (json_is_object(value) && json_object_size(value) == 0);
}

static void check_foreign(json_fields *fields)
{
    for (size_t i = 0; i < sizeof(foreign) / sizeof(foreign[0]); i++) {
        const json_t *value = json_object_get(fields->object, foreign[i]);
        char found[96];
        if (!is_off(value)) {
            json_fields_fail(fields, foreign[i], json_describe(value, found, sizeof(found)),
                             "an adapter that is plain LoRA");
        }
    }
}

static void check_initialisation(json_fields *fields)
{
    const json_t *value = json_object_get(fields->object, "init_lora_weights");
    bool known = value == NULL || json_is_null(value) || json_is_boolean(value);
    for (size_t i = 0; i < sizeof(initialisations) / sizeof(initialisations[0]) && !known; i++) {
        known = json_is_string(value) && strcmp(json_string_value(value), initialisations[i]) == 0;
    }
    if (!known) {
        char found[96];
        json_fields_fail(fields, "init_lora_weights", json_describe(value, found, sizeof(found)),
                         "true, false, gaussian, eva or orthogonal, with which the base weights "
                         "stay as they are");
    }
}

/* ------------------------------------------------------------------------------------ patterns */

static bool is_understood(const char *key)
{
    static const char literals[] =
        "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-";
    const char *at = key[0] == '^' ? key + 1 : key;
    for (; *at != '\0' && strcmp(at, "$") != 0; at++) {
        if (at[0] == '.') {
            at += at[1] == '*';
        } else if (at[0] == '\\' && at[1] == '.') {
            at++;
        } else if (strchr(literals, at[0]) == NULL) {
            return false;
        }
    }
    return true;
}

/* The whole of `name` against a key without its "^". After a failure behind a ".*" that takes one
 * more, which is enough, since an earlier one could not do better. */
static bool fits_all(const char *key, const char *name)
{
    const char *behind = NULL, *taken = NULL;
    while (*name != '\0' || strncmp(key, ".*", 2) == 0) {
        size_t length = key[0] == '\\' ? 2 : 1;
        if (strncmp(key, ".*", 2) == 0) {
            key += 2;
            behind = key;
            taken = name;
        } else if (key[0] == '.' || (key[0] != '\0' && key[length - 1] == *name)) {
            key += length;
            name++;
        } else if (behind != NULL) {
            key = behind;
            name = ++taken;
        } else {
            return false;
        }
    }
    return key[0] == '\0' || strcmp(key, "$") == 0;
}

/* Python's re.match("(.*\.)?(KEY)$", name), as PEFT has it (get_pattern_key of utils/other.py). */
static bool fits(const char *key, const char *name)
{
    if (key[0] == '^') {
        return fits_all(key + 1, name);
    }
    for (const char *from = name; from != NULL;) {
        if (fits_all(key, from)) {
            return true;
        }
        from = strchr(from, '.');
        from = from != NULL ? from + 1 : NULL;
    }
    return false;
}

/* jansson iterates in the order of the file, but over what is not const only. */
static void *first_of(const json_t *object)
{
    return json_object_iter((json_t *)(uintptr_t)object);
}

static void *next_of(const json_t *object, void *at)
{
    return json_object_iter_next((json_t *)(uintptr_t)object, at);
}

/* The number of the first key that fits a module; NULL if there is none. */
static const json_t *pattern_value(const json_t *patterns, const char *module)
{
    for (void *at = first_of(patterns); at != NULL; at = next_of(patterns, at)) {
        if (fits(json_object_iter_key(at), module)) {
            return json_object_iter_value(at);
        }
    }
    return NULL;
}

/* Checks all keys and values, so that they can be used without a look later. */
static const json_t *read_patterns(json_fields *fields, const char *field, bool integers)
{
    const json_t *patterns = json_fields_object(fields, field);
    for (void *at = first_of(patterns); at != NULL; at = next_of(patterns, at)) {
        const char *key = json_object_iter_key(at);
        const json_t *value = json_object_iter_value(at);
        json_fields entries = {fields->file,    field,          patterns,
                               fields->failure, fields->status, fields->error};
        if (!is_understood(key)) {
            json_fields_fail(fields, field, key, "names of modules, with . and .* at most");
        } else if (integers) {
            json_fields_required_integer(&entries, key, 1, LORA_MAX_RANK);
        } else if (!json_is_null(value)) {
            json_fields_number(&entries, key, 0, 1e9, 0);
        } else {
            json_fields_fail(&entries, key, "null", "a number");
        }
        fields->status = fields->status != VL2_OK ? fields->status : entries.status;
    }
    return patterns;
}

/* ---------------------------------------------------------------------------------------- all */

vl2_status lora_config_open(const char *file, lora_config *config, vl2_error *error)
{
    *config = (lora_config){.file = file};
    vl2_status status = json_open(file, FILE_LIMIT, VL2_ERROR_MODEL, &config->root, error);
    if (status != VL2_OK) {
        return status;
    }
    if (!json_is_object(config->root)) {
        char found[96];
        return vl2_fail(error, VL2_ERROR_MODEL, "%s: found %s, expected an object", file,
                        json_describe(config->root, found, sizeof(found)));
    }
    json_fields fields = {file, "", config->root, VL2_ERROR_MODEL, VL2_OK, error};
    const char *type = json_fields_text(&fields, "peft_type", "nothing");
    if (strcmp(type, "LORA") != 0) {
        json_fields_fail(&fields, "peft_type", type, "LORA");
    }
    check_foreign(&fields);
    check_initialisation(&fields);
    const char *bias = json_fields_text(&fields, "bias", "none");
    if (strcmp(bias, "none") != 0) {
        json_fields_fail(&fields, "bias", bias, "none");
    }
    config->rank = json_fields_integer(&fields, "r", 1, LORA_MAX_RANK, 8);
    config->alpha = json_fields_number(&fields, "lora_alpha", 0, 1e9, 8);
    config->root_scaled = json_fields_boolean(&fields, "use_rslora", false);
    config->rank_pattern = read_patterns(&fields, "rank_pattern", true);
    config->alpha_pattern = read_patterns(&fields, "alpha_pattern", false);
    return fields.status;
}

void lora_config_close(lora_config *config)
{
    json_decref(config->root);
    config->root = NULL;
}

int64_t lora_config_rank(const lora_config *config, const char *module)
{
    const json_t *rank = pattern_value(config->rank_pattern, module);
    return rank != NULL ? json_integer_value(rank) : config->rank;
}

double lora_config_scaling(const lora_config *config, const char *module)
{
    const json_t *alpha = pattern_value(config->alpha_pattern, module);
    double rank = (double)lora_config_rank(config, module);
    return (alpha != NULL ? json_number_value(alpha) : config->alpha) /
           (config->root_scaled ? sqrt(rank) : rank);
}
