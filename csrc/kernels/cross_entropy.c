/* Cross-entropy of rows and its gradient, for class indices or soft labels, in one reading of the logits.

   A row's loss is sum_j q_j (lse - x_j) + z lse^2, its gradient (W + 2 z lse) p_j - q_j with W = sum_j q_j. With
   index targets q is A at the target and `smooth` w_j everywhere; soft labels y make it w_j ((1 - smoothing) y_j +
   smooth). lse - x_j is taken as (max - x_j) + log1p(S'/e^max): no term cancels another, so a confident row keeps its
   last bits. In the gradient p_j - 1 cancels where p_j is the larger half of the row: there W p - q is (W - q) - W
   S'/S.

   The largest errors found in ULP, where fma is an instruction:
   cross_entropy              f32 <= 0.55 (0.534, dominated, 34 classes), f64 <= 1.00 (0.812, to 1e4, 10 classes)
   cross_entropy_and_grad.grad f32 <= 3.00 (1.497, spread 0.01, 64 classes), f64 <= 4.00 (3.177, loss near powers, 34 classes)
   cross_entropy.lse          f32 <= 0.55 (0.527, logsumexp near S'/S, 2 classes), f64 <= 1.00 (0.608, logsumexp near S'/S, 3 classes)
   cross_entropy.soft         f32 <= 3.00 (2.139, 6 classes), f64 <= 4.00 (1.875, 31 classes)
   cross_entropy_and_grad.soft f32 <= 3.00 (2.074, 10 classes), f64 <= 4.00 (2.183, 100 classes)
   cross_entropy.mixed        f32 <= 3.00 (1.562, 4 classes), f64 <= 4.00 (2.428, 5 classes)
   cross_entropy_and_grad.mixed f32 <= 3.00 (2.067, 24 classes), f64 <= 4.00 (3.135, 100 classes) */
#include "label_gradients.h"
#include "sharpen.h"
#include "target_rows.h"

/* Of VD rows: the loss, W, 2 z lse, and W less all of q at the target. */
typedef struct {
    vd loss, weight, excess, beside;
} row_values;

/* The losses of what is not at the target. */
ALWAYS_INLINE void add_dense_losses(row_values *v, const work *k, const batch *b, size_t i, vd log)
{
    const labels *l = &k->labels.sums;
    vd2 gaps = parts_get(&l->gap, i), masses = parts_get(&l->mass, i);
    vd gap = gaps.h + vd_finite_or_0(gaps.l), mass = masses.h + vd_finite_or_0(masses.l);
    vd above = vd_read(b->sums.max + i) - vd_read(l->reference + i);
    v->weight += mass;
    v->beside = mass - spread_of(k, i);
    v->loss += gap + vd_where((vd_bits)(mass != 0), mass * (above + log));
}

/* The losses of rows in float64, from their log_of. Those that are ignored get zeros whatever is in them. */
ALWAYS_INLINE row_values find_losses(const work *k, const batch *b, size_t i, vd2 log)
{
    const double least = DTYPE == 32 ? 0x1p-126 : 0x1p-1022;
    vd x = vd_read(k->x_target + i), max = vd_read(b->sums.max + i), gap = max - x, lost = vd_set(0);
    if (DTYPE == 64)
        gap = vd_two_sum(max, -x, &lost);
    vd on_target = on_target_of(k, i), from_target = on_target * sum_parts(gap, log.h, log.l + vd_finite_or_0(lost));
    row_values v = {vd_where((vd_bits)(on_target != 0), from_target), on_target, vd_set(0), vd_set(0)};
    if (k->dense)
        add_dense_losses(&v, k, b, i, log.h + log.l);
    if (k->a->lse_square_scale != 0) {
        vd lse = logsumexp_of(b, i, log), z_lse = k->a->lse_square_scale * lse;
        v.loss += z_lse * lse;
        v.excess = z_lse + z_lse;
    }
    vd loss = sample_of(k, i) * v.loss + undefined(b, i);
    /* what is no number of T is no loss: the sum agrees with its terms */
    loss = vd_choose((vd_bits)(vd_magnitude(loss) < least), vd_widen(vd_round(loss)), loss);
    v.loss = vd_where((vd_bits)(vd_get(k->kept + i) != 0), vd_number_or_nan(loss));
    return v;
}

