/* What rows need of the labels q beside their target: soft labels, class weights, the share that smoothing spreads.

   q_j is w_j (keep y_j + smooth), y being soft labels or 0, keep 1 - smoothing. A row's loss takes sum_j q_j (reference
   - x_j), the reference being its largest logit so far, so that terms of positive labels have one sign, and W = sum_j
   q_j: sums of w y, of w or of 1 in place of q make these up. Its gradient takes q itself (label_gradients.h). */
#ifndef SL_LABELS_H
#define SL_LABELS_H

#include "long.h"

typedef struct {
    rows_of soft;
    const T *weight;
    double keep, smooth; /* 1 - label_smoothing, label_smoothing / cols */
    labels sums;         /* so far */
    ALIGNED T buffer[TILE];
} label_work;

/* The steps of soft labels and class weights that go with a tile of logits. */
typedef struct {
    tile soft;
    const T *weight; /* of the tile's columns, */
    size_t step;     /* so many of them a step */
    int across;
} label_tile;

/* `again`: what has been read of rows of a single tile is still in the buffer. A struct that was returned would be read
   as vectors of what was just written number by number, and wait for it. */
static void find_labels(label_tile *t, label_work *k, const batch *b, size_t row, size_t chunk, int again)
{
    const plan *p = b->plan;
    T *buffer = k->buffer + place_of(b, row);
    t->across = p->across;
    t->weight = k->weight ? k->weight + chunk * p->chunk : NULL;
    t->step = p->across ? 1 : LANES;
    if (!k->soft.array->p)
        t->soft = (tile){0};
    else if (again && !k->soft.direct && p->chunks == 1)
        t->soft = tile_in_buffer(p, &k->soft, row, chunk, buffer);
    else
        t->soft = tile_read(p, &k->soft, row, b->n, chunk, buffer);
}

/* Where those of one vector of a tile are. */
typedef struct {
    const T *soft, *weight;
} label_place;

ALWAYS_INLINE label_place first_labels(const label_tile *t, size_t c)
{
    return (label_place){t->soft.p ? t->soft.p + c : NULL, t->weight && !t->across ? t->weight + c : t->weight};
}

ALWAYS_INLINE void next_labels(const label_tile *t, label_place *l, int soft, int weighted)
{
    if (soft)
        l->soft += t->soft.step;
    if (weighted)
        l->weight += t->step;
}

/* 0 past n lanes */
ALWAYS_INLINE vf class_weights(const label_tile *t, label_place l, size_t n)
{
    return t->across ? vf_set(*l.weight) : vf_load_n(l.weight, n, vf_set(0));
}

/* Sums of labels times (reference - x) and of labels in lanes. */
typedef struct {
    row_parts gap, mass;
} label_totals;

/* What one vector's lanes add up to: float32 in float64, the lower and the upper half; float64 with what it loses. */
typedef struct {
    vd part[2];
} label_sum;

#if DTYPE == 32
ALWAYS_INLINE void add_vector(label_sum *s, vf a)
{
    s->part[0] += vd_low(a);
    s->part[1] += vd_high(a);
}

/* A product in float64, where float32 may have none that is finite. */
ALWAYS_INLINE void add_wide_product(label_sum *s, vf q, vf x, vf highest)
{
    s->part[0] = vd_fma(vd_low(q), vd_low(highest) - vd_low(x), s->part[0]);
    s->part[1] = vd_fma(vd_high(q), vd_high(highest) - vd_high(x), s->part[1]);
}

ALWAYS_INLINE void label_sum_end(const label_sum *s, row_parts *sum, size_t c)
{
    for (int h = 0; h < 2; h++)
        parts_put(sum, c + h * VD, (vd2){s->part[h], vd_set(0)});
}
#else
ALWAYS_INLINE void add_vector(label_sum *s, vf a)
{
    vd lost;
    s->part[0] = vd_two_sum(s->part[0], a, &lost);
    s->part[1] += lost;
}

ALWAYS_INLINE void add_wide_product(label_sum *s, vf q, vf x, vf highest) { add_vector(s, q * (highest - x)); }

ALWAYS_INLINE void label_sum_end(const label_sum *s, row_parts *sum, size_t c)
{
    parts_put(sum, c, (vd2){s->part[0], s->part[1]});
}
#endif

