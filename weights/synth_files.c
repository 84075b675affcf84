#include "weights/synth_config.h"

#include "base/alloc.h"
#include "weights/checkpoint_write.h"

#include <stdlib.h>
#include <string.h>

/* Fewer digits than a double has, so that 3.7362 is written as a person would. */
#define JSON_STYLE (JSON_INDENT(2) | JSON_REAL_PRECISION(12))

/* The text of a value, which is released. NULL stands for memory that was short, in and out. */
static char *dump(json_t *value)
{
    char *text = value != NULL ? json_dumps(value, JSON_STYLE) : NULL;
    json_decref(value);
    char *copy = text != NULL ? base_copy_text(text, strlen(text)) : NULL;
    free(text); /* jansson's own */
    return copy;
}

static char *config_text(const synth_shape *shape)
{
    return dump(synth_config(shape));
}

static char *processor_text(const synth_shape *shape)
{
    return dump(synth_processor_config(shape));
}

static char *tokenizer_config_text(const synth_shape *shape)
{
    return dump(synth_tokenizer_config(shape));
}

static char *special_tokens_text(const synth_shape *shape)
{
    (void)shape;
    return dump(synth_special_tokens());
}

/* In the order in which they are written: a folder with config.json is whole. */
static const struct small_file {
    const char *name;
    char *(*text)(const synth_shape *shape);
} files[] = {
    {"tokenizer.json", synth_tokenizer},
    {"tokenizer_config.json", tokenizer_config_text},
    {"special_tokens_map.json", special_tokens_text},
    {"processor_config.json", processor_text},
    {"config.json", config_text},
};

#define FILES (sizeof(files) / sizeof(files[0]))

static const struct small_file *find(const char *name)
{
    for (size_t i = 0; i < FILES; i++) {
        if (strcmp(files[i].name, name) == 0) {
            return &files[i];
        }
    }
    return NULL;
}

bool synth_has_file(const char *name)
{
    return find(name) != NULL;
}

vl2_status synth_file_text(const synth_shape *shape, const char *name, char **text, size_t *size,
                           vl2_error *error)
{
    const struct small_file *file = find(name);
    if (file == NULL) {
        return vl2_fail(error, VL2_ERROR_ARGUMENT,
                        "found \"%.60s\", expected a file of a checkpoint", name);
    }
    char *made = file->text(shape);
    if (made == NULL) {
        return vl2_fail_memory(error, name, 0);
    }
    *text = made;
    *size = strlen(made);
    return VL2_OK;
}

vl2_status synth_write_files(const synth_shape *shape, const char *folder, vl2_error *error)
{
    vl2_status status = VL2_OK;
    for (size_t i = 0; status == VL2_OK && i < FILES; i++) {
        char *text;
        size_t size;
        status = synth_file_text(shape, files[i].name, &text, &size, error);
        if (status == VL2_OK) {
            status = checkpoint_write_file(folder, files[i].name, text, size, error);
            base_free(text);
        }
    }
    return status;
}
