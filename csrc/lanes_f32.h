/* Sums of exponentials of float32 rows, in float64: a row's result is then right to 0.51 ULP however few of its terms
   count and however small it is against them, and there is nothing to compensate for.

   A lane's unit is e^base / 2^BIAS, base being a maximum: x - base is exact in double, or as good as that. exp is a
   polynomial that is right to 2^-40, so that a mean of millions of rows is right to 1e-12; only a logsumexp near 0,
   where maximum and logarithm cancel, shows it, and is computed again as well as double allows. BIAS leaves room
   below for everything that is not 0 after division by the sum, subnormals included, when an exponential is stored as
   float; HEADROOM is room above, so that a later, larger maximum seldom needs a new unit. */
#ifndef SL_LANES_H
#define SL_LANES_H

#include "rowmath.h"
#include "tile.h"

enum { BIAS = 60, HEADROOM = 60, LEAST = -125 };
#define FLOOR ((LEAST - BIAS) * ROW_LN2) /* lower arguments are raised to it: they are 0 beside any sum */

typedef struct {
    double base[LANES];
} units;

/* The unit of a maximum m, and the m above which it no longer serves. */
static inline T set_unit(units *u, size_t l, T m, size_t cols)
{
    (void)cols;
    m = m > MAX_T ? MAX_T : m < -MAX_T ? -MAX_T : m;
    u->base[l] = (double)m;
    return m + HEADROOM * (T)ROW_LN2;
}

/* 2^BIAS e^z by the operations of lanes_half. */
static inline double lane_exp(double z, int mode)
{
    const double round = 0x1.8p52 + BIAS;
    double t = multiply_add(z, ROW_LOG2E, round), r = multiply_add(-(t - round), ROW_LN2, z);
    double e = mode & PRECISE ? polynomial_11(r, PRECISE_EXP) : polynomial_8(r, WIDE_EXP);
    return e * bits_to_double((double_to_bits(t) << 52) + ((uint64_t)1023 << 52));
}

/* e^m in its unit, for the n lanes from l. low is 0 here, see lanes_f64.h. */
static inline void exp_of_max(const units *u, size_t l, size_t n, const T *m, int mode, double *high, double *low)
{
    for (size_t i = 0; i < n; i++) {
        double z = (double)m[l + i] - u->base[l + i];
        high[i] = lane_exp(z < FLOOR ? FLOOR : z > HEADROOM ? HEADROOM : z, mode);
        low[i] = 0;
    }
}

/* The square root of old unit / new unit, 0 where nothing in the old one counts in the new. */
static inline double unit_ratio_root(const units *old, const units *new, size_t l)
{
    double z = old->base[l] - new->base[l];
    return z < FLOOR ? 0 : ldexp(lane_exp(z / 2, PRECISE), -BIAS);
}

typedef struct {
    vd base[2], top[2], rest[2], tops[2];
} lane_sums;

/* One half of a vector: exponentials go to `rest`; with LEAVE_TOP those of the maximum are counted instead. */
ALWAYS_INLINE vd lanes_half(lane_sums *a, int h, vd x, int mode)
{
    const vd round = vd_set(0x1.8p52 + BIAS);
    const double wide[] = {WIDE_EXP}, precise[] = {PRECISE_EXP}, *c = mode & PRECISE ? precise : wide;
    const size_t degree = (mode & PRECISE ? sizeof precise : sizeof wide) / sizeof *c - 1;
    vd z = vd_max(vd_set(FLOOR), vd_sub(x, a->base[h])); /* NaN stays: it is the second operand */
    vd t = vd_fma(z, vd_set(ROW_LOG2E), round), r = vd_fnma(vd_sub(t, round), vd_set(ROW_LN2), z), p = vd_set(c[0]);
    UNROLL for (size_t i = 1; i <= degree; i++)
        p = vd_fma(p, r, vd_set(c[i]));
    vd e = vd_times_pow2(p, t);
    if (mode & LEAVE_TOP) {
        vdm top = vd_eq(x, a->top[h]);
        a->rest[h] = vd_add_unless(top, a->rest[h], e);
        a->tops[h] = vd_add_where(top, a->tops[h], vd_set(1));
    } else {
        a->rest[h] = vd_add(a->rest[h], e);
    }
    return e;
}

ALWAYS_INLINE void lanes_step(lane_sums *a, const T *x, T *e, size_t n, int mode)
{
    vf v = vf_load_n(x, n, vf_set(-(T)INFINITY));
    vd low = lanes_half(a, 0, vd_low(v), mode), high = lanes_half(a, 1, vd_high(v), mode);
    if (mode & STORE)
        vf_store_n(e, vf_from_halves(low, high), n);
}

/* `at`: the first of the lanes, or the row whose lanes these all are */
ALWAYS_INLINE void lanes_start(lane_sums *a, const units *u, const T *top, int across, size_t at)
{
    for (size_t h = 0; h < 2; h++) {
        a->base[h] = across ? vd_load(u->base + at + h * VD) : vd_set(u->base[at]);
        a->rest[h] = a->tops[h] = vd_set(0);
    }
    vf t = across ? vf_load(top + at) : vf_set(top[at]);
    a->top[0] = vd_low(t);
    a->top[1] = vd_high(t);
}

/* Nothing to do every so often, see lanes_f64.h. */
enum { FOLD = 128 };

ALWAYS_INLINE void lanes_fold(lane_sums *a) { (void)a; }

ALWAYS_INLINE void lanes_end(const lane_sums *a, double *rest, double *rest_l, double *tops)
{
    for (size_t h = 0; h < 2; h++) {
        vd_store(rest + h * VD, a->rest[h]);
        vd_store(rest_l + h * VD, vd_set(0));
        vd_store(tops + h * VD, a->tops[h]);
    }
}

/* The sum of LANES values: upper and lower half are added, then their halves, whatever the instruction set. */
ALWAYS_INLINE void fold(const double *sum, const double *unused, double *total, double *total_l)
{
    (void)unused;
    vd v[LANES / VD];
    UNROLL for (size_t i = 0; i < LANES / VD; i++)
        v[i] = vd_load(sum + i * VD);
    UNROLL for (size_t w = LANES / VD / 2; w; w /= 2)
        UNROLL for (size_t i = 0; i < w; i++)
            v[i] = vd_add(v[i], v[i + w]);
    *total = vd_sum(v[0]);
    *total_l = 0;
}

#endif
