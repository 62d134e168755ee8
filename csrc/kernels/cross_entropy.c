/* Cross-entropy of rows and its gradient, for class indices or soft labels, in one reading of the logits.

   A row's loss is sum_j q_j (lse - x_j) + z lse^2, its gradient (W + 2 z lse) p_j - q_j with W = sum_j q_j. With
   index targets q is A at the target and `smooth` w_j everywhere; soft labels y make it w_j ((1 - smoothing) y_j +
   smooth). lse - x_j is taken as (max - x_j) + log1p(S'/e^max): no term cancels another, so a confident row keeps its
   last bits. In the gradient p_j - 1 cancels where p_j is the larger half of the row: there W p - q is (W - q) - W
   S'/S.

   The largest errors found in ULP, where fma is an instruction:
   cross_entropy              f32 <= 0.55 (0.500, holes, 3 classes), f64 <= 1.00 (0.797, to 1e4, 34 classes)
   cross_entropy_and_grad.grad f32 <= 3.00 (1.847, dominated, 33 classes), f64 <= 4.00 (3.082, spread 10, 5 classes)
   cross_entropy.lse          f32 <= 0.55 (0.511, logsumexp near 0, 100 classes), f64 <= 1.00 (0.780, logsumexp near 0, 10 classes)
   cross_entropy.soft         f32 <= 3.00 (0.500, 100 classes), f64 <= 4.00 (1.875, 31 classes)
   cross_entropy_and_grad.soft f32 <= 3.00 (1.679, 255 classes), f64 <= 4.00 (2.550, 7 classes)
   cross_entropy.mixed        f32 <= 3.00 (1.349, 6 classes), f64 <= 4.00 (2.395, 4 classes)
   cross_entropy_and_grad.mixed f32 <= 3.00 (2.172, 3 classes), f64 <= 4.00 (3.338, 255 classes) */
#include "labels.h"
#include "long.h"
#include "targets.h"

typedef struct {
    const sl_cross_entropy *a;
    rows_of soft;
    T keep, smooth;  /* 1 - label_smoothing, label_smoothing / cols */
    int dense;       /* q is not 0 beside the target */
    size_t target[LANES];
    double kept[LANES];                       /* 1, or 0 where the target is ignored or the row absent */
    double x_target[LANES], on_target[LANES]; /* x and A at the target */
    double sample[LANES];                     /* sample_weight */
    labels labels;
    double weight[LANES], excess[LANES];      /* W, 2 z lse */
    double scale[LANES];                      /* what the gradient is multiplied by */
    double below_top[LANES];                  /* -W S'/S + 2 z lse e^max/S: the maximum's gradient less W - q */
    double total[GROUP], total_l[GROUP];      /* of the losses, row i to lane i % GROUP, with what was lost */
    T soft_buffer[TILE];
} work;

/* n values, at[i] bytes from where the operand begins. */
static void read_values(const sl_array *a, const ptrdiff_t *at, size_t n, double *value)
{
    for (size_t i = 0; i < n; i++) {
        T x;
        gather(&x, 1, a->p + at[i], 0, 1, a->storage);
        value[i] = (double)x;
    }
}

static void read_indices(const sl_array *a, const ptrdiff_t *at, size_t n, int64_t *index)
{
    if (a->storage == SL_INT64)
        for (size_t i = 0; i < n; i++)
            index[i] = sl_read_target(a->p + at[i], SL_INT64);
    else
        for (size_t i = 0; i < n; i++)
            index[i] = sl_read_target(a->p + at[i], a->storage);
}

static inline double class_weight(const work *k, size_t class)
{
    return k->a->weight ? (double)((const T *)k->a->weight)[class] : 1;
}