/* What the gradients of rows are made of. That at the target is times * what the walk leaves there + plus. It lacks A,
   or where the target is more than half of its row, has a value of its own. */
typedef struct {
    row_factors factors;
    ALIGNED double times[ROWS], plus[ROWS];
    label_factors labels;
} gradient;

ALWAYS_INLINE void find_gradient(gradient *g, const work *k, const batch *b, size_t i, row_values v)
{
    const sums *s = &b->sums;
    const vd_bits kept = (vd_bits)(vd_get(k->kept + i) != 0);
    vd2 all_others = parts_get(&s->rest, i);
    vd top = vd_get(s->top.h + i), rest = all_others.h, others = rest + all_others.l;
    vd scale = vd_where(kept, sample_of(k, i) * k->a->grad_scale), inverse = inverse_of(s, i);
    put_factors(&g->factors, b, i, scale * (v.weight + v.excess), inverse, (vd_bits)(scale != 0));

    /* -W S'/S + 2 z lse e^max/S: the maximum's gradient less W - q */
    vd n = v.excess * top - v.weight * others, below_top = n * inverse;
    if (DTYPE == 64)
        below_top = vd_fma(vd_fma(-below_top, others + top, n), inverse, below_top);
    below_top += undefined(b, i);
    vd_bits most = (vd_bits)(vd_read(k->x_target + i) == vd_read(s->max + i)) & (vd_bits)(top > rest);
    vd at_target = scale * vd_choose(most, v.beside + below_top, -on_target_of(k, i));
    vd_put(g->times + i, vd_where(~(most & kept), vd_set(1)));
    vd_put(g->plus + i, vd_where(kept, vd_number_or_nan(at_target)));
    if (!k->dense)
        return;
    label_factors *d = &g->labels;
    vd_write(d->scale + i, scale);
    vd_write(d->weight + i, scale * v.weight);
    vd_write(d->keep + i, -scale * k->labels.keep);
    vd_write(d->smooth + i, -scale * k->labels.smooth);
    vd_write(d->below_top + i, scale * below_top);
    vd_write(d->half + i, vd_choose((vd_bits)(top > rest), (top + rest) * 0.5, vd_set(INFINITY)));
}

/* lse and g optional */
static void finish_rows(work *restrict k, batch *restrict b, double *restrict loss, double *restrict lse,
                        gradient *restrict g)
{
    row_parts logs;
    for (size_t i = 0; i < b->lanes; i += VD) /* in one loop with all else: 3-9 % slower (float32, AVX2, few classes) */
        parts_put(&logs, i, log_of(b, i));
    for (size_t i = 0; i < b->lanes; i += VD) {
        vd2 log = parts_get(&logs, i);
        row_values v = find_losses(k, b, i, log);
        vd_put(loss + i, v.loss);
        if (lse)
            vd_put(lse + i, logsumexp_of(b, i, log));
        if (g)
            find_gradient(g, k, b, i, v);
    }
}

static void add_to_total(work *restrict k, const batch *restrict b, const double *restrict loss)
{
    for (size_t lane = 0; lane < GROUP; lane += VD) {
        vd total = vd_get(k->total + lane), total_l = vd_get(k->total_l + lane), lost;
        for (size_t i = lane; i < b->lanes; i += GROUP) {
            total = vd_two_sum(total, vd_get(loss + i), &lost);
            total_l += vd_finite_or_0(lost);
        }
        vd_put(k->total + lane, total);
        vd_put(k->total_l + lane, total_l);
    }
}

/* Whether gradients at targets are put into a tile before that is written. To convert halves one by one, or to fetch
   back what went past the caches, takes longer. Otherwise they are put to where the tile went: what is read of a vector
   that was partly written anew waits for both. */
static inline int puts_in_tile(const batch *b) { return b->out.array->storage != 0 || b->out.past; }

