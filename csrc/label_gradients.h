/* What labels beside the target take from the gradients of rows. */
#ifndef SL_LABEL_GRADIENTS_H
#define SL_LABEL_GRADIENTS_H

#include "labels.h"

/* g = e factor - scale q, and at an element that is more than half of its row, which only the maximum can be, scale
   (W - q) + below_top. A scale of 0 makes g 0 whatever the tile holds. */
typedef struct {
    ALIGNED T weight[ROWS], scale[ROWS], below_top[ROWS], half[ROWS]; /* weight: W times scale */
    ALIGNED T keep[ROWS], smooth[ROWS]; /* times -scale */
} label_factors;

/* Those factors of one vector of rows. */
typedef struct {
    vf f, f_l, weight, scale, below_top, half, keep, smooth;
} label_vectors;

/* What a row may hold besides common elements. */
enum { TOPS = 1, ODD = 2 }; /* more than half of itself; NaN, or what a scale of 0 hides */

/* The gradients of exponentials v, of which n are there. */
ALWAYS_INLINE vf label_gradient(const label_vectors *d, const label_tile *t, label_place l, vf v, size_t n, int soft,
                                int weighted, int with)
{
    vf y = soft ? vf_load_n(l.soft, n, vf_set(0)) : vf_set(0), w = weighted ? class_weights(t, l, n) : vf_set(1);
    vf part = soft ? vf_fma(d->keep, y, d->smooth) : d->smooth, minus_q = weighted ? vf_mul(w, part) : part, low;
    if (weighted)
        low = vf_fma(w, part, vf_mul(v, d->f_l));
    else if (soft)
        low = vf_fma(d->keep, y, vf_fma(v, d->f_l, d->smooth));
    else
        low = vf_fma(v, d->f_l, d->smooth);
    vf g = vf_fma(v, d->f, low);
    if (with & TOPS)
        g = vf_select(vf_lt(d->half, v), vf_add(vf_add(d->weight, minus_q), d->below_top), g);
    if (with & ODD)
        g = vf_drop(vf_eq(d->scale, vf_set(0)), vf_select(vf_eq(g, g), g, vf_set((T)NAN)));
    return g;
}

ALWAYS_INLINE void subtract_lanes(const label_tile *t, const label_vectors *r, size_t c, tile e, tile y, int soft,
                                  int weighted, int with)
{
    label_place l = first_labels(t, c);
    const T *p = e.p + c;
    T *q = y.p + c;
    size_t i = 0;
    for (; i + TOGETHER <= e.full; i += TOGETHER) {
        vf g[TOGETHER];
        UNROLL for (int j = 0; j < TOGETHER; j++, p += e.step) {
            g[j] = label_gradient(r, t, l, vf_load(p), VL, soft, weighted, with);
            next_labels(t, &l, soft, weighted);
        }
        UNROLL for (int j = 0; j < TOGETHER; j++, q += y.step)
            vf_store(q, g[j]);
    }
    for (; i < e.full; i++, p += e.step, q += y.step) {
        vf_store(q, label_gradient(r, t, l, vf_load(p), VL, soft, weighted, with));
        next_labels(t, &l, soft, weighted);
    }
    if (e.part > c) {
        const size_t n = e.part - c;
        vf_store_n(q, label_gradient(r, t, l, vf_load_n(p, n, vf_set(0)), n, soft, weighted, with), n);
    }
}

ALWAYS_INLINE void subtract_labels_as(const label_tile *t, const row_factors *f, const label_factors *d, tile_rows rows,
                                      tile e, tile y, int soft, int weighted)
{
    const int across = t->across;
    for (size_t c = 0; c < (across ? rows.lanes : VL); c += VL) {
        label_vectors r = {of_rows(f->high, across, rows.first, c), of_rows(f->low, across, rows.first, c),
                           of_rows(d->weight, across, rows.first, c), of_rows(d->scale, across, rows.first, c),
                           of_rows(d->below_top, across, rows.first, c), of_rows(d->half, across, rows.first, c),
                           of_rows(d->keep, across, rows.first, c), of_rows(d->smooth, across, rows.first, c)};
        vf odd = vf_add(r.f, r.f_l); /* NaN where anything in the row is */
        if (vm_any(vf_not_ge(odd, odd)))
            subtract_lanes(t, &r, c, e, y, soft, weighted, TOPS | ODD);
        else if (vm_any(vf_lt(r.half, vf_set((T)INFINITY))))
            subtract_lanes(t, &r, c, e, y, soft, weighted, TOPS);
        else
            subtract_lanes(t, &r, c, e, y, soft, weighted, 0);
    }
}

/* Makes gradients y of a tile of exponentials. */
static void subtract_labels(label_work *k, const batch *b, const row_factors *f, const label_factors *d, size_t row,
                            size_t chunk, tile e, tile y)
{
    const tile_rows rows = rows_of_tile(b, row);
    label_tile t;
    find_labels(&t, k, b, row, chunk, 1);
    if (!t.across) {
        e = in_vectors(e);
        y = in_vectors(y);
        t.soft = in_vectors(t.soft);
        t.step = VL;
    }
    if (t.soft.p && t.weight)
        subtract_labels_as(&t, f, d, rows, e, y, 1, 1);
    else if (t.soft.p)
        subtract_labels_as(&t, f, d, rows, e, y, 1, 0);
    else if (t.weight)
        subtract_labels_as(&t, f, d, rows, e, y, 0, 1);
    else
        subtract_labels_as(&t, f, d, rows, e, y, 0, 0);
}

#endif
