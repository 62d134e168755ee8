/* What rows need of the labels q beside their target: soft labels, class weights, the share that smoothing spreads.

   q_j is w_j ((1 - smoothing) y_j + smooth), y being soft labels or 0. A row's loss takes sum_j q_j (reference - x_j),
   the reference being its largest logit so far, so that all terms have one sign, and W = sum_j q_j; its gradient takes
   q itself. Where smoothing alone is wanted q is one number: then only logits are summed. */
#ifndef SL_LABELS_H
#define SL_LABELS_H

#include "long.h"

typedef struct {
    rows_of soft;
    const T *weight;
    T keep, smooth; /* 1 - label_smoothing, label_smoothing / cols */
    labels sums;    /* so far */
    ALIGNED T buffer[TILE];
} label_work;

/* The steps of soft labels and class weights that go with a tile of logits. */
typedef struct {
    tile soft;
    const T *weight; /* along: of the tile's columns; across: one a step */
    int across;
} label_tile;

static label_tile labels_of(label_work *k, const batch *b, size_t row, size_t chunk)
{
    const plan *p = b->plan;
    label_tile t = {.across = p->across};
    if (k->soft.array->p)
        t.soft = tile_read(p, &k->soft, row, b->n, chunk, k->buffer);
    if (k->weight)
        t.weight = k->weight + chunk * p->chunk;
    return t;
}

/* q_j of one vector of a tile: step i, lanes c to c + n. */
ALWAYS_INLINE vf label(const label_work *k, const label_tile *t, size_t i, size_t c, size_t n, int soft, int weighted)
{
    vf q = vf_set(k->smooth), zero = vf_set(0);
    if (soft)
        q = vf_fma(vf_set(k->keep), vf_load_n(t->soft.p + (ptrdiff_t)i * t->soft.step + (ptrdiff_t)c, n, zero), q);
    if (weighted)
        q = vf_mul(q, t->across ? vf_set(t->weight[i]) : vf_load_n(t->weight + i * LANES + c, n, zero));
    return q;
}

/* Sums of q (highest - x) and q in lanes; for float64 with what they lose. With q one number, of highest - x alone,
   EVEN of which float32 adds up in float32: they are of one sign, and it is rounded a few times only. */
enum { EVEN = 4 };
#if DTYPE == 32
typedef struct {
    vd gap[2], mass[2];
    vf part; /* of the gap */
} label_sums;

ALWAYS_INLINE void label_step(label_sums *a, vf q, vf x, vf highest)
{
    a->gap[0] = vd_fma(vd_low(q), vd_low(highest) - vd_low(x), a->gap[0]);
    a->gap[1] = vd_fma(vd_high(q), vd_high(highest) - vd_high(x), a->gap[1]);
    a->mass[0] += vd_low(q);
    a->mass[1] += vd_high(q);
}

ALWAYS_INLINE void even_step(label_sums *a, vf x, vf highest) { a->part = vf_add(a->part, vf_sub(highest, x)); }

ALWAYS_INLINE void even_fold(label_sums *a)
{
    a->gap[0] += vd_low(a->part);
    a->gap[1] += vd_high(a->part);
    a->part = vf_set(0);
}

ALWAYS_INLINE void label_end(const label_sums *a, double *gap, double *mass, double *mass_l)
{
    for (size_t h = 0; h < 2; h++) {
        vd_put(gap + h * VD, a->gap[h]);
        vd_put(mass + h * VD, a->mass[h]);
        vd_put(mass_l + h * VD, vd_set(0));
    }
}
#else
ALWAYS_INLINE vf v_two_sum(vf a, vf b, vf *lost)
{
    vf sum = vf_add(a, b), b_in_sum = vf_sub(sum, a);
    *lost = vf_add(*lost, vf_add(vf_sub(a, vf_sub(sum, b_in_sum)), vf_sub(b, b_in_sum)));
    return sum;
}

typedef struct {
    vf gap, gap_l, mass, mass_l;
} label_sums;

ALWAYS_INLINE void label_step(label_sums *a, vf q, vf x, vf highest)
{
    a->gap = v_two_sum(a->gap, vf_mul(q, vf_sub(highest, x)), &a->gap_l);
    a->mass = v_two_sum(a->mass, q, &a->mass_l);
}

ALWAYS_INLINE void even_step(label_sums *a, vf x, vf highest)
{
    a->gap = v_two_sum(a->gap, vf_sub(highest, x), &a->gap_l);
}

ALWAYS_INLINE void even_fold(label_sums *a) { (void)a; }

