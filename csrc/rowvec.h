/* The last step of rows, several at a time: vectors of doubles for both dtypes.

   They are written out because the compiler does not make vector code of such loops over scalars reliably: every choice
   becomes a branch. Arithmetic is C's own on GNU vectors of the instruction set's width. */
#ifndef SL_ROWVEC_H
#define SL_ROWVEC_H

#include "rowmath.h"

#if DTYPE == 64
typedef vf vd, vd_narrow;
enum { VD = VL };
#define vd_widen(a) (a)
#define vd_set vf_set
#define vd_fma vf_fma
#endif
typedef int64_t vd_bits __attribute__((vector_size(sizeof(vd))));
typedef uint64_t vd_unsigned __attribute__((vector_size(sizeof(vd))));

ALWAYS_INLINE vd vd_get(const double *p)
{
    vd a;
    memcpy(&a, p, sizeof a);
    return a;
}

ALWAYS_INLINE void vd_put(double *p, vd a) { memcpy(p, &a, sizeof a); }

/* VD values of a row's own type. */
ALWAYS_INLINE vd vd_read(const T *p)
{
    vd_narrow a;
    memcpy(&a, p, sizeof a);
    return vd_widen(a);
}

ALWAYS_INLINE vd_narrow vd_round(vd a) { return __builtin_convertvector(a, vd_narrow); }
ALWAYS_INLINE void vd_write(T *p, vd a)
{
    vd_narrow b = vd_round(a);
    memcpy(p, &b, sizeof b);
}

ALWAYS_INLINE vd vd_choose(vd_bits m, vd a, vd b) { return (vd)((m & (vd_bits)a) | (~m & (vd_bits)b)); }
ALWAYS_INLINE vd vd_where(vd_bits m, vd a) { return (vd)(m & (vd_bits)a); }

ALWAYS_INLINE int vd_any(vd_bits m)
{
    int64_t any = 0;
    UNROLL for (int l = 0; l < VD; l++)
        any |= m[l];
    return any != 0;
}

ALWAYS_INLINE vd vd_magnitude(vd a) { return (vd)((vd_bits)a & INT64_MAX); }

/* One NaN for all, whichever one arithmetic came upon first: it depends on the instruction set. */
ALWAYS_INLINE vd vd_number_or_nan(vd a) { return vd_choose((vd_bits)(a == a), a, vd_set(NAN)); }

ALWAYS_INLINE vd_bits vd_finite(vd a) { return (vd_bits)(vd_magnitude(a) < INFINITY); }

/* 0 for what is lost from an infinite sum, which is NaN */
ALWAYS_INLINE vd vd_finite_or_0(vd lost) { return vd_where(vd_finite(lost), lost); }

/* two_sum of kernel.h */
ALWAYS_INLINE vd vd_two_sum(vd a, vd b, vd *lost)
{
    vd s = a + b, b_in_s = s - a;
    *lost = (a - (s - b_in_s)) + (b - b_in_s);
    return s;
}

/* Adds high + low to a sum of two parts. */
static inline void add_part(double *sum, double *sum_l, double high, double low)
{
    double lost;
    two_sum(*sum, high, sum, &lost);
    *sum_l += (isfinite(lost) ? lost : 0) + low;
}

/* high + low */
typedef struct {
    vd h, l;
} vd2;

ALWAYS_INLINE vd2 parts_choose(vd_bits m, vd2 a, vd2 b)
{
    return (vd2){vd_choose(m, a.h, b.h), vd_choose(m, a.l, b.l)};
}

/* Sums of float32 lose nothing that counts; an infinite one has lost NaN. */
ALWAYS_INLINE vd2 parts_add(vd2 a, vd2 b)
{
    if (DTYPE == 32)
        return (vd2){a.h + b.h, b.l};
    vd lost, sum = vd_two_sum(a.h, b.h, &lost);
    return (vd2){sum, a.l + (lost + b.l)};
}

/* One a row or lane. Float64 serves float32, which has nothing in low parts. */
typedef struct {
    ALIGNED double h[ROWS];
#if DTYPE == 64
    double l[ROWS];
#endif
} row_parts;

ALWAYS_INLINE vd2 parts_get(const row_parts *p, size_t i)
{
#if DTYPE == 64
    return (vd2){vd_get(p->h + i), vd_get(p->l + i)};
#else
    return (vd2){vd_get(p->h + i), vd_set(0)};
#endif
}

ALWAYS_INLINE void parts_put(row_parts *p, size_t i, vd2 a)
{
    vd_put(p->h + i, a.h);
#if DTYPE == 64
    vd_put(p->l + i, a.l);
#endif
}

/* The same of single rows. */
typedef struct {
    double h, l;
} double2;

