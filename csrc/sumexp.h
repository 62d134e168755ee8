/* The sum of exponentials of rows, tile by tile, reading each logit from memory once.

   Each lane has a unit, 2^(k - BIAS) e^base, in which its exponentials are kept: exp(x) = unit * 2^(n - k + BIAS) e^r, and
   x itself is reduced, not x - max. Up to |x| = 1e4 base is 0, so that no difference is rounded and softmax keeps
   its accuracy far down the tail; beyond, base is the maximum. BIAS leaves room below for everything that is not 0 after
   division by the sum, subnormals included; HEADROOM is room above, so that a later, larger maximum seldom needs a new
   unit.

   One element that is the row's maximum is left out of the sum: with S' the sum of the others and e_m its exponential,
   logsumexp = max + log1p(S'/e_m), which is right to the last bit also where S' is far below an ULP of e_m. */
#ifndef SL_SUMEXP_H
#define SL_SUMEXP_H

#include "rowmath.h"
#include "tile.h"
#include "vmath.h"

#if DTYPE == 32
enum { BIAS = 60, HEADROOM = 60, LEAST = -125 };
#define NEGLIGIBLE -110.0f /* e^that of a sum is less than half the least subnormal */
#else
enum { BIAS = 100, HEADROOM = 400, LEAST = -1020 };
#define NEGLIGIBLE -750.0
#endif

typedef struct {
    T near;                                    /* |maximum| up to which base is 0 */
    T max[LANES];                              /* so far; NaN does not count */
    T base[LANES], round[LANES];               /* the unit; round = ROUND + BIAS - k */
    T floor[LANES], limit[LANES];              /* x - base is raised to floor; x above limit needs a new unit */
    double total[LANES], total_l[LANES];       /* S' of the tiles so far, high and low part */
    double top[LANES], top_l[LANES];           /* e_m, likewise */
    /* this tile: sums of 2^(n-k+BIAS) times 1, r and u, and what the first of them lost */
    double powers[LANES], linear[LANES], higher[LANES], lost[LANES];
    T start[LANES];                            /* where sums of powers start, above every term of the tile */
} sums;

/* A single column is its own base, so that its softmax is 1 and not nearly 1. */
static inline void sums_start(sums *s, size_t cols)
{
    memset(s, 0, sizeof *s);
    s->near = cols > 1 ? (T)1e4 : -1;
    for (int l = 0; l < LANES; l++) {
        s->max[l] = s->limit[l] = -(T)INFINITY;
        s->round[l] = ROUND + BIAS;
        s->floor[l] = (LEAST - BIAS) * (T)LN2_HI;
    }
}

/* The unit in which e^m is between 2^(BIAS-2) and 2^(BIAS+1); k is even, so that the square root of the ratio of two units
   is as exact as the ratio. */
static inline void set_unit(sums *s, int l, T m)
{
    int near = (m < 0 ? -m : m) <= s->near;
    T k = near ? 2 * ((m * (T)(LOG2E / 2) + ROUND) - ROUND) : 0;
    s->base[l] = near ? 0 : m;
    s->round[l] = ROUND + (BIAS - k);
    s->floor[l] = (k + (LEAST - BIAS)) * (T)LN2_HI;
    s->limit[l] = s->base[l] + (k + HEADROOM) * (T)LN2_HI;
}

/* The units of a first tile with maxima m, where nothing has been summed or stored; along, all lanes share one. */
static inline void first_units(sums *s, int across, const T *m)
{
    for (int l = 0; l < (across ? LANES : 1); l++)
        if (m[l] > -(T)INFINITY)
            set_unit(s, l, m[l]);
    if (across)
        return;
    for (int l = 1; l < LANES; l++) {
        s->base[l] = s->base[0];
        s->round[l] = s->round[0];
        s->floor[l] = s->floor[0];
        s->limit[l] = s->limit[0];
    }
}

/* New units where a lane's maximum m left the old one. `factor` is the square root of old unit / new unit, which is a
   normal number where the ratio may not be; 1 where nothing changed. Rare. */
