/* vl2_conversation: messages and pictures in order. */
#include "engine/conversation.h"

#include "base/alloc.h"

#include <string.h>

vl2_status vl2_conversation_create(vl2_conversation **conversation, vl2_error *error)
{
    vl2_conversation *created = base_calloc(1, sizeof(*created));
    if (created == NULL) {
        return vl2_fail_memory(error, "a conversation", sizeof(*created));
    }
    *conversation = created;
    return VL2_OK;
}

void vl2_conversation_clear(vl2_conversation *conversation)
{
    while (conversation->count > 0) {
        vl2_conversation_remove_last(conversation);
    }
}

void vl2_conversation_close(vl2_conversation *conversation)
{
    if (conversation != NULL) {
        vl2_conversation_clear(conversation);
        base_free(conversation->messages);
        base_free(conversation->images);
        base_free(conversation);
    }
}

void vl2_conversation_remove_last(vl2_conversation *conversation)
{
    if (conversation->count == 0) {
        return;
    }
    conversation_message *message = &conversation->messages[--conversation->count];
    for (size_t i = 0; i < message->image_count; i++) {
        vl2_image_release(conversation->images[--conversation->image_count]);
    }
    base_free(message->role);
    base_free(message->content);
}

/* Room for one more message and `images` more pictures. */
static bool reserve(vl2_conversation *conversation, size_t images)
{
    if (conversation->count == conversation->capacity) {
        size_t capacity = conversation->capacity > 0 ? 2 * conversation->capacity : 8;
        conversation_message *messages =
            base_realloc(conversation->messages, capacity, sizeof(*messages));
        if (messages == NULL) {
            return false;
        }
        conversation->messages = messages;
        conversation->capacity = capacity;
    }
    size_t needed = conversation->image_count + images;
    if (needed > conversation->image_capacity) {
        vl2_image **list = base_realloc(conversation->images, needed, sizeof(*list));
        if (list == NULL) {
            return false;
        }
        conversation->images = list;
        conversation->image_capacity = needed;
    }
    return true;
}

static bool known_role(const char *role)
{
    static const char *const roles[] = {"<|User|>",  "user",   "<|Assistant|>",
                                        "assistant", "system", "deepseekapi-sys"};
    for (size_t i = 0; i < sizeof(roles) / sizeof(roles[0]); i++) {
        if (strcmp(role, roles[i]) == 0) {
            return true;
        }
    }
    return false;
}

vl2_status vl2_conversation_add(vl2_conversation *conversation, const char *role,
                                const char *content, size_t content_size,
                                vl2_image *const *images, size_t image_count, vl2_error *error)
{
    if (!known_role(role)) {
        return vl2_fail(error, VL2_ERROR_INPUT,
                        "message %zu: role: found \"%.40s\", expected \"<|User|>\", \"user\", "
                        "\"<|Assistant|>\", \"assistant\", or first \"system\"",
                        conversation->count, role);
    }
    conversation_message message = {base_copy_text(role, strlen(role)),
                                    base_copy_text(content, content_size), content_size,
                                    image_count};
    if (message.role == NULL || message.content == NULL || !reserve(conversation, image_count)) {
        base_free(message.role);
        base_free(message.content);
        return vl2_fail_memory(error, "a message", content_size);
    }
    conversation->messages[conversation->count++] = message;
    for (size_t i = 0; i < image_count; i++) {
        conversation->images[conversation->image_count++] = vl2_image_retain(images[i]);
    }
    return VL2_OK;
}

size_t vl2_conversation_count(const vl2_conversation *conversation)
{
    return conversation->count;
}

const char *vl2_conversation_role(const vl2_conversation *conversation, size_t message)
{
    return message < conversation->count ? conversation->messages[message].role : NULL;
}

const char *vl2_conversation_content(const vl2_conversation *conversation, size_t message,
                                     size_t *size)
{
    if (message >= conversation->count) {
        return NULL;
    }
    if (size != NULL) {
        *size = conversation->messages[message].content_size;
    }
    return conversation->messages[message].content;
}

size_t vl2_conversation_image_count(const vl2_conversation *conversation)
{
    return conversation->image_count;
}

vl2_image *vl2_conversation_image(const vl2_conversation *conversation, size_t index)
{
    return index < conversation->image_count ? conversation->images[index] : NULL;
}
