/* exp and erf of LANES floats. The polynomials are minimax fits (Remez exchange); in the comments
 * their largest error before rounding, relative unless said. */
#ifndef SIMD_LANES_EXPONENTIAL_H
#define SIMD_LANES_EXPONENTIAL_H

#include "simd/lanes/common.h"

/* coefficients[0] x^degree + ... + coefficients[degree] */
LANES_INLINE lanes polynomial(lanes x, const float *coefficients, int degree)
{
    lanes sum = lanes_set(coefficients[0]);
#pragma GCC unroll 8
    for (int i = 1; i <= degree; i++) {
        sum = lanes_fma(sum, x, lanes_set(coefficients[i]));
    }
    return sum;
}

/* e^x within 2 ulp. 0 where x < -87.7 (the exact result is below 1e-38), infinity where
 * x > 88.8; NaN for NaN. With n = round(x / ln 2): e^x = 2^n e^(x - n ln 2). */
LANES_INLINE lanes lanes_exp(lanes x)
{
    /* (e^r - 1 - r) / r^2 for |r| <= ln(2) / 2; e^r within 4e-9 */
    static const float fit[] = {0.00138144629818f, 0.00836878033098f, 0.0416683942675f,
                                0.16666520109f, 0.499999934124f};
    x = lanes_maximum(lanes_set(-88.0f), lanes_minimum(lanes_set(89.0f), x));
    lanes n = lanes_round(lanes_multiply(x, lanes_set(1.44269504f)));
    /* ln 2 in two parts, the first of which has enough zeros for n times it to be exact */
    lanes r = lanes_fnma(n, lanes_set(0x1.62e4p-1f), x);
    r = lanes_fnma(n, lanes_set(0x1.7f7d1cp-20f), r);
    lanes tail = lanes_multiply(lanes_multiply(r, r), polynomial(r, fit, 4));
    lanes power = lanes_add(lanes_set(1.0f), lanes_add(r, tail));
    return lanes_multiply(power, lanes_power_of_two(n));
}

/* erf(x) within 2 ulp. */
LANES_INLINE lanes lanes_erf(lanes x)
{
    /* erf(x) / x - 1 in x^2 for x^2 <= 0.86; 2e-8 */
    static const float near[] = {-0.000596580591868f, 0.0049883081685f, -0.02676333071f,
                                 0.112817267647f, -0.376124852903f, 0.128379148315f};
    /* -log(1 - erf(t)) for 0.92 <= t <= 4; erf within 1.5e-9 absolute. Beyond 4, erf rounds to
     * 1. */
    static const float far[] = {-0.000194944781256f, 0.00303367384237f, -0.0221897060022f,
                                0.103856234337f, 0.637265904244f, 1.12762731484f,
                                0.000207028195219f};
    lanes square = lanes_multiply(x, x);
    lanes small = lanes_fma(x, polynomial(square, near, 5), x);
    lanes t = lanes_minimum(lanes_set(4.0f), lanes_absolute(x));
    lanes rest = lanes_exp(lanes_subtract(lanes_set(0), polynomial(t, far, 6)));
    lanes large = lanes_copy_sign(lanes_subtract(lanes_set(1.0f), rest), x);
    return lanes_select_less(square, lanes_set(0.86f), small, large);
}

#endif
