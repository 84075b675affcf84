/* The table of kernels: every slot with its contract. Whoever computes holds a table that
 * kernels_select or kernels_default filled, and passes `const kernels *` down; the table is plain
 * data, never changed afterwards, and may be used by any number of threads.
 *
 * Rules for all slots:
 *  - float arrays have the alignment of a float, weights and `source` only that of a byte
 *    (safetensors gives no more); nothing outside the named ranges is read or written; all counts
 *    may be 0 unless said.
 *  - arrays do not overlap except where "in place" is said: then they are the same array.
 *  - weights are row-major [rows, k], rows `row_stride` elements apart (>= k), little-endian
 *    numbers.
 *  - a result depends only on the arguments of its own row: not on where the array starts, not on
 *    how rows or activation rows are divided among calls. Two ISAs differ within the tolerances,
 *    e = 2^-24: |computed - exact| <= the tolerance, for finite input whose exact result is a
 *    normal float.
 *  - infinities and NaN in the input give infinities or NaN, never a fault.
 */
#ifndef SIMD_KERNELS_H
#define SIMD_KERNELS_H

#include "simd/activations.h"
#include "simd/attention.h"
#include "simd/cpu.h"
#include "simd/layout.h"

/* out[count] = source[count], exact for every bit pattern: subnormals, zeros with their sign,
 * infinities; of NaN the payload stays, and widen_f16 sets the quiet bit. */
typedef void kernel_widen(const void *source, float *out, size_t count);

/* y[rows]: y[r] = sum over k of weight[r, k] * x[k]. Memory bound: reads each weight once.
 * Tolerance: 2e-6 * sum |weight * x| for k to 16384. */
typedef void kernel_matvec(const void *weight, size_t row_stride, size_t rows, size_t k,
                           const float *x, float *y);

/* y[batch, rows]: y[b * y_stride + r] = sum over k of weight[r, k] * x[b * x_stride + k], with one
 * pass over the weights; made for a batch of 2 to 8, right for any. Each number is bit for bit that
 * of kernel_matvec on its row of x. Tolerance as there. */
typedef void kernel_matmul_few(const void *weight, size_t row_stride, size_t rows, size_t k,
                               const float *x, size_t x_stride, size_t batch, float *y,
                               size_t y_stride);

/* out = x / sqrt(mean(x^2) + eps) * weight; sums in double. out == x is allowed.
 * Tolerance: 8 e |out|. */
typedef void kernel_rms_norm(const float *x, const float *weight, float eps, size_t n, float *out);

/* out = (x - mean(x)) / sqrt(variance(x) + eps) * weight + bias; the variance is that of the
 * population; sums in double. bias may be NULL. out == x is allowed.
 * Tolerance: 8 e (|out| + |bias| + |weight| * max|x| / sqrt(variance + eps)). */
typedef void kernel_layer_norm(const float *x, const float *weight, const float *bias, float eps,
                               size_t n, float *out);

/* In place: p[i] = exp(scale * x[i]) / sum over j of exp(scale * x[j]), with the largest scale * x
 * taken off first (scale > 0), and a sum in a fixed order. -infinity gives exactly 0; at least one
 * number must be finite. Tolerance: e p (8 + 4 scale (max x - x)), or 2^-120 where p is below
 * that. */
typedef void kernel_softmax(float *x, size_t n, float scale);

/* out = gate / (1 + exp(-gate)) * up. out may be gate or up. Tolerance: 8 e |out|; where gate < -87
 * the factor of up is within 1e-35 of the exact one instead. */
typedef void kernel_silu_mul(const float *gate, const float *up, float *out, size_t n);

/* In place. gelu_tanh: x/2 (1 + tanh(sqrt(2/pi) (x + 0.044715 x^3))); gelu_erf: x/2 (1 + erf(x/sqrt
 * 2)). Tolerance: 6 e |x|. */
typedef void kernel_gelu(float *x, size_t n);

/* sum over i of a[i] * b[i]. Tolerance: 2e-6 * sum |a * b| for n to 16384. */
typedef float kernel_dot(const float *a, const float *b, size_t n);

