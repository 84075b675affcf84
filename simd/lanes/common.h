/* Kernels written once for all ISAs whose registers hold LANES floats.
 *
 * A source file <op>_<isa>.c includes its ISA's vocabulary (lanes_avx2.h, lanes_avx512.h,
 * lanes_neon.h) and then the operation from this folder, which defines KERNEL(slot) functions.
 * The vocabulary, in which lanes is LANES floats:
 *   lanes_load / _load_first / _store / _store_first   unaligned; _first only the first n < LANES
 *                                                       (the others read as 0 and stay unwritten)
 *   lanes_load_bf16 / _load_f16                         LANES numbers of 16 bits, widened
 *   lanes_load_twice                                    LANES / 2 floats, each twice in a row
 *   lanes_fma(a, b, c), lanes_fnma                      a b + c, c - a b, rounded once
 *   lanes_fma_alternate                                 a b - c in even lanes, a b + c in odd ones
 *   lanes_minimum, lanes_maximum(a, b)                  b where a is NaN or (on x86) b is
 *   lanes_select_less(a, b, yes, no)                    yes where a < b, else (NaN too) no
 *   lanes_power_of_two(n)                               2^n for whole -126 <= n <= 127; n = -127
 *                                                       gives 0 and n = 128 infinity
 *   lanes_sum, lanes_largest                            over all lanes, in a fixed order
 *   lanes_f64_*                                         sums in double of LANES floats a step
 *   lanes_transpose(rows)                               of [LANES] registers: rows become columns
 *   lanes_bf16_even, _odd                               of 2 LANES bf16 that were loaded as they
 *                                                       are, those at even or odd places, widened
 * and MATVEC_ROWS, MATMUL_ROWS, MATMUL_BATCH: how many sums the registers hold, see matmul.h;
 * PRODUCT_ROWS, PRODUCT_REMAINDERS (all smaller numbers): the same for product.h and
 * matmul_many.h. */
#ifndef SIMD_LANES_COMMON_H
#define SIMD_LANES_COMMON_H

#define LANES_INLINE static inline __attribute__((always_inline))

/* The first n < LANES of 16-bit numbers, the other lanes 0. */
LANES_INLINE lanes lanes_load_bf16_first(const void *source, size_t n)
{
    uint16_t copy[LANES] = {0};
    memcpy(copy, source, n * sizeof(uint16_t));
    return lanes_load_bf16(copy);
}

LANES_INLINE lanes lanes_load_f16_first(const void *source, size_t n)
{
    uint16_t copy[LANES] = {0};
    memcpy(copy, source, n * sizeof(uint16_t));
    return lanes_load_f16(copy);
}

#endif