/* Puts the gradient at the targets of a tile, for the rows whose target is in it. */
static __attribute__((noinline)) void put_targets(const work *restrict k, const gradient *restrict g,
                                                  const batch *restrict b, size_t row, size_t chunk, tile y)
{
    const size_t first = chunk * b->plan->chunk, cols = columns_of(b->plan, chunk), *target = k->target;
    const int across = b->plan->across, in_tile = puts_in_tile(b);
    const ptrdiff_t col = k->a->grad.col[0], *out = b->out.row, step = across ? y.step : 1;
    char *grad = k->a->grad.p;
    T *lane = y.p;
    for (size_t i = row, end = across ? b->n : row + 1; i < end; i++, lane += across) {
        size_t at = target[i] - first;
        if (at >= cols)
            continue;
        T *element = lane + (ptrdiff_t)at * step, value = (T)multiply_add(g->times[i], (double)*element, g->plus[i]);
        if (in_tile)
            *element = value;
        else
            memcpy(grad + out[i] + (ptrdiff_t)target[i] * col, &value, sizeof value);
    }
}

/* The same in a tile across all columns, before it is written. */
static void put_picked(const work *k, const gradient *g, const batch *b, tile y)
{
    ALIGNED T value[ROWS];
    pick_at_targets(k, b, y, value);
    for (size_t i = 0; i < b->lanes; i += VD)
        vd_write(value + i, vd_fma(vd_get(g->times + i), vd_read(value + i), vd_get(g->plus + i)));
    put_at_targets(k, b, y, value);
}

/* The second walk: exponentials become gradients. */
static void put_gradient(work *k, batch *b, const gradient *g)
{
    for (size_t row = 0; row < batch_tile_rows(b); row++)
        for (size_t chunk = b->begin; chunk < b->end; chunk++) {
            const int picked = picks_targets(k, b->plan), in_tile = puts_in_tile(b);
            const int targets = k->a->target.p && !picked;
            tile e = exps_tile(b, row, chunk), y = result_tile(b, row, chunk, e);
            if (k->dense)
                subtract_labels(&k->labels, b, &g->factors, &g->labels, row, chunk, e, y);
            else
                tile_scale(e, y, b->plan->across, rows_of_tile(b, row), g->factors.high, g->factors.low,
                           next_logits(b, row, chunk, e.p));
            if (picked)
                put_picked(k, g, b, y);
            if (targets && in_tile)
                put_targets(k, g, b, row, chunk, y);
            tile_write(b->plan, &b->out, row, b->n, chunk, y);
            if (targets && !in_tile)
                put_targets(k, g, b, row, chunk, y);
        }
}

/* What is to be known of tiles of logits besides their sums. */
static void see_tile(void *context, batch *b, size_t chunk, const tile *x, const T *m)
{
    work *k = context;
    if (sees_targets(k, b->plan))
        see_targets(k, b, chunk, *x);
    if (k->dense)
        add_labels(&k->labels, b, chunk, x, m);
}

static void cross_entropy_sum(work *k, batch *b)
{
    batch_sum(b, k->a->grad.p ? STORE | LEAVE_TOP : LEAVE_TOP, see_tile, k);
}

/* What a row has one of, loss and logsumexp, and what its gradient is made of; g optional */
static void put_losses(work *k, batch *b, gradient *g)
{
    const sl_cross_entropy *a = k->a;
    ALIGNED double loss[ROWS], lse[ROWS];
    finish_rows(k, b, loss, a->lse.p ? lse : NULL, g);
    add_to_total(k, b, loss);
    put_row_values(b, &a->loss, loss);
    if (a->lse.p) {
        sharpen_logsumexp(b, lse);
        put_row_values(b, &a->lse, lse);
    }
}