/* y[i] += alpha * x[i]. Tolerance: 2 e (|alpha x| + |y|). */
typedef void kernel_axpy(float alpha, const float *x, float *y, size_t n);

/* In place, n even: n/2 pairs (a, b) become (a cos - b sin, b cos + a sin), cos and sin being
 * [n/2]. rope_half pairs x[i] with x[i + n/2]; rope_interleaved pairs x[2i] with x[2i + 1].
 * Tolerance: 2 e (|a| + |b|). */
typedef void kernel_rope(float *x, const float *cosine, const float *sine, size_t n);

/* The slots below work on packed weights (simd/layout.h). The matrix has been checked: its layout
 * is known, and its planes have the sizes of layout_measure, at any byte. Numbers outside of their
 * ranges (a damaged file) give wrong results, never a fault. Every ISA gives the same bits. */

/* One row of activations in int8, x[columns] as a block of activation_size(columns) bytes
 * (simd/activations.h); what lies behind its scales is not written. With m the largest |x| of a
 * run, all in float:
 *     scale = m / 127,  code = x * (127 / m) rounded to the nearest integer, ties to even.
 * m < 2^-100 gives scale 0 and codes 0. Infinities or NaN give scale NaN and codes 0, so that the
 * result says so. */
typedef void kernel_quantize(const float *x, size_t columns, void *row);

/* out[rows, columns], rows `stride` floats apart: rows first_row to first_row + rows - 1 of W.
 * first_row + rows may reach into the padding, up to the padded rows. */
typedef void kernel_packed_decode(const packed_matrix *matrix, size_t first_row, size_t rows,
                                  float *out, size_t stride);

/* y[batch, rows], rows of y `y_stride` floats apart: outputs first_row to first_row + rows - 1 of
 * W, first_row being a multiple of LAYOUT_ROWS, for a batch of rows that quantize_activations made
 * of `columns` inputs, x_stride bytes apart (a multiple of 4, at least activation_size(columns)).
 * matmul_packed:
 *     sum = 0, then for every run:  sum = fma(activation_scale[run], (float)S, sum)
 *     y = row_scale * sum
 * S is the sum over the run of scale(n, k) * value(n, k) * code(k), an exact integer below 2^31.
 * One pass over the weights: memory bound, made for a batch of 1 to 8.
 *
 * matmul_packed_many is made for more: compute bound, the weights are decoded once. Where the
 * groups of a layout are shorter than a run it takes the weights of a row and a run in 8 bits, with
 * one scale. With m the largest |scale * value| of them, padding included:
 *     i = 126 * 2^15 / m (m <= 127: 2^15 - 1) and g = scale * i / 2^8, both rounded to the nearest
 *         integer, ties to even
 *     q = (value * g + 2^6) >> 7,  t = 2^15 / i in float (m <= 127: 1, and q is scale * value)
 *     sum = fma(activation_scale[run], (float)Q * t, sum),  Q being the sum over q * code(k)
 * With other layouts both slots give the same bits; in either, a result does not depend on what
 * else is computed, so that any division among calls gives the same. Whoever changes between the
 * slots sees the error of q: simd/README.md has it beside that of the layouts. */
typedef void kernel_matmul_packed(const packed_matrix *matrix, size_t first_row, size_t rows,
                                  const void *x, size_t x_stride, size_t batch, float *y,
                                  size_t y_stride);

/* y[batch, rows]: y[b * y_stride + r] = sum over i of weight[r, i] * x[b * x_stride + i], added to
 * what y holds if `add`; weights as they are stored, row_stride numbers apart. Compute bound, made
 * for a batch of more than 8: weights and x are laid out in `scratch` once and used often.
 * Tolerance for k to 16384: 2e-6 * (|y before| if `add` + sum |weight * x|).
 * matmul_many_bf16 may take each x as the sum of three bf16 and subnormal numbers as 0 (isas "amx"
 * and "bf16"): 2^-125 * sum (|weight| + |x|) more, for |x| < 2^127. */