ALWAYS_INLINE void label_end(const label_sums *a, double *gap, double *mass, double *mass_l)
{
    vf lost = vf_keep(vf_eq(a->gap_l, a->gap_l), a->gap_l); /* of an infinite sum it is no number */
    vf_store(gap, vf_add(a->gap, lost));
    vf_store(mass, a->mass);
    vf_store(mass_l, a->mass_l);
}
#endif

typedef struct {
    ALIGNED double gap[ROWS], mass[ROWS], mass_l[ROWS];
} label_totals;

/* One step: lanes past n have no label. */
ALWAYS_INLINE void add_label(label_sums *a, const label_work *k, const label_tile *t, const T *x, size_t i, size_t c,
                             size_t n, vf highest, int soft, int weighted)
{
    vf v = vf_load_n(x, n, highest), q = label(k, t, i, c, n, soft, weighted), zero = vf_set(0);
    if (!soft && !weighted) {
        even_step(a, v, highest);
        return;
    }
    q = n < VL ? vf_load_n((const T *)&q, n, zero) : q;
    label_step(a, q, vf_select(vf_eq(q, zero), highest, v), highest); /* 0 at an infinite logit adds 0 */
}

ALWAYS_INLINE void sum_labels_as(const label_work *k, const label_tile *t, tile x, tile_rows rows, label_totals *totals,
                                 int soft, int weighted)
{
    for (size_t c = 0; c < rows.lanes; c += VL) {
        vf highest = of_rows(k->sums.reference, t->across, rows.first, c);
        label_sums a = {0};
        const T *p = x.p + c;
        size_t i = 0;
        for (; !soft && !weighted && i + EVEN <= x.full; i += EVEN) {
            UNROLL for (int j = 0; j < EVEN; j++, p += x.step)
                even_step(&a, vf_load(p), highest);
            even_fold(&a);
        }
        for (; i < x.full; i++, p += x.step)
            add_label(&a, k, t, p, i, c, VL, highest, soft, weighted);
        if (x.part > c)
            add_label(&a, k, t, p, x.full, c, min_size(VL, x.part - c), highest, soft, weighted);
        even_fold(&a);
        label_end(&a, totals->gap + c, totals->mass + c, totals->mass_l + c);
    }
}

static void sum_labels(const label_work *k, const label_tile *t, tile x, tile_rows rows, label_totals *totals)
{
    if (t->soft.p && t->weight)
        sum_labels_as(k, t, x, rows, totals, 1, 1);
    else if (t->soft.p)
        sum_labels_as(k, t, x, rows, totals, 1, 0);
    else if (t->weight)
        sum_labels_as(k, t, x, rows, totals, 0, 1);
    else
        sum_labels_as(k, t, x, rows, totals, 0, 0);
}

static inline void raise_reference(labels *s, size_t i, T reference)
{
    if (!(reference > s->reference[i]))
        return;
    add_part(s->gap + i, s->gap_l + i, ((double)reference - (double)s->reference[i]) * (s->mass[i] + s->mass_l[i]), 0);
    s->reference[i] = reference;
}

/* Adds a tile's labels to its rows. */
static void add_labels(void *context, batch *b, size_t row, size_t chunk, tile x, const T *m)
{
    label_work *k = context;
    labels *s = &k->sums;
    tile_rows rows = rows_of_tile(b, row);
    label_totals t;
    label_tile l = labels_of(k, b, row, chunk);
    for (size_t i = rows.first; i < rows.first + rows.n; i++) {
        T largest = isfinite(m[i]) ? m[i] : 0;
        if (chunk == b->begin) {
            s->gap[i] = s->gap_l[i] = s->mass[i] = s->mass_l[i] = 0;
            s->reference[i] = largest;
        }
        raise_reference(s, i, largest);
    }
    sum_labels(k, &l, x, rows, &t);
    const int even = !l.soft.p && !l.weight;
    const double times = even ? (double)k->smooth : 1, mass = (double)k->smooth * (double)columns_of(b->plan, chunk);
    if (!l.across) {
        ALIGNED double gap_l[LANES] = {0};
        fold(t.gap, gap_l);
        if (!even)
            fold(t.mass, t.mass_l);
        add_part(s->gap + row, s->gap_l + row, times * t.gap[0], times * gap_l[0]);
        add_part(s->mass + row, s->mass_l + row, even ? mass : t.mass[0], even ? 0 : t.mass_l[0]);
        return;
    }
    for (size_t i = 0; i < rows.lanes; i += VD) {
        add_parts(s->gap + i, s->gap_l + i, vd_get(t.gap + i) * times, vd_set(0));
        add_parts(s->mass + i, s->mass_l + i, even ? vd_set(mass) : vd_get(t.mass + i), vd_get(t.mass_l + i));
    }
}

