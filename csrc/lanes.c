/* The loops over exponentials, in which rows spend most of their time; compiled once for all kernels. */
#include "lanes.h"

typedef struct {
    vf shift, round, floor;
    vf most;      /* elements up to it are summed; NaN too */
    vf sum, lost; /* what additions to the sum lose and, with LEAVE_TOP, the rounding of exponentials */
    vf start;     /* of the sum */
} lane_sums;

/* `at`: the first of the lanes, or the row whose lanes these all are */
ALWAYS_INLINE void lanes_start(lane_sums *a, const units *u, const T *most, int across, size_t at)
{
    a->shift = across ? vf_load(u->shift + at) : vf_set(u->shift[at]);
    a->round = across ? vf_load(u->round + at) : vf_set(u->round[at]);
    a->floor = across ? vf_load(u->floor + at) : vf_set(u->floor[at]);
    a->most = across ? vf_load(most + at) : vf_set(most[at]);
    a->lost = vf_set(0);
    vf t = vf_fma(vf_max(a->floor, vf_sub(a->most, a->shift)), vf_set(PARTS * LOG2E), a->round);
    vf scale = vf_add_bits(vf_set(1), t, SIGNIFICAND_BITS - LOG2_PARTS); /* interpolated: not below 2^(n/PARTS) */
    a->sum = a->start = vf_add(scale, scale);
}

/* A sum starts above the largest exponential it will meet, so what an addition loses is known exactly (Dekker 1971),
   and with the rounding of the exponential it is one term: scale q + (scale - added), where the difference is exact.
   Beside the exponential of a much larger element all terms would be lost: hence the second largest one. */
ALWAYS_INLINE void lanes_step(lane_sums *a, const T *x, T *e, size_t n, ptrdiff_t ahead, ptrdiff_t e_ahead, int mode)
{
    fetch_to_read(x, ahead);
    if (mode & (STORE | OUTPUT))
        fetch_to_write(e, e_ahead);
    vf v = vf_load_n(x, n, vf_set(-(T)INFINITY));
    exp_parts part = exp_in_unit(v, a->shift, a->round, a->floor);
    const int apart = mode & STORE && mode & LEAVE_TOP; /* also the exponential that is left out is stored */
    vm summed = vf_not_gt(v, a->most);
    if (mode & LEAVE_TOP && !apart)
        part.scale = vf_keep(summed, part.scale);
    vf whole = vf_fma(part.scale, part.q, part.scale);
    if (mode & STORE)
        vf_store_n(e, whole, n);
    vf sum = apart ? vf_add_where(summed, a->sum, whole) : vf_add(a->sum, whole), added = vf_sub(sum, a->sum);
    vf lost = mode & LEAVE_TOP ? vf_fma(part.scale, part.q, vf_sub(part.scale, added)) : vf_sub(whole, added);
    a->sum = sum;
    a->lost = apart ? vf_add_where(summed, a->lost, lost) : vf_add(a->lost, lost);
}

/* The start, a number of few bits, is a multiple of the last bit of any sum of a tile: subtracting it is exact. */
ALWAYS_INLINE void lanes_end(const lane_sums *a, lane_totals *t, size_t c)
{
    vf_store(t->sum + c, vf_sub(a->sum, a->start));
    vf_store(t->lost + c, a->lost);
}

/* Vectors of one tile that are summed side by side, so that neither waits for itself, and steps that the compiler may
   mix. More than two vectors of AVX-512 do not fit into the registers, and memory asked for in larger portions comes
   later. Without OUTPUT, e is any tile. */
enum { PAIR = LANES / VL == 2 ? 2 : 1, STRIDE = PAIR == 2 ? 1 : 4 };

ALWAYS_INLINE void sum_vectors(const units *u, int across, size_t row, size_t c, int vectors, tile x, tile e,
                               const T *most, lane_totals *t, int mode)
{
    lane_sums a[PAIR];
    const T *p = x.p + c;
    T *q = e.p + c;
    size_t i = 0;
    UNROLL for (int v = 0; v < vectors; v++)
        lanes_start(&a[v], u, most, across, across ? c + v * VL : row);
    for (; STRIDE > 1 && i + STRIDE <= x.full; i += STRIDE)
        UNROLL for (int j = 0; j < STRIDE; j++, p += x.step, q += e.step)
            UNROLL for (int v = 0; v < vectors; v++)
                lanes_step(&a[v], p + v * VL, q + v * VL, VL, x.ahead, e.ahead, mode);
    for (; i < x.full; i++, p += x.step, q += e.step)
        UNROLL for (int v = 0; v < vectors; v++)
            lanes_step(&a[v], p + v * VL, q + v * VL, VL, x.ahead, e.ahead, mode);
    UNROLL for (int v = 0; v < vectors; v++, c += VL) {
        if (x.part > c)
            lanes_step(&a[v], p + v * VL, q + v * VL, min_size(VL, x.part - c), x.ahead, e.ahead, mode);
        lanes_end(&a[v], t + (across ? c / LANES : 0), c % LANES);
    }
}

ALWAYS_INLINE void sum_tiles_as(const units *u, int across, tile_rows rows, const tile *x, const tile *e, const T *most,
                                lane_totals *t, int mode)
{
    for (size_t i = 0; i < (across ? 1 : rows.n); i++) {
        size_t c = 0, row = rows.first + i;
        for (; c + PAIR * VL <= rows.lanes; c += PAIR * VL)
            sum_vectors(u, across, row, c, PAIR, x[i], e[i], most, t + i, mode);
        if (c < rows.lanes)
            sum_vectors(u, across, row, c, 1, x[i], e[i], most, t + i, mode);
    }
}

void sum_tiles(const units *u, int across, tile_rows rows, const tile *x, const tile *e, const T *most, lane_totals *t,
               int mode)
{
    switch (mode) {
    case STORE: sum_tiles_as(u, across, rows, x, e, most, t, STORE); break;
    case LEAVE_TOP | OUTPUT: sum_tiles_as(u, across, rows, x, e, most, t, LEAVE_TOP | OUTPUT); break;
    case LEAVE_TOP: sum_tiles_as(u, across, rows, x, e, most, t, LEAVE_TOP); break;
    default: sum_tiles_as(u, across, rows, x, e, most, t, STORE | LEAVE_TOP);
    }
}
