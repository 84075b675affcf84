#include "base/file.h"

#include "base/alloc.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

vl2_status file_map(const char *path, vl2_status status, mapped_file *file, vl2_error *error)
{
    int descriptor = open(path, O_RDONLY | O_CLOEXEC);
    if (descriptor < 0) {
        return vl2_fail(error, status, "%s: cannot be opened: %s", path, strerror(errno));
    }
    struct stat info;
    if (fstat(descriptor, &info) != 0 || !S_ISREG(info.st_mode)) {
        close(descriptor);
        return vl2_fail(error, status, "%s: not a regular file", path);
    }
    mapped_file mapped = {NULL, (size_t)info.st_size};
    if (mapped.size > 0) {
        void *data = mmap(NULL, mapped.size, PROT_READ, MAP_SHARED, descriptor, 0);
        if (data == MAP_FAILED) {
            int reason = errno;
            close(descriptor);
            return vl2_fail(error, reason == ENOMEM ? VL2_ERROR_MEMORY : status,
                            "%s: cannot be mapped (%zu bytes): %s", path, mapped.size,
                            strerror(reason));
        }
        mapped.data = data;
    }
    close(descriptor);
    *file = mapped;
    return VL2_OK;
}

void file_unmap(mapped_file *file)
{
    if (file->data != NULL) {
        munmap((void *)file->data, file->size);
    }
    *file = (mapped_file){NULL, 0};
}

void file_release(const void *data, size_t size)
{
    uintptr_t page = (uintptr_t)sysconf(_SC_PAGESIZE);
    uintptr_t begin = (uintptr_t)data / page * page;
    uintptr_t end = (uintptr_t)data + size;
    if (size > 0) {
        madvise((void *)begin, end - begin, MADV_DONTNEED);
    }
}

static vl2_status read_stream(FILE *stream, const char *path, size_t limit, vl2_status status,
                              char **data, size_t *size, vl2_error *error)
{
    size_t used = 0, capacity = 1 << 16;
    char *buffer = base_malloc(capacity, 1);
    while (buffer != NULL) {
        used += fread(buffer + used, 1, capacity - 1 - used, stream);
        if (used < capacity - 1) {
            break;
        }
        if (used > limit) {
            base_free(buffer);
            return vl2_fail(error, status, "%s: larger than the limit of %zu bytes", path, limit);
        }
        char *larger = base_realloc(buffer, capacity, 2);
        if (larger == NULL) {
            base_free(buffer);
        }
        buffer = larger;
        capacity *= 2;
    }
    if (buffer == NULL) {
        return vl2_fail_memory(error, path, capacity);
    }
    if (ferror(stream)) {
        base_free(buffer);
        return vl2_fail(error, status, "%s: cannot be read: %s", path, strerror(errno));
    }
    if (used > limit) {
        base_free(buffer);
        return vl2_fail(error, status, "%s: larger than the limit of %zu bytes", path, limit);
    }
    buffer[used] = '\0';
    *data = buffer;
    *size = used;
    return VL2_OK;
}

vl2_status file_read(const char *path, size_t limit, vl2_status status, char **data, size_t *size,
                     vl2_error *error)
{
    if (strcmp(path, "-") == 0) {
        return read_stream(stdin, "standard input", limit, status, data, size, error);
    }
    struct stat info;
    if (stat(path, &info) == 0 && S_ISDIR(info.st_mode)) {
        return vl2_fail(error, status, "%s: is a folder, expected a file", path);
    }
    FILE *stream = fopen(path, "rbe");
    if (stream == NULL) {
        return vl2_fail(error, status, "%s: cannot be opened: %s", path, strerror(errno));
    }
    vl2_status result = read_stream(stream, path, limit, status, data, size, error);
    fclose(stream);
    return result;
}

/* A device or a pipe, which must be written to and not replaced. */
static bool is_special(const char *path)
{
    struct stat info;
    return stat(path, &info) == 0 && !S_ISREG(info.st_mode) && !S_ISDIR(info.st_mode);
}

