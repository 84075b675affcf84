/* Between lora.c, which knows whose weight a tensor of an adapter is, and lora_merge.c, which
 * computes. Inside weights/ only. */
#ifndef WEIGHTS_LORA_INTERNAL_H
#define WEIGHTS_LORA_INTERNAL_H

#include "weights/lora.h"
#include "weights/lora_config.h"
#include "weights/safetensors.h"

typedef struct lora_entry {
    char *target;               /* the tensor that is changed */
    const tensor_view *whole;   /* stands for it; NULL: it stays */
    const tensor_view *a, *b;   /* both or neither */
    bool transposed;            /* an embedding's: (B A) transposed is added */
    size_t rank, rows, columns; /* of the product, if there is one */
    double scaling;
} lora_entry;

struct lora {
    char *config_path, *weights_path;
    lora_config config;
    safetensors *file;
    lora_entry *entries; /* [count], by target */
    size_t count;
};

/* NULL if the adapter does not touch the tensor. */
const lora_entry *lora_find(const lora *lora, const char *tensor);

/* VL2_ERROR_MODEL unless the entry fits a tensor of that shape. */
vl2_status lora_entry_check(const lora *lora, const lora_entry *entry, const tensor_view *base,
                            vl2_error *error);

#endif
