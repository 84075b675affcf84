#include "base/alloc.h"

#include <stdlib.h>
#include <string.h>

#define ALIGNMENT ((size_t)64)
#define PAGE      ((size_t)4096)

bool base_multiply(size_t a, size_t b, size_t *product)
{
    return !__builtin_mul_overflow(a, b, product);
}

void *base_calloc(size_t count, size_t size)
{
    return calloc(count > 0 ? count : 1, size > 0 ? size : 1);
}

void *base_malloc(size_t count, size_t size)
{
    size_t bytes;
    if (!base_multiply(count, size, &bytes)) {
        return NULL;
    }
    return malloc(bytes > 0 ? bytes : 1);
}

void *base_realloc(void *block, size_t count, size_t size)
{
    size_t bytes;
    if (!base_multiply(count, size, &bytes)) {
        return NULL;
    }
    return realloc(block, bytes > 0 ? bytes : 1);
}

void *base_alloc_aligned(size_t count, size_t size)
{
    size_t bytes;
    if (!base_multiply(count, size, &bytes) || bytes > SIZE_MAX - ALIGNMENT) {
        return NULL;
    }
    bytes = (bytes + ALIGNMENT - 1) / ALIGNMENT * ALIGNMENT;
    return aligned_alloc(ALIGNMENT, bytes > 0 ? bytes : ALIGNMENT);
}

void *base_alloc_pages(size_t size)
{
    if (size > SIZE_MAX - PAGE) {
        return NULL;
    }
    size = (size + PAGE - 1) / PAGE * PAGE;
    return aligned_alloc(PAGE, size > 0 ? size : PAGE);
}

void base_free(void *block)
{
    free(block);
}

char *base_copy_text(const char *text, size_t size)
{
    if (size == SIZE_MAX) {
        return NULL;
    }
    char *copy = base_malloc(size + 1, 1);
    if (copy != NULL) {
        if (size > 0) {
            memcpy(copy, text, size);
        }
        copy[size] = '\0';
    }
    return copy;
}
