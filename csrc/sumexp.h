/* The sum of exponentials of rows, tile by tile, reading each logit from memory once.

   A row's exponentials are kept in its unit (lanes.h), which is chosen by the maximum of its first tile and renewed in
   the rare case that a later maximum outgrows it. The largest element, the top, is kept out of the sum: with S' the sum
   of the others and e_m its exponential, logsumexp = max + log1p(S'/e_m), which is right to the last bit also where S'
   is far below an ULP of e_m. A tile's own top is found together with the second largest element, which bounds all that
   is summed; but in rows along of which that is near, the top stays in the sum, and is taken away from it at the end. */
#ifndef SL_SUMEXP_H
#define SL_SUMEXP_H

#include "lanes.h"

/* Of up to ROWS rows. */
typedef struct {
    size_t cols;
    ALIGNED units unit;
    ALIGNED T limit[ROWS]; /* the maximum above which a new unit is needed */
    T max[ROWS];           /* so far; NaN does not count */
    row_parts rest, top;   /* S' and e_m */
} sums;

/* The sums of rows without elements. In vectors: gcc makes a string instruction of zeros one by one, which takes 30
   cycles before the first. */
static inline void sums_start(sums *s, size_t n)
{
    const vd2 nothing = {vd_set(0), vd_set(0)};
    for (size_t i = 0; i < n; i += VL)
        vf_store(s->max + i, vf_set(-(T)INFINITY));
    for (size_t i = 0; i < n; i += VD) {
        parts_put(&s->rest, i, nothing);
        parts_put(&s->top, i, nothing);
    }
}

/* The largest and, with `two`, second largest elements met, in lanes. A NaN is not larger than anything. */
typedef struct {
    vf first, second;
} largest;

ALWAYS_INLINE void meet(largest *a, vf x, int two)
{
    vf larger = vf_max(x, a->first);
    if (two)
        a->second = vf_max(vf_min_beside(larger, a->first, x), a->second);
    a->first = larger;
}

ALWAYS_INLINE void meet_others(largest *a, largest b, int two)
{
    if (two)
        a->second = vf_max(vf_min(a->first, b.first), vf_max(a->second, b.second));
    a->first = vf_max(a->first, b.first);
}

/* Of n vectors; several at a time, so that none waits for the one before. */
ALWAYS_INLINE largest largest_of(const T *p, ptrdiff_t step, size_t n, int two)
{
    const vf least = vf_set(-(T)INFINITY);
    largest a[4] = {{least, least}, {least, least}, {least, least}, {least, least}};
    for (; n >= 4; n -= 4, p += 4 * step)
        UNROLL for (int j = 0; j < 4; j++)
            meet(&a[j], vf_load(p + j * step), two);
    for (; n; n--, p += step)
        meet(&a[0], vf_load(p), two);
    meet_others(&a[0], a[1], two);
    meet_others(&a[2], a[3], two);
    meet_others(&a[0], a[2], two);
    return a[0];
}

/* Of all lanes, m being the largest; at most MAX_T. */
ALWAYS_INLINE T second_largest(largest a, T m)
{
    vm top = vf_eq(a.first, vf_set(m));
    vf others = vm_count(top) > 1 ? a.first : vf_select(top, a.second, a.first);
    return vf_largest(vf_min(vf_set(MAX_T), others));
}

/* Whether the exponential of the second largest element is more than 2^-8 of that of a finite largest one. */
ALWAYS_INLINE int is_near(T m, T second) { return m < (T)INFINITY && second >= m - (T)5.5; }

/* The maximum of each row in a tile and, with `two`, the second largest element, at most MAX_T: the maximum itself
   where it stands twice, -infinity where it stands alone. */