static __attribute__((noinline)) void renew_units(sums *s, const T *m, T *factor)
{
    sums old = *s;
    for (int l = 0; l < LANES; l++)
        if (m[l] > s->limit[l])
            set_unit(s, l, m[l]);
    for (int c = 0; c < LANES; c += VL) {
        vf k = vf_sub(vf_load(s->round + c), vf_load(old.round + c));
        vf z = vf_sub(vf_load(old.base + c), vf_load(s->base + c)), whole = vf_fma(k, vf_set(LN2_HI), z);
        vf half = vf_set((T)0.5), half_z = vf_max(vf_set(-5500), vf_mul(z, half));
        v_exp_t p = v_exp_parts(half_z, vf_fma(k, half, vf_set(ROUND)));
        vf f = vf_mul(vf_add(vf_set(1), vf_add(p.r, p.u)), vf_pow2(p.t));
        vm none = vf_lt(whole, vf_set(NEGLIGIBLE)), unset = vf_eq(vf_load(old.limit + c), vf_set(-(T)INFINITY));
        vf_store(factor + c, vf_drop(unset, vf_drop(none, f)));
    }
    for (int l = 0; l < LANES; l++) {
        factor[l] = old.limit[l] < s->limit[l] ? factor[l] : 1;
        double ratio = (double)factor[l] * (double)factor[l];
        s->total[l] *= ratio;
        s->total_l[l] *= ratio;
        s->top[l] *= ratio;
        s->top_l[l] *= ratio;
    }
}

/* Multiplies a tile by factor + factor_l of its lane; factor 0 gives 0 whatever the tile holds. */
static inline void tile_scale(tile t, const T *factor, const T *factor_l)
{
    for (int c = 0; c < LANES; c += VL) {
        vf f = vf_load(factor + c), f_l = vf_load(factor_l + c);
        vm none = vf_eq(f, vf_set(0));
        T *p = t.p + c;
        for (size_t i = 0; i < t.full; i++, p += t.step) {
            vf v = vf_load(p);
            vf_store(p, vf_drop(none, vf_fma(v, f, vf_mul(v, f_l))));
        }
        if (t.part > (size_t)c) {
            size_t n = t.part - (size_t)c;
            vf v = vf_load_n(p, n, f);
            vf_store_n(p, vf_drop(none, vf_fma(v, f, vf_mul(v, f_l))), n);
        }
    }
}

/* The maximum of each lane; a NaN is not larger than anything. */
static inline void tile_max(tile t, T *m)
{
    for (int c = 0; c < LANES; c += VL) {
        const T *p = t.p + c;
        vf least = vf_set(-(T)INFINITY), a = least, b = least;
        size_t i = 0;
        for (; i + 4 <= t.full; i += 4, p += 4 * t.step) {
            vf x = vf_max(vf_load(p), vf_max(vf_load(p + t.step), least));
            vf y = vf_max(vf_load(p + 2 * t.step), vf_max(vf_load(p + 3 * t.step), least));
            a = vf_max(x, a);
            b = vf_max(y, b);
        }
        for (; i < t.full; i++, p += t.step)
            a = vf_max(vf_load(p), a);
        if (t.part > (size_t)c)
            a = vf_max(vf_load_n(p, t.part - (size_t)c, least), a);
        vf_store(m + c, vf_max(a, b));
    }
}

static inline T lanes_max(const T *m)
{
    T largest = m[0];
    for (int l = 1; l < LANES; l++)
        largest = m[l] > largest ? m[l] : largest;
    return largest;
}

/* The first step that holds the maximum m. */
static inline size_t step_of(tile t, T m)
{
    vf v = vf_set(m);
    for (size_t i = 0; i < t.full; i++)
        for (int c = 0; c < LANES; c += VL)
            if (vm_any(vf_eq(vf_load(t.p + (ptrdiff_t)i * t.step + c), v)))
                return i;
    return t.full;
}

/* What sum_steps does besides adding the exponentials up. */
enum {
    STORE = 1,    /* store them, in the lane's unit */
    LEAVE_TOP = 2 /* leave out those of elements equal to `top`, and count these */
};

typedef struct {
    vf base, round, floor, top;
    vf powers, linear, higher, lost, count;
} lane_sums;

ALWAYS_INLINE void sum_step(lane_sums *a, const T *x, T *e, size_t n, int mode)
{
    vf v = vf_load_n(x, n, vf_set(-(T)INFINITY));
    vf z = vf_sub(v, a->base);
    vm top = vf_eq(v, a->top);
    if (mode & LEAVE_TOP) {
        z = vf_drop(vf_eq(v, a->base), z); /* an infinite maximum less itself is no number */
        a->count = vf_add(a->count, vf_keep(top, vf_set(1)));
    }
    v_exp_t p = v_exp_parts(vf_max(a->floor, z), a->round);
    vf scale = vf_pow2(p.t);
    if (mode & STORE)
        vf_store_n(e, vf_fma(scale, vf_add(p.r, p.u), scale), n);
    if (mode & LEAVE_TOP)
        scale = vf_drop(top, scale);
    vf powers = vf_add(a->powers, scale);
    /* `powers` is larger than any term from the start, so this is exactly what the addition lost. */
    a->lost = vf_add(a->lost, vf_sub(scale, vf_sub(powers, a->powers)));
    a->powers = powers;
    a->linear = vf_fma(scale, p.r, a->linear);
    a->higher = vf_fma(scale, p.u, a->higher);
}

