/* The rows that a batch of cross-entropy computes, and what it reads of them before the walk over their logits. The
   letters are those of kernels/cross_entropy.c. */
#ifndef SL_TARGET_ROWS_H
#define SL_TARGET_ROWS_H

#include "labels.h"
#include "targets.h"

typedef struct {
    const sl_cross_entropy *a;
    int dense;                               /* q is not 0 beside the target */
    ALIGNED size_t target[ROWS];
    double kept[ROWS];                      /* 1, or 0 where the target is ignored or the row absent */
    ALIGNED T x_target[ROWS];               /* x at the target */
    ALIGNED double on_target[ROWS];         /* A */
    double sample[ROWS];                    /* sample_weight */
    ALIGNED double weight[ROWS], excess[ROWS]; /* W, 2 z lse */
    double beside[ROWS];                    /* W less all of q at the target */
    double scale[ROWS], whole[ROWS];       /* what the gradient is multiplied by, what its exponentials are */
    double below_top[ROWS];                 /* -W S'/S + 2 z lse e^max/S: the maximum's gradient less W - q */
    double total[GROUP], total_l[GROUP];     /* of the losses, row i to lane i % GROUP, with what was lost */
    ALIGNED double spread[ROWS];            /* q at the target without A */
    label_work labels;
} work;

/* The class indices of n rows from `first`. */
static void read_indices(const sl_shape *s, const sl_array *a, size_t first, size_t n, int64_t *index)
{
    if (s->row_dims == 1 && a->storage == SL_INT64 && a->row[0] == 8) {
        memcpy(index, a->p + first * 8, n * 8);
        return;
    }
    size_t number[ROWS];
    ptrdiff_t at[ROWS];
    for (size_t i = 0; i < n; i++)
        number[i] = first + i;
    row_offsets(s, a->row, number, n, at);
    if (a->storage == SL_INT32)
        for (size_t i = 0; i < n; i++)
            index[i] = sl_read_target(a->p + at[i], SL_INT32);
    else
        for (size_t i = 0; i < n; i++)
            index[i] = sl_read_target(a->p + at[i], a->storage);
}

/* n values, at[i] bytes from where the operand begins. */
static inline void read_values(const sl_array *a, const ptrdiff_t *at, size_t n, T *value)
{
    if (a->storage)
        for (size_t i = 0; i < n; i++)
            gather(value + i, 1, a->p + at[i], 0, 1, a->storage);
    else
        for (size_t i = 0; i < n; i++)
            memcpy(value + i, a->p + at[i], sizeof(T));
}

static inline double class_weight(const work *k, size_t class)
{
    return k->a->weight ? (double)((const T *)k->a->weight)[class] : 1;
}

/* Zeros to the outputs of an ignored row. */
static void clear_row(const work *k, const plan *p, size_t row)
{
    static const T zeros[1];
    const sl_array *grad = &k->a->grad, *loss = &k->a->loss;
    ptrdiff_t at;
    if (loss->p) {
        row_offsets(p->shape, loss->row, &row, 1, &at);
        scatter(loss->p + at, 0, zeros, 1, 1, loss->storage);
    }
    if (!grad->p)
        return;
    row_offsets(p->shape, grad->row, &row, 1, &at);
    if (contiguous_columns(p->shape, grad))
        for (size_t c = 0; c < p->shape->cols; c += VL)
            vf_store_n((T *)(grad->p + at) + c, vf_set(0), p->shape->cols - c);
    else
        for (size_t c = 0; c < p->shape->cols; c++)
            scatter(grad->p + at + (ptrdiff_t)c * grad->col[0], 0, zeros, 1, 1, grad->storage);
}

/* The batch's rows and their targets, from row `first` on; returns the row after them. A row that is ignored is not
   computed, unless its logsumexp is wanted or its neighbours in memory are taken with it. */
static size_t take_rows(work *restrict k, batch *restrict b, const plan *p, size_t first, size_t end)
{
    const sl_cross_entropy *a = k->a;
    const int all = a->lse.p || (p->across && adjacent_rows(p->shape, &a->logits));
    size_t n = 0;
    if (!a->target.p)
        for (; first < end && n < p->batch; n++) {
            k->kept[n] = 1;
            b->number[n] = first++;
        }
    while (first < end && n < p->batch) {
        ALIGNED int64_t index[ROWS];
        size_t count = min_size(p->batch - n, end - first), ignored = 0;
        read_indices(p->shape, &a->target, first, count, index);
        for (size_t i = 0; i < count; i++)
            ignored += index[i] == a->ignore_index;
        for (size_t i = 0; i < count && !ignored; i++) {
            b->number[n + i] = first + i;
            k->kept[n + i] = 1;
            k->target[n + i] = (size_t)index[i];
        }
        for (size_t i = 0, at = n; i < count && ignored; i++) {
            int kept = index[i] != a->ignore_index;
            b->number[at] = first + i;
            k->kept[at] = kept;
            k->target[at] = kept ? (size_t)index[i] : 0;
            if (!(kept | all))
                clear_row(k, p, first + i);
            at += (size_t)(kept | all);
        }
        n += all ? count : count - ignored;
        first += count;
    }
    for (size_t i = n; i % VL; i++)
        k->kept[i] = 0;
    b->n = n;
    return first;
}

/* Everything a batch needs of its rows before the walk, which may overwrite the logits. */
static void read_rows(work *restrict k, const batch *restrict b)
{
    const sl_cross_entropy *a = k->a;
    const sl_shape *s = b->plan->shape;
    ptrdiff_t at[ROWS];
    for (size_t i = 0; i < b->lanes; i += VD) {
        vd_put(k->sample + i, vd_set(1));
        vd_write(k->x_target + i, vd_set(0));
        vd_put(k->on_target + i, vd_set(0));
        vd_put(k->spread + i, vd_set(k->labels.smooth));
    }
    if (a->sample_weight.p) {
        row_offsets(s, a->sample_weight.row, b->number, b->n, at);
        T sample[ROWS] = {0};
        read_values(&a->sample_weight, at, b->n, sample);
        for (size_t i = 0; i < b->lanes; i += VD)
            vd_put(k->sample + i, vd_read(sample + i));
    }
    if (!a->target.p)
        return;
    const double share = 1 - a->label_smoothing;
    if (a->weight)
        for (size_t i = 0; i < b->n; i++) {
            double weight = class_weight(k, k->target[i]);
            k->on_target[i] = k->kept[i] != 0 ? share * weight : 0;
            k->spread[i] *= weight;
        }
    else
        for (size_t i = 0; i < b->lanes; i += VD)
            vd_put(k->on_target + i, vd_get(k->kept + i) * share);
    for (size_t i = 0; i < b->n; i++)
        at[i] = b->x.row[i] + column_offset(&b->x, k->target[i]);
    read_values(&a->logits, at, b->n, k->x_target);
}

#endif
