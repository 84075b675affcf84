#include "weights/direct.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

vl2_status direct_open(const char *path, direct_file *file, vl2_error *error)
{
    file->direct = -1;
    atomic_init(&file->refused, false);
    file->buffered = open(path, O_RDONLY | O_CLOEXEC);
    if (file->buffered < 0) {
        return vl2_fail(error, VL2_ERROR_MODEL, "%s: cannot be opened: %s", path, strerror(errno));
    }
    file->direct = open(path, O_RDONLY | O_CLOEXEC | O_DIRECT);
    return VL2_OK;
}

void direct_close(direct_file *file)
{
    if (file->direct >= 0) {
        close(file->direct);
    }
    if (file->buffered >= 0) {
        close(file->buffered);
    }
    file->direct = file->buffered = -1;
}

bool direct_is_direct(const direct_file *file)
{
    return file->direct >= 0 && !atomic_load_explicit(&file->refused, memory_order_relaxed);
}

/* One call that reads at least a byte: how many, 0 at the end of the file, or -errno. */
static ssize_t read_some(int descriptor, uint64_t offset, size_t size, uint8_t *to)
{
    for (int tries = 0;; tries++) {
        ssize_t got = pread(descriptor, to, size, (off_t)offset);
        if (got >= 0) {
            return got;
        }
        if (errno == EINTR) {
            tries--;
        } else if (tries > 0 || errno == EINVAL) {
            return -errno;
        }
    }
}

static int read_buffered(direct_file *file, uint64_t offset, size_t size, uint8_t *to)
{
    size_t done = 0;
    while (done < size) {
        ssize_t got = read_some(file->buffered, offset + done, size - done, to + done);
        if (got <= 0) {
            return got < 0 ? (int)-got : ENODATA;
        }
        done += (size_t)got;
    }
    posix_fadvise(file->buffered, (off_t)offset, (off_t)size, POSIX_FADV_DONTNEED);
    return 0;
}

int direct_read(direct_file *file, uint64_t offset, size_t size, uint8_t *to)
{
    size_t whole = direct_round_up(size), done = 0;
    while (done < size && direct_is_direct(file)) {
        ssize_t got = read_some(file->direct, offset + done, whole - done, to + done);
        if (got == -EINVAL) {
            atomic_store_explicit(&file->refused, true, memory_order_relaxed);
            break;
        }
        if (got < 0) {
            return (int)-got;
        }
        if (done + (size_t)got >= size) {
            return 0;
        }
        /* A short read: the next one has to begin at a multiple of the alignment again. */
        size_t aligned = (size_t)got & ~(DIRECT_ALIGNMENT - 1);
        if (aligned == 0) {
            break; /* the rest goes through the cache, or the file ends here */
        }
        done += aligned;
    }
    return done < size ? read_buffered(file, offset + done, size - done, to + done) : 0;
}
