/* Writing a checkpoint's folder: safetensors files of limited size, their index, and whatever other
 * files the caller has, such that half a checkpoint never looks whole. */
#ifndef WEIGHTS_CHECKPOINT_WRITE_H
#define WEIGHTS_CHECKPOINT_WRITE_H

#include "base/error.h"
#include "base/file.h"
#include "base/tensor.h"

#include <stdbool.h>

typedef struct checkpoint_plan {
    const char *folder;         /* made if missing */
    const tensor_view *tensors; /* [count], in their order in the files; data is not looked at */
    size_t count;
    uint64_t shard_bytes; /* most bytes per file, or one tensor that is larger; 0: 4 GiB */
    uint64_t other_bytes; /* room for the files of write_files */
    bool overwrite;       /* a checkpoint that is there is removed first */
    /* Writes all bytes of tensor `index`; called once for each, in order. */
    vl2_status (*write_tensor)(void *context, size_t index, file_writer *writer, vl2_error *error);
    /* Writes the other files, of the names below, config.json last; called when all tensors are
     * written. */
    vl2_status (*write_files)(void *context, const char *folder, vl2_error *error);
    void *context;
} checkpoint_plan;

/* Bytes of all tensors of a plan. */
uint64_t checkpoint_plan_bytes(const checkpoint_plan *plan);

/* Writes it. If one file is enough it is model.safetensors without an index. The free space of the
 * disk is checked first; everything is removed on failure, the folder too if it was made.
 * Files that belong to a checkpoint: model*.safetensors, model.safetensors.index.json, config.json,
 * processor_config.json, tokenizer.json, tokenizer_config.json, special_tokens_map.json.
 * VL2_ERROR_ARGUMENT (there is one of these and not plan->overwrite), VL2_ERROR_IO,
 * VL2_ERROR_MEMORY, and what the two functions give. */
vl2_status checkpoint_write(const checkpoint_plan *plan, vl2_error *error);

/* For write_files: writes one file of the folder. VL2_ERROR_IO, VL2_ERROR_MEMORY. */
vl2_status checkpoint_write_file(const char *folder, const char *name, const void *bytes,
                                 size_t size, vl2_error *error);

#endif
