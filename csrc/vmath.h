/* Vector exp and log1p(exp) on the ranges that losses need: once for all instruction sets, both dtypes and no tables.

   exp(z) = 2^n e^r with n = rint(z / ln 2), r = z - n ln 2, |r| <= ln(2)/2, and e^r = 1 + r + u. The three parts are
   kept apart: what is lost is the rounding of u, |u| < 0.07, and a caller rounds once, at the end. log1p(e) = 2
   atanh(s), s = e/(2 + e) <= 1/3, whose series in s^2 converges fast and starts with 2s, which is exact as a rounded
   quotient plus its remainder. Constants: constants.h and the script that derives them. */
#ifndef SL_VMATH_H
#define SL_VMATH_H

#include "constants.h"
#include "kernel.h"

/* An unevaluated sum h + l, |l| at most about an ULP of h. */
typedef struct {
    vf h, l;
} vf2;

/* e^z = scale (1 + r + u); scale is given by t, see v_exp_parts */
typedef struct {
    vf t, r, u;
} v_exp_t;

/* ROUND + n has n in the low bits of its significand, for any |n| < 2^(SIGNIFICAND_BITS - 2). */
#if DTYPE == 32
#define ROUND 0x1.8p23f
#else
#define ROUND 0x1.8p52
#endif

ALWAYS_INLINE vf v_polynomial(vf x, const T *c, int n)
{
    vf p = vf_set(c[0]);
    for (int i = 1; i < n; i++)
        p = vf_fma(p, x, vf_set(c[i]));
    return p;
}
#define V_POLYNOMIAL(x, ...) v_polynomial(x, (const T[]){__VA_ARGS__}, sizeof((T[]){__VA_ARGS__}) / sizeof(T))

/* z = n ln 2 + r.h + r.l. With fma the first step is exact (n LN2_HI and z share their last bit, and the difference is
   short); without, the first two are, because the split constants leave room for n, and r.l is let go. */
ALWAYS_INLINE vf2 v_reduce(vf z, vf n)
{
    if (VF_FUSED) {
        vf d = vf_fnma(n, vf_set(LN2_HI), z), r = vf_fnma(n, vf_set(LN2_LO), d);
        return (vf2){r, vf_fnma(n, vf_set(LN2_LO), vf_sub(d, r))};
    }
    vf d = vf_sub(vf_sub(z, vf_mul(n, vf_set(LN2_SPLIT_1))), vf_mul(n, vf_set(LN2_SPLIT_2)));
    return (vf2){vf_fnma(n, vf_set(LN2_SPLIT_3), d), vf_set(0)};
}

/* The parts of e^z for |z| <= 1.1e4. `round` is ROUND plus any integer k: vf_pow2(t) is then 2^(n + k), so that a
   row's common factor costs nothing. The bound on |z| is that of v_reduce; the caller sees to it that n + k is an
   exponent. */
ALWAYS_INLINE v_exp_t v_exp_parts(vf z, vf round)
{
    vf t = vf_fma(z, vf_set(LOG2E), round);
    vf2 r = v_reduce(z, vf_sub(t, round));
    vf q = V_POLYNOMIAL(r.h, EXP_REST);
    if (!VF_FUSED)
        return (v_exp_t){t, r.h, vf_mul(r.h, vf_mul(r.h, q))};
    return (v_exp_t){t, r.h, vf_fma(r.h, vf_fma(r.h, q, r.l), r.l)};
}

/* 1 + r + u, rounded and what the rounding lost: |u| < |r| < 1, so each step loses nothing (Dekker 1971). */
ALWAYS_INLINE vf2 v_exp_significand(v_exp_t p)
{
    vf v = vf_add(p.r, p.u), v_l = vf_add(vf_sub(p.r, v), p.u), h = vf_add(vf_set(1), v);
    return (vf2){h, vf_add(vf_add(vf_sub(vf_set(1), h), v), v_l)};
}

/* What sigmoid, softplus and log-sigmoid share: e = exp(-|x|) in (0, 1], |x| unbounded.

   e underflows long before |x| does, and a subnormal has too few bits to go on with. Beyond FAR, e is therefore
   2^LIFT times too large: 1 + e is 1 either way, log1p(e) = e, and v_round_far puts the result right in one rounding. */
#if DTYPE == 32
#define MODERATE 28.0f /* e^-28/2 > CUBE_ROOT, whose cube is normal */
#define CUBE_ROOT 0x1p-42f
#define FAR 69.0f      /* e^-69 > 2^-100: all that is made of it is normal */
#define LOWEST -105.0f /* e^-105 < 2^-151: rounds to 0 */
#define DOWN 0x1p-64f
#define LEAST_NORMAL 0x1p-62f /* 2^-126, lifted */
enum { LIFT = 64 };
#else
#define MODERATE 234.0
#define CUBE_ROOT 0x1p-340
#define FAR 620.0
#define LOWEST -747.0
#define DOWN 0x1p-256
#define LEAST_NORMAL 0x1p-766
enum { LIFT = 256 };
#endif

