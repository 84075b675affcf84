#include "engine/files.h"

#include "base/alloc.h"
#include "base/file.h"
#include "weights/synth_config.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

bool model_files_has(const model_files *files, const char *name)
{
    if (files->pack != NULL) {
        return pack_find_blob(files->pack, name) != NULL;
    }
    if (files->shape != NULL) {
        return synth_has_file(name);
    }
    char *path = path_join(files->path, name);
    struct stat info;
    bool absent = path != NULL && stat(path, &info) != 0 && (errno == ENOENT || errno == ENOTDIR);
    base_free(path);
    return !absent;
}

/* "FILE.vl2: config.json" */
static char *part_label(const model_files *files, const char *name)
{
    size_t size = strlen(files->path) + strlen(name) + 3;
    char *label = base_malloc(size, 1);
    if (label != NULL) {
        snprintf(label, size, "%s: %s", files->path, name);
    }
    return label;
}

vl2_status model_files_read(const model_files *files, const char *name, size_t limit, char **text,
                            size_t *size, char **label, vl2_error *error)
{
    char *called = files->pack != NULL || files->shape != NULL ? part_label(files, name)
                                                               : path_join(files->path, name);
    if (called == NULL) {
        return vl2_fail_memory(error, files->path, strlen(files->path));
    }
    vl2_status status;
    if (files->shape != NULL) {
        status = synth_file_text(files->shape, name, text, size, error);
    } else if (files->pack == NULL) {
        status = file_read(called, limit, VL2_ERROR_MODEL, text, size, error);
    } else {
        status = pack_blob(files->pack, name, text, size, error);
        if (status == VL2_OK && *size > limit) {
            status = vl2_fail(error, VL2_ERROR_MODEL, "%s: found %zu bytes, expected at most %zu",
                              called, *size, limit);
            base_free(*text);
        }
    }
    if (status != VL2_OK) {
        base_free(called);
        return status;
    }
    *label = called;
    return VL2_OK;
}
