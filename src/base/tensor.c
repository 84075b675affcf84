#include "base/tensor.h"

#include <inttypes.h>
#include <stdio.h>

size_t data_type_size(data_type type)
{
    return type == DATA_F32 ? 4 : 2;
}

const char *data_type_name(data_type type)
{
    static const char *const names[DATA_TYPE_COUNT] = {"f32", "f16", "bf16"};
    return (unsigned)type < DATA_TYPE_COUNT ? names[type] : "unknown";
}

uint64_t tensor_elements(const tensor_view *tensor)
{
    uint64_t elements = 1;
    for (int i = 0; i < tensor->rank; i++) {
        elements *= (uint64_t)tensor->shape[i];
    }
    return elements;
}

const char *tensor_shape_text(const int64_t *shape, int rank, char *text, size_t size)
{
    size_t used = (size_t)snprintf(text, size, "[");
    for (int i = 0; i < rank && used < size; i++) {
        used += (size_t)snprintf(text + used, size - used, "%s%" PRId64, i > 0 ? ", " : "",
                                 shape[i]);
    }
    if (used < size) {
        snprintf(text + used, size - used, "]");
    }
    return text;
}
