/* The arithmetic of whole rows, in float64 for both dtypes: polynomials, logarithms of sums of exponentials, quotients.

   Branch-free scalar C over the rows of a batch, which the compiler turns into vector code; the same operations in
   the same order give the same bytes however wide that code is. */
#ifndef SL_ROWMATH_H
#define SL_ROWMATH_H

#include "constants.h"
#include "kernel.h"

static inline double bits_to_double(uint64_t bits)
{
    double x;
    memcpy(&x, &bits, sizeof x);
    return x;
}

static inline uint64_t double_to_bits(double x)
{
    uint64_t bits;
    memcpy(&bits, &x, sizeof bits);
    return bits;
}

/* a*b + c, fused where that is an instruction and not a call. Where exactness counts, fma itself is written. */
static inline double multiply_add(double a, double b, double c) { return VF_FUSED ? fma(a, b, c) : a * b + c; }

/* Polynomials, highest coefficient first; written out, since a loop inside a loop would not become vector code. */
static inline double polynomial_4(double x, double c4, double c3, double c2, double c1, double c0)
{
    return multiply_add(multiply_add(multiply_add(multiply_add(c4, x, c3), x, c2), x, c1), x, c0);
}

static inline double polynomial_8(double x, double c8, double c7, double c6, double c5, double c4, double c3, double c2,
                                  double c1, double c0)
{
    return polynomial_4(x, polynomial_4(x, c8, c7, c6, c5, c4), c3, c2, c1, c0);
}

static inline double polynomial_11(double x, double c11, double c10, double c9, double c8, double c7, double c6,
                                   double c5, double c4, double c3, double c2, double c1, double c0)
{
    double high = multiply_add(multiply_add(multiply_add(c11, x, c10), x, c9), x, c8);
    return polynomial_8(x, high, c7, c6, c5, c4, c3, c2, c1, c0);
}

/* e^z 2^k for |z| <= 5000, right to 2^-52 and normal. */
static inline double row_exp(double z, double k)
{
    const double round = 0x1.8p52;
    double t = multiply_add(z, ROW_LOG2E, round), n = t - round;
    double r = multiply_add(-n, ROW_LN2_LO, multiply_add(-n, ROW_LN2_HI, z));
    return polynomial_11(r, ROW_EXP) * bits_to_double((double_to_bits(t + k) + 1023) << 52);
}

/* log(1 + x + x_l) for x > -1 as high + low, right to 0.1 ULP: 1 + x = 2^k (1 + f) with f in [-1/4, 1/2], log(1 + f)
   = 2 atanh(f/(2 + f)). No step cancels: for x < 1/2, k is 0 and f is x. */
static inline void log1p_parts(double x, double x_l, double *high, double *low)
{
    const double two52 = 0x1p52;
    const uint64_t exponent_bits = 0x7ff0000000000000, bias = 1023, two52_bits = 0x4330000000000000;

    double y = 1 + x;
    uint64_t exponent = double_to_bits(y * (4.0 / 3)) & exponent_bits;
    double k = bits_to_double((exponent >> 52) | two52_bits) - (two52 + (double)bias);
    double scale = bits_to_double((2 * bias << 52) - exponent); /* 2^-k */
    double y_l = x > 1 ? (x - y) + 1 : (1 - y) + x, f = y * scale - 1 + y_l * scale;
    double a = y * scale - 1, b = y_l * scale, f_l = (a - f) + b + x_l * scale;

    double d = 2 + f, d_l = (2 - d) + f + f_l, s = f / d;
    double rest = (fma(-s, d, f) + f_l - s * d_l) / d;
    double w = s * s, p = polynomial_8(w, ROW_ATANH_REST);

    double whole = k * ROW_LN2_HI, sum = whole + 2 * s;
    int tiny = x < 0x1p-60 && x > -0x1p-60; /* its own logarithm; halves of subnormals would not be exact */
    *high = tiny ? x : sum;
    *low = tiny ? x_l : ((whole - sum) + 2 * s) + (k * ROW_LN2_LO + (2 * rest + w * s * p));
}

#endif
