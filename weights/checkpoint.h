/* The weights of a Hugging Face folder: one safetensors file or several with an index.
 *
 * Looked for in this order, as transformers does: model.safetensors; model.safetensors.index.json,
 * whose "weight_map" names the shard of each tensor; the folder's only *.safetensors file. */
#ifndef WEIGHTS_CHECKPOINT_H
#define WEIGHTS_CHECKPOINT_H

#include "base/error.h"
#include "base/tensor.h"

/* Immutable: may be used by several threads at once. */
typedef struct checkpoint checkpoint;

/* Opens and checks all files; the tensors' bytes are mapped and not touched. `folder` may also be
 * one safetensors file. Tensors in shards that the index does not name are listed too; where two
 * shards have a tensor, the index decides. VL2_ERROR_MODEL with a message that names file, field,
 * found and expected; VL2_ERROR_MEMORY. */
vl2_status checkpoint_open(const char *folder, checkpoint **checkpoint, vl2_error *error);
void checkpoint_close(checkpoint *checkpoint); /* NULL is allowed */

/* A tensor by its name, NULL if there is none. Borrowed until checkpoint_close. Its type is
 * DATA_TYPE_COUNT and its data NULL if vl2 does not compute with the stored data type: see
 * checkpoint_dtype_of. */
const tensor_view *checkpoint_find(const checkpoint *checkpoint, const char *name);

size_t checkpoint_count(const checkpoint *checkpoint);
/* Tensor `index` < count: shard after shard, each in the order of its data. Borrowed. */
const tensor_view *checkpoint_tensor(const checkpoint *checkpoint, size_t index);

/* For messages: the path of the file that has the tensor, and its data type as stored, such as
 * "BF16".
 * `tensor` is one of this checkpoint's. Borrowed. */
const char *checkpoint_file_of(const checkpoint *checkpoint, const tensor_view *tensor);
const char *checkpoint_dtype_of(const checkpoint *checkpoint, const tensor_view *tensor);

size_t checkpoint_shards(const checkpoint *checkpoint);       /* files */
uint64_t checkpoint_file_bytes(const checkpoint *checkpoint); /* of all files, headers included */

#endif
