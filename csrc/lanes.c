/* The loops over exponentials, in which rows spend most of their time; compiled once for all kernels. */
#include "lanes.h"

enum { UNSHIFTED = 8 }; /* beside the modes of lanes.h: shift is 0, as it mostly is */

typedef struct {
    vf shift, round, floor;
    vf most;      /* elements up to it are summed; NaN too */
    vf sum, lost; /* what additions to the sum lose and, unless ROUGH, the rounding of exponentials */
    vf start;     /* of the sum */
} lane_sums;

/* `at`: the first of the lanes, or the row whose lanes these all are */
ALWAYS_INLINE void lanes_start(lane_sums *a, const units *u, const T *most, int across, size_t at, int mode)
{
    a->shift = across ? vf_load(u->shift + at) : vf_set(u->shift[at]);
    a->round = across ? vf_load(u->round + at) : vf_set(u->round[at]);
    a->floor = across ? vf_load(u->floor + at) : vf_set(u->floor[at]);
    if (mode & ROUGH) /* above what would be subnormal */
        a->floor = vf_add(a->floor, vf_set(LN2_HI));
    a->most = across ? vf_load(most + at) : vf_set(most[at]);
    a->lost = vf_set(0);
    vf t = vf_fma(vf_max(a->floor, vf_sub(a->most, a->shift)), vf_set(PARTS * LOG2E), a->round);
    vf scale = vf_add_bits(vf_set(1), t, SIGNIFICAND_BITS - LOG2_PARTS); /* interpolated: not below 2^(n/PARTS) */
    a->sum = a->start = vf_add(scale, scale);
}

/* A vector of logits half way to their exponentials, */
ALWAYS_INLINE exp_reduced lanes_reduce(const lane_sums *a, const T *x, size_t n, ptrdiff_t ahead, int mode)
{
    fetch_to_read(x, ahead);
    vf v = vf_load_n(x, n, vf_set(-(T)INFINITY));
    exp_reduced half = exp_reduce(mode & UNSHIFTED ? v : vf_sub(v, a->shift), a->round, a->floor, mode & ROUGH);
    if (mode & LEAVE_TOP && !(mode & STORE))
        half.scale = vf_keep(vf_not_gt(v, a->most), half.scale);
    return half;
}

/* and all the way to their sum, which starts above the largest exponential it will meet. So what an addition loses is
   known exactly (Dekker 1971), and with the rounding of the exponential, unless ROUGH, it is one term: scale q +
   (scale - added), where the difference is exact. Beside the exponential of a much larger element all terms would be
   lost: hence the second largest one. */
ALWAYS_INLINE void lanes_add(lane_sums *a, exp_reduced half, const T *x, T *e, size_t n, ptrdiff_t e_ahead, int mode)
{
    if (mode & (STORE | ROUGH))
        fetch_to_write(e, e_ahead);
    const int apart = mode & STORE && mode & LEAVE_TOP; /* also the exponential that is left out is stored */
    /* to read x again is cheaper than to keep a mask */
    vm summed = vf_not_gt(vf_load_n(x, n, vf_set(-(T)INFINITY)), a->most);
    exp_parts part = exp_in_unit(half, mode & ROUGH);
    vf whole = vf_fma(part.scale, part.q, part.scale);
    if (mode & STORE)
        vf_store_n(e, whole, n);
    vf sum = apart ? vf_add_where(summed, a->sum, whole) : vf_add(a->sum, whole), added = vf_sub(sum, a->sum);
    vf lost = mode & ROUGH ? vf_sub(whole, added) : vf_fma(part.scale, part.q, vf_sub(part.scale, added));
    a->sum = sum;
    a->lost = apart ? vf_add_where(summed, a->lost, lost) : vf_add(a->lost, lost);
}

ALWAYS_INLINE void lanes_step(lane_sums *a, const T *x, T *e, size_t n, ptrdiff_t ahead, ptrdiff_t e_ahead, int mode)
{
    lanes_add(a, lanes_reduce(a, x, n, ahead, mode), x, e, n, e_ahead, mode);
}

/* The start, a number of few bits, is a multiple of the last bit of any sum of a tile: subtracting it is exact. */
ALWAYS_INLINE void lanes_end(const lane_sums *a, lane_totals *t, size_t c)
{
    vf_store(t->sum + c, vf_sub(a->sum, a->start));
    vf_store(t->lost + c, a->lost);
}

/* Vectors of one tile that are summed side by side, so that neither waits for itself. More than two of AVX-512 do not
   fit into the registers, and memory asked for in larger portions comes later. With LEAVE_TOP alone e is any tile. */
enum { PAIR = LANES / VL == 2 ? 2 : 1 };

/* From one step of a tile to the next. */
ALWAYS_INLINE void tile_next(tile *t)
{
    t->p += t->step;
    t->ahead += t->drift;
}

/* All full steps, each of them reduced beside the adding of the one before. From a logit to its sum twenty instructions
   wait for one another: too long a way for the processor to find enough to do between them by itself. */
