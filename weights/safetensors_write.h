/* The head of a safetensors file that is being written: length, metadata, and an entry for each
 * tensor. The tensors' bytes follow it without gaps, in the order of the entries. */
#ifndef WEIGHTS_SAFETENSORS_WRITE_H
#define WEIGHTS_SAFETENSORS_WRITE_H

#include "base/buffer.h"
#include "base/error.h"

typedef struct safetensors_header {
    buffer text;     /* after safetensors_header_end: the bytes to write */
    uint64_t offset; /* bytes of the tensors so far */
    bool unwritable; /* a text came that JSON cannot have */
} safetensors_header;

/* A line of __metadata__. */
typedef struct safetensors_note {
    const char *key, *value;
} safetensors_note;

/* Begins a header with `count` notes, in their order; with 0 there is no __metadata__. What goes
 * wrong here and in the calls that follow is said by safetensors_header_end. */
void safetensors_header_begin(safetensors_header *header, const safetensors_note *notes,
                              size_t count);

/* Adds a tensor of `bytes` bytes; dtype as the format spells it ("F32", "BF16"), shape [rank]. A
 * name must come once only. */
void safetensors_header_tensor(safetensors_header *header, const char *name, const char *dtype,
                               const int64_t *shape, int rank, uint64_t bytes);

/* Fills up to a multiple of 8 with spaces, as the safetensors library does, and puts the length in
 * front. VL2_ERROR_ARGUMENT for names or notes that are not UTF-8, VL2_ERROR_MEMORY. */
vl2_status safetensors_header_end(safetensors_header *header, vl2_error *error);

void safetensors_header_free(safetensors_header *header);

#endif
