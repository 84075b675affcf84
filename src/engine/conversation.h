/* What a vl2_conversation is made of. */
#ifndef ENGINE_CONVERSATION_H
#define ENGINE_CONVERSATION_H

#include "engine/image.h"

typedef struct conversation_message {
    char *role, *content; /* NUL-terminated */
    size_t content_size;
    size_t image_count; /* of the conversation's images, those that this message brought */
} conversation_message;

struct vl2_conversation {
    conversation_message *messages;
    size_t count, capacity;
    vl2_image **images; /* retained, in the order in which they appear */
    size_t image_count, image_capacity;
};

#endif
