/* Sums of exponentials of float32 rows in float64, right to 2^-45, where float32 arithmetic would show in the result: rows
   so short that a sum has no terms to average errors over, and rows whose result is small against their terms.

   Plain loops over LANES, which the compiler turns into vector code; the same operations in the same order give the same
   bytes however wide that code is. */
#ifndef SL_PRECISE_H
#define SL_PRECISE_H

#include "sumexp.h"

/* One step of LANES elements: their exponentials, those of the lanes' maxima counted in `tops`, the others added to `rest`. */
static __attribute__((noinline)) void precise_step(const T *restrict x, const T *restrict max, double *restrict rest,
                                                   double *restrict tops, double *restrict exps)
{
    for (int l = 0; l < LANES; l++) {
        double v = (double)x[l], m = (double)max[l], e = scaled_exp(v - m, BIAS, LEAST);
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