/* The sums over whole rows from those of their segments. */
static void join_labels(labels *s, const batch *b, const sl_part *part)
{
    segment *all = part->sums;
    *s = all[0].labels;
    for (size_t j = 1; j < b->plan->segments; j++) {
        labels *t = &all[j].labels;
        for (size_t i = 0; i < b->n; i++) {
            raise_reference(s, i, t->reference[i]);
            raise_reference(t, i, s->reference[i]);
            add_part(s->gap + i, s->gap_l + i, t->gap[i], t->gap_l[i]);
            add_part(s->mass + i, s->mass_l + i, t->mass[i], t->mass_l[i]);
        }
    }
}

/* g = e factor - scale q, and at an element that is more than half of its row, which only the maximum can be, scale
   (W - q) + below_top. A scale of 0 makes g 0 whatever the tile holds. */
typedef struct {
    ALIGNED T weight[ROWS], scale[ROWS], below_top[ROWS], half[ROWS];
} label_factors;

/* Those factors of one vector of rows. */
typedef struct {
    vf f, f_l, weight, scale, below_top, half;
} label_vectors;

/* `common`: none of these exceptions, and no NaN. */
ALWAYS_INLINE vf label_gradient(const label_vectors *d, vf v, vf q, int common)
{
    vf plain = vf_fnma(q, d->scale, times_factor(v, d->f, d->f_l));
    if (common)
        return plain;
    vf at_top = vf_fma(vf_sub(d->weight, q), d->scale, d->below_top);
    vf g = vf_select(vf_lt(d->half, v), at_top, plain);
    return vf_drop(vf_eq(d->scale, vf_set(0)), vf_select(vf_eq(g, g), g, vf_set((T)NAN)));
}

ALWAYS_INLINE void subtract_lanes(const label_work *k, const label_tile *t, const label_vectors *r, size_t c, tile e,
                                  int soft, int weighted, int common)
{
    T *p = e.p + c;
    for (size_t i = 0; i < e.full; i++, p += e.step)
        vf_store(p, label_gradient(r, vf_load(p), label(k, t, i, c, VL, soft, weighted), common));
    if (e.part > c) {
        const size_t n = e.part - c;
        vf q = label(k, t, e.full, c, n, soft, weighted);
        vf_store_n(p, label_gradient(r, vf_load_n(p, n, vf_set(0)), q, common), n);
    }
}

ALWAYS_INLINE void subtract_labels_as(const label_work *k, const label_tile *t, const row_factors *f,
                                      const label_factors *d, tile_rows rows, tile e, int soft, int weighted)
{
    const int across = t->across;
    for (size_t c = 0; c < rows.lanes; c += VL) {
        label_vectors r = {of_rows(f->high, across, rows.first, c), of_rows(f->low, across, rows.first, c),
                           of_rows(d->weight, across, rows.first, c), of_rows(d->scale, across, rows.first, c),
                           of_rows(d->below_top, across, rows.first, c), of_rows(d->half, across, rows.first, c)};
        /* f is NaN where anything in the row is; 0 times infinity is, too. */
        vf odd = vf_sub(vf_mul(vf_abs(r.scale), vf_set((T)INFINITY)), vf_abs(r.f));
        if (vm_any(vf_not_ge(odd, r.f)) || vm_any(vf_lt(r.half, vf_set((T)INFINITY))))
            subtract_lanes(k, t, &r, c, e, soft, weighted, 0);
        else
            subtract_lanes(k, t, &r, c, e, soft, weighted, 1);
    }
}

/* Makes gradients of a tile of exponentials. */
static void subtract_labels(label_work *k, const batch *b, const row_factors *f, const label_factors *d, size_t row,
                            size_t chunk, tile e)
{
    const label_tile t = labels_of(k, b, row, chunk);
    const tile_rows rows = rows_of_tile(b, row);
    if (t.soft.p && t.weight)
        subtract_labels_as(k, &t, f, d, rows, e, 1, 1);
    else if (t.soft.p)
        subtract_labels_as(k, &t, f, d, rows, e, 1, 0);
    else if (t.weight)
        subtract_labels_as(k, &t, f, d, rows, e, 0, 1);
    else
        subtract_labels_as(k, &t, f, d, rows, e, 0, 0);
}

#endif
