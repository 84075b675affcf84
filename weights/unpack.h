/* Turning a packed file back into a checkpoint: safetensors files and the blobs beside them. */
#ifndef WEIGHTS_UNPACK_H
#define WEIGHTS_UNPACK_H

#include "base/team.h"
#include "weights/pack_file.h"

/* Decodes rows of a packed matrix: the slot packed_decode_rows of simd/kernels.h. The engine hands
 * it in, as weights/ does not see the kernels. */
typedef void unpack_decoder(const packed_matrix *matrix, size_t first_row, size_t rows, float *out,
                            size_t stride);

/* What vl2_unpack does, with a file that is open; options->path and options->threads are not looked
 * at. Each tensor is checked before it is written. Memory: a few megabytes per thread and, where
 * planes are compressed, one tensor.
 * VL2_ERROR_ARGUMENT, VL2_ERROR_MODEL (a damaged frame), VL2_ERROR_IO, VL2_ERROR_MEMORY,
 * VL2_ERROR_CANCELLED. */
vl2_status unpack_write(const pack_file *file, const vl2_unpack_options *options, const team *team,
                        unpack_decoder *decode, vl2_error *error);

#endif
