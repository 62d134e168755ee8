/* The sum of exponentials of rows, tile by tile, reading each logit from memory once.

   A row's exponentials are kept in its unit (lanes.h), which is chosen by the maximum of its first tile and renewed in
   the rare case that a later maximum outgrows it. One element that is the row's maximum is left out of the sum: with S'
   the sum of the others and e_m its exponential, logsumexp = max + log1p(S'/e_m), which is right to the last bit also
   where S' is far below an ULP of e_m. */
#ifndef SL_SUMEXP_H
#define SL_SUMEXP_H

#include "vmath.h"

/* What lanes_step does besides adding exponentials up. */
enum {
    STORE = 1,     /* store them */
    LEAVE_TOP = 2, /* leave out those of the maximum, and count these */
};

#include "lanes.h"

/* Of up to LANES rows. Across, row and lane are the same; along, all lanes belong to one row. */
typedef struct {
    int across;
    size_t cols;
    ALIGNED units unit;
    ALIGNED T limit[LANES];                    /* the maximum above which a new unit is needed */
    T max[LANES];                              /* so far; NaN does not count */
    ALIGNED double rest[LANES], rest_l[LANES]; /* S', high and low part */
    double top[LANES], top_l[LANES];           /* e_m, likewise */
} sums;

/* The rows that one tile belongs to, and the lanes that hold something: along, one row and all lanes; across, as many
   of both, absent rows included that fill up a vector. */
typedef struct {
    size_t first, n, lanes;
} tile_rows;

static inline void sums_start(sums *s, int across, size_t cols)
{
    s->across = across;
    s->cols = cols;
    for (int l = 0; l < LANES; l++) {
        s->max[l] = -(T)INFINITY;
        s->rest[l] = s->rest_l[l] = s->top[l] = s->top_l[l] = 0;
    }
}

/* One value a row as one a lane: of lane c onwards across, of the row along. */
ALWAYS_INLINE vf of_rows(const T *value, int across, size_t row, size_t c)
{
    return across ? vf_load(value + c) : vf_set(value[row]);
}

/* v (f + f_l), rounded all but once, so that no probability comes out above 1. */
ALWAYS_INLINE vf times_factor(vf v, vf f, vf f_l) { return vf_fma(v, f, vf_mul(v, f_l)); }

/* The same where some products are below the least normal number, or of a factor 0, which gives 0 whatever v is. A
   multiplication with a subnormal result takes a hundred cycles; w = |v f| UP_1 UP_2, in units of the least subnormal,
   is a normal number, and w + WHOLE has in its last bits w rounded to a whole one, which are that subnormal's. */
#if DTYPE == 32
#define LEAST_NORMAL_T FLT_MIN
#define WHOLE 0x1p23f
#define UP_1 0x1p64f
#define UP_2 0x1p85f
#else
#define LEAST_NORMAL_T DBL_MIN
#define WHOLE 0x1p52
#define UP_1 0x1p537
#define UP_2 0x1p537
#endif
ALWAYS_INLINE vf times_factor_small(vf v, vf f, vf f_l, vm small)
{
    vf zero = vf_set(0), up = vf_min(vf_set(MAX_T), vf_mul(vf_abs(f), vf_set(UP_2)));
    vf w = vf_mul(vf_mul(vf_keep(small, v), vf_set(UP_1)), up);
    vf tiny = vf_sub_bits(vf_add(w, vf_set(WHOLE)), vf_set(WHOLE));
    tiny = vf_select(vf_lt(f, zero), vf_minus_abs(tiny), tiny);
    vf y = vf_select(small, tiny, times_factor(vf_drop(small, v), f, f_l)), either = vf_add(v, f);
    return vf_drop(vf_eq(f, zero), vf_select(vf_eq(either, either), y, vf_set((T)NAN)));
}

/* Multiplies a tile, which holds nothing below 0, by factor + factor_l of its row. */
static inline void tile_scale(tile t, int across, tile_rows rows, const T *factor, const T *factor_l)
{
    for (size_t c = 0; c < rows.lanes; c += VL) {
        vf f = of_rows(factor, across, rows.first, c), f_l = of_rows(factor_l, across, rows.first, c);
        vf limit = vf_div(vf_set(LEAST_NORMAL_T), vf_abs(f));
        T *p = t.p + c;
        for (size_t i = 0; i < t.full + (t.part > c); i++, p += t.step) {
            size_t n = i < t.full ? VL : min_size(VL, t.part - c);
            vf v = vf_load_n(p, n, limit);
            vm small = vf_not_ge(v, limit);
            vf_store_n(p, vm_any(small) ? times_factor_small(v, f, f_l, small) : times_factor(v, f, f_l), n);
        }
    }
}

