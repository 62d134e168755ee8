/* Sums of exponentials of float64 rows, where there is no wider type: what rounding loses is kept.

   A lane's unit is 2^(k - BIAS) e^base: exp(x) = unit * 2^(n - k + BIAS) (1 + r + u), see v_exp_parts. Up to |x| =
   1e4 base is 0: x itself is reduced, not x - max, so that no difference is rounded and softmax keeps its accuracy
   far down the tail; beyond, base is the maximum. The parts with 1 + r are summed with what their additions lose
   (Knuth, TAOCP 2, 4.2.2), those with u apart, being smaller, and so are their errors. */
#ifndef SL_LANES_H
#define SL_LANES_H

#include "rowmath.h"
#include "tile.h"

enum { BIAS = 100, HEADROOM = 400, LEAST = -1020 };
#define NEAR 1e4
#define INFINITE 2e4 /* above all x - base but an infinite one, which would be no number */

typedef struct {
    double base[LANES], round[LANES], floor[LANES]; /* round = ROUND + BIAS - k; x - base is raised to floor */
} units;

/* The unit in which e^m is between 2^(BIAS-2) and 2^(BIAS+1), and the maximum above which it no longer serves. k is
   even, so that the square root of the ratio of two units is as exact as the ratio. A single column is its own base,
   so that its softmax is 1 and not nearly 1. */
static inline T set_unit(units *u, size_t l, T m, size_t cols)
{
    m = m > MAX_T ? MAX_T : m < -MAX_T ? -MAX_T : m;
    int near = (m < 0 ? -m : m) <= NEAR && cols > 1;
    double k = near ? 2 * ((m * (LOG2E / 2) + ROUND) - ROUND) : 0;
    u->base[l] = near ? 0 : m;
    u->round[l] = ROUND + (BIAS - k);
    u->floor[l] = (k + (LEAST - BIAS)) * LN2_HI;
    return u->base[l] + (k + HEADROOM) * LN2_HI;
}

ALWAYS_INLINE v_exp_t exp_in_unit(vf x, vf base, vf round, vf floor)
{
    vf z = vf_max(floor, vf_min(vf_set(INFINITE), vf_sub(x, base))); /* NaN stays: it is the second operand */
    return v_exp_parts(z, round);
}

/* e^m in its unit as high and low part, for the n lanes from l. */
static inline void exp_of_max(const units *u, size_t l, size_t n, const T *m, double *high, double *low)
{
    for (size_t i = 0; i < n; i += VL) {
        vf x = vf_load_n(m + l + i, n - i, vf_set(0)), base = vf_load_n(u->base + l + i, n - i, vf_set(0));
        vf round = vf_load_n(u->round + l + i, n - i, vf_set(ROUND)), floor = vf_load_n(u->floor + l + i, n - i, vf_set(0));
        v_exp_t p = exp_in_unit(x, base, round, floor);
        vf2 e = v_exp_significand(p);
        vf scale = vf_pow2(p.t);
        vf_store_n(high + i, vf_mul(e.h, scale), n - i);
        vf_store_n(low + i, vf_mul(e.l, scale), n - i);
    }
}

/* The square root of old unit / new unit, which is a normal number where the ratio may not be; 0 where nothing in the
   old one counts in the new. */
static inline double unit_ratio_root(const units *old, const units *new, size_t l)
{
    double k = new->round[l] - old->round[l], z = old->base[l] - new->base[l], root;
    if (k * LN2_HI + z < -750)
        return 0;
    v_exp_t p = v_exp_parts(vf_set(z / 2), vf_set(ROUND + k / 2));
    vf v = vf_mul(vf_add(vf_set(1), vf_add(p.r, p.u)), vf_pow2(p.t));
    vf_store_n(&root, v, 1);
    return root;
}

