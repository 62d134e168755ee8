/* The loops over exponentials, in which rows spend most of their time; compiled once for all kernels. */
#include "lanes.h"

enum { UNSHIFTED = 8 }; /* beside the modes of lanes.h: shift is 0, as it mostly is */

/* Of a vector of lanes: how its logits become exponentials, and which are summed. */
typedef struct {
    vf shift, round, floor;
    vf most;  /* elements up to it are summed; NaN too */
    vf start; /* of the sum */
} lane_units;

typedef struct {
    vf sum, lost; /* what additions to the sum lose and, unless ROUGH, the rounding of exponentials */
} lane_sums;

/* `at`: the first of the lanes, or the row whose lanes these all are */
ALWAYS_INLINE lane_units lanes_open(const units *u, const T *most, int across, size_t at, int mode)
{
    lane_units a = {
        .shift = across ? vf_load(u->shift + at) : vf_set(u->shift[at]),
        .round = across ? vf_load(u->round + at) : vf_set(u->round[at]),
        .floor = across ? vf_load(u->floor + at) : vf_set(u->floor[at]),
        .most = across ? vf_load(most + at) : vf_set(most[at]),
    };
    if (mode & ROUGH) /* above what would be subnormal */
        a.floor = vf_add(a.floor, vf_set(LN2_HI));
    vf t = vf_fma(vf_max(a.floor, vf_sub(a.most, a.shift)), vf_set(PARTS * LOG2E), a.round);
    vf scale = vf_add_bits(vf_set(1), t, SIGNIFICAND_BITS - LOG2_PARTS); /* interpolated: not below 2^(n/PARTS) */
    a.start = vf_add(scale, scale);
    return a;
}

/* Vectors of one tile that are summed side by side, so that neither waits for itself. More do not fit into the registers,
   and memory asked for in larger portions comes later. */
enum { PAIR = 2 };

/* From one step of a tile to the next. */
ALWAYS_INLINE void tile_next(tile *t)
{
    t->p += t->step;
    t->ahead += t->drift;
}

/* Asks once for each line of what lies ahead of so many vectors from p. */
ALWAYS_INLINE void ask_ahead(const T *p, int vectors, ptrdiff_t ahead, int to_write)
{
    enum { A_LINE = CACHE_LINE / sizeof(T) / VL };
    UNROLL for (int v = 0; v < vectors; v += A_LINE)
        if (to_write)
            fetch_to_write(p + v * VL, ahead);
        else
            fetch_to_read(p + v * VL, ahead);
}

/* Whether the first half of a step makes whole exponentials, so that q stands for r in what is handed on, or ends before
   their polynomials. */
enum { POLYNOMIALS_FIRST = !MANY_REGISTERS };

/* A vector of logits half way to their sum, */
ALWAYS_INLINE exp_reduced lanes_begin(const lane_units *u, const T *x, size_t n, int mode)
{
    vf v = vf_load_n(x, n, vf_set(-(T)INFINITY));
    exp_reduced half = exp_reduce(mode & UNSHIFTED ? v : vf_sub(v, u->shift), u->round, u->floor, mode & ROUGH);
    if (mode & LEAVE_TOP && !(mode & STORE))
        half.scale = vf_keep(vf_not_gt(v, u->most), half.scale);
    if (POLYNOMIALS_FIRST)
        half.r = exp_in_unit(half, mode & ROUGH).q;
    return half;
}

/* and all the way to it; it starts above the largest exponential it will meet. So what an addition loses is known
   exactly (Dekker 1971), and with the rounding of the exponential, unless ROUGH, it is one term: scale q + (scale -
   added), where the difference is exact. Beside the exponential of a much larger element all terms would be lost: hence
   the second largest one. */
ALWAYS_INLINE void lanes_end(const lane_units *u, lane_sums *a, exp_reduced half, const T *x, T *e, size_t n, int mode)
{
    const int apart = mode & STORE && mode & LEAVE_TOP; /* also the exponential that is left out is stored */
    /* to read x again is cheaper than to keep a mask */
    vm summed = vf_not_gt(vf_load_n(x, n, vf_set(-(T)INFINITY)), u->most);
    exp_parts part = POLYNOMIALS_FIRST ? (exp_parts){half.scale, half.r} : exp_in_unit(half, mode & ROUGH);
    vf whole = vf_fma(part.scale, part.q, part.scale);
    if (mode & STORE)
        vf_store_n(e, whole, n);
    vf sum = apart ? vf_add_where(summed, a->sum, whole) : vf_add(a->sum, whole), added = vf_sub(sum, a->sum);
    vf lost = mode & ROUGH ? vf_sub(whole, added) : vf_fma(part.scale, part.q, vf_sub(part.scale, added));
    a->sum = sum;
    a->lost = apart ? vf_add_where(summed, a->lost, lost) : vf_add(a->lost, lost);
}

/* The sums of full steps, the first half of each beside the second half of the one before. From a logit to its sum
   twenty instructions wait for one another: too long a way for the processor to find enough to do between them by
   itself. Along, the units of one vector are those of all. */
