/* Sums of exponentials of rows, in vectors of their own dtype: right to a fraction of an ULP however few terms count
   and however small they are against the row's maximum.

   A lane's unit is 2^(k - BIAS) e^shift. With z = x - shift, c = ln(2)/PARTS, n = rint(z/c) and r = z - n c, an
   exponential is 2^(n/PARTS - k + BIAS) e^r. The power is a number of a table of PARTS times 2^integer, scale; e^r - 1
   = q, |q| < 0.022 (float64: 0.045), is so small that its rounding is 1/64 (1/32) ULP of the whole. n c, c rounded, has
   the last bit of z, so z - n c is exact; what c and, in float32, the table's number lack is tiny. Up to |x| =
   NEAR shift is 0, so that no x - max is rounded; beyond, shift is the maximum, and x - max is exact (Sterbenz) or so
   large that e^z is 0.

   Scales are summed with what their additions lose, scale q in an account of its own that joins them every FOLD terms.
   In float32 no rounding depends on n alone, and the first term that the series of q leaves out is odd: a mean of
   millions of rows is right to 1e-12. */
#ifndef SL_LANES_H
#define SL_LANES_H

#include "rowmath.h"
#include "tile.h"

/* BIAS leaves room below for everything that is not 0 after division by the sum, subnormals included, when an
   exponential is stored; HEADROOM is room above, so that a later, larger maximum seldom needs a new unit. In float32
   there is not so much of it that the factor 1/sum of a row of 2^24 equal terms, times 1/2^20 of a mean, could be
   subnormal, and nothing left below LEAST: the scale there has no bit set, it is 0. In float64 the numbers of the table
   have a common factor, with which they lack less than 2^-56, and an exponential of 2^LEAST is nothing beside a sum. */
#if DTYPE == 32
enum { BIAS = 40, HEADROOM = 40, LEAST = -127, LOG2_PARTS = 4 };
#define NEAR 512.0f
static const T part_lacking[] = {PART_LACKING};
#else
enum { BIAS = 220, HEADROOM = 300, LEAST = -890, LOG2_PARTS = 3 };
#define NEAR 2048.0
#endif
enum { PARTS = 1 << LOG2_PARTS };
static const T part_scales[] = {PART_SCALES};

typedef struct {
    T shift[LANES], round[LANES], floor[LANES]; /* round = ROUND + PARTS (BIAS - k); x - shift is raised to floor */
} units;

/* The units of n maxima, for the lanes from l, and the maxima above which they no longer serve. k is even, so that the
   square root of the ratio of two units is as exact as the ratio. The unit of a single column is its exponential, so
   that its softmax is 1 and not nearly 1. */
static inline void set_units(units *u, T *limit, size_t l, size_t n, const T *max, size_t cols)
{
    for (; n; max += VL) {
        vf m = vf_max(vf_set(-MAX_T), vf_min(vf_set(MAX_T), vf_load_n(max, n, vf_set(0))));
        vm near = vf_lt(vf_abs(m), vf_set(cols > 1 ? NEAR : 0));
        vf half = vf_sub(vf_add(vf_mul(m, vf_set(LOG2E / 2)), vf_set(ROUND)), vf_set(ROUND));
        vf k = vf_keep(near, vf_add(half, half)), exponent = vf_sub(vf_set(BIAS), k);
        vf_store_n(u->shift + l, vf_drop(near, m), n);
        vf_store_n(u->round + l, vf_add(vf_set(ROUND), vf_mul(vf_set(PARTS), exponent)), n);
        vf_store_n(u->floor + l, vf_mul(vf_sub(vf_set(LEAST), exponent), vf_set(LN2_HI)), n);
        vf_store_n(limit + l, vf_add(m, vf_set(HEADROOM * LN2_HI)), n);
        l += min_size(n, VL);
        n -= min_size(n, VL);
    }
}

static inline double unit_exponent(const units *u, size_t l) { return BIAS - (double)(u->round[l] - ROUND) / PARTS; }