/* e for |x| <= FAR. */
ALWAYS_INLINE vf2 v_exp_minus_abs(vf x)
{
    v_exp_t p = v_exp_parts(vf_minus_abs(x), vf_set(ROUND));
    vf scale = vf_pow2(p.t);
    vf2 e = v_exp_significand(p);
    return (vf2){vf_mul(e.h, scale), vf_mul(e.l, scale)};
}

/* e for any x, lifted where |x| > FAR. */
ALWAYS_INLINE vf2 v_exp_minus_abs_lifted(vf x)
{
    vf z = vf_max(vf_set(LOWEST), vf_minus_abs(x)); /* NaN stays: it is the second operand */
    v_exp_t p = v_exp_parts(z, vf_set(ROUND));
    vf scale = vf_pow2(vf_add(p.t, vf_keep(vf_lt(z, vf_set(-FAR)), vf_set(LIFT))));
    vf2 e = v_exp_significand(p);
    return (vf2){vf_mul(e.h, scale), vf_mul(e.l, scale)};
}

/* a.h + a.l brought down by 2^-LIFT. A subnormal is rounded here, at its own last place, which is that of
   LEAST_NORMAL, and once: rounding to T first and again on the way down would lose up to 3/4 ULP. */
ALWAYS_INLINE vf v_round_far(vf2 a)
{
    vf place = vf_set(LEAST_NORMAL), s = vf_add(place, a.h), lost = vf_sub(a.h, vf_sub(s, place));
    vf subnormal = vf_sub(vf_add(s, vf_add(lost, a.l)), place);
    return vf_mul(vf_select(vf_lt(a.h, place), subnormal, vf_add(a.h, a.l)), vf_set(DOWN));
}

/* (a + a_l) / (1 + e) for e in [0, 1] and a <= 1, as high and low part: the rounded quotient and its exact remainder
   times 1/(1 + e). The remainder is at most half an ULP, so a straight line within 6 % of 1/(1 + e) serves. */
ALWAYS_INLINE vf2 v_over_one_plus(vf a, vf a_l, vf2 e)
{
    vf d = vf_add(vf_set(1), e.h), q = vf_div(a, d);
    vf d_l = vf_add(vf_add(vf_sub(vf_set(1), d), e.h), e.l), rest = vf_fnma(q, d_l, a_l);
    if (VF_FUSED)
        rest = vf_add(rest, vf_fnma(q, d, a));
    return (vf2){q, vf_mul(rest, vf_fma(d, vf_set((T)(-8.0 / 17)), vf_set((T)(24.0 / 17))))};
}

/* log1p(e) for e in [0, 1]: h = 2s; 1/(2 + e) is again a line, within 2 %. `far`: e may be below e^-MODERATE.
   Products that underflow take a hundred cycles, so cubes that do are 0 from the start. */
ALWAYS_INLINE vf2 v_log1p(vf2 e, int far)
{
    vf d = vf_add(vf_set(2), e.h), d_l = vf_add(vf_add(vf_sub(vf_set(2), d), e.h), e.l);
    vf s = vf_div(e.h, d), rest = vf_fnma(s, d_l, e.l);
    if (VF_FUSED)
        rest = vf_add(rest, vf_fnma(s, d, e.h));
    vf twice_lost = vf_mul(rest, vf_fma(d, vf_set((T)(-16.0 / 49)), vf_set((T)(80.0 / 49))));
    vf cubed = far ? vf_keep(vf_lt(vf_set(CUBE_ROOT), s), s) : s, w = vf_mul(cubed, cubed);
    return (vf2){vf_add(s, s), vf_fma(vf_mul(w, cubed), V_POLYNOMIAL(w, ATANH_REST), twice_lost)};
}

/* x + y.h + y.l for x >= 0, 0 <= y.h < 1, as high and low part. x + y.h may lose as much as y.l is worth, so what it
   loses is added to that; the maximum drops the NaN that an infinite x gives there. */
ALWAYS_INLINE vf2 v_add(vf x, vf2 y)
{
    vf larger = vf_max(x, y.h), smaller = vf_min(x, y.h), s = vf_add(larger, smaller);
    vf lost = vf_add(vf_sub(smaller, vf_sub(s, larger)), y.l);
    return (vf2){s, vf_max(lost, vf_set(-1))};
}

#endif