/* Adds steps [first, last) of a tile to the lanes' sums, and the last partial one where `part`. Sixteen terms go into a lane
   of T before it is folded into double: what the powers of two lose is kept, the others are small and r has both signs. */
ALWAYS_INLINE void sum_steps(sums *s, tile x, tile e, size_t first, size_t last, int part, const T *top, T *count, int mode)
{
    enum { FOLD = 16 };
    for (int c = 0; c < LANES; c += VL) {
        vf zero = vf_set(0);
        lane_sums a = {
            .base = vf_load(s->base + c), .round = vf_load(s->round + c), .floor = vf_load(s->floor + c),
            .top = mode & LEAVE_TOP ? vf_load(top + c) : zero, .powers = zero, .linear = zero, .higher = zero, .lost = zero, .count = zero,
        };
        const T *p = x.p + (ptrdiff_t)first * x.step + c;
        T *q = mode & STORE ? e.p + (ptrdiff_t)first * e.step + c : NULL;
        size_t i = first;
        vf start = vf_load(s->start + c);
        do {
            a.powers = start;
            size_t stop = min_size(last, i + FOLD);
            for (; i < stop; i++, p += x.step, q = mode & STORE ? q + e.step : q)
                sum_step(&a, p, q, VL, mode);
            if (i == last && part && x.part > (size_t)c)
                sum_step(&a, p, q, min_size(VL, x.part - (size_t)c), mode);
            vf_accumulate(s->powers + c, vf_sub(a.powers, start));
            vf_accumulate(s->linear + c, a.linear);
            vf_accumulate(s->higher + c, a.higher);
            vf_accumulate(s->lost + c, a.lost);
            a.linear = a.higher = a.lost = zero;
        } while (i < last);
        if (mode & LEAVE_TOP)
            vf_store(count + c, a.count);
    }
}

/* sum_steps once for each mode that occurs, so that no mode is tested inside a loop. */
static __attribute__((noinline)) void sum_range(sums *s, tile x, tile e, size_t first, size_t last, int part, const T *top,
                                                T *count, int mode)
{
    switch (mode) {
    case 0: sum_steps(s, x, e, first, last, part, top, count, 0); break;
    case STORE: sum_steps(s, x, e, first, last, part, top, count, STORE); break;
    case LEAVE_TOP: sum_steps(s, x, e, first, last, part, top, count, LEAVE_TOP); break;
    default: sum_steps(s, x, e, first, last, part, top, count, STORE | LEAVE_TOP);
    }
}

/* e^m of every lane, in its unit, as high and low part. */
static inline void exp_of_max(const sums *s, const T *m, T *high, T *low)
{
    for (int c = 0; c < LANES; c += VL) {
        vf v = vf_load(m + c), base = vf_load(s->base + c);
        vf z = vf_drop(vf_eq(v, base), vf_sub(v, base));
        v_exp_t p = v_exp_parts(vf_max(vf_load(s->floor + c), z), vf_load(s->round + c));
        vf2 e = v_exp_significand(p);
        vf scale = vf_pow2(p.t);
        vf_store(high + c, vf_mul(e.h, scale));
        vf_store(low + c, vf_mul(e.l, scale));
    }
}

/* The same as far as double goes. Its error is that of the whole row and not averaged: in float32 it is taken in double. */
static inline void precise_exp_of_max(const sums *s, const T *m, double *high, double *low)
{
    T h[LANES], l[LANES];
    if (DTYPE == 64)
        exp_of_max(s, m, h, l);
    for (int i = 0; i < LANES; i++) {
        double k = (double)ROUND + BIAS - (double)s->round[i], z = (double)m[i] - (double)s->base[i];
        high[i] = DTYPE == 64 ? (double)h[i] : scaled_exp((m[i] == s->base[i] ? 0 : z) - k * ROW_LN2, BIAS, LEAST);
        low[i] = DTYPE == 64 ? (double)l[i] : 0;
    }
}

