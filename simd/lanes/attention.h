/* product_f32, widen_int8 and the slots of attention: see simd/kernels.h. */
#include "simd/lanes/bytes.h"
#include "simd/lanes/product.h"
#include "simd/lanes/attention_groups.h"

static void groups_take(const attention_view *view, const attention_queries *from)
{
    float_groups_take(view, from);
}

static void groups_step(const attention_view *view, const attention_step_call *call)
{
    float_groups_step(view, call);
}

void KERNEL(product_f32)(const product_call *call)
{
    product(call);
}

/* The last numbers of a row, which the registers' loads of bytes would overrun. */
static void widen_tail(const int8_t *codes, const float *scales, size_t step, size_t count,
                       float *out)
{
    for (size_t c = 0; c < count; c++) {
        out[c] = (float)codes[c] * scales[c * step];
    }
}

void KERNEL(widen_int8)(const int8_t *codes, const float *scales, size_t row_step,
                        size_t column_step, size_t rows, size_t columns, float *out)
{
    for (size_t r = 0; r < rows; r++) {
        const float *scale = scales + r * row_step;
        size_t c = 0;
        for (; c + LANES <= columns; c += LANES) {
            const lanes factor = column_step == 0 ? lanes_set(*scale) : lanes_load(scale + c);
            lanes_store(out + c, lanes_multiply(lanes_load_int8(codes + c), factor));
        }
        if (c < columns) {
            widen_tail(codes + c, scale + c * column_step, column_step, columns - c, out + c);
        }
        codes += columns;
        out += columns;
    }
}