/* The maximum of each row in a tile; a NaN is not larger than anything. */
static inline void tile_max(tile t, int across, tile_rows rows, T *m)
{
    vf least = vf_set(-(T)INFINITY), all = least;
    for (size_t c = 0; c < rows.lanes; c += VL) {
        const T *p = t.p + c;
        vf a = least, b = least, d = least, e = least;
        size_t i = 0;
        for (; i + 4 <= t.full; i += 4, p += 4 * t.step) {
            a = vf_max(vf_load(p), a);
            b = vf_max(vf_load(p + t.step), b);
            d = vf_max(vf_load(p + 2 * t.step), d);
            e = vf_max(vf_load(p + 3 * t.step), e);
        }
        for (; i < t.full; i++, p += t.step)
            a = vf_max(vf_load(p), a);
        if (t.part > c)
            a = vf_max(vf_load_n(p, t.part - c, least), a);
        a = vf_max(vf_max(a, b), vf_max(d, e));
        if (across)
            vf_store(m + c, a);
        else
            all = vf_max(a, all);
    }
    if (!across)
        m[rows.first] = vf_largest(all);
}

typedef struct {
    ALIGNED double rest[LANES], rest_l[LANES], tops[LANES];
} lane_totals;

/* The sums of all lanes, which belong to one row, in the place of that row. */
static inline void fold_lanes(lane_totals *t, size_t row, int mode)
{
    double rest, rest_l;
    fold(t->rest, t->rest_l, &rest, &rest_l);
    t->rest[row] = rest;
    t->rest_l[row] = rest_l;
    if (mode & LEAVE_TOP) {
        double count = 0;
        for (int l = 0; l < LANES; l++)
            count += t->tops[l];
        t->tops[row] = count;
    }
}

ALWAYS_INLINE void sum_lanes_as(const sums *s, tile_rows rows, tile x, tile e, const T *top, lane_totals *t, int mode)
{
    for (size_t c = 0; c < rows.lanes; c += VL) {
        lane_sums a;
        lanes_start(&a, &s->unit, top, s->across, s->across ? c : rows.first);
        const T *p = x.p + c;
        T *q = mode & STORE ? e.p + c : NULL;
        size_t i = 0;
        for (; i + FOLD <= x.full; i += FOLD, lanes_fold(&a))
            for (int j = 0; j < FOLD; j++, p += x.step, q = mode & STORE ? q + e.step : q) {
                fetch_to_read(p);
                if (mode & STORE)
                    fetch_to_write(q);
                lanes_step(&a, p, q, VL, mode);
            }
        for (; i < x.full; i++, p += x.step, q = mode & STORE ? q + e.step : q)
            lanes_step(&a, p, q, VL, mode);
        if (x.part > c)
            lanes_step(&a, p, q, min_size(VL, x.part - c), mode);
        lanes_end(&a, x.full + (x.part > c), t->rest + c, t->rest_l + c, t->tops + c);
    }
}

/* The sums over a tile, of lanes or, along, of the one row they belong to. */
static __attribute__((noinline)) void sum_tile(const sums *s, tile_rows rows, tile x, tile e, const T *top,
                                               lane_totals *t, int mode)
{
    switch (mode) {
    case STORE: sum_lanes_as(s, rows, x, e, top, t, STORE); break;
    case LEAVE_TOP: sum_lanes_as(s, rows, x, e, top, t, LEAVE_TOP); break;
    default: sum_lanes_as(s, rows, x, e, top, t, STORE | LEAVE_TOP);
    }
    if (!s->across)
        fold_lanes(t, rows.first, mode);
}

static inline void add_to_rest(sums *s, size_t l, double high, double low)
{
    if (DTYPE == 32) {
        s->rest[l] += high;
        return;
    }
    double lost;
    two_sum(s->rest[l], high, &s->rest[l], &lost);
    s->rest_l[l] += lost + low;
}