ALWAYS_INLINE void tile_largest(tile t, int across, tile_rows rows, T *m, T *second, int two)
{
    const vf most = vf_set(MAX_T);
    for (size_t c = 0; across && c < rows.lanes; c += VL) {
        largest a = largest_of(t.p + c, t.step, t.full, two);
        vf_store(m + c, a.first);
        if (two)
            vf_store(second + c, vf_min(most, a.second));
    }
    if (across)
        return;
    t = in_vectors(t);
    largest a = largest_of(t.p, VL, t.full, two);
    if (t.part)
        meet(&a, vf_load_n(t.p + t.full * VL, t.part, vf_set(-(T)INFINITY)), two);
    m[rows.first] = vf_largest(a.first);
    if (two)
        second[rows.first] = second_largest(a, m[rows.first]);
}

static inline void tile_max(tile t, int across, tile_rows rows, T *m) { tile_largest(t, across, rows, m, NULL, 0); }

static void tile_max_two(tile t, int across, tile_rows rows, T *m, T *second)
{
    tile_largest(t, across, rows, m, second, 1);
}

enum { LONG_ENOUGH = 24 }; /* steps of a row for the other lanes to pay for what is done at its end */

/* The same of a long row along, in little more than the time of the maximum. That is one of the largest elements of
   LANES lanes; the second largest is another of these or, unless one of these is near, may be in the top's own lane. */
static void lanes_max_two(tile t, T *m, T *second)
{
    enum { VECTORS = LANES / VL };
    const vf least = vf_set(-(T)INFINITY);
    ALIGNED T most[LANES];
    largest a[VECTORS];
    const T *p = t.p;
    UNROLL for (size_t j = 0; j < VECTORS; j++)
        a[j] = (largest){least, least};
    for (size_t i = 0; i < t.full; i++, p += LANES)
        UNROLL for (size_t j = 0; j < VECTORS; j++)
            meet(&a[j], vf_load(p + j * VL), 0);
    UNROLL for (size_t j = 0; j < VECTORS; j++) {
        if (j * VL < t.part)
            meet(&a[j], vf_load_n(p + j * VL, min_size(VL, t.part - j * VL), least), 0);
        vf_store(most + j * VL, a[j].first);
    }
    UNROLL for (size_t j = 1; j < VECTORS; j++)
        meet_others(&a[0], a[j], 1);
    const T top = vf_largest(a[0].first);
    T next = second_largest(a[0], top);
    *m = top;
    if (!is_near(top, next)) {
        size_t lane = 0, times = 0;
        while (most[lane] != top)
            lane++;
        p = t.p + lane;
        for (size_t i = t.full + (lane < t.part); i; i--, p += LANES) {
            times += *p == top;
            next = *p > next && *p < top ? *p : next;
        }
        if (times > 1)
            next = top < MAX_T ? top : MAX_T;
    }
    *second = next;
}

/* The same of any row along, but where the second is near the largest, the largest stands for it: all of the row is to be
   summed then (sums_take), with a loop that takes a tenth less. The top is taken away from that sum, of which float32
   knows about 40 bits; 2^-8 of it still to 32. */
static void tile_max_near(tile t, tile_rows rows, T *m, T *second)
{
    m += rows.first;
    second += rows.first;
    if (t.full < LONG_ENOUGH)
        tile_max_two(t, 0, (tile_rows){0, 1, LANES}, m, second);
    else
        lanes_max_two(t, m, second);
    if (is_near(*m, *second))
        *second = *m;
}

/* The sum of the lanes of a row along. */
static inline void sum_row(row_parts *sum, size_t row, const lane_totals *lanes)
{
    row_parts all;
    for (size_t i = 0; i < LANES; i += VD)
        parts_put(&all, i, lanes_sum(lanes, i));
    fold(&all);
    part_set(sum, row, part_of(&all, 0));
}

/* e^(x - max) times TOP_OF_FEW, high and low part; what the difference loses counts in float64. */
#define TOP_OF_FEW (UNIT * part_scales[0])
ALWAYS_INLINE vd2 exp_below(vd x, vd max)
{
#if DTYPE == 32
    return (vd2){vd_exp_wide(x - max) * TOP_OF_FEW, vd_set(0)};
#else
    const vd floor = vd_set((LEAST - BIAS) * LN2_HI);
    vd lost, z = vd_two_sum(x, -max, &lost);
    exp_parts e = exp_in_unit(exp_reduce(z, vd_set(ROUND + PARTS * BIAS), floor, 0), 0);
    vd q = vd_fma(vd_where((vd_bits)(z > floor), lost), e.q + 1.0, e.q), high = vd_fma(e.scale, q, e.scale);
    return (vd2){high, vd_fma(e.scale, q, e.scale - high)};
#endif
}

