/* A growing run of bytes. */
#ifndef BASE_BUFFER_H
#define BASE_BUFFER_H

#include <stdbool.h>
#include <stddef.h>

/* All zero is an empty buffer. `data` (base_free) may be NULL while size is 0; otherwise a NUL
 * stands behind the last byte. */
typedef struct buffer {
    char *data;
    size_t size, capacity;
    bool failed; /* memory was short once: what was appended since then is lost */
} buffer;

/* False (and buffer->failed) without memory; what was there before stays. */
bool buffer_append(buffer *buffer, const void *bytes, size_t size);
bool buffer_append_text(buffer *buffer, const char *text);
void buffer_clear(buffer *buffer); /* keeps the memory */
void buffer_free(buffer *buffer);

#endif
