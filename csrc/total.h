/* What is made of the sums that kernels return: in the standard floating-point modes, and without a trace in the
   caller's. */
#ifndef SL_TOTAL_H
#define SL_TOTAL_H

#include "fpstate.h"
#include "sum.h"

static inline void sl_total_join(sl_sum *total, const sl_sum *part)
{
    fp_state state = fp_enter();
    sl_sum_join(total, part);
    fp_leave(state);
}

/* volatile: computed between the two and nowhere else */
static inline double sl_total_value(const sl_sum *total)
{
    fp_state state = fp_enter();
    volatile double value = sl_sum_value(total);
    fp_leave(state);
    return value;
}

/* total/count; a mean over nothing is NaN. */
static inline double sl_total_mean(const sl_sum *total, double count)
{
    fp_state state = fp_enter();
    volatile double divisor = count, mean = count != 0 ? sl_sum_value(total) / divisor : NAN;
    fp_leave(state);
    return mean;
}

/* The factor of a mean's gradients. */
static inline double sl_share(double count)
{
    const sl_sum one = {1, 0};
    return sl_total_mean(&one, count);
}

#endif