/* Everything a batch needs of its rows before the walk, which may overwrite the logits. */
static void read_targets(work *k, batch *b, size_t first)
{
    const sl_cross_entropy *a = k->a;
    const sl_shape *s = b->plan->shape;
    ptrdiff_t at[LANES];
    int64_t index[LANES];
    for (size_t i = 0; i < LANES; i++) {
        k->kept[i] = i < b->n;
        k->sample[i] = 1;
    }
    if (a->sample_weight.p) {
        row_offsets(s, a->sample_weight.row, first, b->n, at);
        read_values(&a->sample_weight, at, b->n, k->sample);
    }
    memset(k->on_target, 0, sizeof k->on_target);
    memset(k->x_target, 0, sizeof k->x_target);
    if (!a->target.p)
        return;
    row_offsets(s, a->target.row, first, b->n, at);
    read_indices(&a->target, at, b->n, index);
    for (size_t i = 0; i < b->n; i++) {
        int kept = index[i] != a->ignore_index;
        k->kept[i] = kept;
        k->target[i] = kept ? (size_t)index[i] : 0;
        k->on_target[i] = kept ? (1 - a->label_smoothing) * class_weight(k, k->target[i]) : 0;
        at[i] = b->x.row[i] + column_offset(&b->x, k->target[i]);
    }
    read_values(&a->logits, at, b->n, k->x_target);
    if (!a->lse.p)
        for (size_t i = 0; i < b->n; i++)
            b->skip[i] = k->kept[i] == 0;
}

/* The steps of soft labels and class weights that go with a tile of logits. */
typedef struct {
    tile soft;
    const T *weight; /* along: of the tile's columns; across: one a step */
    int across;
} label_tile;

static label_tile labels_of(work *k, batch *b, size_t row, size_t chunk)
{
    const plan *p = b->plan;
    label_tile t = {.across = p->across};
    if (k->soft.array->p)
        t.soft = tile_read(p, &k->soft, row, b->n, chunk, k->soft_buffer);
    if (k->a->weight)
        t.weight = (const T *)k->a->weight + chunk * p->chunk;
    return t;
}

/* q_j of one vector of a tile: step i, lanes c to c + n. */
ALWAYS_INLINE vf label(const work *k, const label_tile *t, size_t i, size_t c, size_t n)
{
    vf q = vf_set(k->smooth), zero = vf_set(0);
    if (t->soft.p)
        q = vf_fma(vf_set(k->keep), vf_load_n(t->soft.p + (ptrdiff_t)i * t->soft.step + (ptrdiff_t)c, n, zero), q);
    if (t->weight)
        q = vf_mul(q, t->across ? vf_set(t->weight[i]) : vf_load_n(t->weight + i * LANES + c, n, zero));
    return q;
}

/* The lanes' sums of q_j (highest - x_j) and q_j over a tile. */
static void tile_labels(const work *k, const label_tile *t, tile x, tile_rows rows, const T *reference,
                        label_totals *totals)
{
    for (size_t c = 0; c < rows.lanes; c += VL) {
        vf highest = of_rows(reference, t->across, rows.first, c);
        label_sums a = {0};
        for (size_t i = 0; i < x.full + (x.part > c); i++) {
            size_t n = i < x.full ? VL : min_size(VL, x.part - c);
            vf q = label(k, t, i, c, n), v = vf_load_n(x.p + (ptrdiff_t)i * x.step + (ptrdiff_t)c, n, highest);
            if (n < VL) /* lanes past the end of a row have no label */
                q = vf_load_n((const T *)&q, n, vf_set(0));
            label_step(&a, q, vf_select(vf_eq(q, vf_set(0)), highest, v), highest); /* 0 at an infinite logit adds 0 */
        }
        label_end(&a, totals->gap + c, totals->mass + c, totals->mass_l + c);
    }
}

static inline void raise_reference(labels *s, size_t i, T reference)
{
    if (!(reference > s->reference[i]))
        return;
    sl_sum_add(&s->gap[i], ((double)reference - (double)s->reference[i]) * sl_sum_value(&s->mass[i]));
    s->reference[i] = reference;
}

/* Adds a tile's labels to its rows. */
static void add_labels(void *context, batch *b, size_t row, size_t chunk, tile x, const T *m)
{
    work *k = context;
    tile_rows rows = rows_of_tile(b, row);
    labels *s = &k->labels;
    label_totals t;
    label_tile own = labels_of(k, b, row, chunk);
    for (size_t i = rows.first; i < rows.first + rows.n; i++) {
        T largest = isfinite(m[i]) ? m[i] : 0;
        if (chunk == b->begin) {
            s->gap[i] = s->mass[i] = (sl_sum){0};
            s->reference[i] = largest;
        }
        raise_reference(s, i, largest);
    }
    tile_labels(k, &own, x, rows, s->reference, &t);
    for (size_t l = 0; l < rows.lanes; l++) {
        size_t i = own.across ? l : row;
        sl_sum_add(&s->gap[i], t.gap[l]);
        sl_sum_add(&s->mass[i], t.mass[l]);
        sl_sum_add(&s->mass[i], t.mass_l[l]);
    }
}

