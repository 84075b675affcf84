/* What the two ways to multiply a chunk share: see simd/lanes/packed_many.h. */
#ifndef SIMD_LANES_MANY_CHUNK_H
#define SIMD_LANES_MANY_CHUNK_H

#include "simd/lanes/bytes.h"

#define RUN_BLOCKS (ACTIVATION_GROUP / LAYOUT_COLUMNS)

/* Activations that a chunk of weights is multiplied by. */
typedef struct packed_chunk {
    const char *x; /* rows of activations, from their start */
    size_t x_stride, columns;
    size_t first, blocks; /* of the chunk; first is a multiple of RUN_BLOCKS */
} packed_chunk;

#endif
