/* Vector exp, sigmoid and log1p(exp): once for all instruction sets and both dtypes.

   exp(z) = 2^n e^r with n = rint(z / ln 2), r = z - n ln 2, |r| <= ln(2)/2, and e^r = 1 + r + u. The three parts are
   kept apart: what is lost is the rounding of u, |u| < 0.07, and a caller rounds once, at the end. log1p and 1/(1 + e)
   begin with a table of eight entries, one register. Constants: constants.h and the script that derives them. */
#ifndef SL_VMATH_H
#define SL_VMATH_H

#include "constants.h"
#include "kernel.h"

/* ROUND + n has n in the low bits of its significand, for any |n| < 2^(SIGNIFICAND_BITS - 2). */
#if DTYPE == 32
#define ROUND 0x1.8p23f
#else
#define ROUND 0x1.8p52
#endif

ALWAYS_INLINE vf v_minus(vf x) { return vf_sub(vf_set((T)-0.0), x); }

/* Highest coefficient first. Each step waits for the one before, so a long polynomial is taken as two of the square,
   which callers know: even and odd powers, no operation more. A short one lets the square go. */
ALWAYS_INLINE vf v_polynomial(vf x, vf square, const T *c, int n)
{
    const int parts = n > 5 ? 2 : 1;
    vf p[2] = {vf_set(c[0]), vf_set(c[1])}, step = parts == 2 ? square : x;
    for (int i = parts; i < n; i++)
        p[i % parts] = vf_fma(p[i % parts], step, vf_set(c[i]));
    return parts == 1 ? p[0] : n % 2 ? vf_fma(p[1], x, p[0]) : vf_fma(p[0], x, p[1]);
}
#define V_POLYNOMIAL(x, square, ...) \
    v_polynomial(x, square, (const T[]){__VA_ARGS__}, sizeof((T[]){__VA_ARGS__}) / sizeof(T))

/* What the elementwise functions share: e = exp(-|x|) or exp(-x), of any x.

   Up to MODERATE nothing that is made of e is subnormal, not even its square or what corrects its rounding. Functions
   with `far` set do for any x: it is clamped where results no longer change, and beyond FAR e is 2^LIFT times too
   large, which makes no difference to what is added to 1. What is made of e alone is brought down by v_descent. */
#if DTYPE == 32
#define MODERATE 43.0f
#define FAR 69.0f      /* e^-69 > 2^-100 */
#define LOWEST -105.0f /* e^-105 < 2^-151: rounds to 0 */
#define LIFT 0x1p64f
#define LIFTED_LEAST_NORMAL 0x1p-62f
#define LIFT_BITS 0x1p-63f /* as an integer, 64 in the exponent */
#define LEAST_SQUARED 0x1p-62f
enum { EXACT_SIGMOID = 0 };
#else
#define MODERATE 350.0
#define FAR 620.0
#define LOWEST -747.0
#define LIFT 0x1p256
#define LIFTED_LEAST_NORMAL 0x1p-766
#define LIFT_BITS 0x1p-767
#define LEAST_SQUARED 0x1p-510
enum { EXACT_SIGMOID = 1 };
#endif

/* e^z = s (1 + r + u), s = 2^n times unit. The product s (r + u), and that of a short number and s, are exact until
   they are added, so e need not be rounded before it is. */
typedef struct {
    vf s, r, u;
} v_scaled_exp;

/* `exact`: r loses nothing, since u has what n ln 2 is beyond it; else the rounding of r is lost, |r| < 0.35. */
ALWAYS_INLINE v_scaled_exp v_exp(vf z, vf unit, int exact)
{
    vf t = vf_fma(z, vf_set(LOG2E), vf_set(ROUND)), n = vf_sub(t, vf_set(ROUND));
    vf d = VF_FUSED ? vf_fnma(n, vf_set(LN2_HI), z)
                    : vf_sub(vf_sub(z, vf_mul(n, vf_set(LN2_SPLIT_1))), vf_mul(n, vf_set(LN2_SPLIT_2)));
    vf minus_low = vf_set(VF_FUSED ? -LN2_LO : -LN2_SPLIT_3), r = vf_fma(n, minus_low, d);
    vf square = vf_mul(r, r), q = V_POLYNOMIAL(r, square, EXP_REST);
    if (exact)
        return (v_scaled_exp){vf_times_pow2(unit, t), d, vf_fma(square, q, vf_mul(n, minus_low))};
    return (v_scaled_exp){vf_times_pow2(unit, t), r, vf_mul(square, q)};
}

