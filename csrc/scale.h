/* Tiles of exponentials times a factor of each row, which makes probabilities or gradients of them. */
#ifndef SL_SCALE_H
#define SL_SCALE_H

#include "tile.h"

/* v (f + f_l), rounded all but once, so that no probability comes out above 1. */
ALWAYS_INLINE vf times_factor(vf v, vf f, vf f_l) { return vf_fma(v, f, vf_mul(v, f_l)); }

/* The same where some v are below `low` = LOW limit, or the factor is 0, which gives 0 whatever v is. Multiplications
   with subnormal results take a hundred cycles. Below `low` v f_l may be one: v is raised there, and what comes of it
   brought down. Below `limit` v f is one. There w = |v f| UP_1 UP_2, in units of the least subnormal, is a normal
   number, and w + WHOLE has in its last bits w rounded to a whole one, which are that subnormal's. PLENTY limit makes
   no product that is subnormal: absent lanes hold it. */
#if DTYPE == 32
#define LEAST_NORMAL_T FLT_MIN
#define WHOLE 0x1p23f
#define UP_1 0x1p64f
#define UP_2 0x1p85f
#define LOW 0x1p30f
#define RAISE 0x1p60f
#define PLENTY 0x1p100f
#else
#define LEAST_NORMAL_T DBL_MIN
#define WHOLE 0x1p52
#define UP_1 0x1p537
#define UP_2 0x1p537
#define LOW 0x1p60
#define RAISE 0x1p120
#define PLENTY 0x1p700
#endif
ALWAYS_INLINE vf times_factor_small(vf v, vf f, vf f_l, vf limit, vf low)
{
    vm small = vf_not_ge(v, limit);
    vf zero = vf_set(0), up = vf_min(vf_set(MAX_T), vf_mul(vf_abs(f), vf_set(UP_2)));
    vf w = vf_mul(vf_mul(vf_keep(small, v), vf_set(UP_1)), up);
    vf tiny = vf_sub_bits(vf_add(w, vf_set(WHOLE)), vf_set(WHOLE));
    tiny = vf_select(vf_lt(f, zero), vf_minus_abs(tiny), tiny);
    vm few = vf_lt(v, low);
    vf raised = vf_mul(vf_drop(small, v), vf_select(few, vf_set(RAISE), vf_set(1)));
    vf y = vf_select(small, tiny, vf_mul(times_factor(raised, f, f_l), vf_select(few, vf_set(1 / RAISE), vf_set(1))));
    vf either = vf_add(v, f);
    return vf_drop(vf_eq(f, zero), vf_select(vf_eq(either, either), y, vf_set((T)NAN)));
}

/* Scales `steps` vectors of a tile, n elements of each, to q: few, so that one comparison does for all. What is `next`
   bytes from p is asked for, unless that is 0. */
enum { TOGETHER = 4 };
ALWAYS_INLINE void scale_steps(const T *p, ptrdiff_t step, T *q, ptrdiff_t q_step, int steps, size_t n, vf f, vf f_l,
                               vf limit, ptrdiff_t next)
{
    vf v[TOGETHER], low = vf_mul(limit, vf_set(LOW)), least = low;
    UNROLL for (int i = 0; i < steps; i++) {
        if (next)
            fetch_to_read(p + i * step, next);
        v[i] = vf_load_n(p + i * step, n, vf_mul(limit, vf_set(PLENTY)));
        least = vf_min(v[i], least);
    }
    if (vm_any(vf_not_ge(least, low)))
        UNROLL for (int i = 0; i < steps; i++)
            vf_store_n(q + i * q_step, times_factor_small(v[i], f, f_l, limit, low), n);
    else
        UNROLL for (int i = 0; i < steps; i++)
            vf_store_n(q + i * q_step, times_factor(v[i], f, f_l), n);
}

/* Multiplies a tile, which holds nothing below 0, by factor + factor_l of its row; y may be the same tile. The last
   columns of a row along are taken with some before them, which are scaled twice, from the same numbers: a load that
   overlaps a masked store, as the next row's first would, waits until that has left the store buffer. */
static inline void tile_scale(tile t, tile y, int across, tile_rows rows, const T *factor, const T *factor_l,
                              ptrdiff_t next)
{
    if (!across) {
        t = in_vectors(t);
        y = in_vectors(y);
    }
    for (size_t c = 0; c < (across ? rows.lanes : VL); c += VL) {
        vf f = of_rows(factor, across, rows.first, c), f_l = of_rows(factor_l, across, rows.first, c);
        vf limit = vf_div(vf_set(LEAST_NORMAL_T), vf_abs(f));
        limit = vf_fma(f_l, vf_set(0), vf_drop(vf_eq(f, vf_set(0)), limit)); /* nothing is not below NaN */
        const int overlap = t.part && t.full;
        const size_t last = overlap ? (t.full - 1) * VL + t.part : 0;
        const T *p = t.p + c;
        T *q = y.p + c, kept[VL];
        size_t i = 0;
        if (overlap)
            scale_steps(p + last, 0, kept, 0, 1, VL, f, f_l, limit, next);
        for (; i + TOGETHER <= t.full; i += TOGETHER, p += TOGETHER * t.step, q += TOGETHER * y.step)
            scale_steps(p, t.step, q, y.step, TOGETHER, VL, f, f_l, limit, next);
        for (; i < t.full; i++, p += t.step, q += y.step)
            scale_steps(p, t.step, q, y.step, 1, VL, f, f_l, limit, next);
        if (overlap)
            vf_store(y.p + last, vf_load(kept));
        else if (t.part)
            scale_steps(p, t.step, q, y.step, 1, t.part, f, f_l, limit, next);
    }
}

#endif