/* A power of two of 4 to 8 times the largest term; subtracting it again is exact. */
static inline void powers_start(sums *s, const T *m)
{
    T high[LANES], low[LANES];
    exp_of_max(s, m, high, low);
    for (int l = 0; l < LANES; l++) {
        uint64_t bits;
        double x = 4 * (double)high[l];
        memcpy(&bits, &x, sizeof bits);
        bits &= 0xfff0000000000000;
        memcpy(&x, &bits, sizeof x);
        s->start[l] = (T)x;
    }
}

/* A tile with a new maximum m in some lanes: the old one joins the others, the new one is left out, wherever else it
   occurs it is counted. Along a row all lanes have one maximum and it stands for the row, so lane 0 keeps the account. */
static void add_with_new_top(sums *s, int across, tile x, tile e, const T *m, const T *top, int mode)
{
    double high[LANES], low[LANES];
    T count[LANES];
    precise_exp_of_max(s, m, high, low);
    int whole = across || m[0] == (T)INFINITY;
    size_t from = whole ? 0 : step_of(x, m[0]), to = whole ? x.full : min_size(from + 1, x.full);
    int part = whole || from == x.full;
    if (from)
        sum_range(s, x, e, 0, from, 0, NULL, NULL, mode);
    sum_range(s, x, e, from, to, part, top, count, mode | LEAVE_TOP);
    if (!part)
        sum_range(s, x, e, to, x.full, 1, NULL, NULL, mode);

    if (!across) {
        for (int l = 1; l < LANES; l++)
            count[0] += count[l];
        s->powers[0] += s->top[0];
        s->higher[0] += s->top_l[0];
    }
    for (int l = 0; l < LANES; l++) {
        int fresh = top[l] == top[l];
        double others = across || l == 0 ? (double)count[l] - 1 : 0;
        s->powers[l] += fresh ? others * high[l] + (across ? s->top[l] : 0) : 0;
        s->higher[l] += fresh ? others * low[l] + (across ? s->top_l[l] : 0) : 0;
        s->top[l] = fresh ? high[l] : s->top[l];
        s->top_l[l] = fresh ? low[l] : s->top_l[l];
    }
}

/* The maxima m of a tile's lanes; along a row all lanes get the one of the row. Where one exceeds the lane's limit, units
   change, and exponentials stored before are to be multiplied twice by `factor`: returns whether. */
static int sums_meet_tile(sums *s, int across, int first, tile x, T *m, T *factor)
{
    int outside = 0;
    tile_max(x, m);
    if (!across) {
        T largest = lanes_max(m);
        for (int l = 0; l < LANES; l++)
            m[l] = largest;
    }
    if (first) {
        first_units(s, across, m);
        return 0;
    }
    for (int l = 0; l < LANES; l++)
        outside |= m[l] > s->limit[l];
    if (outside)
        renew_units(s, m, factor);
    return outside;
}

/* Adds a tile whose maxima are m; mode: STORE or 0. */
static void sums_add_tile(sums *s, int across, tile x, tile e, const T *m, int mode)
{
    T top[LANES];
    int fresh = 0;
    for (int l = 0; l < LANES; l++) {
        int larger = m[l] > s->max[l] || m[l] == (T)INFINITY;
        top[l] = larger ? m[l] : (T)NAN;
        fresh |= larger;
    }
    memset(s->powers, 0, sizeof s->powers);
    memset(s->linear, 0, sizeof s->linear);
    memset(s->higher, 0, sizeof s->higher);
    memset(s->lost, 0, sizeof s->lost);
    powers_start(s, m);
    if (fresh)
        add_with_new_top(s, across, x, e, m, top, mode);
    else
        sum_range(s, x, e, 0, x.full, 1, NULL, NULL, mode);
    for (int l = 0; l < LANES; l++) {
        double lost[4];
        two_sum(s->total[l], s->powers[l], &s->total[l], &lost[0]);
        two_sum(s->total[l], s->lost[l], &s->total[l], &lost[1]);
        two_sum(s->total[l], s->linear[l], &s->total[l], &lost[2]);
        two_sum(s->total[l], s->higher[l], &s->total[l], &lost[3]);
        s->total_l[l] += (lost[0] + lost[1]) + (lost[2] + lost[3]);
        s->max[l] = m[l] > s->max[l] ? m[l] : s->max[l];
    }
}

#endif
