/* Conversations as JSON, in the format of the reference's README. */
#include "engine/conversation.h"

#include "base/alloc.h"
#include "base/buffer.h"
#include "base/file.h"
#include "base/json.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define CONVERSATION_FILE_LIMIT ((size_t)64 << 20)

typedef struct conversation_reader {
    const char *file;
    char *folder; /* of the file */
    uint64_t max_pixels;
    vl2_conversation *conversation;
    vl2_error *error;
} conversation_reader;

/* A picture's path: beside the JSON file if there is such a file, else as it stands. */
static vl2_status open_picture(const conversation_reader *reader, const char *path,
                               vl2_image **image)
{
    if (path[0] != '/') {
        char *beside = path_join(reader->folder, path);
        if (beside == NULL) {
            return vl2_fail_memory(reader->error, path, strlen(path));
        }
        if (access(beside, F_OK) == 0) {
            vl2_status status =
                vl2_image_open(beside, reader->max_pixels, image, reader->error);
            base_free(beside);
            return status;
        }
        base_free(beside);
    }
    return vl2_image_open(path, reader->max_pixels, image, reader->error);
}

static vl2_status open_pictures(const conversation_reader *reader, const json_t *list,
                                const char *field, vl2_image **images, size_t *opened)
{
    for (size_t i = 0; i < json_array_size(list); i++) {
        const char *path = json_string_value(json_array_get(list, i));
        if (path == NULL) {
            char found[96];
            return vl2_fail(reader->error, VL2_ERROR_INPUT,
                            "%s: %s.images[%zu]: found %s, expected the path of a picture",
                            reader->file, field, i,
                            json_describe(json_array_get(list, i), found, sizeof(found)));
        }
        vl2_status status = open_picture(reader, path, &images[i]);
        if (status != VL2_OK) {
            return status;
        }
        (*opened)++;
    }
    return VL2_OK;
}

static vl2_status read_message(const conversation_reader *reader, const json_t *message,
                               size_t index)
{
    char section[32], found[96];
    snprintf(section, sizeof(section), "[%zu]", index);
    if (!json_is_object(message)) {
        return vl2_fail(reader->error, VL2_ERROR_INPUT,
                        "%s: %s: found %s, expected {\"role\", \"content\", \"images\"}",
                        reader->file, section, json_describe(message, found, sizeof(found)));
    }
    json_fields fields = {reader->file, section, message, VL2_ERROR_INPUT, VL2_OK, reader->error};
    const char *role = json_fields_text(&fields, "role", NULL);
    const json_t *content = json_object_get(message, "content");
    const json_t *pictures = json_fields_array(&fields, "images");
    if (fields.status == VL2_OK && role == NULL) {
        json_fields_fail(&fields, "role", "nothing", "a string");
    }
    if (fields.status == VL2_OK && !json_is_string(content)) {
        json_fields_fail(&fields, "content", json_describe(content, found, sizeof(found)),
                         "a string");
    }
    if (fields.status != VL2_OK) {
        return fields.status;
    }
    size_t count = json_array_size(pictures), opened = 0;
    vl2_image **images = base_calloc(count, sizeof(*images));
    if (images == NULL) {
        return vl2_fail_memory(reader->error, "a message", count * sizeof(*images));
    }
    vl2_status status = open_pictures(reader, pictures, section, images, &opened);
    if (status == VL2_OK) {
        status = vl2_conversation_add(reader->conversation, role, json_string_value(content),
                                      json_string_length(content), images, count, reader->error);
    }
    for (size_t i = 0; i < opened; i++) {
        vl2_image_release(images[i]);
    }
    base_free(images);
    return status;
}

/* The list itself, or an object that has it under "conversation". */
static vl2_status read_messages(const conversation_reader *reader, const json_t *root)
{
    const json_t *list = json_is_object(root) ? json_object_get(root, "conversation") : root;
    if (!json_is_array(list)) {
        char found[96];
        return vl2_fail(reader->error, VL2_ERROR_INPUT,
                        "%s: found %s, expected a list of messages", reader->file,
                        json_describe(root, found, sizeof(found)));
    }
    for (size_t i = 0; i < json_array_size(list); i++) {
        vl2_status status = read_message(reader, json_array_get(list, i), i);
        if (status != VL2_OK) {
            return status;
        }
    }
    return VL2_OK;
}

