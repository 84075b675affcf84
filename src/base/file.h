/* Whole files: mapped for reading, read into memory with a limit, or written under a temporary
 * name. */
#ifndef BASE_FILE_H
#define BASE_FILE_H

#include "base/error.h"

#include <stdio.h>

/* A file mapped read-only. Bytes are read from the disk when they are touched. */
typedef struct mapped_file {
    const uint8_t *data; /* NULL if the file is empty */
    size_t size;
} mapped_file;

/* `status` is what to return when the file cannot be opened or mapped: a missing weight file is
 * VL2_ERROR_MODEL, a missing picture VL2_ERROR_INPUT. */
vl2_status file_map(const char *path, vl2_status status, mapped_file *file, vl2_error *error);
void file_unmap(mapped_file *file);
/* Gives the memory of a part of a mapped file back; its bytes are read again when they are touched.
 * Without it, what was read of a large file counts as memory of this process. */
void file_release(const void *data, size_t size);

/* Reads a file of at most `limit` bytes; "-" is standard input. *data (base_free) has a NUL behind
 * its *size bytes. */
vl2_status file_read(const char *path, size_t limit, vl2_status status, char **data, size_t *size,
                     vl2_error *error);

/* A file that appears under its name only when it is complete. */
typedef struct file_writer {
    FILE *stream;
    char *path, *temporary;
} file_writer;

/* Opens PATH.tmp-PID; a device or pipe is opened itself, as it must not be replaced (temporary is
 * NULL then). VL2_ERROR_IO, VL2_ERROR_MEMORY. */
vl2_status file_writer_open(file_writer *writer, const char *path, vl2_error *error);
/* Flushes, closes and renames; removes the temporary file if any of that fails. */
vl2_status file_writer_commit(file_writer *writer, vl2_error *error);
/* Closes and removes the temporary file. Harmless after commit. */
void file_writer_abandon(file_writer *writer);
/* Writes bytes; VL2_ERROR_IO with the reason, such as no space left. */
vl2_status file_writer_write(file_writer *writer, const void *bytes, size_t size, vl2_error *error);

/* All of these for a file whose bytes are at hand. */
vl2_status file_write(const char *path, const void *bytes, size_t size, vl2_error *error);

/* "FOLDER/NAME" in fresh memory (base_free); NULL without memory. */
char *path_join(const char *folder, const char *name);

/* Makes a folder and its parents if they are missing. VL2_ERROR_IO. */
vl2_status folder_create(const char *path, vl2_error *error);

#endif
