/* The text files of a model: in its folder, inside its packed file, or made for random weights. */
#ifndef ENGINE_FILES_H
#define ENGINE_FILES_H

#include "base/error.h"
#include "weights/pack_file.h"
#include "weights/synth.h"

#include <stdbool.h>

typedef struct model_files {
    const char *path;      /* borrowed */
    const pack_file *pack; /* borrowed; or */
    const synth_shape *shape; /* borrowed; with both NULL path is a folder */
} model_files;

/* True if the model has a file of that name. What cannot be looked at for another reason than
 * absence counts as there, so that reading it says why. */
bool model_files_has(const model_files *files, const char *name);

/* Reads one: *text (base_free) has a NUL behind its *size bytes, *label (base_free) names it in
 * messages: "FOLDER/config.json" or "FILE.vl2: config.json". VL2_ERROR_MODEL if it is missing,
 * damaged or larger than `limit` bytes; VL2_ERROR_MEMORY. */
vl2_status model_files_read(const model_files *files, const char *name, size_t limit, char **text,
                            size_t *size, char **label, vl2_error *error);

#endif