static void join_labels(work *k, const batch *b, const sl_part *part)
{
    segment *all = part->sums;
    labels *s = &k->labels;
    *s = all[0].labels;
    for (size_t j = 1; j < b->plan->segments && !skips(b, 0); j++) {
        labels *t = &all[j].labels;
        for (size_t i = 0; i < b->n; i++) {
            raise_reference(s, i, t->reference[i]);
            raise_reference(t, i, s->reference[i]);
            sl_sum_join(&s->gap[i], &t->gap[i]);
            sl_sum_join(&s->mass[i], &t->mass[i]);
        }
    }
}

/* The losses of what is not at the target, and of the squared logsumexp. */
static void add_dense_losses(work *k, const batch *b, double *loss)
{
    for (size_t i = 0; i < b->n; i++) {
        double mass = sl_sum_value(&k->labels.mass[i]);
        double above = (double)b->sums.max[i] - (double)k->labels.reference[i];
        k->weight[i] += mass;
        loss[i] += sl_sum_value(&k->labels.gap[i]) + (mass != 0 ? mass * (above + b->log[i] + b->log_l[i]) : 0);
    }
}

static void add_squares(work *k, const batch *b, double *loss)
{
    const double z = k->a->lse_square_scale;
    for (size_t i = 0; i < b->n; i++) {
        double lse = logsumexp_of(b, i);
        loss[i] += z * lse * lse;
        k->excess[i] = 2 * z * lse;
    }
}

/* Losses and what gradients are made of, in float64. Rows that are ignored get zeros whatever is in them. */
static void finish_rows(work *restrict k, batch *restrict b, double *restrict loss)
{
    const sums *s = &b->sums;
    batch_log(b);
    for (size_t g = 0; g < b->n; g += GROUP)
        for (size_t i = g; i < g + GROUP; i++) {
            double x = k->x_target[i], max = (double)s->max[i], gap = max - x, lost = 0;
            if (DTYPE == 64)
                two_sum(max, -x, &gap, &lost);
            double on_target = k->on_target[i] * sum_parts(gap, b->log[i], b->log_l[i] + finite_or_0(lost));
            loss[i] = k->on_target[i] != 0 ? on_target : 0;
            k->weight[i] = k->on_target[i];
            k->excess[i] = 0;
        }
    if (k->dense)
        add_dense_losses(k, b, loss);
    if (k->a->lse_square_scale != 0)
        add_squares(k, b, loss);
    const double least = DTYPE == 32 ? 0x1p-126 : 0x1p-1022;
    for (size_t g = 0; g < b->n; g += GROUP)
        for (size_t i = g; i < g + GROUP; i++) {
            double x = k->sample[i] * loss[i] + undefined(b, i), rounded = (double)(T)x;
            x = fabs(x) < least ? rounded : x; /* what is no number of T is no loss: the sum agrees with its terms */
            loss[i] = k->kept[i] != 0 ? number_or_nan(x) : 0;
        }
}

static void add_to_total(work *restrict k, const batch *restrict b, const double *restrict loss)
{
    for (size_t g = 0; g < b->n; g += GROUP)
        for (size_t i = g; i < g + GROUP; i++) {
            double sum, lost;
            two_sum(k->total[i - g], loss[i], &sum, &lost);
            k->total[i - g] = sum;
            k->total_l[i - g] += finite_or_0(lost);
        }
}

/* What the gradients of rows are made of. */
static void scale_rows(work *restrict k, const batch *restrict b)
{
    const sums *s = &b->sums;
    const double grad_scale = k->a->grad_scale;
    for (size_t g = 0; g < b->n; g += GROUP)
        for (size_t i = g; i < g + GROUP; i++) {
            double scale = k->sample[i] * grad_scale, rest = s->rest[i] + s->rest_l[i];
            k->scale[i] = k->kept[i] != 0 ? scale : 0;
            k->below_top[i] = (k->excess[i] * s->top[i] - k->weight[i] * rest) / (rest + s->top[i]) + undefined(b, i);
        }
}

/* Whether one element is more than half of the row. */
static inline int has_most(const batch *b, size_t i) { return b->sums.top[i] > b->sums.rest[i]; }

/* g = e factor - scale q, and at an element that is more than half of its row, which only the maximum can
   be, scale (W - q) + below_top. */
