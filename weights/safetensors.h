/* One safetensors file: tensors by name, mapped and not copied.
 *
 * Layout: 8 bytes little-endian N; N bytes of JSON {"NAME": {"dtype", "shape", "data_offsets":
 * [begin, end]}, "__metadata__"?}; the tensors' bytes, which offsets count from. As the safetensors
 * library (safetensors/src/tensor.rs, Metadata::validate) does, the tensors must cover the bytes
 * behind the header exactly: no overlap, no hole, nothing behind the last one. */
#ifndef WEIGHTS_SAFETENSORS_H
#define WEIGHTS_SAFETENSORS_H

#include "base/error.h"
#include "base/tensor.h"

/* The longest header that is read; the safetensors library's own limit. */
#define SAFETENSORS_MAX_HEADER ((uint64_t)100000000)

/* Immutable: may be used by several threads at once. */
typedef struct safetensors safetensors;

/* Maps a file and checks its header; the tensors' bytes are not touched.
 * VL2_ERROR_MODEL with a message that names file, tensor, field, found and expected;
 * VL2_ERROR_MEMORY. */
vl2_status safetensors_open(const char *path, safetensors **file, vl2_error *error);

/* The same for `size` bytes in memory, borrowed until safetensors_close. `name` stands in
 * messages. */
vl2_status safetensors_parse(const uint8_t *data, size_t size, const char *name,
                             safetensors **file, vl2_error *error);

void safetensors_close(safetensors *file); /* NULL is allowed */

const char *safetensors_name(const safetensors *file); /* the path or name it was opened with */
uint64_t safetensors_bytes(const safetensors *file);   /* the whole file */
size_t safetensors_count(const safetensors *file);

/* Tensor `index` < count, in the order of the data; borrowed. A tensor of a data type that vl2 does
 * not compute with (I64, F8_E4M3, ...) is listed with type DATA_TYPE_COUNT and data NULL, so that
 * whoever wants it can refuse it. */
const tensor_view *safetensors_get(const safetensors *file, size_t index);

/* The tensor's data type as the file spells it, such as "BF16" or "I64"; borrowed. */
const char *safetensors_dtype(const safetensors *file, size_t index);

/* The index of a tensor that safetensors_get returned; SIZE_MAX if it is another file's. */
size_t safetensors_index(const safetensors *file, const tensor_view *tensor);

#endif
