/* A named view of numbers that somebody else owns. */
#ifndef BASE_TENSOR_H
#define BASE_TENSOR_H

#include <stddef.h>
#include <stdint.h>

typedef enum data_type {
    DATA_F32,
    DATA_F16,
    DATA_BF16,
    DATA_TYPE_COUNT
} data_type;

#define TENSOR_MAX_RANK 8

/* Row-major, no gaps. `data` has no alignment beyond that of a byte: safetensors gives none. */
typedef struct tensor_view {
    const char *name; /* borrowed from the owner of the data */
    const void *data;
    data_type type;
    int rank; /* 0 to TENSOR_MAX_RANK; 0 is one number */
    int64_t shape[TENSOR_MAX_RANK];
} tensor_view;

size_t data_type_size(data_type type);      /* bytes of one number */
const char *data_type_name(data_type type); /* "f32", "f16", "bf16" */
uint64_t tensor_elements(const tensor_view *tensor);

/* Widens `count` numbers, which may lie at any byte, to f32. Exact; NaN keep their bits. */
void numbers_widen(const void *numbers, data_type type, size_t count, float *out);

/* Rounds `count` numbers to the nearest of a type, ties to even; `out` may lie at any byte. What is
 * too large becomes infinite. NaN stay NaN. */
void numbers_narrow(const float *numbers, size_t count, data_type type, void *out);

/* Writes the shape as "[2, 3]" into text (always NUL-terminated) and returns text. */
const char *tensor_shape_text(const int64_t *shape, int rank, char *text, size_t size);

#endif
