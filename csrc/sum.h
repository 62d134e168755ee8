/* Sums in twice the precision of double. */
#ifndef SL_SUM_H
#define SL_SUM_H

#include "ops.h"

#include <math.h>

/* Adds x. What is lost is that of Knuth's exact two-term sum (TAOCP 2, 4.2.2), in whichever order the terms differ in
   size; from an infinite sum it is NaN and stays out. */
static inline void sl_sum_add(sl_sum *s, double x)
{
    double sum = s->sum + x, x_in_sum = sum - s->sum;
    double lost = (s->sum - (sum - x_in_sum)) + (x - x_in_sum);
    s->sum = sum;
    s->rest += isfinite(lost) ? lost : 0;
}

/* Adds the sum of other terms. */
static inline void sl_sum_join(sl_sum *s, const sl_sum *part)
{
    sl_sum_add(s, part->sum);
    s->rest += part->rest;
}

static inline double sl_sum_value(const sl_sum *s) { return s->sum + s->rest; }

#endif