ALWAYS_INLINE vf v_two_sum(vf a, vf b, vf *lost)
{
    vf sum = vf_add(a, b), b_in_sum = vf_sub(sum, a);
    *lost = vf_add(*lost, vf_add(vf_sub(a, vf_sub(sum, b_in_sum)), vf_sub(b, b_in_sum)));
    return sum;
}

typedef struct {
    vf base, round, floor, top;
    vf sum, lost, higher, tops; /* sum: of 2^(n - k + BIAS) (1 + r), and of parts taken from higher */
} lane_sums;

/* Exponentials are added up; with LEAVE_TOP those of the maximum are counted in `tops` instead. */
ALWAYS_INLINE void lanes_step(lane_sums *a, const T *x, T *e, size_t n, int mode)
{
    vf v = vf_load_n(x, n, vf_set(-INFINITY));
    v_exp_t p = exp_in_unit(v, a->base, a->round, a->floor);
    vf scale = vf_pow2(p.t);
    if (mode & STORE)
        vf_store_n(e, vf_fma(scale, vf_add(p.r, p.u), scale), n);
    if (mode & LEAVE_TOP) {
        vm top = vf_eq(v, a->top);
        a->tops = vf_add(a->tops, vf_keep(top, vf_set(1)));
        scale = vf_drop(top, scale);
    }
    vf linear = vf_mul(scale, p.r), line = vf_add(scale, linear); /* |r| < 1: what this loses is exact */
    a->lost = vf_add(a->lost, vf_sub(linear, vf_sub(line, scale)));
    a->sum = v_two_sum(a->sum, line, &a->lost);
    a->higher = vf_fma(scale, p.u, a->higher);
}

/* `at`: the first of the lanes, or the row whose lanes these all are */
ALWAYS_INLINE void lanes_start(lane_sums *a, const units *u, const T *top, int across, size_t at)
{
    a->base = across ? vf_load(u->base + at) : vf_set(u->base[at]);
    a->round = across ? vf_load(u->round + at) : vf_set(u->round[at]);
    a->floor = across ? vf_load(u->floor + at) : vf_set(u->floor[at]);
    a->top = across ? vf_load(top + at) : vf_set(top[at]);
    a->sum = a->lost = a->higher = a->tops = vf_set(0);
}

/* The parts with u, |u| < 0.07, are summed without what they lose, so only FOLD at a time. */
enum { FOLD = 8 };

ALWAYS_INLINE void lanes_fold(lane_sums *a)
{
    a->sum = v_two_sum(a->sum, a->higher, &a->lost);
    a->higher = vf_set(0);
}

/* The results of `steps` steps. */
ALWAYS_INLINE void lanes_end(lane_sums *a, size_t steps, double *rest, double *rest_l, double *tops)
{
    (void)steps;
    lanes_fold(a);
    vf_store(rest, a->sum);
    vf_store(rest_l, a->lost);
    vf_store(tops, a->tops);
}

/* The sum of LANES values and of what they lost: upper and lower half are added, then their halves. */
ALWAYS_INLINE void fold(const double *sum, const double *sum_l, double *total, double *total_l)
{
    vf v[LANES / VL], lost[LANES / VL];
    double s[VL], l[VL];
    UNROLL for (size_t i = 0; i < LANES / VL; i++) {
        v[i] = vf_load(sum + i * VL);
        lost[i] = vf_load(sum_l + i * VL);
    }
    UNROLL for (size_t w = LANES / VL / 2; w; w /= 2)
        UNROLL for (size_t i = 0; i < w; i++) {
            lost[i] = vf_add(lost[i], lost[i + w]);
            v[i] = v_two_sum(v[i], v[i + w], &lost[i]);
        }
    vf_store(s, v[0]);
    vf_store(l, lost[0]);
    UNROLL for (size_t w = VL / 2; w; w /= 2)
        UNROLL for (size_t i = 0; i < w; i++) {
            double s_l;
            two_sum(s[i], s[i + w], &s[i], &s_l);
            l[i] += l[i + w];
            l[i] += s_l;
        }
    *total = s[0];
    *total_l = l[0];
}

#endif