typedef struct {
    label_sum gap, mass;
} label_sums;

/* Terms q d of `steps` vectors, so few that each is rounded a few times only; `even`: all q are 1. Of q no more than
   pairs of float32 are rounded, as W - q may cancel. */
enum { SEVERAL = 4 };
ALWAYS_INLINE void add_terms(label_sums *a, const vf *q, const vf *d, int steps, int even)
{
    vf sum = vf_set(0);
    UNROLL for (int j = 0; j < steps; j += 2) {
        const int two = j + 1 < steps;
        vf gap = even ? d[j] : vf_mul(q[j], d[j]);
        if (two)
            gap = even ? vf_add(gap, d[j + 1]) : vf_fma(q[j + 1], d[j + 1], gap);
        sum = j ? vf_add(sum, gap) : gap;
        if (even)
            continue;
        add_vector(&a->mass, two && DTYPE == 32 ? vf_add(q[j], q[j + 1]) : q[j]);
        if (two && DTYPE == 64)
            add_vector(&a->mass, q[j + 1]);
    }
    add_vector(&a->gap, sum);
}

/* `steps` vectors, n lanes of each, from x on. Not `wide`, a label of 0 at an infinite logit leaves NaN. */
ALWAYS_INLINE const T *add_steps(label_sums *a, const label_tile *t, label_place *l, const T *x, ptrdiff_t step,
                                 int steps, size_t n, vf highest, int soft, int weighted, int wide)
{
    vf q[SEVERAL], d[SEVERAL];
    UNROLL for (int j = 0; j < steps; j++, x += step) {
        vf v = vf_load_n(x, n, highest);
        q[j] = vf_set(1);
        if (soft) {
            fetch_to_read(l->soft, t->soft.ahead);
            q[j] = vf_load_n(l->soft, n, vf_set(0));
        }
        if (weighted)
            q[j] = soft ? vf_mul(q[j], class_weights(t, *l, n)) : class_weights(t, *l, n);
        if (wide) {
            add_wide_product(&a->gap, q[j], vf_select(vf_eq(q[j], vf_set(0)), highest, v), highest);
            add_vector(&a->mass, q[j]);
        }
        d[j] = vf_sub(highest, v);
        next_labels(t, l, soft, weighted);
    }
    if (!wide)
        add_terms(a, q, d, steps, !soft && !weighted);
    return x;
}

ALWAYS_INLINE void sum_lanes(const label_tile *t, const T *reference, tile x, tile_rows rows, label_totals *found,
                             int soft, int weighted, int wide)
{
    for (size_t c = 0; c < rows.lanes; c += VL) {
        vf highest = of_rows(reference, t->across, rows.first, c);
        label_sums a = {0};
        label_place l = first_labels(t, c);
        const T *p = x.p + c;
        size_t i = 0;
        UNROLL for (int steps = wide ? 1 : SEVERAL; steps; steps /= 2)
            for (; i + steps <= x.full; i += steps)
                p = add_steps(&a, t, &l, p, x.step, steps, VL, highest, soft, weighted, wide);
        if (x.part > c)
            add_steps(&a, t, &l, p, x.step, 1, min_size(VL, x.part - c), highest, soft, weighted, wide);
        label_sum_end(&a.gap, &found->gap, c);
        label_sum_end(&a.mass, &found->mass, c);
    }
    if (t->across)
        return;
    fold(&found->gap);
    if (soft || weighted)
        fold(&found->mass);
}

/* The sums of rows, or of the row along, once more where they are not finite: a label of 0 at an infinite logit adds 0,
   and float64 has numbers that float32 has not. */
static __attribute__((noinline)) void sum_again(const label_tile *t, const T *reference, tile x, tile_rows rows,
                                                label_totals *found, int soft, int weighted)
{
    label_totals wide;
    sum_lanes(t, reference, x, rows, &wide, soft, weighted, 1);
    for (size_t i = 0; i < (t->across ? rows.lanes : 1); i++)
        if (!isfinite(found->gap.h[i] + found->mass.h[i])) {
            part_set(&found->gap, i, part_of(&wide.gap, i));
            part_set(&found->mass, i, part_of(&wide.mass, i));
        }
}