/* The sums over a tile across rows of few columns, of float32 in float64: there is no unit to choose, and the
   exponential of the maximum is known. Each column is compared with the largest before it; the smaller of the two is
   one of the others, and its exponential goes back the same way. So they are added up in one order, stored or not. An
   infinite maximum is taken for a finite one, which others can equal; NaN stays, as the second operand.

   What lies ahead is asked for if gradients are made of the exponentials: beyond the second cache, cross-entropy of 3
   to 6 columns of float32 takes 2-18 % less. Else enough comes by itself, and asking takes up to 8 % more. */
static void sum_few(sums *restrict s, size_t n, tile x, tile e, int mode)
{
    const int ask = mode & STORE && mode & LEAVE_TOP;
    const vf most = vf_set(MAX_T);
    vm larger[FEW_COLUMNS][ROWS / VL];
    ALIGNED T other[FEW_COLUMNS][ROWS], top[ROWS];
    for (size_t i = 0; i < n; i += VL) {
        vf a = vf_min(most, vf_load(x.p + i));
        if (ask)
            fetch_to_read(x.p + i, x.ahead);
        for (size_t c = 1; c < x.full; c++) {
            const T *p = x.p + (ptrdiff_t)c * x.step + i;
            if (ask)
                fetch_to_read(p, x.ahead + (ptrdiff_t)c * x.drift);
            vf b = vf_min(most, vf_load(p));
            vm m = larger[c][i / VL] = vf_lt(a, b);
            vf_store(other[c] + i, vf_select(m, a, b));
            a = vf_select(m, b, a);
        }
        vf_store(top + i, vf_max(vf_set(-MAX_T), a));
    }
    for (size_t i = 0; i < n; i += VD) {
        vd max = vd_read(top + i);
        vd2 rest = {max - max, vd_set(0)};
        for (size_t c = 1; c < x.full; c++) {
            vd2 exponential = exp_below(vd_read(other[c] + i), max);
            rest = parts_add(rest, exponential);
            if (mode & STORE)
                vd_write(other[c] + i, exponential.h);
        }
        parts_put(&s->rest, i, rest);
        parts_put(&s->top, i, (vd2){vd_set(TOP_OF_FEW), vd_set(0)});
    }
    for (size_t i = 0; mode & STORE && i < n; i += VL) {
        vf a = vf_set((T)TOP_OF_FEW);
        for (size_t c = x.full - 1; c > 0; c--) {
            T *p = e.p + (ptrdiff_t)c * e.step + i;
            vf b = vf_load(other[c] + i);
            if (ask)
                fetch_to_write(p, e.ahead + (ptrdiff_t)c * e.drift);
            vf_store(p, vf_select(larger[c][i / VL], a, b));
            a = vf_select(larger[c][i / VL], b, a);
        }
        if (ask)
            fetch_to_write(e.p + i, e.ahead);
        vf_store(e.p + i, a);
    }
}

/* The sums of row l in the unit of a maximum m, which is not smaller than that of the old one. */
static void renew_unit(sums *s, size_t l, T m)
{
    units old = s->unit;
    set_units(&s->unit, s->limit, l, 1, &m, s->cols);
    double root = unit_ratio_root(&old, &s->unit, l);
    parts_scale(&s->rest, l, root);
    parts_scale(&s->top, l, root);
}

/* New units where a row's maximum m left the old one. */
static __attribute__((noinline)) void renew_units(sums *s, size_t n, const T *m)
{
    for (size_t l = 0; l < n; l++)
        if (m[l] > s->limit[l])
            renew_unit(s, l, m[l]);
}

/* Makes units serve the maxima m of tiles of n rows, the first ones or further ones. Where one exceeds its row's limit,
   units change, and what was stored in the old ones is of no use: returns whether. m has whole vectors, and so have the
   units then. */
