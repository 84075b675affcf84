#include "base/json.h"

#include "base/alloc.h"
#include "base/file.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

vl2_status json_parse(const char *text, size_t size, const char *name, vl2_status status,
                      json_t **root, vl2_error *error)
{
    json_error_t reason;
    if (size == 0) {
        return vl2_fail(error, status, "%s: not valid JSON: found nothing at all", name);
    }
    json_t *parsed = json_loadb(text, size, JSON_DECODE_ANY | JSON_REJECT_DUPLICATES, &reason);
    if (parsed == NULL) {
        return vl2_fail(error, status, "%s: line %d, column %d: not valid JSON: %s", name,
                        reason.line, reason.column, reason.text);
    }
    *root = parsed;
    return VL2_OK;
}

vl2_status json_open(const char *path, size_t limit, vl2_status status, json_t **root,
                     vl2_error *error)
{
    char *text;
    size_t size;
    vl2_status result = file_read(path, limit, status, &text, &size, error);
    if (result == VL2_OK) {
        result = json_parse(text, size, path, status, root, error);
        base_free(text);
    }
    return result;
}

const char *json_describe(const json_t *value, char *text, size_t size)
{
    switch (value == NULL ? JSON_NULL : json_typeof(value)) {
    case JSON_OBJECT:
        snprintf(text, size, "an object of %zu fields", json_object_size(value));
        break;
    case JSON_ARRAY:
        snprintf(text, size, "a list of %zu", json_array_size(value));
        break;
    case JSON_STRING:
        snprintf(text, size, "\"%.60s\"", json_string_value(value));
        break;
    case JSON_INTEGER:
        snprintf(text, size, "%" JSON_INTEGER_FORMAT, json_integer_value(value));
        break;
    case JSON_REAL:
        snprintf(text, size, "%g", json_real_value(value));
        break;
    default:
        snprintf(text, size, "%s",
                 value == NULL           ? "nothing"
                 : json_is_true(value)   ? "true"
                 : json_is_false(value)  ? "false"
                                         : "null");
        break;
    }
    return text;
}

void json_fields_fail(json_fields *fields, const char *key, const char *found,
                      const char *expected)
{
    if (fields->status != VL2_OK) {
        return;
    }
    fields->status = vl2_fail(fields->error, fields->failure, "%s: %s%s%s: found %s, expected %s",
                              fields->file, fields->section, fields->section[0] ? "." : "", key,
                              found, expected);
}

/* The value of a key; NULL when missing or null. */
static const json_t *field(const json_fields *fields, const char *key)
{
    const json_t *value = json_object_get(fields->object, key);
    return value != NULL && !json_is_null(value) ? value : NULL;
}

static void fail_value(json_fields *fields, const char *key, const json_t *value,
                       const char *expected)
{
    char found[96];
    json_fields_fail(fields, key, json_describe(value, found, sizeof(found)), expected);
}

static int64_t integer(json_fields *fields, const char *key, const json_t *value, int64_t minimum,
                       int64_t maximum, int64_t fallback)
{
    if (!json_is_integer(value) || json_integer_value(value) < minimum ||
        json_integer_value(value) > maximum) {
        char expected[96];
        snprintf(expected, sizeof(expected), "an integer from %" PRId64 " to %" PRId64, minimum,
                 maximum);
        fail_value(fields, key, value, expected);
        return fallback;
    }
    return json_integer_value(value);
}

int64_t json_fields_integer(json_fields *fields, const char *key, int64_t minimum,
                            int64_t maximum, int64_t fallback)
{
    const json_t *value = field(fields, key);
    return value == NULL ? fallback : integer(fields, key, value, minimum, maximum, fallback);
}

int64_t json_fields_required_integer(json_fields *fields, const char *key, int64_t minimum,
                                     int64_t maximum)
{
    return integer(fields, key, field(fields, key), minimum, maximum, minimum);
}

double json_fields_number(json_fields *fields, const char *key, double minimum, double maximum,
                          double fallback)
{
    const json_t *value = field(fields, key);
    if (value == NULL) {
        return fallback;
    }
    double number = json_number_value(value);
    if (!json_is_number(value) || !(number >= minimum && number <= maximum)) {
        char expected[96];
        snprintf(expected, sizeof(expected), "a number from %g to %g", minimum, maximum);
        fail_value(fields, key, value, expected);
        return fallback;
    }
    return number;
}

bool json_fields_boolean(json_fields *fields, const char *key, bool fallback)
{
    const json_t *value = field(fields, key);
    if (value == NULL) {
        return fallback;
    }
    if (!json_is_boolean(value)) {
        fail_value(fields, key, value, "true or false");
        return fallback;
    }
    return json_is_true(value);
}

const char *json_fields_text(json_fields *fields, const char *key, const char *fallback)
{
    const json_t *value = field(fields, key);
    if (value == NULL) {
        return fallback;
    }
    if (!json_is_string(value)) {
        fail_value(fields, key, value, "a string");
        return fallback;
    }
    return json_string_value(value);
}

const json_t *json_fields_object(json_fields *fields, const char *key)
{
    const json_t *value = field(fields, key);
    if (value != NULL && !json_is_object(value)) {
        fail_value(fields, key, value, "an object");
        return NULL;
    }
    return value;
}

const json_t *json_fields_array(json_fields *fields, const char *key)
{
    const json_t *value = field(fields, key);
    if (value != NULL && !json_is_array(value)) {
        fail_value(fields, key, value, "a list");
        return NULL;
    }
    return value;
}
