/* widen_bf16, widen_f16: see simd/kernels.h. */
#include "simd/lanes/common.h"

void KERNEL(widen_bf16)(const void *source, float *out, size_t count)
{
    const char *bytes = source;
    size_t i = 0;
    for (; i + LANES <= count; i += LANES) {
        lanes_store(out + i, lanes_load_bf16(bytes + 2 * i));
    }
    if (i < count) {
        lanes_store_first(out + i, lanes_load_bf16_first(bytes + 2 * i, count - i), count - i);
    }
}

void KERNEL(widen_f16)(const void *source, float *out, size_t count)
{
    const char *bytes = source;
    size_t i = 0;
    for (; i + LANES <= count; i += LANES) {
        lanes_store(out + i, lanes_load_f16(bytes + 2 * i));
    }
    if (i < count) {
        lanes_store_first(out + i, lanes_load_f16_first(bytes + 2 * i, count - i), count - i);
    }
}