typedef struct {
    T weight[LANES], scale[LANES], below_top[LANES], half[LANES];
} dense_factors;

static void dense_tile(work *k, batch *b, const row_factors *factors, const dense_factors *d, size_t row, size_t chunk,
                       tile e)
{
    const int across = b->plan->across;
    label_tile t = labels_of(k, b, row, chunk);
    for (size_t c = 0; c < rows_of_tile(b, row).lanes; c += VL) {
        vf f = of_rows(factors->high, across, row, c), f_l = of_rows(factors->low, across, row, c);
        vf weight = of_rows(d->weight, across, row, c), scale = of_rows(d->scale, across, row, c);
        vf below_top = of_rows(d->below_top, across, row, c), half = of_rows(d->half, across, row, c);
        vm none = vf_eq(scale, vf_set(0));
        for (size_t i = 0; i < e.full + (e.part > c); i++) {
            size_t n = i < e.full ? VL : min_size(VL, e.part - c);
            T *p = e.p + (ptrdiff_t)i * e.step + (ptrdiff_t)c;
            vf v = vf_load_n(p, n, vf_set(0)), q = label(k, &t, i, c, n);
            vf plain = vf_fnma(q, scale, vf_fma(v, f, vf_mul(v, f_l)));
            vf at_top = vf_fma(vf_sub(weight, q), scale, below_top);
            vf g = vf_select(vf_lt(half, v), at_top, plain);
            vf_store_n(p, vf_drop(none, vf_select(vf_eq(g, g), g, vf_set((T)NAN))), n);
        }
    }
}

/* The gradient at the target: times * what the walk leaves there + plus. It lacks A, or where the target is more than
   half of its row, has a value of its own. */
typedef struct {
    double times[LANES], plus[LANES];
} target_values;

static void find_target_values(const work *restrict k, const batch *restrict b, target_values *restrict t)
{
    for (size_t i = 0; i < LANES; i++) {
        double most = k->x_target[i] == (double)b->sums.max[i] && has_most(b, i);
        double others = 0; /* W - q */
        if (k->dense && i < b->n)
            others = sl_sum_value(&k->labels.mass[i]) - (double)k->smooth * class_weight(k, k->target[i]);
        t->times[i] = 1 - most;
        t->plus[i] = number_or_nan(k->scale[i] * (most != 0 ? others + k->below_top[i] : -k->on_target[i]));
    }
}

/* Puts the gradient at the targets of a tile, for the rows whose target is in it. */
static void target_tile(const work *k, const target_values *t, const batch *b, size_t row, size_t chunk, tile e)
{
    const int across = b->plan->across;
    size_t first = chunk * b->plan->chunk, cols = columns_of(b->plan, chunk);
    for (size_t i = row; i < (across ? b->n : row + 1); i++) {
        size_t at = k->target[i] - first;
        if (k->kept[i] == 0 || at >= cols)
            continue;
        T *g = e.p + (across ? (ptrdiff_t)at * e.step + (ptrdiff_t)i : (ptrdiff_t)at);
        *g = (T)(t->times[i] * (double)*g + t->plus[i]);
    }
}

static void find_dense_factors(const work *k, const batch *b, dense_factors *d)
{
    for (size_t i = 0; i < LANES; i++) {
        d->scale[i] = (T)k->scale[i];
        d->weight[i] = (T)k->weight[i];
        d->below_top[i] = (T)(k->scale[i] * k->below_top[i]);
        d->half[i] = has_most(b, i) ? (T)((b->sums.top[i] + b->sums.rest[i]) / 2) : (T)INFINITY;
    }
}

/* The second walk: exponentials become gradients. */
static void put_gradient(work *k, batch *b)
{
    double weight[LANES];
    row_factors f;
    target_values t;
    dense_factors d;
    scale_rows(k, b);
    for (size_t i = 0; i < LANES; i++)
        weight[i] = k->scale[i] * (k->weight[i] + k->excess[i]);
    batch_factors(b, weight, &f);
    for (size_t i = 0; i < LANES; i++) {
        f.high[i] = k->scale[i] != 0 ? f.high[i] : 0;
        f.low[i] = k->scale[i] != 0 ? f.low[i] : 0;
    }
    if (k->a->target.p)
        find_target_values(k, b, &t);
    if (k->dense)
        find_dense_factors(k, b, &d);
    for (size_t row = 0; row < batch_tile_rows(b); row++)
        for (size_t chunk = b->begin; chunk < b->end; chunk++) {
            tile e = exps_tile(b, row, chunk);
            if (k->dense)
                dense_tile(k, b, &f, &d, row, chunk, e);
            else
                tile_scale(e, b->plan->across, rows_of_tile(b, row), f.high, f.low);
            if (k->a->target.p)
                target_tile(k, &t, b, row, chunk, e);
            tile_write(b->plan, &b->out, row, b->n, chunk, e);
        }
}