static void cross_entropy_step(void *context, batch *b, const sl_part *part)
{
    work *k = context;
    segment *whole = whole_rows(b, part);
    ALIGNED double loss[ROWS];
    gradient g;
    read_rows(k, b);
    switch (part->step) {
    case SL_SUM:
        batch_cut(b, part);
        cross_entropy_sum(k, b);
        keep_sums(b, part);
        this_segment(part)->labels = k->labels.sums;
        memcpy(this_segment(part)->x_target, k->x_target, sizeof k->x_target);
        break;
    case SL_ROWS:
        memcpy(k->x_target, first_summed(b, part)->x_target, sizeof k->x_target);
        join_sums(b, part);
        if (k->dense)
            join_labels(&k->labels.sums, b, part);
        whole->labels = k->labels.sums;
        memcpy(whole->x_target, k->x_target, sizeof k->x_target);
        put_losses(k, b, NULL);
        break;
    case SL_OUTPUT:
        take_sums(b, part);
        k->labels.sums = whole->labels;
        memcpy(k->x_target, whole->x_target, sizeof k->x_target);
        finish_rows(k, b, loss, NULL, &g);
        put_gradient(k, b, &g);
    }
}

/* The next rows that are computed, from `first` on; returns the row after them. */
static size_t next_rows(work *k, batch *b, const plan *p, size_t first, size_t end)
{
    const sl_cross_entropy *a = k->a;
    const size_t next = take_rows(k, b, p, first, end);
    batch_begin(b, b->n);
    fetch_beside(b, &a->logits, first, next, 0);
    fetch_beside(b, &a->grad, first, next, 1);
    find_rows(&k->labels.soft, p, b->number, b->n);
    return next;
}

static void cross_entropy_batch(work *k, batch *b)
{
    gradient g;
    overwrite_logits(b, k->a->lse.p != NULL);
    if (b->plan->segments > 1) {
        long_rows(k, b, k->a->grad.p != NULL, cross_entropy_step);
        return;
    }
    read_rows(k, b);
    cross_entropy_sum(k, b);
    put_losses(k, b, k->a->grad.p ? &g : NULL);
    if (k->a->grad.p)
        put_gradient(k, b, &g);
}

static void cross_entropy_start(work *k, const sl_cross_entropy *a, const plan *p)
{
    k->a = a;
    open_rows(&k->labels.soft, p, &a->soft);
    k->read_end = 0;
    k->labels.weight = a->weight;
    k->labels.keep = 1 - a->label_smoothing;
    k->labels.smooth = a->shape->cols ? a->label_smoothing / (double)a->shape->cols : 0;
    k->dense = !a->target.p || a->label_smoothing != 0;
    memset(k->total, 0, sizeof k->total);
    memset(k->total_l, 0, sizeof k->total_l);
}

/* Halves of the lanes are added to each other, so that few additions wait for one another. */
static void add_total(work *k, sl_sum *total)
{
    UNROLL for (int w = GROUP / 2; w; w /= 2)
        UNROLL for (int i = 0; i < w; i++)
            add_part(k->total + i, k->total_l + i, k->total[i + w], k->total_l[i + w]);
    sl_sum_join(total, &(sl_sum){k->total[0], k->total_l[0]});
}

void FN(cross_entropy)(const sl_cross_entropy *a, size_t begin, size_t end, const sl_memory *held, sl_sum *total)
{
    fp_state state = fp_enter();
    plan p = make_plan(a->shape, &a->logits);
    batch b;
    batch_open(&b, &p, &a->logits, &a->grad, held);
    work k;
    cross_entropy_start(&k, a, &p);
    while (begin < end) {
        begin = next_rows(&k, &b, &p, begin, end);
        if (b.n)
            cross_entropy_batch(&k, &b);
    }
    add_total(&k, total);
    batch_close(&b);
    fp_leave(state);
}

void FN(cross_entropy_part)(const sl_cross_entropy *a, size_t begin, size_t end, const sl_part *part, sl_sum *total)
{
    fp_state state = fp_enter();
    plan p = make_plan(a->shape, &a->logits);
    batch b;
    batch_open(&b, &p, &a->logits, &a->grad, NULL);
    work k;
    cross_entropy_start(&k, a, &p);
    next_rows(&k, &b, &p, begin, end);
    if (b.n)
        cross_entropy_step(&k, &b, part);
    if (part->step == SL_ROWS)
        add_total(&k, total);
    fp_leave(state);
}
