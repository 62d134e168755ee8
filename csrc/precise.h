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
    const double round = 0x1.8p52, least = (LEAST - BIAS) * ROW_LN2;
    z = z < least ? least : z;
    double t = z * ROW_LOG2E + round, n = t - round, r = multiply_add(-n, ROW_LN2, z);
    return polynomial_9(r, ROW_EXP) * bits_to_double((double_to_bits(t) << 52) + ((uint64_t)(1023 + BIAS) << 52));
}

/* One step of LANES elements: their exponentials, those of the lanes' maxima counted in `tops`, the others added to `rest`. */
static __attribute__((noinline)) void precise_step(const T *restrict x, const T *restrict max, double *restrict rest,
                                                   double *restrict tops, double *restrict exps)
{
    for (int l = 0; l < LANES; l++) {
        double v = (double)x[l], m = (double)max[l], e = biased_exp(v - m);
        rest[l] += v == m ? 0 : e;
        tops[l] += v == m ? 1 : 0;
        exps[l] = e;
    }
}

/* Likewise a tile without a partial step; with e.p all exponentials are stored. */
static void precise_sum(tile x, const T *max, double *rest, double *tops, tile e)
{
    double exps[LANES];
    for (size_t i = 0; i < x.full; i++) {
        precise_step(x.p + (ptrdiff_t)i * x.step, max, rest, tops, exps);
        if (e.p)
            for (int l = 0; l < LANES; l++)
                e.p[(ptrdiff_t)i * e.step + l] = (T)exps[l];
    }
}

#endif