/* The sums of row l in the unit of a maximum m, which is not smaller than that of the old one. */
static void renew_unit(sums *s, size_t l, T m)
{
    units old = s->unit;
    set_units(&s->unit, s->limit, l, 1, &m, s->cols);
    double root = unit_ratio_root(&old, &s->unit, l);
    s->rest[l] = s->rest[l] * root * root;
    s->rest_l[l] = s->rest_l[l] * root * root;
    s->top[l] = s->top[l] * root * root;
    s->top_l[l] = s->top_l[l] * root * root;
}

/* New units where a row's maximum m left the old one. */
static __attribute__((noinline)) void renew_units(sums *s, tile_rows rows, const T *m)
{
    for (size_t l = rows.first; l < rows.first + rows.n; l++)
        if (m[l] > s->limit[l])
            renew_unit(s, l, m[l]);
}

/* The maxima m of a tile's rows. Where one exceeds its row's limit, units change, and what was stored in the old ones
   is of no use: returns whether. */
static inline int sums_meet_tile(sums *s, tile_rows rows, int first, tile x, T *m)
{
    int outside = 0;
    tile_max(x, s->across, rows, m);
    if (first) {
        set_units(&s->unit, s->limit, rows.first, rows.n, m + rows.first, s->cols);
        return 0;
    }
    for (size_t l = rows.first; l < rows.first + rows.n; l++)
        outside |= m[l] > s->limit[l];
    if (outside)
        renew_units(s, rows, m);
    return outside;
}

/* Adds a tile whose maxima are m. With LEAVE_TOP a new maximum is left out and the old one joins the others; wherever
   else the new one occurs it is counted. Without, `rest` is the whole sum. */
static void sums_add_tile(sums *s, tile_rows rows, tile x, tile e, const T *m, int mode)
{
    lane_totals t;
    ALIGNED T top[LANES] = {0};
    ALIGNED double high[LANES], low[LANES];
    const size_t first = rows.first, end = rows.first + rows.n;
    if (mode & LEAVE_TOP) {
        exp_of_max(&s->unit, first, rows.n, m, high + first, low + first);
        for (size_t l = first; l < end; l++)
            top[l] = m[l] > s->max[l] || m[l] == (T)INFINITY ? m[l] : (T)NAN;
    }
    sum_tile(s, rows, x, e, top, &t, mode);
    for (size_t l = first; l < end; l++) {
        add_to_rest(s, l, t.rest[l], t.rest_l[l]);
        if (mode & LEAVE_TOP) {
            int fresh = top[l] == top[l];
            double others = fresh ? t.tops[l] - 1 : 0;
            double product = others * high[l], lost = others > 1 ? fma(others, high[l], -product) : 0;
            add_to_rest(s, l, product, others * low[l] + lost);
            add_to_rest(s, l, fresh ? s->top[l] : 0, fresh ? s->top_l[l] : 0);
            s->top[l] = fresh ? high[l] : s->top[l];
            s->top_l[l] = fresh ? low[l] : s->top_l[l];
        }
        s->max[l] = m[l] > s->max[l] ? m[l] : s->max[l];
    }
}

/* Whether exponentials in the unit of one are in that of the other. */
static inline int share_units(const sums *s, const sums *t, tile_rows rows)
{
    int same = 1;
    for (size_t l = rows.first; l < rows.first + rows.n; l++)
        same &= unit_ratio_root(&s->unit, &t->unit, l) == 1;
    return same;
}

/* Adds the sums of other tiles of the same rows; the smaller of two maxima joins the others, and where they are the
   same one of them does. */
static void sums_join(sums *s, tile_rows rows, const sums *other)
{
    sums part = *other;
    if (!share_units(s, &part, rows))
        for (size_t l = rows.first; l < rows.first + rows.n; l++) {
            T m = part.max[l] > s->max[l] ? part.max[l] : s->max[l];
            renew_unit(s, l, m);
            renew_unit(&part, l, m);
        }
    for (size_t l = rows.first; l < rows.first + rows.n; l++) {
        int fresh = part.max[l] > s->max[l];
        add_to_rest(s, l, part.rest[l], part.rest_l[l]);
        add_to_rest(s, l, fresh ? s->top[l] : part.top[l], fresh ? s->top_l[l] : part.top_l[l]);
        s->top[l] = fresh ? part.top[l] : s->top[l];
        s->top_l[l] = fresh ? part.top_l[l] : s->top_l[l];
        s->max[l] = fresh ? part.max[l] : s->max[l];
    }
}

#endif