ALWAYS_INLINE void sum_steps(const lane_units *u, int across, lane_sums *a, int vectors, tile x, tile e, int mode)
{
    exp_reduced half[PAIR];
    UNROLL for (int v = 0; v < vectors; v++)
        half[v] = lanes_begin(&u[across * v], x.p + v * VL, VL, mode);
    ask_ahead(x.p, vectors, x.ahead, 0);
    tile_next(&x);
    for (size_t i = 1; i < x.full; i++, tile_next(&x), tile_next(&e)) {
        ask_ahead(x.p, vectors, x.ahead, 0);
        if (mode & (STORE | ROUGH))
            ask_ahead(e.p, vectors, e.ahead, 1);
        UNROLL for (int v = 0; v < vectors; v++)
            lanes_end(&u[across * v], &a[v], half[v], x.p - x.step + v * VL, e.p + v * VL, VL, mode);
        UNROLL for (int v = 0; v < vectors; v++)
            half[v] = lanes_begin(&u[across * v], x.p + v * VL, VL, mode);
    }
    if (mode & (STORE | ROUGH))
        ask_ahead(e.p, vectors, e.ahead, 1);
    UNROLL for (int v = 0; v < vectors; v++)
        lanes_end(&u[across * v], &a[v], half[v], x.p - x.step + v * VL, e.p + v * VL, VL, mode);
}

ALWAYS_INLINE void sum_vectors(const units *u, int across, size_t row, size_t c, int vectors, tile x, tile e,
                               const T *most, lane_totals *t, int mode)
{
    lane_units unit[PAIR];
    lane_sums a[PAIR];
    x.p += c;
    e.p += c;
    UNROLL for (int v = 0; v < vectors; v++) {
        unit[v] = lanes_open(u, most, across, across ? c + v * VL : row, mode);
        a[v] = (lane_sums){unit[v].start, vf_set(0)};
    }
    if (x.full)
        sum_steps(unit, across, a, vectors, x, e, mode);
    x.p += (ptrdiff_t)x.full * x.step;
    e.p += (ptrdiff_t)x.full * e.step;
    UNROLL for (int v = 0; v < vectors; v++, c += VL) {
        if (x.part > c) {
            const size_t n = min_size(VL, x.part - c);
            ask_ahead(x.p + v * VL, 1, x.ahead, 0);
            exp_reduced half = lanes_begin(&unit[v], x.p + v * VL, n, mode);
            lanes_end(&unit[v], &a[v], half, x.p + v * VL, e.p + v * VL, n, mode);
        }
        /* The start, a number of few bits, is a multiple of the last bit of any sum of a tile: that is exact. */
        vf_store(t[across ? c / LANES : 0].sum + c % LANES, vf_sub(a[v].sum, unit[v].start));
        vf_store(t[across ? c / LANES : 0].lost + c % LANES, a[v].lost);
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
                                const T *top, lane_totals *t, int mode)
{
    for (size_t i = 0; i < (across ? 1 : rows.n); i++) {
        size_t c = 0, row = rows.first + i;
        if (top && (most[row] == top[row]) == (mode & LEAVE_TOP) / LEAVE_TOP)
            continue;
        for (; c + PAIR * VL <= rows.lanes; c += PAIR * VL)
            if (!unshifted(u, across, across ? c : row, PAIR))
                sum_vectors(u, across, row, c, PAIR, x[i], e[i], most, t + i, mode);
            else if (across)
                sum_vectors(u, 1, row, c, PAIR, x[i], e[i], most, t + i, mode | UNSHIFTED);
            else
                sum_vectors(u, 0, row, c, PAIR, x[i], e[i], most, t + i, mode | UNSHIFTED);
        if (c < rows.lanes)
            sum_vectors(u, across, row, c, 1, x[i], e[i], most, t + i, mode);
    }
}

/* One function a mode: in one for all, gcc 12 lets the registers of each loop depend on the others (up to 10 %). */
#define SUM_TILES(name, mode)                                                                                          \
    static __attribute__((noinline)) void name(const units *u, int across, tile_rows rows, const tile *x,              \
                                               const tile *e, const T *most, const T *top, lane_totals *t)             \
    {                                                                                                                  \
        sum_tiles_as(u, across, rows, x, e, most, top, t, mode);                                                       \
    }
SUM_TILES(sum_all, 0)
SUM_TILES(sum_all_and_store, STORE)
SUM_TILES(sum_all_roughly, ROUGH)
SUM_TILES(sum_all_roughly_and_store, STORE | ROUGH)
SUM_TILES(sum_others, LEAVE_TOP)
SUM_TILES(sum_others_and_store, STORE | LEAVE_TOP)
SUM_TILES(sum_others_roughly, LEAVE_TOP | ROUGH)
SUM_TILES(sum_others_roughly_and_store, STORE | LEAVE_TOP | ROUGH)

void sum_tiles(const units *u, int across, tile_rows rows, const tile *x, const tile *e, const T *most, const T *top,
               lane_totals *t, int mode)
{
    switch (mode) {
    case STORE: sum_all_and_store(u, across, rows, x, e, most, top, t); break;
    case ROUGH: sum_all_roughly(u, across, rows, x, e, most, top, t); break;
    case STORE | ROUGH: sum_all_roughly_and_store(u, across, rows, x, e, most, top, t); break;
    case LEAVE_TOP: sum_others(u, across, rows, x, e, most, top, t); break;
    case STORE | LEAVE_TOP: sum_others_and_store(u, across, rows, x, e, most, top, t); break;
    case LEAVE_TOP | ROUGH: sum_others_roughly(u, across, rows, x, e, most, top, t); break;
    case STORE | LEAVE_TOP | ROUGH: sum_others_roughly_and_store(u, across, rows, x, e, most, top, t); break;
    default: sum_all(u, across, rows, x, e, most, top, t);
    }
}
