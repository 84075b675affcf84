#include "cli/turns.h"
#include "cli/failure.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define IMAGE_TAG "<image>"

int turns_picture(const arguments *arguments, const char *path, vl2_image **image)
{
    vl2_error error;
    uint64_t most = (uint64_t)argument(arguments, OPTION_MAX_PIXELS)->integer;
    if (vl2_image_open(path, most, image, &error) != VL2_OK) {
        return fail_status(arguments->command, &error);
    }
    return EXIT_CODE_OK;
}

void pictures_clear(pictures *pictures)
{
    for (size_t i = 0; i < pictures->count; i++) {
        vl2_image_release(pictures->images[i]);
    }
    free(pictures->images);
    *pictures = (struct pictures){NULL, 0};
}

int pictures_add(const arguments *arguments, const char *path, pictures *pictures)
{
    vl2_image **larger = realloc(pictures->images, (pictures->count + 1) * sizeof(vl2_image *));
    if (larger == NULL) {
        return fail_memory(arguments->command);
    }
    pictures->images = larger;
    int code = turns_picture(arguments, path, &pictures->images[pictures->count]);
    pictures->count += code == EXIT_CODE_OK;
    return code;
}

int pictures_open(const arguments *arguments, pictures *pictures)
{
    const option_value *files = argument(arguments, OPTION_IMAGE);
    int code = EXIT_CODE_OK;
    for (size_t i = 0; code == EXIT_CODE_OK && i < files->count; i++) {
        code = pictures_add(arguments, files->list[i], pictures);
    }
    return code;
}

static size_t count_tags(const char *text, size_t size)
{
    size_t tags = 0, length = strlen(IMAGE_TAG);
    for (const char *at = text; (at = memmem(at, size - (size_t)(at - text), IMAGE_TAG, length));
         at += length) {
        tags++;
    }
    return tags;
}

/* `count` times "<image>\n" and the text, NUL-terminated. */
static char *with_tags(const char *text, size_t size, size_t count, size_t *full)
{
    char *content = NULL;
    FILE *stream = open_memstream(&content, full);
    if (stream == NULL) {
        return NULL;
    }
    for (size_t i = 0; i < count; i++) {
        fputs(IMAGE_TAG "\n", stream);
    }
    fwrite(text, 1, size, stream);
    if (fclose(stream) != 0) {
        free(content);
        return NULL;
    }
    return content;
}

int turns_add_user(const command *command, vl2_conversation *conversation, const char *text,
                   size_t size, vl2_image *const *images, size_t image_count)
{
    size_t tags = count_tags(text, size), full;
    if (tags > 0 && tags != image_count) {
        return fail(command, EXIT_CODE_INPUT,
                    "the prompt has %zu " IMAGE_TAG " but %zu picture%s given: found %zu, expected "
                    "one --image for each",
                    tags, image_count, image_count == 1 ? " was" : "s were", image_count);
    }
    char *content = with_tags(text, size, tags == 0 ? image_count : 0, &full);
    if (content == NULL) {
        return fail_memory(command);
    }
    vl2_error error;
    vl2_status status =
        vl2_conversation_add(conversation, "user", content, full, images, image_count, &error);
    free(content);
    return status == VL2_OK ? EXIT_CODE_OK : fail_status(command, &error);
}

int turns_add_system(const command *command, vl2_conversation *conversation, const char *text)
{
    vl2_error error;
    if (text != NULL && vl2_conversation_add(conversation, "system", text, strlen(text), NULL, 0,
                                             &error) != VL2_OK) {
        return fail_status(command, &error);
    }
    return EXIT_CODE_OK;
}

int turns_begin(const arguments *arguments, bool question, vl2_conversation **conversation)
{
    const command *command = arguments->command;
    const char *file = argument(arguments, OPTION_CONVERSATION)->text;
    vl2_error error;
    if (file == NULL) {
        if (vl2_conversation_create(conversation, &error) != VL2_OK) {
            return fail_status(command, &error);
        }
        return turns_add_system(command, *conversation, argument(arguments, OPTION_SYSTEM)->text);
    }
    uint64_t most = (uint64_t)argument(arguments, OPTION_MAX_PIXELS)->integer;
    if (vl2_conversation_load(file, most, conversation, &error) != VL2_OK) {
        return fail_status(command, &error);
    }
    size_t count = vl2_conversation_count(*conversation), size = 1;
    if (question && count > 0) {
        vl2_conversation_content(*conversation, count - 1, &size);
        if (size == 0) {
            vl2_conversation_remove_last(*conversation);
        }
    }
    return EXIT_CODE_OK;
}