typedef struct many_call {
    const void *weight;
    size_t row_stride, rows, k;
    const float *x;
    size_t x_stride, batch;
    float *y;
    size_t y_stride;
    bool add;
    void *scratch; /* MATMUL_MANY_SCRATCH bytes, at a cache line; what they hold does not matter */
} many_call;

/* Outputs, inputs and rows of x that are laid out at a time: a good part of a small L2. */
#define MATMUL_MANY_OUTPUTS ((size_t)384)
#define MATMUL_MANY_DEPTH   ((size_t)256)
#define MATMUL_MANY_ROWS    ((size_t)32)
#define MATMUL_MANY_SCRATCH                                                                        \
    ((MATMUL_MANY_OUTPUTS + MATMUL_MANY_ROWS) * MATMUL_MANY_DEPTH * sizeof(float))

typedef void kernel_matmul_many(const many_call *call);

/* c[rows, columns], rows c_stride floats apart:
 *     c[r, n] = sum over i of a[r * a_row + i * a_column] * b[i * b_stride + n],
 * added to what c holds if `add`. One chain of multiply-adds over i from 0 to k - 1, which starts
 * at 0 or at c: a product may be cut into parts of k, too. Compute bound.
 * Tolerance: (k + 1) e (|c| + sum |a b|). */
typedef struct product_call {
    const float *a, *b;
    float *c;
    size_t a_row, a_column, b_stride, c_stride;
    size_t rows, columns, k;
    bool add;
    const char *ahead; /* 256 k bytes that are wanted soon: asked for meanwhile; NULL: nothing */
} product_call;

typedef void kernel_product(const product_call *call);

/* out[r, c] = codes[r, c] * scales[r * row_step + c * column_step], out and codes being
 * [rows, columns] without gaps; a step is 0 or 1. Tolerance: e |out|. */
typedef void kernel_widen_int8(const int8_t *codes, const float *scales, size_t row_step,
                               size_t column_step, size_t rows, size_t columns, float *out);

/* Attention, see simd/attention.h. attention_begin takes the queries (state->queries is
 * rows * heads; NULL: those that this state has) and forgets all blocks. attention_step adds the
 * block of positions 0 to positions - 1, at most ATTENTION_KEYS, of which query i sees those below
 * visible + i / heads, perhaps none. attention_fold adds to `state` what `other`, with the same
 * queries, has of other blocks; those of a state that has seen nothing may be anything.
 * attention_end writes value_depth numbers of query row * heads + head to
 * out[row * row_stride + head * head_stride]; each must have seen a position.
 *
 * What a query gets depends on its own numbers, on the tiles and their order, and on the folds: not
 * on the other queries, nor, but for the sign of a zero, on `dense`.
 * Tolerance, with D = depth, S the largest of scale * sum |q k| over the positions a query sees, n
 * their number and p their weights: e sum p |v| (8 D S + 64 + n / 4) + 2^-110 sum |v|.
 *
 * "amx" takes a float x as hi + lo, two bf16, unless the state is dense and has at most 8 queries,
 * so that there it matters how many there are. |lo| <= 2^-8 |x| and |x - hi - lo| <= 2^-17 |x|; of
 * the products of two such sums that of the lo is left out, 2^-16 |a b|, and the rest of either
 * counts 2^-17 |a b|: together 2^-15 |a b| = 512 e |a b|. A score is wrong by 512 e S more, and so
 * is a weight by twice that, as its own score and the sum of the others may be: the tolerance is
 * e sum p |v| (8 D S + 1024 S + 512 + 64 + n / 4) + 2^-110 sum |v|, for scaled queries, keys and
 * values that are 0 or from 2^-100 to 2^127.
 *
 * Where the state is `rounded` (and not dense with at most 8 queries), "avx512bf16", "amx" and
 * "bf16" round scaled queries, keys, values and the powers to bf16, each by u = 2^-8 of it at most,
 * and sum their products in float: e^(4.01 u S) - 1 + 2.02 u times sum p |v| more than the first
 * tolerance. */
