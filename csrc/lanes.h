/* Sums of exponentials of rows, in vectors of their own dtype: right to a fraction of an ULP however few terms count
   and however small they are against the row's maximum.

   A lane's unit is 2^(k - BIAS) e^shift. With z = x - shift, c = ln(2)/PARTS, n = rint(z/c) and r = z - n c, an
   exponential is 2^(n/PARTS - k + BIAS) e^r. The power is a number of a table of PARTS times 2^integer, scale; e^r - 1
   = q, |q| < 0.045, is so small that its rounding is 1/32 ULP of the whole. n c, c rounded, has the last bit of z, so
   z - n c is exact; what c and, in float32, the table's number lack is tiny. Up to |x| = NEAR shift is 0, so that no
   x - max is rounded; beyond, shift is the maximum, and x - max is exact (Sterbenz) or so large that e^z is 0.

   scale (1 + q) is rounded, and summed with what rounding and additions lose. In float32 no error depends on n alone,
   and the polynomial's is nearly odd, so that in a mean of many rows errors mostly cancel.

   ROUGH ones, for softmax and log_softmax, are summed as rounded. In float32 they take r as rounded, too, to 1/32 ULP
   of the whole, and a table whose numbers have a common factor, with which they lack less than 1/16 ULP. */
#ifndef SL_LANES_H
#define SL_LANES_H

#include "rowvec.h"
#include "tile.h"
#include "vmath.h"

/* What sum_tiles does besides adding exponentials up. */
enum {
    STORE = 1,     /* store them */
    LEAVE_TOP = 2, /* leave out that of the largest element, if the second is smaller */
    ROUGH = 4,     /* 3 ULP of what is made of them will do; it goes to the memory of e, also without STORE */
};

/* BIAS leaves room below for everything that is not 0 after division by the sum, subnormals included, when an
   exponential is stored; HEADROOM is room above, so that a later, larger maximum seldom needs a new unit. In float32
   there is not so much of it that the factor 1/sum of a row of 2^24 equal terms, times 1/2^20 of a mean, could be
   subnormal, and nothing left below LEAST: the scale there has no bit set, it is 0. In float64 the numbers of the table
   have a common factor, with which they lack less than 2^-56, and an exponential of 2^LEAST is nothing beside a sum;
   nor is a ROUGH one of float32, which begins with 2^(LEAST + 1), no subnormal number. */
#if DTYPE == 32
enum { BIAS = 40, HEADROOM = 40, LEAST = -127 };
#define NEAR 512.0f
#define UNIT 0x1p40 /* 2^BIAS */
#else
#define PART_LACKING 0 /* less than counts */
#define ROUGH_PART_SCALES PART_SCALES
enum { BIAS = 220, HEADROOM = 300, LEAST = -890 };
#define NEAR 2048.0
#define UNIT 0x1p220
#endif
enum { LOG2_PARTS = 3, PARTS = 1 << LOG2_PARTS };
static const T part_scales[PARTS] = {PART_SCALES}, part_lacking[PARTS] = {PART_LACKING};
static const T rough_part_scales[PARTS] = {ROUGH_PART_SCALES};

