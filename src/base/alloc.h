/* Checked allocation. Sizes are products with overflow checks; failure is NULL, never an abort. */
#ifndef BASE_ALLOC_H
#define BASE_ALLOC_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* count * size bytes, set to zero. NULL if the product overflows or memory is short. A product of 0
 * gives a valid pointer. Free with base_free. */
void *base_calloc(size_t count, size_t size);

/* The same without setting to zero. */
void *base_malloc(size_t count, size_t size);

/* Changes the size of a block; on failure the old block stays valid and NULL is returned. */
void *base_realloc(void *block, size_t count, size_t size);

/* count * size bytes at a multiple of 64 bytes (a cache line, an AVX-512 register), not set to
 * zero. Free with base_free. */
void *base_alloc_aligned(size_t count, size_t size);

/* `size` bytes at a multiple of 4096 bytes (a page, a block of a disk), not set to zero. Free with
 * base_free. */
void *base_alloc_pages(size_t size);

void base_free(void *block);

/* A copy of `size` bytes with a NUL behind it; NULL without memory. */
char *base_copy_text(const char *text, size_t size);

/* *product = a * b; false if that overflows. */
bool base_multiply(size_t a, size_t b, size_t *product);

#endif
