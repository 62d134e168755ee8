/* Sums of exponentials of float32 rows in float64, right to 2^-45, where float32 arithmetic would show in the result: rows
   so short that a sum has no terms to average errors over, and rows whose result is small against their terms.

   Plain loops over LANES, which the compiler turns into vector code; the same operations in the same order give the same
   bytes however wide that code is. */
#ifndef SL_PRECISE_H
#define SL_PRECISE_H

#include "rowlog.h"
#include "sumexp.h"

/* 2^BIAS e^z for z <= 0; what lies below 2^-126 times that is raised to it. NaN stays. */
static inline double biased_exp(double z)
{
    static const double c[] = {ROW_EXP};
    const double round = 0x1.8p52, least = (LEAST - BIAS) * ROW_LN2;
    z = z < least ? least : z;
    double t = z * ROW_LOG2E + round, n = t - round, r = fma(-n, ROW_LN2, z), p = c[0];
    for (size_t i = 1; i < sizeof c / sizeof *c; i++)
        p = fma(p, r, c[i]);
    return bits_to_double(double_to_bits(p) + (double_to_bits(t) << 52) + ((uint64_t)BIAS << 52));
}

/* Adds to each lane's `rest` the exponentials of a tile but those of elements equal to its maximum, which are added to `tops`;
   with e.p stores them all. */
static void precise_sum(tile x, const T *max, double *rest, double *tops, tile e)
{
    for (size_t i = 0; i < x.full; i++) {
        const T *restrict p = x.p + (ptrdiff_t)i * x.step;
        T *restrict q = e.p + (ptrdiff_t)i * e.step;
        if (e.p)
            for (int l = 0; l < LANES; l++) {
                double v = biased_exp((double)p[l] - (double)max[l]);
                rest[l] += p[l] == max[l] ? 0 : v;
                tops[l] += p[l] == max[l] ? 1 : 0;
                q[l] = (T)v;
            }
        else
            for (int l = 0; l < LANES; l++) {
                rest[l] += p[l] == max[l] ? 0 : biased_exp((double)p[l] - (double)max[l]);
                tops[l] += p[l] == max[l] ? 1 : 0;
            }
    }
}

#endif