typedef void kernel_attention_begin(const attention_state *state,
                                    const attention_queries *queries);
typedef void kernel_attention_step(const attention_state *state, const attention_tile *keys,
                                   const attention_tile *values, size_t positions,
                                   ptrdiff_t visible, size_t heads);
typedef void kernel_attention_fold(const attention_state *state, const attention_state *other);
typedef void kernel_attention_end(const attention_state *state, size_t heads, float *out,
                                  size_t row_stride, size_t head_stride);

/* X(type, slot) */
#define KERNEL_SLOTS(X)                                                                            \
    X(kernel_widen, widen_bf16)                                                                    \
    X(kernel_widen, widen_f16)                                                                     \
    X(kernel_matvec, matvec_f32)                                                                   \
    X(kernel_matvec, matvec_bf16)                                                                  \
    X(kernel_matvec, matvec_f16)                                                                   \
    X(kernel_matmul_few, matmul_few_f32)                                                           \
    X(kernel_matmul_few, matmul_few_bf16)                                                          \
    X(kernel_matmul_few, matmul_few_f16)                                                           \
    X(kernel_rms_norm, rms_norm)                                                                   \
    X(kernel_layer_norm, layer_norm)                                                               \
    X(kernel_softmax, softmax)                                                                     \
    X(kernel_silu_mul, silu_mul)                                                                   \
    X(kernel_gelu, gelu_tanh)                                                                      \
    X(kernel_gelu, gelu_erf)                                                                       \
    X(kernel_dot, dot_f32)                                                                         \
    X(kernel_axpy, axpy_f32)                                                                       \
    X(kernel_rope, rope_half)                                                                      \
    X(kernel_rope, rope_interleaved)                                                               \
    X(kernel_quantize, quantize_activations)                                                       \
    X(kernel_packed_decode, packed_decode_rows)                                                    \
    X(kernel_matmul_packed, matmul_packed)                                                         \
    X(kernel_matmul_packed, matmul_packed_many)                                                    \
    X(kernel_matmul_many, matmul_many_f32)                                                         \
    X(kernel_matmul_many, matmul_many_bf16)                                                        \
    X(kernel_matmul_many, matmul_many_f16)                                                         \
    X(kernel_product, product_f32)                                                                 \
    X(kernel_widen_int8, widen_int8)                                                               \
    X(kernel_attention_begin, attention_begin)                                                     \
    X(kernel_attention_step, attention_step)                                                       \
    X(kernel_attention_fold, attention_fold)                                                       \
    X(kernel_attention_end, attention_end)

typedef enum kernel_slot {
#define KERNEL_CONSTANT(type, slot) KERNEL_##slot,
    KERNEL_SLOTS(KERNEL_CONSTANT)
#undef KERNEL_CONSTANT
        KERNEL_COUNT
} kernel_slot;

typedef struct kernels {
#define KERNEL_MEMBER(type, slot) type *slot;
    KERNEL_SLOTS(KERNEL_MEMBER)
#undef KERNEL_MEMBER
    const char *isa[KERNEL_COUNT]; /* of each slot the implementation chosen: "ref", "avx2", ... */
} kernels;

/* Fills every slot with the best kernel that needs no feature outside `features`. The caller
 * vouches that the processor has them. No features gives the reference. */
void kernels_select(cpu_features features, kernels *table);

/* The same for this processor as masked by the environment variable VL2_CPU. NULL, or the word of
 * VL2_CPU that is unknown (borrowed from the environment; it ends at a comma or the NUL), for the
 * caller to report; the table is filled then as if VL2_CPU were not set. */
const char *kernels_default(kernels *table);

/* Up to how many rows of x matmul_few is as fast as the kernel of a slot matmul_many; SIZE_MAX if
 * that is the reference. */
size_t kernels_few_rows(const kernels *table, kernel_slot many);

/* "widen_bf16"; NULL outside the list. */
const char *kernel_name(int slot);

#endif