static inline double2 part_of(const row_parts *p, size_t i)
{
#if DTYPE == 64
    return (double2){p->h[i], p->l[i]};
#else
    return (double2){p->h[i], 0};
#endif
}

static inline void part_set(row_parts *p, size_t i, double2 a)
{
    p->h[i] = a.h;
#if DTYPE == 64
    p->l[i] = a.l;
#endif
}

/* Adds `times` a. */
static inline void part_increase(row_parts *p, size_t i, double times, double2 a)
{
#if DTYPE == 64
    add_part(p->h + i, p->l + i, times * a.h, times * a.l);
#else
    p->h[i] += times * a.h;
#endif
}

/* That of row i times root^2 */
static inline void parts_scale(row_parts *p, size_t i, double root)
{
    p->h[i] = p->h[i] * root * root;
#if DTYPE == 64
    p->l[i] = p->l[i] * root * root;
#endif
}

#define VD_POLYNOMIAL(x, ...) vd_polynomial(x, (const double[]){__VA_ARGS__}, sizeof((double[]){__VA_ARGS__}) / 8)
ALWAYS_INLINE vd vd_polynomial(vd x, const double *c, size_t n)
{
    vd p = vd_set(c[0]);
    UNROLL for (size_t i = 1; i < n; i++)
        p = vd_fma(p, x, vd_set(c[i]));
    return p;
}

/* row_exp of rowmath.h */
ALWAYS_INLINE vd vd_exp(vd z, vd k)
{
    const vd round = vd_set(0x1.8p52);
    vd t = vd_fma(z, vd_set(ROW_LOG2E), round), n = t - round;
    vd r = vd_fma(-n, vd_set(ROW_LN2_LO), vd_fma(-n, vd_set(ROW_LN2_HI), z));
    return VD_POLYNOMIAL(r, ROW_EXP) * (vd)(((vd_bits)(t + k) + 1023) << 52);
}

/* log(1 + rest/top) for top > 0, rest >= 0: with 2^k the power of two nearest to 1 + rest/top it is k ln 2 + 2
   atanh(s), s = (sum 2^-k - top)/(sum 2^-k + top), one division. sum 2^-k - top is exact (Sterbenz), and with what the
   sum lost it is rest itself where k is 0: no step cancels. Not `precise`, low parts are let go, which leaves 2^-41. */
ALWAYS_INLINE vd2 vd_log_of_sum(vd2 rest, vd2 top, int precise)
{
    const vd_bits one = (vd_bits)vd_set(1), two52 = (vd_bits)vd_set(0x1p52), exponents = (vd_bits)vd_set(INFINITY);
    /* Products that are subnormal take a hundred cycles: what is 0 in the end, below e^-745 in the units of lanes.h, is
       so from the start. */
    if (precise) {
        const vd_bits some = ~(vd_bits)(rest.h < 0x1p-870);
        rest = (vd2){vd_where(some, rest.h), vd_where(some, rest.l)};
    }
    vd lost, sum = vd_two_sum(top.h, rest.h, &lost);
    /* The bits of a double are its logarithm within 0.09, so |s| is less than 0.2005. */
    vd_unsigned above_top = (vd_unsigned)sum - (vd_unsigned)top.h; /* anything where the maximum is infinite */
    vd_bits exponent = (vd_bits)(above_top + ((uint64_t)1 << 51)) & exponents;
    vd k = (vd)(exponent >> 52 | two52) - 0x1p52, scale = (vd)(one - exponent), scaled = sum * scale;
    vd d_l, d = vd_two_sum(scaled, top.h, &d_l), above = scaled - top.h, n = vd_fma(lost, scale, above);
    if (!precise) {
        vd s = n / d, w = s * s;
        return (vd2){vd_fma(k, vd_set(ROW_LN2), vd_fma(w * s, VD_POLYNOMIAL(w, WIDE_ATANH_REST), s + s)), vd_set(0)};
    }
    vd n_l = vd_fma(lost, scale, above - n) + vd_fma(rest.l, scale, vd_fma(top.l, scale, -top.l));
    d_l = vd_fma(lost, scale, d_l) + vd_fma(rest.l, scale, vd_fma(top.l, scale, top.l));
    n += n;
    vd inverse = 1.0 / d, s = n * inverse, rest_s = vd_fma(-s, d_l, vd_fma(-s, d, n) + (n_l + n_l)) * inverse;
    vd half = vd_where(~(vd_bits)(vd_magnitude(s) < 0x1p-500), s * 0.5), w = half * half;
    vd whole = k * ROW_LN2_HI, high = whole + s, cubed = w * half * VD_POLYNOMIAL(w, ROW_ATANH_REST);
    return (vd2){high, ((whole - high) + s) + vd_fma(k, vd_set(ROW_LN2_LO), rest_s + cubed)};
}

#endif
