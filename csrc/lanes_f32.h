/* Sums of exponentials of float32 rows, in float32 vectors: a row's result is then right to 0.55 ULP however few of its
   terms count and however small they are against its maximum.

   A lane's unit is 2^(k - BIAS) e^shift. With z = x - shift, n = rint(16 z / ln 2) and r = z - n ln(2)/16, an
   exponential is 2^(n/16 - k + BIAS) e^r: the power is a number of a table of 16 times 2^integer, scale, and e^r - 1
   = q, |q| < 0.022, is so small that its rounding is 1/64 ULP of the whole. n c, c = ln(2)/16 rounded, has the last
   bit of z, so r is exact; what c and the table's number lack is added last, where it is tiny, so that no rounding
   depends on n alone. The series of q ends with r^4/24: the next term is odd. Both for a mean of millions of rows that
   is right to 1e-12. Up to |x| = NEAR shift is 0, so that no x - max is rounded; beyond, shift is the maximum, and
   x - max is exact (Sterbenz) or so large that e^z is 0.

   Scales are summed with what their additions lose; that and scale q go to an account of their own, FOLD terms at a
   time. BIAS leaves room below for everything that is not 0 after division by the sum, subnormals included, when an
   exponential is stored; HEADROOM is room above, so that a later, larger maximum seldom needs a new unit; not so much
   that the factor 1/sum of a row of 2^24 equal terms, times 1/2^20 of a mean, could be subnormal. A logsumexp
   near 0, where maximum and logarithm cancel, shows the errors of single exponentials: it is computed again in float64
   (rows.h). */
#ifndef SL_LANES_H
#define SL_LANES_H

#include "rowmath.h"
#include "tile.h"

enum { BIAS = 60, HEADROOM = 20, LEAST = -127, LOG2_PARTS = 4, PARTS = 1 << LOG2_PARTS };
#define NEAR 512.0f
#define FLOOR ((LEAST - BIAS) * ROW_LN2) /* lower arguments are raised to it: the scale there has no bit set, it is 0 */

typedef struct {
    double base[LANES];                       /* of e^base = 2^k e^shift */
    T shift[LANES], round[LANES], floor[LANES]; /* round = ROUND + PARTS (BIAS - k); x - shift is raised to floor */
} units;

/* The unit of a maximum m, and the m above which it no longer serves. The unit of a single column is its exponential,
   so that its softmax is 1 and not nearly 1. */
static inline T set_unit(units *u, size_t l, T m, size_t cols)
{
    m = m > MAX_T ? MAX_T : m < -MAX_T ? -MAX_T : m;
    int near = (m < 0 ? -m : m) < NEAR && cols > 1;
    T k = near ? (m * LOG2E + ROUND) - ROUND : 0;
    u->shift[l] = near ? 0 : m;
    u->round[l] = ROUND + PARTS * (BIAS - k);
    u->floor[l] = (k + (LEAST - BIAS)) * LN2_HI;
    u->base[l] = (double)u->shift[l] + (double)k * ROW_LN2;
    return m + HEADROOM * LN2_HI;
}

/* e^m in its unit, for the n lanes from l. low is 0 here, see lanes_f64.h. */
static inline void exp_of_max(const units *u, size_t l, size_t n, const T *m, double *high, double *low)
{
    for (size_t i = 0; i < n; i++) {
        double z = (double)m[l + i] - u->base[l + i];
        high[i] = row_exp(z < FLOOR ? FLOOR : z > HEADROOM ? HEADROOM : z) * ldexp(1, BIAS);
        low[i] = 0;
    }
}

/* The square root of old unit / new unit, 0 where nothing in the old one counts in the new. */
static inline double unit_ratio_root(const units *old, const units *new, size_t l)
{
    double z = old->base[l] - new->base[l];
    return z < FLOOR ? 0 : row_exp(z / 2);
}

