/* Any bytes as a safetensors file: refused with a message, or every tensor lies within them. */
#include "weights/safetensors.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static volatile uint8_t sink;

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    safetensors *file = NULL;
    vl2_error error = {VL2_OK, ""};
    if (safetensors_parse(data, size, "fuzz", &file, &error) != VL2_OK) {
        if (file != NULL || error.status != VL2_ERROR_MODEL || error.message[0] == '\0') {
            abort();
        }
        return 0;
    }
    for (size_t i = 0; i < safetensors_count(file); i++) {
        const tensor_view *tensor = safetensors_get(file, i);
        size_t bytes = (size_t)tensor_elements(tensor) * data_type_size(tensor->type);
        if (tensor->name[0] == '\0' || safetensors_index(file, tensor) != i ||
            strlen(safetensors_dtype(file, i)) >= size) {
            abort();
        }
        if (tensor->data != NULL && bytes > 0) { /* the sanitizer looks at both ends */
            sink = ((const uint8_t *)tensor->data)[0];
            sink = ((const uint8_t *)tensor->data)[bytes - 1];
        }
    }
    safetensors_close(file);
    return 0;
}