ALWAYS_INLINE void sum_overlapping(lane_sums *a, int vectors, tile x, tile e, int mode)
{
    exp_reduced half[PAIR], next[PAIR];
    UNROLL for (int v = 0; v < vectors; v++)
        half[v] = lanes_reduce(&a[v], x.p + v * VL, VL, x.ahead, mode);
    tile_next(&x);
    for (size_t i = 1; i < x.full; i++, tile_next(&x), tile_next(&e)) {
        UNROLL for (int v = 0; v < vectors; v++)
            next[v] = lanes_reduce(&a[v], x.p + v * VL, VL, x.ahead, mode);
        UNROLL for (int v = 0; v < vectors; v++)
            lanes_add(&a[v], half[v], x.p - x.step + v * VL, e.p + v * VL, VL, e.ahead, mode);
        UNROLL for (int v = 0; v < vectors; v++)
            half[v] = next[v];
    }
    UNROLL for (int v = 0; v < vectors; v++)
        lanes_add(&a[v], half[v], x.p - x.step + v * VL, e.p + v * VL, VL, e.ahead, mode);
}

/* The same of one vector a step where registers are few: four steps that the compiler may mix. */
ALWAYS_INLINE void sum_mixed(lane_sums *a, tile x, tile e, int mode)
{
    size_t i = 0;
    for (; i + 4 <= x.full; i += 4)
        UNROLL for (int j = 0; j < 4; j++, tile_next(&x), tile_next(&e))
            lanes_step(a, x.p, e.p, VL, x.ahead, e.ahead, mode);
    for (; i < x.full; i++, tile_next(&x), tile_next(&e))
        lanes_step(a, x.p, e.p, VL, x.ahead, e.ahead, mode);
}

ALWAYS_INLINE void sum_vectors(const units *u, int across, size_t row, size_t c, int vectors, tile x, tile e,
                               const T *most, lane_totals *t, int mode)
{
    lane_sums a[PAIR];
    x.p += c;
    e.p += c;
    UNROLL for (int v = 0; v < vectors; v++)
        lanes_start(&a[v], u, most, across, across ? c + v * VL : row, mode);
    if (!(mode & STORE) && PAIR == 1)
        sum_mixed(a, x, e, mode);
    else if (x.full)
        sum_overlapping(a, vectors, x, e, mode);
    x.p += (ptrdiff_t)x.full * x.step;
    e.p += (ptrdiff_t)x.full * e.step;
    UNROLL for (int v = 0; v < vectors; v++, c += VL) {
        if (x.part > c)
            lanes_step(&a[v], x.p + v * VL, e.p + v * VL, min_size(VL, x.part - c), x.ahead, e.ahead, mode);
        lanes_end(&a[v], t + (across ? c / LANES : 0), c % LANES);
    }
}

/* Whether so many vectors of lanes have no shift, or the row whose lanes they all are. */
ALWAYS_INLINE int unshifted(const units *u, int across, size_t at, int vectors)
{
    int any = !across && u->shift[at] != 0;
    UNROLL for (int v = 0; across && v < vectors; v++)
        any |= vm_any(vf_lt(vf_set(0), vf_abs(vf_load(u->shift + at + v * VL))));
    return !any;
}

ALWAYS_INLINE void sum_tiles_as(const units *u, int across, tile_rows rows, const tile *x, const tile *e, const T *most,
                                lane_totals *t, int mode)
{
    for (size_t i = 0; i < (across ? 1 : rows.n); i++) {
        size_t c = 0, row = rows.first + i;
        for (; c + PAIR * VL <= rows.lanes; c += PAIR * VL)
            if (unshifted(u, across, across ? c : row, PAIR))
                sum_vectors(u, across, row, c, PAIR, x[i], e[i], most, t + i, mode | UNSHIFTED);
            else
                sum_vectors(u, across, row, c, PAIR, x[i], e[i], most, t + i, mode);
        if (c < rows.lanes)
            sum_vectors(u, across, row, c, 1, x[i], e[i], most, t + i, mode);
    }
}

/* One function a mode: in one for all, gcc 12 lets the registers of each loop depend on the others (up to 10 %). */
#define SUM_TILES(name, mode)                                                                                          \
    static __attribute__((noinline)) void name(const units *u, int across, tile_rows rows, const tile *x,              \
                                               const tile *e, const T *most, lane_totals *t)                           \
    {                                                                                                                  \
        sum_tiles_as(u, across, rows, x, e, most, t, mode);                                                            \
    }
SUM_TILES(sum_others, LEAVE_TOP)
SUM_TILES(sum_others_and_store, STORE | LEAVE_TOP)
SUM_TILES(sum_others_roughly, LEAVE_TOP | ROUGH)
SUM_TILES(sum_others_roughly_and_store, STORE | LEAVE_TOP | ROUGH)
SUM_TILES(sum_all_roughly_and_store, STORE | ROUGH)

void sum_tiles(const units *u, int across, tile_rows rows, const tile *x, const tile *e, const T *most, lane_totals *t,
               int mode)
{
    switch (mode) {
    case LEAVE_TOP: sum_others(u, across, rows, x, e, most, t); break;
    case LEAVE_TOP | ROUGH: sum_others_roughly(u, across, rows, x, e, most, t); break;
    case STORE | LEAVE_TOP | ROUGH: sum_others_roughly_and_store(u, across, rows, x, e, most, t); break;
    case STORE | ROUGH: sum_all_roughly_and_store(u, across, rows, x, e, most, t); break;
    default: /* also STORE alone, whose sums nobody wants */
        sum_others_and_store(u, across, rows, x, e, most, t);
    }
}
