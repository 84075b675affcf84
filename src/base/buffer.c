#include "base/buffer.h"

#include "base/alloc.h"

#include <stdint.h>
#include <string.h>

bool buffer_append(buffer *buffer, const void *bytes, size_t size)
{
    if (size >= SIZE_MAX / 2 - buffer->size) {
        buffer->failed = true;
        return false;
    }
    size_t needed = buffer->size + size + 1;
    if (needed > buffer->capacity) {
        size_t capacity = buffer->capacity < 64 ? 64 : buffer->capacity;
        while (capacity < needed) {
            capacity *= 2;
        }
        char *data = base_realloc(buffer->data, capacity, 1);
        if (data == NULL) {
            buffer->failed = true;
            return false;
        }
        buffer->data = data;
        buffer->capacity = capacity;
    }
    if (size > 0) {
        memcpy(buffer->data + buffer->size, bytes, size);
    }
    buffer->size += size;
    buffer->data[buffer->size] = '\0';
    return true;
}

bool buffer_append_text(buffer *buffer, const char *text)
{
    return buffer_append(buffer, text, strlen(text));
}

void buffer_clear(buffer *buffer)
{
    buffer->size = 0;
    if (buffer->data != NULL) {
        buffer->data[0] = '\0';
    }
}

void buffer_free(buffer *buffer)
{
    base_free(buffer->data);
    *buffer = (struct buffer){NULL, 0, 0, false};
}