vl2_status file_writer_open(file_writer *writer, const char *path, vl2_error *error)
{
    *writer = (file_writer){NULL, NULL, NULL};
    size_t size = strlen(path) + 32;
    bool special = is_special(path);
    writer->path = base_copy_text(path, strlen(path));
    writer->temporary = special ? NULL : base_malloc(size, 1);
    if (writer->path == NULL || (writer->temporary == NULL && !special)) {
        base_free(writer->temporary); /* there is no such file yet */
        writer->temporary = NULL;
        file_writer_abandon(writer);
        return vl2_fail_memory(error, path, size);
    }
    if (!special) {
        snprintf(writer->temporary, size, "%s.tmp-%ld", path, (long)getpid());
    }
    writer->stream = fopen(special ? path : writer->temporary, "wbe");
    if (writer->stream == NULL) {
        int reason = errno;
        base_free(writer->temporary);
        writer->temporary = NULL;
        file_writer_abandon(writer);
        return vl2_fail(error, VL2_ERROR_IO, "%s: cannot be written: %s", path, strerror(reason));
    }
    return VL2_OK;
}

vl2_status file_writer_write(file_writer *writer, const void *bytes, size_t size, vl2_error *error)
{
    if (size > 0 && fwrite(bytes, 1, size, writer->stream) != size) {
        return vl2_fail(error, VL2_ERROR_IO, "%s: writing failed: %s", writer->path,
                        strerror(errno));
    }
    return VL2_OK;
}

vl2_status file_writer_commit(file_writer *writer, vl2_error *error)
{
    FILE *stream = writer->stream;
    writer->stream = NULL;
    bool failed = fflush(stream) != 0;
    int reason = errno;
    if (fclose(stream) != 0 && !failed) {
        failed = true;
        reason = errno;
    }
    if (!failed && writer->temporary != NULL && rename(writer->temporary, writer->path) != 0) {
        failed = true;
        reason = errno;
    }
    vl2_status status = VL2_OK;
    if (failed) {
        status = vl2_fail(error, VL2_ERROR_IO, "%s: writing failed: %s", writer->path,
                          strerror(reason));
    } else {
        base_free(writer->temporary);
        writer->temporary = NULL;
    }
    file_writer_abandon(writer);
    return status;
}

vl2_status file_write(const char *path, const void *bytes, size_t size, vl2_error *error)
{
    file_writer writer;
    vl2_status status = file_writer_open(&writer, path, error);
    if (status != VL2_OK) {
        return status;
    }
    status = file_writer_write(&writer, bytes, size, error);
    if (status == VL2_OK) {
        return file_writer_commit(&writer, error);
    }
    file_writer_abandon(&writer);
    return status;
}

void file_writer_abandon(file_writer *writer)
{
    if (writer->stream != NULL) {
        fclose(writer->stream);
    }
    if (writer->temporary != NULL) {
        remove(writer->temporary);
    }
    base_free(writer->temporary);
    base_free(writer->path);
    *writer = (file_writer){NULL, NULL, NULL};
}

char *path_join(const char *folder, const char *name)
{
    size_t length = strlen(folder);
    size_t size = length + strlen(name) + 2;
    char *path = base_malloc(size, 1);
    if (path != NULL) {
        const char *separator = length > 0 && folder[length - 1] != '/' ? "/" : "";
        snprintf(path, size, "%s%s%s", folder, separator, name);
    }
    return path;
}

vl2_status folder_create(const char *path, vl2_error *error)
{
    char *copy = base_copy_text(path, strlen(path));
    if (copy == NULL) {
        return vl2_fail_memory(error, path, strlen(path));
    }
    vl2_status status = VL2_OK;
    for (char *at = copy + 1;; at++) {
        bool end = *at == '\0';
        if (*at != '/' && !end) {
            continue;
        }
        *at = '\0';
        if (mkdir(copy, 0777) != 0 && errno != EEXIST) {
            status = vl2_fail(error, VL2_ERROR_IO, "%s: the folder cannot be made: %s", copy,
                              strerror(errno));
            break;
        }
        if (end) {
            break;
        }
        *at = '/';
    }
    struct stat info;
    if (status == VL2_OK && (stat(path, &info) != 0 || !S_ISDIR(info.st_mode))) {
        status = vl2_fail(error, VL2_ERROR_IO, "%s: not a folder", path);
    }
    base_free(copy);
    return status;
}
