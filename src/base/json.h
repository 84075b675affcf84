/* Reading JSON configuration: jansson, with errors that name file, field, found and expected. */
#ifndef BASE_JSON_H
#define BASE_JSON_H

#include "base/error.h"

#include <jansson.h>

/* Parses a file of at most `limit` bytes. *root is the caller's reference (json_decref). */
vl2_status json_open(const char *path, size_t limit, vl2_status status, json_t **root,
                     vl2_error *error);
/* The same from memory; `name` stands in messages. */
vl2_status json_parse(const char *text, size_t size, const char *name, vl2_status status,
                      json_t **root, vl2_error *error);

/* Fields of one object. The first failure is kept and the getters after it return their fallback,
 * so that a reader can fetch all its fields and look at `status` once. */
typedef struct json_fields {
    const char *file;     /* for messages */
    const char *section;  /* for messages, such as "language_config"; "" at the top */
    const json_t *object; /* borrowed */
    vl2_status failure;   /* what a failure returns, such as VL2_ERROR_MODEL */
    vl2_status status;    /* VL2_OK so far */
    vl2_error *error;
} json_fields;

/* A `required` getter fails when the key is missing or null; the others return the fallback then.
 * All fail on a value of another type or outside [minimum, maximum]. */
int64_t json_fields_integer(json_fields *fields, const char *key, int64_t minimum,
                            int64_t maximum, int64_t fallback);
int64_t json_fields_required_integer(json_fields *fields, const char *key, int64_t minimum,
                                     int64_t maximum);
double json_fields_number(json_fields *fields, const char *key, double minimum, double maximum,
                          double fallback);
bool json_fields_boolean(json_fields *fields, const char *key, bool fallback);
/* Borrowed from the object. */
const char *json_fields_text(json_fields *fields, const char *key, const char *fallback);
/* Objects and arrays: NULL when missing or null; fails on another type. Borrowed. */
const json_t *json_fields_object(json_fields *fields, const char *key);
const json_t *json_fields_array(json_fields *fields, const char *key);

/* Records a failure about `key`: "FILE: SECTION.KEY: found FOUND, expected EXPECTED". */
void json_fields_fail(json_fields *fields, const char *key, const char *found,
                      const char *expected);

/* A short picture of a value for messages: "\"abc\"", "12", "a list of 3", "null". */
const char *json_describe(const json_t *value, char *text, size_t size);

#endif