static inline int all_finite(const label_totals *t, size_t n)
{
    vd_bits odd = {0};
    for (size_t i = 0; i < n; i += VD) {
        vd all = vd_get(t->gap.h + i) + vd_get(t->mass.h + i);
        odd |= (vd_bits)(all - all != 0);
    }
    return !vd_any(odd);
}

/* Adds `times` the sums over tiles x, one each of rows along or one across. */
ALWAYS_INLINE void add_labels_as(label_work *k, const batch *b, size_t chunk, const tile *x, double times, int soft,
                                 int weighted)
{
    labels *s = &k->sums;
    const int across = b->plan->across, even = !soft && !weighted;
    const double cols = (double)columns_of(b->plan, chunk);
    for (size_t row = 0; row < batch_tile_rows(b); row++) {
        const tile_rows rows = rows_of_tile(b, row);
        label_tile l;
        label_totals t;
        find_labels(&l, k, b, row, chunk, !soft && k->keep != 0); /* soft labels come first */
        sum_lanes(&l, s->reference, x[row], rows, &t, soft, weighted, 0);
        if (across ? !all_finite(&t, rows.lanes) : !isfinite(t.gap.h[0] + t.mass.h[0]))
            sum_again(&l, s->reference, x[row], rows, &t, soft, weighted);
        if (!across) { /* a vector of what is stored one by one would have to wait for it */
            part_increase(&s->gap, row, times, part_of(&t.gap, 0));
            part_increase(&s->mass, row, times, even ? (double2){cols, 0} : part_of(&t.mass, 0));
        }
        for (size_t i = 0; across && i < rows.lanes; i += VD) {
            vd2 gap = parts_get(&t.gap, i), mass = even ? (vd2){vd_set(cols), vd_set(0)} : parts_get(&t.mass, i);
            parts_put(&s->gap, i, parts_add(parts_get(&s->gap, i), (vd2){times * gap.h, times * gap.l}));
            parts_put(&s->mass, i, parts_add(parts_get(&s->mass, i), (vd2){times * mass.h, times * mass.l}));
        }
    }
}

static inline void raise_reference(labels *s, size_t i, T reference)
{
    if (!(reference > s->reference[i]))
        return;
    part_increase(&s->gap, i, (double)reference - (double)s->reference[i], part_of(&s->mass, i));
    s->reference[i] = reference;
}

/* Makes the maxima m of the next tiles references, where they are finite and larger. */
static void raise_references(labels *s, size_t n, int first, const T *m)
{
    const vd2 nothing = {vd_set(0), vd_set(0)};
    for (size_t i = 0; i < n && first; i += VD) {
        parts_put(&s->gap, i, nothing);
        parts_put(&s->mass, i, nothing);
    }
    for (size_t i = 0; i < n; i += VL) {
        vf finite = vf_load(m + i);
        finite = vf_keep(vf_lt(vf_abs(finite), vf_set((T)INFINITY)), finite);
        if (first)
            vf_store(s->reference + i, finite);
        else if (vm_any(vf_lt(vf_load(s->reference + i), finite)))
            for (size_t l = 0; l < VL; l++)
                raise_reference(s, i + l, ((const T *)&finite)[l]);
    }
}

/* Adds the labels of the next tiles x, with maxima m, to their rows. */
static void add_labels(label_work *k, batch *b, size_t chunk, const tile *x, const T *m)
{
    const int soft = k->soft.array->p && k->keep != 0;
    raise_references(&k->sums, b->lanes, chunk == b->begin, m);
    if (soft && k->weight)
        add_labels_as(k, b, chunk, x, k->keep, 1, 1);
    else if (soft)
        add_labels_as(k, b, chunk, x, k->keep, 1, 0);
    if (k->smooth != 0 && k->weight)
        add_labels_as(k, b, chunk, x, k->smooth, 0, 1);
    else if (k->smooth != 0)
        add_labels_as(k, b, chunk, x, k->smooth, 0, 0);
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
            part_increase(&s->gap, i, 1, part_of(&t->gap, i));
            part_increase(&s->mass, i, 1, part_of(&t->mass, i));
        }
    }
}

#endif