static inline int sums_meet(sums *s, size_t n, int first, const T *m)
{
    int outside = 0;
    if (first) {
        set_units(&s->unit, s->limit, 0, (n + VL - 1) / VL * VL, m, s->cols);
        return 0;
    }
    for (size_t l = 0; l < n; l++)
        outside |= m[l] > s->limit[l];
    if (outside)
        renew_units(s, n, m);
    return outside;
}

/* The sums of rows from those of their lanes. With LEAVE_TOP in mode these left out the tops, unless `second` is as large:
   then one is taken away. */
static void sums_take(sums *s, const units *u, int across, tile_rows rows, const lane_totals *lanes, const T *second,
                      int mode)
{
    for (size_t row = 0; !across && row < rows.n; row++)
        sum_row(&s->rest, row, lanes + row);
    for (size_t i = 0; i < rows.n; i += VL) {
        vd2 tops[VL / VD] = {{vd_set(0), vd_set(0)}}; /* the others are 0, too */
        if (mode & LEAVE_TOP)
            exps_of_max(tops, u, i, s->max, mode & ROUGH);
        UNROLL for (size_t j = 0; j < VL / VD; j++) {
            const size_t at = i + j * VD;
            parts_put(&s->rest, at, across ? lanes_sum(lanes + at / LANES, at % LANES) : parts_get(&s->rest, at));
            parts_put(&s->top, at, tops[j]);
        }
        if (!(mode & LEAVE_TOP) || !vm_any(vf_eq(vf_load(s->max + i), vf_load(second + i))))
            continue;
        exps_added(tops, u, i, s->max, mode & ROUGH);
        UNROLL for (size_t j = 0; j < VL / VD; j++) {
            const size_t at = i + j * VD;
            vd_bits twice = (vd_bits)(vd_read(s->max + at) == vd_read(second + at));
            vd2 added = {vd_where(twice, -tops[j].h), vd_where(twice, -tops[j].l)};
            parts_put(&s->rest, at, parts_add(parts_get(&s->rest, at), added));
        }
    }
}

/* Adds the sums over other elements of the same rows, in the same units. Of two tops, with LEAVE_TOP, the smaller joins
   the others. */
static inline void sums_add(sums *restrict s, size_t n, const sums *restrict part, int mode)
{
    for (size_t i = 0; i < n; i += VD) {
        vd2 rest = parts_add(parts_get(&s->rest, i), parts_get(&part->rest, i));
        if (mode & LEAVE_TOP) {
            vd_bits fresh = (vd_bits)(vd_read(part->max + i) > vd_read(s->max + i));
            vd2 top = parts_get(&s->top, i), other = parts_get(&part->top, i);
            rest = parts_add(rest, parts_choose(fresh, top, other));
            parts_put(&s->top, i, parts_choose(fresh, other, top));
        }
        parts_put(&s->rest, i, rest);
    }
    for (size_t i = 0; i < n; i += VL)
        vf_store(s->max + i, vf_max(vf_load(part->max + i), vf_load(s->max + i)));
}

static inline int any_infinite(size_t n, const T *restrict m)
{
    int any = 0;
    for (size_t l = 0; l < n; l++)
        any |= m[l] == (T)INFINITY;
    return any;
}

/* Whether exponentials in the unit of one are in that of the other. */
static inline int share_units(const sums *s, const sums *t, tile_rows rows)
{
    int same = 1;
    for (size_t l = rows.first; l < rows.first + rows.n; l++)
        same &= unit_ratio_root(&s->unit, &t->unit, l) == 1;
    return same;
}

/* sums_add of others than tiles, whose units may differ. */
static void sums_join(sums *s, tile_rows rows, const sums *other)
{
    sums part = *other;
    if (!share_units(s, &part, rows))
        for (size_t l = rows.first; l < rows.first + rows.n; l++) {
            T m = part.max[l] > s->max[l] ? part.max[l] : s->max[l];
            renew_unit(s, l, m);
            renew_unit(&part, l, m);
        }
    sums_add(s, rows.n, &part, LEAVE_TOP);
}

#endif