/* The square root of old unit / new unit, which is a normal number where the ratio may not be; 0 where nothing in the
   old one counts in the new. */
static inline double unit_ratio_root(const units *old, const units *new, size_t l)
{
    double k = unit_exponent(old, l) - unit_exponent(new, l), z = (double)old->shift[l] - (double)new->shift[l];
    return z + k * ROW_LN2 < (LEAST - BIAS) * ROW_LN2 ? 0 : row_exp(z / 2, k / 2);
}

/* e^x in its unit is scale (1 + q). */
typedef struct {
    vf_table scales;
#if DTYPE == 32
    vf_table lacking;
#endif
} exp_tables;

typedef struct {
    vf scale, q;
} exp_parts;

ALWAYS_INLINE exp_tables load_exp_tables(void)
{
#if DTYPE == 32
    return (exp_tables){vf_table_load(part_scales), vf_table_load(part_lacking)};
#else
    return (exp_tables){vf_table_load(part_scales)};
#endif
}

ALWAYS_INLINE exp_parts exp_in_unit(vf x, vf shift, vf round, vf floor, const exp_tables *tables)
{
    vf z = vf_max(floor, vf_sub(x, shift)); /* NaN stays: it is the second operand */
    vf t = vf_fma(z, vf_set(PARTS * LOG2E), round), n = vf_sub(t, round), r;
    if (VF_FUSED)
        r = vf_fnma(n, vf_set(LN2_HI / PARTS), z);
    else
        r = vf_sub(vf_sub(z, vf_mul(n, vf_set(LN2_SPLIT_1 / PARTS))), vf_mul(n, vf_set(LN2_SPLIT_2 / PARTS)));
    vf last = vf_set((VF_FUSED ? LN2_LO : LN2_SPLIT_3) / PARTS);
#if DTYPE == 32
    vf lack = vf_fnma(n, last, vf_lookup(tables->lacking, t)), p = V_POLYNOMIAL(r, 1.0f / 24, 1.0f / 6, 1.0f / 2);
    vf q = vf_add(r, vf_fma(r, vf_fma(r, p, lack), lack)); /* r + r^2 p + (1 + r) lack */
#else
    r = vf_fnma(n, last, r);
    vf q = vf_fma(vf_mul(r, r), V_POLYNOMIAL(r, PART_EXP_REST), r);
#endif
    return (exp_parts){vf_add_bits(vf_lookup(tables->scales, t), t, SIGNIFICAND_BITS - LOG2_PARTS), q};
}

/* e^m in its unit as high and low part, for the n lanes from l. Of float32 in float64. */
static inline void exp_of_max(const units *u, size_t l, size_t n, const T *m, double *high, double *low)
{
#if DTYPE == 32
    for (size_t i = 0; i < n; i++) {
        const double least = (LEAST - BIAS) * ROW_LN2;
        double z = (double)m[l + i] - (double)u->shift[l + i] - unit_exponent(u, l + i) * ROW_LN2;
        high[i] = row_exp(z < least ? least : z > HEADROOM ? HEADROOM : z, BIAS);
        low[i] = 0;
    }
#else
    exp_tables tables = load_exp_tables();
    for (size_t i = 0; i < n; i += VL) {
        size_t w = n - i;
        vf zero = vf_set(0), x = vf_load_n(m + l + i, w, zero), shift = vf_load_n(u->shift + l + i, w, zero);
        vf round = vf_load_n(u->round + l + i, w, vf_set(ROUND)), floor = vf_load_n(u->floor + l + i, w, zero);
        exp_parts e = exp_in_unit(vf_min(vf_set(MAX_T), x), shift, round, floor, &tables);
        vf h = vf_fma(e.scale, e.q, e.scale);
        vf_store_n(high + i, h, w);
        vf_store_n(low + i, vf_fma(e.scale, e.q, vf_sub(e.scale, h)), w);
    }
#endif
}