static char *folder_of(const char *path)
{
    const char *slash = strrchr(path, '/');
    return slash == NULL ? base_copy_text(".", 1)
                         : base_copy_text(path, (size_t)(slash - path) + 1);
}

vl2_status vl2_conversation_load(const char *path, uint64_t max_pixels,
                                 vl2_conversation **conversation, vl2_error *error)
{
    json_t *root;
    vl2_status status = json_open(path, CONVERSATION_FILE_LIMIT, VL2_ERROR_INPUT, &root, error);
    if (status != VL2_OK) {
        return status;
    }
    conversation_reader reader = {path, folder_of(path), max_pixels, NULL, error};
    status = reader.folder != NULL ? vl2_conversation_create(&reader.conversation, error)
                                   : vl2_fail_memory(error, path, strlen(path));
    if (status == VL2_OK) {
        status = read_messages(&reader, root);
    }
    json_decref(root);
    base_free(reader.folder);
    if (status != VL2_OK) {
        vl2_conversation_close(reader.conversation);
        return status;
    }
    *conversation = reader.conversation;
    return VL2_OK;
}

/* JSON has no text but UTF-8, and its readers stop at NUL. Takes over `value`. */
static vl2_status put_text(json_t *object, const char *key, json_t *value, size_t message,
                           vl2_error *error)
{
    if (value == NULL || strlen(json_string_value(value)) != json_string_length(value)) {
        json_decref(value);
        return vl2_fail(error, VL2_ERROR_ARGUMENT,
                        "message %zu: %s: found bytes that JSON cannot have, expected UTF-8 "
                        "without NUL", message, key);
    }
    int failed = json_is_array(object) ? json_array_append_new(object, value)
                                       : json_object_set_new(object, key, value);
    return failed == 0 ? VL2_OK : vl2_fail_memory(error, "a conversation", 0);
}

static vl2_status write_pictures(const vl2_conversation *conversation, size_t index,
                                 size_t first_image, json_t *object, vl2_error *error)
{
    json_t *paths = json_array();
    json_object_set_new(object, "images", paths);
    for (size_t i = 0; i < conversation->messages[index].image_count; i++) {
        const char *path = conversation->images[first_image + i]->path;
        if (path == NULL) {
            return vl2_fail(error, VL2_ERROR_ARGUMENT,
                            "message %zu: picture %zu did not come from a file", index, i);
        }
        char *whole = realpath(path, NULL);
        vl2_status status =
            put_text(paths, "images", json_string(whole != NULL ? whole : path), index, error);
        free(whole);
        if (status != VL2_OK) {
            return status;
        }
    }
    return VL2_OK;
}

static vl2_status write_message(const vl2_conversation *conversation, size_t index,
                                size_t first_image, json_t *list, vl2_error *error)
{
    const conversation_message *message = &conversation->messages[index];
    json_t *object = json_object();
    json_array_append_new(list, object);
    json_object_set_new(object, "role", json_string(message->role));
    vl2_status status = put_text(object, "content",
                                 json_stringn(message->content, message->content_size), index,
                                 error);
    if (status == VL2_OK && message->image_count > 0) {
        status = write_pictures(conversation, index, first_image, object, error);
    }
    return status;
}

vl2_status vl2_conversation_save(const vl2_conversation *conversation, const char *path,
                                 vl2_error *error)
{
    json_t *list = json_array();
    vl2_status status = VL2_OK;
    size_t first_image = 0;
    for (size_t i = 0; status == VL2_OK && i < conversation->count; i++) {
        status = write_message(conversation, i, first_image, list, error);
        first_image += conversation->messages[i].image_count;
    }
    char *text = status == VL2_OK ? json_dumps(list, JSON_INDENT(1)) : NULL;
    json_decref(list);
    if (status != VL2_OK) {
        return status;
    }
    if (text == NULL) {
        return vl2_fail_memory(error, "a conversation", 0);
    }
    buffer line = {NULL, 0, 0, false};
    buffer_append_text(&line, text);
    buffer_append_text(&line, "\n");
    free(text);
    status = line.failed ? vl2_fail_memory(error, "a conversation", line.size)
                         : file_write(path, line.data, line.size, error);
    buffer_free(&line);
    return status;
}