typedef struct {
    vf shift, round, floor, top;
    vf sum, rest, others; /* sum: of scales, and of what was folded into it; others: than the maximum */
    vf_table scales, lacking;
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
    vf v = vf_load_n(x, n, vf_set(-INFINITY));
    vf z = vf_max(a->floor, vf_sub(v, a->shift)); /* NaN stays: it is the second operand */
    vf t = vf_fma(z, vf_set(PARTS * LOG2E), a->round), k = vf_sub(t, a->round), r;
    if (VF_FUSED)
        r = vf_fnma(k, vf_set(LN2_HI / PARTS), z);
    else
        r = vf_sub(vf_sub(z, vf_mul(k, vf_set(LN2_SPLIT_1 / PARTS))), vf_mul(k, vf_set(LN2_SPLIT_2 / PARTS)));
    vf lack = vf_fnma(k, vf_set((VF_FUSED ? LN2_LO : LN2_SPLIT_3) / PARTS), vf_lookup(a->lacking, t));
    vf p = V_POLYNOMIAL(r, (T)(1.0 / 24), (T)(1.0 / 6), (T)(1.0 / 2));
    vf q = vf_add(r, vf_fma(r, vf_fma(r, p, lack), lack)); /* r + r^2 p + (1 + r) lack */
    vf scale = vf_add_bits(vf_lookup(a->scales, t), t, SIGNIFICAND_BITS - LOG2_PARTS);
    if (mode & STORE)
        vf_store_n(e, vf_fma(scale, q, scale), n);
    if (mode & LEAVE_TOP) {
        vm other = vf_ne(v, a->top);
        a->others = vf_add_where(other, a->others, vf_set(1));
        scale = vf_keep(other, scale);
        q = vf_keep(other, q);
    }
    a->rest = vf_add(vf_fma(scale, q, a->rest), add_to(&a->sum, scale));
}

/* `at`: the first of the lanes, or the row whose lanes these all are */
ALWAYS_INLINE void lanes_start(lane_sums *a, const units *u, const T *top, int across, size_t at)
{
    static const T scales[PARTS] = {PART_SCALES}, lacking[PARTS] = {PART_LACKING};
    a->shift = across ? vf_load(u->shift + at) : vf_set(u->shift[at]);
    a->round = across ? vf_load(u->round + at) : vf_set(u->round[at]);
    a->floor = across ? vf_load(u->floor + at) : vf_set(u->floor[at]);
    a->top = across ? vf_load(top + at) : vf_set(top[at]);
    a->sum = a->rest = a->others = vf_set(0);
    a->scales = vf_table_load(scales);
    a->lacking = vf_table_load(lacking);
}

/* What is added without what it loses is soon added with it. */
enum { FOLD = 4 };

ALWAYS_INLINE void lanes_fold(lane_sums *a) { a->rest = add_to(&a->sum, a->rest); }

/* The results of `steps` steps. */
ALWAYS_INLINE void lanes_end(const lane_sums *a, size_t steps, double *rest, double *rest_l, double *tops)
{
    T sum[VL], lost[VL], others[VL];
    vf_store(sum, a->sum);
    vf_store(lost, a->rest);
    vf_store(others, a->others);
    for (int i = 0; i < VL; i++) {
        rest[i] = (double)sum[i] + (double)lost[i];
        rest_l[i] = 0;
        tops[i] = (double)steps - (double)others[i];
    }
}

/* The sum of LANES values: upper and lower half are added, then their halves, whatever the instruction set. */
ALWAYS_INLINE void fold(const double *sum, const double *unused, double *total, double *total_l)
{
    (void)unused;
    double v[LANES];
    memcpy(v, sum, sizeof v);
    UNROLL for (size_t w = LANES / 2; w; w /= 2)
        UNROLL for (size_t i = 0; i < w; i++)
            v[i] += v[i + w];
    *total = v[0];
    *total_l = 0;
}

#endif