typedef struct {
    vf shift, round, floor, top;
    vf sum, rest, lost; /* of scales, with what was folded into it; of scale q; what additions to sum lose */
    vf others;          /* than the maximum */
    exp_tables tables;
} lane_sums;

/* Adds b >= -sum to sum >= 0 and returns what that loses: exact, as the larger comes first (Dekker 1971). */
ALWAYS_INLINE vf add_to(vf *sum, vf b)
{
    vf larger = vf_max(*sum, b), smaller = vf_min(*sum, b), s = vf_add(*sum, b);
    *sum = s;
    return vf_sub(smaller, vf_sub(s, larger));
}

/* Exponentials are added up; with LEAVE_TOP those of the maximum are left out, and the others counted. */
ALWAYS_INLINE void lanes_step(lane_sums *a, const T *x, T *e, size_t n, int mode)
{
    vf v = vf_load_n(x, n, vf_set(-(T)INFINITY));
    exp_parts part = exp_in_unit(v, a->shift, a->round, a->floor, &a->tables);
    vf scale = part.scale, q = part.q;
    if (mode & STORE)
        vf_store_n(e, vf_fma(scale, q, scale), n);
    if (mode & LEAVE_TOP) {
        vm other = vf_ne(v, a->top);
        a->others = vf_add_where(other, a->others, vf_set(1));
        scale = vf_keep(other, scale);
        q = vf_keep(other, q);
    }
    a->rest = vf_fma(scale, q, a->rest);
    a->lost = vf_add(a->lost, add_to(&a->sum, scale));
}

/* `at`: the first of the lanes, or the row whose lanes these all are */
ALWAYS_INLINE void lanes_start(lane_sums *a, const units *u, const T *top, int across, size_t at)
{
    a->shift = across ? vf_load(u->shift + at) : vf_set(u->shift[at]);
    a->round = across ? vf_load(u->round + at) : vf_set(u->round[at]);
    a->floor = across ? vf_load(u->floor + at) : vf_set(u->floor[at]);
    a->top = across ? vf_load(top + at) : vf_set(top[at]);
    a->sum = a->rest = a->lost = a->others = vf_set(0);
    a->tables = load_exp_tables();
}

/* What is added without what it loses is soon added with it. */
enum { FOLD = 4 };

ALWAYS_INLINE void lanes_fold(lane_sums *a)
{
    a->lost = vf_add(a->lost, add_to(&a->sum, a->rest));
    a->rest = vf_set(0);
}

/* The results of `steps` steps. */
ALWAYS_INLINE void lanes_end(lane_sums *a, size_t steps, double *rest, double *rest_l, double *tops)
{
    T sum[VL], lost[VL], others[VL];
    lanes_fold(a);
    vf_store(sum, a->sum);
    vf_store(lost, a->lost);
    vf_store(others, a->others);
    for (int i = 0; i < VL; i++) {
        rest[i] = DTYPE == 32 ? (double)sum[i] + (double)lost[i] : (double)sum[i];
        rest_l[i] = DTYPE == 32 ? 0 : (double)lost[i];
        tops[i] = (double)steps - (double)others[i];
    }
}

/* The sum of LANES values and of what they lost: upper and lower half are added, then their halves, whatever the
   instruction set. float32 has nothing to lose here. */
static inline void fold(const double *sum, const double *sum_l, double *total, double *total_l)
{
    double v[LANES], lost[LANES], l;
    memcpy(v, sum, sizeof v);
    memcpy(lost, sum_l, sizeof lost);
    UNROLL for (size_t w = LANES / 2; w; w /= 2)
        for (size_t i = 0; i < w; i++) {
            if (DTYPE == 32) {
                v[i] += v[i + w];
                continue;
            }
            two_sum(v[i], v[i + w], &v[i], &l);
            lost[i] += lost[i + w] + l;
        }
    *total = v[0];
    *total_l = lost[0];
}

#endif