static void sum(work *k, batch *b)
{
    batch_sum(b, k->a->grad.p ? STORE | LEAVE_TOP : LEAVE_TOP, k->dense ? add_labels : NULL, k);
}

static void put_rows(work *k, batch *b, size_t first, const double *loss)
{
    const sl_cross_entropy *a = k->a;
    double lse[LANES];
    add_to_total(k, b, loss);
    put_row_values(b, &a->loss, first, loss);
    if (a->lse.p) {
        batch_logsumexp(b, lse);
        put_row_values(b, &a->lse, first, lse);
    }
}

static void cross_entropy_step(void *context, batch *b, size_t first, const sl_part *part)
{
    work *k = context;
    segment *whole = whole_rows(b, part);
    double loss[LANES];
    read_targets(k, b, first);
    switch (part->step) {
    case SL_SUM:
        batch_cut(b, part);
        sum(k, b);
        keep_sums(b, part);
        this_segment(part)->labels = k->labels;
        break;
    case SL_ROWS:
        join_sums(b, part);
        if (k->dense)
            join_labels(k, b, part);
        whole->labels = k->labels;
        memcpy(whole->x_target, k->x_target, sizeof k->x_target);
        finish_rows(k, b, loss);
        put_rows(k, b, first, loss);
        break;
    case SL_OUTPUT:
        take_sums(b, part);
        k->labels = whole->labels;
        memcpy(k->x_target, whole->x_target, sizeof k->x_target);
        finish_rows(k, b, loss);
        put_gradient(k, b);
    }
}

static void cross_entropy_batch(work *k, batch *b, size_t first)
{
    double loss[LANES];
    k->soft = rows_at(b->plan, &k->a->soft, first, b->n);
    if (b->plan->segments > 1) {
        long_rows(k, b, first, k->a->grad.p != NULL, cross_entropy_step);
        return;
    }
    read_targets(k, b, first);
    sum(k, b);
    finish_rows(k, b, loss);
    put_rows(k, b, first, loss);
    if (k->a->grad.p)
        put_gradient(k, b);
}

static void start(work *k, const sl_cross_entropy *a)
{
    k->a = a;
    k->keep = (T)(1 - a->label_smoothing);
    k->smooth = a->shape->cols ? (T)(a->label_smoothing / (double)a->shape->cols) : 0;
    k->dense = !a->target.p || a->label_smoothing != 0;
    memset(k->total, 0, sizeof k->total);
    memset(k->total_l, 0, sizeof k->total_l);
}

static void add_total(const work *k, sl_sum *total)
{
    for (int i = 0; i < GROUP; i++) {
        sl_sum_add(total, k->total[i]);
        sl_sum_add(total, k->total_l[i]);
    }
}

void FN(cross_entropy)(const sl_cross_entropy *a, size_t begin, size_t end, sl_sum *total)
{
    fp_state state = fp_enter();
    plan p = make_plan(a->shape, &a->logits);
    batch b;
    work k;
    start(&k, a);
    for (size_t first = begin; first < end; first += p.batch) {
        batch_start(&b, &p, &a->logits, &a->grad, first, min_size(p.batch, end - first));
        cross_entropy_batch(&k, &b, first);
    }
    add_total(&k, total);
    fp_leave(state);
}

void FN(cross_entropy_part)(const sl_cross_entropy *a, size_t begin, size_t end, const sl_part *part, sl_sum *total)
{
    fp_state state = fp_enter();
    plan p = make_plan(a->shape, &a->logits);
    batch b;
    work k;
    start(&k, a);
    batch_start(&b, &p, &a->logits, &a->grad, begin, end - begin);
    k.soft = rows_at(&p, &a->soft, begin, b.n);
    cross_entropy_step(&k, &b, begin, part);
    if (part->step == SL_ROWS)
        add_total(&k, total);
    fp_leave(state);
}
