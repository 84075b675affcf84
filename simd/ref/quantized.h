/* Packed weights for who needs the reference without a table of kernels. The contracts of
 * quantize_activations_ref, packed_decode_rows_ref and matmul_packed_ref: simd/kernels.h. */
#ifndef SIMD_REF_QUANTIZED_H
#define SIMD_REF_QUANTIZED_H

#include "simd/ref/ref.h"

/* values[K/4][16][4], K padded: value() of the codes of panel `panel`, all of it, for products of
 * integers: int8 -127 to 127, int6 -32 to 31, int4-symmetric -8 to 7, int4-asymmetric -15 to 15,
 * int4-codebook -127 to 127. Exact. */
void packed_decode_panel_ref(const packed_matrix *matrix, size_t panel, int8_t *values);

#endif