typedef struct {
    T shift[ROWS], round[ROWS], floor[ROWS]; /* round = ROUND + PARTS (BIAS - k); x - shift is raised to floor */
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

/* e^x in its unit is scale e^(r + lack), |r| < 0.045, or scale (1 + q); z = x - shift. */
typedef struct {
    vf scale, r, lack; /* tiny; 0 in float64 and ROUGH */
} exp_reduced;

typedef struct {
    vf scale, q;
} exp_parts;

ALWAYS_INLINE exp_reduced exp_reduce(vf z, vf round, vf floor, int rough)
{
    z = vf_max(floor, z); /* NaN stays: it is the second operand */
    vf t = vf_fma(z, vf_set(PARTS * LOG2E), round), n = vf_sub(t, round), r;
    if (VF_FUSED)
        r = vf_fnma(n, vf_set(LN2_HI / PARTS), z);
    else
        r = vf_sub(vf_sub(z, vf_mul(n, vf_set(LN2_SPLIT_1 / PARTS))), vf_mul(n, vf_set(LN2_SPLIT_2 / PARTS)));
    vf last = vf_set((VF_FUSED ? LN2_LO : LN2_SPLIT_3) / PARTS), lack = vf_set(0);
    if (DTYPE == 32 && !rough)
        lack = vf_fnma(n, last, vf_lookup(part_lacking, t));
    else
        r = vf_fnma(n, last, r);
    vf part = vf_lookup(rough ? rough_part_scales : part_scales, t);
    return (exp_reduced){vf_add_bits(part, t, SIGNIFICAND_BITS - LOG2_PARTS), r, lack};
}

/* e^(r + lack) - 1 - r of float32: r^2 p + (1 + r) lack */
ALWAYS_INLINE vf exp_rest(exp_reduced e)
{
    vf p = V_POLYNOMIAL(e.r, vf_mul(e.r, e.r), PART_EXP_REST);
    return vf_fma(e.r, vf_fma(e.r, p, e.lack), e.lack);
}

ALWAYS_INLINE exp_parts exp_in_unit(exp_reduced e, int rough)
{
    if (DTYPE == 32 && !rough)
        return (exp_parts){e.scale, vf_add(e.r, exp_rest(e))};
    vf square = vf_mul(e.r, e.r);
    return (exp_parts){e.scale, vf_fma(square, V_POLYNOMIAL(e.r, square, PART_EXP_REST), e.r)};
}

/* e^z, right to 2^-40; 0 where float32 times UNIT would be subnormal. */
ALWAYS_INLINE vd vd_exp_wide(vd z)
{
    const vd least = vd_set((LEAST - BIAS) * ROW_LN2), round = vd_set(0x1.8p52);
    vd_bits low = (vd_bits)(z < least);
    z = vd_choose(low, least, z);
    vd t = vd_fma(z, vd_set(ROW_LOG2E), round), r = vd_fma(round - t, vd_set(ROW_LN2), z);
    return vd_where(~low, VD_POLYNOMIAL(r, WIDE_EXP) * (vd)(((vd_bits)t + 1023) << 52));
}

ALWAYS_INLINE exp_reduced reduce_max(const units *u, size_t i, const T *m, int rough)
{
    vf z = vf_sub(vf_min(vf_set(MAX_T), vf_load(m + i)), vf_load(u->shift + i));
    return exp_reduce(z, vf_load(u->round + i), vf_load(u->floor + i), rough);
}

/* e^m in its unit, of VL rows; float32 in float64, to 2^-32: what is rounded to float32 is the small part of q. */
ALWAYS_INLINE void exps_of_max(vd2 *top, const units *u, size_t i, const T *m, int rough)
{
    exp_reduced e = reduce_max(u, i, m, 0);
#if DTYPE == 32
    const double common = rough ? rough_part_scales[0] : part_scales[0];
    vf rest = exp_rest(e);
    vd low = vd_low(e.scale) * common, high = vd_high(e.scale) * common;
    top[0] = (vd2){vd_fma(low, vd_low(e.r) + vd_low(rest), low), vd_set(0)};
    top[1] = (vd2){vd_fma(high, vd_high(e.r) + vd_high(rest), high), vd_set(0)};
#else
    (void)rough;
    exp_parts p = exp_in_unit(e, 0);
    vf whole = vf_fma(p.scale, p.q, p.scale);
    *top = (vd2){whole, vf_fma(p.scale, p.q, vf_sub(p.scale, whole))};
#endif
}

/* What the loops over exponentials add for it: one that is rounded if they are rough, else scale + scale q. */
ALWAYS_INLINE void exps_added(vd2 *added, const units *u, size_t i, const T *m, int rough)
{
    exp_parts p = exp_in_unit(reduce_max(u, i, m, rough), rough);
    vf whole = vf_fma(p.scale, p.q, p.scale);
#if DTYPE == 32
    vd low = vd_low(whole), high = vd_high(whole);
    if (!rough && VF_FUSED) {
        low = vd_fma(vd_low(p.scale), vd_low(p.q), vd_low(p.scale));
        high = vd_fma(vd_high(p.scale), vd_high(p.q), vd_high(p.scale));
    } else if (!rough) { /* the product is rounded there */
        vf product = vf_mul(p.scale, p.q);
        low = vd_low(p.scale) + vd_low(product);
        high = vd_high(p.scale) + vd_high(product);
    }
    added[0] = (vd2){low, vd_set(0)};
    added[1] = (vd2){high, vd_set(0)};
#else
    *added = (vd2){whole, rough ? vd_set(0) : vf_fma(p.scale, p.q, vf_sub(p.scale, whole))};
#endif
}

typedef struct {
    ALIGNED T sum[LANES], lost[LANES];
} lane_totals;

/* The sums of all lanes (lanes.c): over a tile across, where each is a row and LANES of them make one of t, or over one
   tile each of rows along, where all belong to one row. `most` is the largest element of each row in a tile or, with
   LEAVE_TOP, the second largest. `top`, optional, has the largest: only those rows along are summed then of which `most`
   is it or, with LEAVE_TOP, is not. */
#define sum_tiles FN(sum_tiles)
void sum_tiles(const units *u, int across, tile_rows rows, const tile *x, const tile *e, const T *most, const T *top,
               lane_totals *t, int mode);

/* The sums of VD lanes from i, high and low part. float32 has nothing to lose. */
ALWAYS_INLINE vd2 lanes_sum(const lane_totals *t, size_t i)
{
    vd sum = vd_read(t->sum + i), lost = vd_read(t->lost + i), all = sum + lost;
    return (vd2){all, DTYPE == 32 ? vd_set(0) : (vd)(lost - (all - sum))};
}

/* The sum of LANES parts, in lane 0: upper and lower half are added, then their halves, on every instruction set. */
static inline void fold(row_parts *p)
{
    size_t w = LANES / 2;
    for (; w >= VD; w /= 2)
        for (size_t i = 0; i < w; i += VD)
            parts_put(p, i, parts_add(parts_get(p, i), parts_get(p, i + w)));
    UNROLL for (; w; w /= 2)
        UNROLL for (size_t i = 0; i < w; i++)
            part_increase(p, i, 1, part_of(p, i + w));
}

#endif