/* How a result that is about e^w becomes T where w < -FAR. A subnormal is rounded at its own last place, which is
   that of `place`, and once: rounding to T first and again on the way down would lose up to 3/4 ULP. Then its bits are
   those beyond the ones of `place`; to multiply it down would take a hundred cycles. */
typedef struct {
    vf place, down;
} v_descent;

ALWAYS_INLINE v_descent v_descend(vf w, int far)
{
    if (!far)
        return (v_descent){vf_set(0), vf_set(0)};
    vf place = vf_keep(vf_lt(w, vf_set(-SUBNORMAL)), vf_set(LIFTED_LEAST_NORMAL));
    return (v_descent){place, vf_max(place, vf_keep(vf_lt(w, vf_set(-FAR)), vf_set(LIFT_BITS)))};
}

/* h in the last place, and what that loses */
ALWAYS_INLINE vf v_placed(vf h, v_descent d, vf *lost)
{
    vf s = vf_add(d.place, h);
    *lost = vf_sub(h, vf_sub(s, d.place));
    return s;
}

/* h + l, to be brought down by v_down */
ALWAYS_INLINE vf v_rounded(vf h, vf l, v_descent d, int far)
{
    if (!far)
        return vf_add(h, l);
    vf lost, s = v_placed(h, d, &lost);
    return vf_add(s, vf_add(lost, l));
}

ALWAYS_INLINE vf v_down(vf y, v_descent d, int far) { return far ? vf_sub_bits(y, d.down) : y; }

/* A number as high and low part. */
typedef struct {
    vf h, l;
} v_parts;

/* 1 + e^-x, the low part only roughly. Lifted, e^-x is so large beside 1 that 1 need not be lifted. */
ALWAYS_INLINE v_parts v_one_plus_exp_minus(vf x, int far)
{
    vf one = vf_set(1), z = v_minus(x), unit = one;
    if (far) {
        unit = vf_select(vf_lt(x, vf_set(-FAR)), vf_set(1 / LIFT), one); /* as v_descend compares */
        z = vf_max(vf_set(-MODERATE), vf_min(vf_set(-LOWEST), z)); /* NaN stays: it is the second operand */
    }
    v_scaled_exp e = v_exp(z, unit, EXACT_SIGMOID);
    vf v = vf_add(e.r, e.u), c = vf_add(one, e.s), d = vf_fma(e.s, v, c);
    if (!EXACT_SIGMOID)
        return (v_parts){d, vf_fma(e.s, v, vf_add(vf_sub(e.s, d), one))};
    vf lost = vf_add(vf_sub(e.s, c), one);
    return (v_parts){d, vf_add(vf_fma(e.s, e.u, vf_fma(e.s, e.r, vf_sub(c, d))), lost)};
}

/* 1/(1 + e^-x), by Newton's correction of a quotient. float32 has a whole ULP to lose. */
ALWAYS_INLINE vf v_sigmoid(vf x, v_parts d, int far)
{
    vf one = vf_set(1), q = vf_div(one, d.h), rest = vf_fnma(q, d.l, VF_FUSED ? vf_fnma(q, d.h, one) : vf_set(0));
    if (!far)
        return vf_fma(q, rest, q);
    v_descent w = v_descend(x, far);
    vf lost, s = v_placed(q, w, &lost);
    return v_down(vf_add(s, vf_fma(q, rest, lost)), w, far);
}

