#include "weights/pack_part.h"

#include "base/alloc.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#define PART_SUFFIX    ".part"
#define JOURNAL_SUFFIX ".part.journal"
#define LOCK_TRIES     16

static char *with_suffix(const char *path, const char *suffix)
{
    size_t size = strlen(path) + strlen(suffix) + 1;
    char *text = base_malloc(size, 1);
    if (text != NULL) {
        snprintf(text, size, "%s%s", path, suffix);
    }
    return text;
}

static vl2_status check_out(const char *out, bool overwrite, vl2_error *error)
{
    struct stat info;
    if (stat(out, &info) != 0) {
        return VL2_OK;
    }
    if (!S_ISREG(info.st_mode)) {
        return vl2_fail(error, VL2_ERROR_IO,
                        "%s: found %s, expected a new name or a packed file to overwrite", out,
                        S_ISDIR(info.st_mode) ? "a folder" : "a device or pipe");
    }
    if (!overwrite) {
        return vl2_fail(error, VL2_ERROR_ARGUMENT,
                        "%s: found a file, expected a new name (or the wish to overwrite it)", out);
    }
    return VL2_OK;
}

static vl2_status fail_io(const char *path, vl2_error *error)
{
    return vl2_fail(error, VL2_ERROR_IO, "%s: writing failed: %s", path, strerror(errno));
}

/* Opens and locks. Between the two, the lock's last owner may have renamed the file: then the name
 * stands for another file or none. *again says so. */
static vl2_status open_locked(pack_part *part, bool *again, vl2_error *error)
{
    struct stat opened, named;
    *again = false;
    part->descriptor = open(part->path, O_RDWR | O_CREAT | O_CLOEXEC, 0666);
    if (part->descriptor < 0) {
        return vl2_fail(error, VL2_ERROR_IO, "%s: cannot be written: %s", part->path,
                        strerror(errno));
    }
    if (flock(part->descriptor, LOCK_EX | LOCK_NB) != 0) {
        bool busy = errno == EWOULDBLOCK;
        return vl2_fail(error, VL2_ERROR_IO, "%s: %s", part->path,
                        busy ? "another program is packing into this file" : strerror(errno));
    }
    if (fstat(part->descriptor, &opened) != 0) {
        return fail_io(part->path, error);
    }
    *again = stat(part->path, &named) != 0 || named.st_ino != opened.st_ino ||
             named.st_dev != opened.st_dev;
    return VL2_OK;
}

vl2_status pack_part_open(pack_part *part, const char *out, bool overwrite, vl2_error *error)
{
    *part = (pack_part){.out = out, .descriptor = -1, .journal = -1};
    vl2_status status = check_out(out, overwrite, error);
    if (status != VL2_OK) {
        return status;
    }
    part->path = with_suffix(out, PART_SUFFIX);
    part->journal_path = with_suffix(out, JOURNAL_SUFFIX);
    if (part->path == NULL || part->journal_path == NULL) {
        status = vl2_fail_memory(error, out, strlen(out));
    }
    bool again = true;
    for (int i = 0; status == VL2_OK && again && i < LOCK_TRIES; i++) {
        if (part->descriptor >= 0) {
            close(part->descriptor);
        }
        status = open_locked(part, &again, error);
    }
    if (status == VL2_OK && again) {
        status = vl2_fail(error, VL2_ERROR_IO, "%s: another program is packing into this file",
                          part->path);
    }
    if (status == VL2_OK) {
        /* The lock's last owner may have finished the file in between. */
        status = check_out(out, overwrite, error);
        if (status != VL2_OK) {
            unlink(part->path);
        }
    }
    if (status != VL2_OK) {
        part->recorded = true; /* whose they are is not known: they stay */
        pack_part_close(part);
    }
    return status;
}

static void close_descriptor(int *descriptor)
{
    if (*descriptor >= 0) {
        close(*descriptor);
    }
    *descriptor = -1;
}

void pack_part_close(pack_part *part)
{
    if (part->descriptor >= 0 && !part->recorded) {
        unlink(part->journal_path);
        unlink(part->path);
    }
    close_descriptor(&part->journal);
    close_descriptor(&part->descriptor); /* the lock ends here */
    base_free(part->path);
    base_free(part->journal_path);
    part->path = part->journal_path = NULL;
}

vl2_status pack_part_write(const pack_part *part, uint64_t offset, const void *bytes, size_t size,
                           vl2_error *error)
{
    const char *from = bytes;
    while (size > 0) {
        ssize_t written = pwrite(part->descriptor, from, size, (off_t)offset);
        if (written < 0 && errno == EINTR) {
            continue;
        }
        if (written <= 0) {
            return fail_io(part->path, error);
        }
        from += written;
        offset += (uint64_t)written;
        size -= (size_t)written;
    }
    return VL2_OK;
}

vl2_status pack_part_resize(const pack_part *part, uint64_t size, vl2_error *error)
{
    return ftruncate(part->descriptor, (off_t)size) == 0 ? VL2_OK : fail_io(part->path, error);
}

vl2_status pack_part_sync(const pack_part *part, vl2_error *error)
{
    return fsync(part->descriptor) == 0 ? VL2_OK : fail_io(part->path, error);
}

/* So that the new name outlives a loss of power. Systems that cannot do this do without. */
static void sync_folder(const char *path)
{
    const char *slash = strrchr(path, '/');
    char *folder = slash == NULL ? base_copy_text(".", 1)
                                 : base_copy_text(path, (size_t)(slash - path) + 1);
    int descriptor = folder != NULL ? open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC) : -1;
    if (descriptor >= 0) {
        fsync(descriptor);
        close(descriptor);
    }
    base_free(folder);
}

vl2_status pack_part_commit(pack_part *part, vl2_error *error)
{
    vl2_status status = pack_part_sync(part, error);
    if (status == VL2_OK && rename(part->path, part->out) != 0) {
        status = fail_io(part->out, error);
    }
    if (status == VL2_OK) {
        sync_folder(part->out);
        unlink(part->journal_path);
        close_descriptor(&part->journal);
        close_descriptor(&part->descriptor);
    }
    return status;
}
