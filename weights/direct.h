/* Reading a file past the page cache (O_DIRECT), so that what is read is in memory once. A file
 * system that cannot do that is read through the cache, and each part is dropped from there. */
#ifndef WEIGHTS_DIRECT_H
#define WEIGHTS_DIRECT_H

#include "base/error.h"

#include <stdatomic.h>
#include <stdbool.h>

#define DIRECT_ALIGNMENT ((size_t)4096) /* of offsets and addresses */

/* May be used by several threads at once. */
typedef struct direct_file {
    int direct;          /* descriptor; -1: the file system has no direct reading */
    int buffered;        /* descriptor */
    atomic_bool refused; /* the file system took O_DIRECT and then refused to read */
} direct_file;

static inline size_t direct_round_up(size_t size)
{
    return (size + DIRECT_ALIGNMENT - 1) & ~(DIRECT_ALIGNMENT - 1);
}

/* VL2_ERROR_MODEL if the file cannot be opened. */
vl2_status direct_open(const char *path, direct_file *file, vl2_error *error);
void direct_close(direct_file *file);

/* Bytes offset .. offset + size - 1 to `to`, which has room for direct_round_up(size); offset and
 * address are aligned. What failed is tried once more. 0, or errno; ENODATA: the file ends before.
 */
int direct_read(direct_file *file, uint64_t offset, size_t size, uint8_t *to);

/* True while reads go past the page cache. */
bool direct_is_direct(const direct_file *file);

#endif