/* e^-|x| */
ALWAYS_INLINE v_parts v_exp_minus_abs(vf x, int far)
{
    vf one = vf_set(1), z = vf_minus_abs(x), unit = one;
    if (far) {
        z = vf_max(vf_set(LOWEST), z); /* NaN stays: it is the second operand */
        unit = vf_select(vf_lt(z, vf_set(-FAR)), vf_set(LIFT), one);
    }
    v_scaled_exp p = v_exp(z, unit, 1);
    vf e = vf_fma(p.s, vf_add(p.r, p.u), p.s);
    return (v_parts){e, vf_fma(p.s, p.u, vf_fma(p.s, p.r, vf_sub(p.s, e)))};
}

/* With e = e^-|x|: log1p(e) = log + log1p(f + f_l), 1/(1 + e) = r/(1 + f + f_l), r being one of seven reciprocals and
   |f| < 1/16. Where e < 1/7, though, r = 1 and log = 0, so that f = e: the sums keep their relative accuracy. */
typedef struct {
    vf log, r, f, f_l; /* f_l times 1 - f, as the logarithm needs it */
    vf square;         /* of f, but 0 where that would be subnormal */
} v_one_plus_t;

ALWAYS_INLINE v_one_plus_t v_one_plus(v_parts e, int far)
{
    static const T reciprocals[] = {LOG_RECIPROCALS}, logs[] = {LOG_LOGS};
    vf one = vf_set(1);

    /* r is so short that r e + (r - 1) is exact once what the product loses is kept. */
    vf index = vf_fma(vf_add(one, e.h), vf_set(LOG_SCALE), vf_set(ROUND)), r = vf_lookup(reciprocals, index);
    vf product = vf_mul(r, e.h), f = vf_add(product, vf_sub(r, one));
    vf f_l = VF_FUSED ? vf_fma(r, e.l, vf_fma(r, e.h, v_minus(product))) : vf_mul(r, e.l);
    vf root = far ? vf_keep(vf_lt(vf_set(LEAST_SQUARED), vf_abs(f)), f) : f;
    return (v_one_plus_t){vf_lookup(logs, index), r, f, vf_fnma(f, f_l, f_l), vf_mul(root, root)};
}

/* log1p(f) - f + f_l and whatever is to be added to it, all small against f */
ALWAYS_INLINE vf v_log1p_low(v_one_plus_t p, vf more)
{
    return vf_fma(p.square, V_POLYNOMIAL(p.f, p.square, LOG1P_REST), vf_add(p.f_l, more));
}

/* log(1 + e^x) = max(x, 0) + log1p(e) */
ALWAYS_INLINE vf v_softplus(vf x, v_one_plus_t p, v_descent w, int far)
{
    vf above = vf_max(x, vf_set(0)), s = vf_add(above, p.log), lost = vf_sub(above, vf_sub(s, p.log));
    if (far)
        lost = vf_max(lost, vf_set(-1)); /* NaN where x is infinite */
    return v_down(vf_add(s, v_rounded(p.f, v_log1p_low(p, lost), w, far)), w, far);
}

/* f/(1 + f), to be brought down: the quotient, and what is left of f and f_l beside it, for which 1 - f is close enough
   to 1/(1 + f). */
ALWAYS_INLINE vf v_fraction(v_one_plus_t p, v_descent w, int far)
{
    vf one = vf_set(1), d = vf_add(one, p.f), d_l = vf_sub(p.f, vf_sub(d, one)), q = vf_div(p.f, d);
    vf rest = vf_add(p.f_l, vf_fnma(q, d_l, VF_FUSED ? vf_fnma(q, d, p.f) : vf_set(0)));
    return v_rounded(q, vf_fnma(p.f, rest, rest), w, far);
}

/* 1/(1 + e^-x) = r - r g or e/(1 + e) = (1 - r) + r g, g being the fraction */
ALWAYS_INLINE vf v_sigmoid_of(vf x, v_one_plus_t p, v_descent w, int far)
{
    vm below = vf_lt(x, vf_set(0));
    vf slope = vf_select(below, p.r, v_minus(p.r)), start = vf_select(below, vf_sub(vf_set(1), p.r), p.r);
    return v_down(vf_fma(slope, v_fraction(p, w, far), start), w, far);
}

#endif
