/* Cross-entropy of rows and its gradient, for class indices or soft labels, in one reading of the logits.

   A row's loss is sum_j q_j (lse - x_j) + z lse^2, its gradient (W + 2 z lse) p_j - q_j with W = sum_j q_j. With index
   targets q is A at the target and `smooth` w_j everywhere; soft labels y make it w_j ((1 - smoothing) y_j + smooth).
   lse - x_j is taken as (max - x_j) + log1p(S'/e^max): no term cancels another, so a confident row keeps its last bits.
   In the gradient p_j - 1 cancels where p_j is the larger half of the row: there W p - q is (W - q) - W S'/S.

   The largest errors found in ULP, where fma is an instruction:
   cross_entropy              f32 <= 0.55 (0.503, 48 classes), f64 <= 1.50 (1.360, 100 classes)
   cross_entropy_and_grad.grad f32 <= 3.00 (1.492, 100000 classes), f64 <= 4.00 (2.561, 128 classes)
   cross_entropy.lse          f32 <= 0.55 (0.500, 6 classes), f64 <= 1.00 (0.583, 4 classes)
   cross_entropy.soft         f32 <= 3.00 (1.828, 9 classes), f64 <= 4.00 (3.130, 65 classes)
   cross_entropy_and_grad.soft f32 <= 3.00 (1.863, 257 classes), f64 <= 4.00 (2.550, 7 classes)
   cross_entropy.mixed        f32 <= 3.00 (1.730, 2 classes), f64 <= 4.00 (3.038, 65 classes)
   cross_entropy_and_grad.mixed f32 <= 3.00 (2.172, 3 classes), f64 <= 4.00 (3.338, 255 classes) */
#include "rows.h"
#include "targets.h"

typedef struct {
    const sl_cross_entropy *a;
    rows_of soft;
    T keep, smooth;  /* 1 - label_smoothing, label_smoothing / cols */
    int dense;       /* q is not 0 beside the target */
    int64_t target[LANES];
    double x_target[LANES], on_target[LANES]; /* x and A at the target */
    double sample[LANES];                     /* sample_weight; 0 and ignored are two things */
    int ignored[LANES];
    double reference[LANES];                  /* the largest logit of the tiles so far */
    sl_sum gap[LANES], mass[LANES];           /* sum of q_j (reference - x_j), sum of q_j */
    T soft_buffer[TILE];
} work;

static double row_value(const sl_array *a, ptrdiff_t at)
{
    T x;
    gather(&x, 1, a->p + at, 0, 1, a->storage);
    return (double)x;
}

/* Everything a batch needs of its rows before the walk, which may overwrite the logits. */
static void read_targets(work *k, batch *b, size_t first)
{
    const sl_cross_entropy *a = k->a;
    const sl_shape *s = b->plan->shape;
    ptrdiff_t target_at[LANES], sample_at[LANES];
    if (a->target.p)
        row_offsets(s, a->target.row, first, b->n, target_at);
    if (a->sample_weight.p)
        row_offsets(s, a->sample_weight.row, first, b->n, sample_at);
    for (size_t i = 0; i < b->n; i++) {
        k->sample[i] = a->sample_weight.p ? row_value(&a->sample_weight, sample_at[i]) : 1;
        k->ignored[i] = 0;
        k->on_target[i] = k->x_target[i] = 0;
        if (!a->target.p)
            continue;
        k->target[i] = sl_read_target(a->target.p + target_at[i], a->target.storage);
        k->ignored[i] = k->target[i] == a->ignore_index;
        b->skip[i] = k->ignored[i] && !b->plan->across && !a->lse.p;
        if (k->ignored[i])
            continue;
        double weight = a->weight ? (double)((const T *)a->weight)[k->target[i]] : 1;
        k->on_target[i] = (1 - a->label_smoothing) * weight;
        k->x_target[i] = row_value(&a->logits, b->x.row[i] + column_offset(&b->x, (size_t)k->target[i]));
    }
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
ALWAYS_INLINE vf label(const work *k, const label_tile *t, size_t i, int c, size_t n)
{
    vf q = vf_set(k->smooth), zero = vf_set(0);
    if (t->soft.p)
        q = vf_fma(vf_set(k->keep), vf_load_n(t->soft.p + (ptrdiff_t)i * t->soft.step + c, n, zero), q);
    if (t->weight)
        q = vf_mul(q, t->across ? vf_set(t->weight[i]) : vf_load_n(t->weight + i * LANES + (size_t)c, n, zero));
    return q;
}

static size_t lanes_in_step(tile t, size_t i, int c)
{
    size_t lanes = i < t.full ? LANES : t.part;
    return lanes > (size_t)c ? min_size(lanes - (size_t)c, VL) : 0;
}

/* The lanes' sums of q_j (highest - x_j) and q_j over a tile. W, the sum of q, multiplies the whole gradient, so what its
   additions lose is kept. A zero q at an infinite logit adds nothing; lanes past the end of a row have no label. */
static void tile_labels(const work *k, const label_tile *t, tile x, const T *reference, double *gap, double *mass)
{
    enum { FOLD = 4 };
    size_t steps = x.full + (x.part != 0);
    for (int c = 0; c < LANES; c += VL) {
        vf highest = vf_load(reference + c), zero = vf_set(0), masses = zero, lost = zero;
        for (size_t i = 0; i < steps;) {
            vf gaps = zero;
            for (size_t stop = min_size(steps, i + FOLD); i < stop; i++) {
                size_t n = lanes_in_step(x, i, c);
                if (!n)
                    continue;
                vf q = label(k, t, i, c, n), v = vf_load_n(x.p + (ptrdiff_t)i * x.step + c, n, highest);
                if (n < VL)
                    q = vf_load_n((const T *)&q, n, zero);
                gaps = vf_fma(q, vf_drop(vf_eq(q, zero), vf_sub(highest, v)), gaps);
                vf sum = vf_add(masses, q), q_in_sum = vf_sub(sum, masses);
                vf rounded = vf_add(vf_sub(masses, vf_sub(sum, q_in_sum)), vf_sub(q, q_in_sum));
                lost = vf_add(lost, rounded);
                masses = sum;
            }
            vf_accumulate(gap + c, gaps);
        }
        vf_accumulate(mass + c, masses);
        vf_accumulate(mass + LANES + c, lost);
    }
}

/* Adds a tile's labels to its rows. The reference is a row's maximum so far, so that all terms have one sign. */
static void add_labels(void *context, batch *b, size_t row, size_t chunk, tile x, const T *m)
{
    work *k = context;
    size_t rows = b->plan->across ? LANES : 1;
    T reference[LANES];
    double gap[LANES] = {0}, mass[2 * LANES] = {0}; /* mass: sums, then what they lost */
    label_tile t = labels_of(k, b, row, chunk);
    for (size_t i = row; i < row + rows; i++) {
        double largest = isfinite(m[i - row]) ? (double)m[i - row] : 0;
        if (chunk == 0) {
            k->gap[i] = k->mass[i] = (sl_sum){0};
            k->reference[i] = largest;
        } else if (largest > k->reference[i]) {
            sl_sum_add(&k->gap[i], (largest - k->reference[i]) * sl_sum_value(&k->mass[i]));
            k->reference[i] = largest;
        }
    }
    for (size_t l = 0; l < LANES; l++)
        reference[l] = (T)k->reference[b->plan->across ? l : row];
    tile_labels(k, &t, x, reference, gap, mass);
    for (size_t l = 0; l < LANES; l++) {
        sl_sum_add(&k->gap[b->plan->across ? l : row], gap[l]);
        sl_sum_add(&k->mass[b->plan->across ? l : row], mass[l]);
        sl_sum_add(&k->mass[b->plan->across ? l : row], mass[LANES + l]);
    }
}

/* What the outputs of one row are made of, in float64. */
typedef struct {
    double loss, lse, weight;  /* weight: W */
    double scale, excess;      /* of the gradient; 2 z lse */
    double below_top;          /* -W S'/S + 2 z lse e^max/S: the maximum's gradient less W - q */
} row_result;

static row_result finish_row(const work *k, const batch *b, size_t i)
{
    const sl_cross_entropy *a = k->a;
    row_result r = {.lse = logsumexp_of(b, i)};
    double on_target = k->on_target[i], nan = undefined(b, i);
    if (k->ignored[i])
        return r;
    if (on_target != 0) {
        double gap, lost;
        two_sum(b->max[i], -k->x_target[i], &gap, &lost);
        r.loss = on_target * sum_parts(gap, b->log[i], b->log_l[i] + (isfinite(lost) ? lost : 0));
    }
    r.weight = on_target;
    if (k->dense) {
        double mass = sl_sum_value(&k->mass[i]);
        r.weight += mass;
        r.loss += sl_sum_value(&k->gap[i]) + (mass != 0 ? mass * ((b->max[i] - k->reference[i]) + b->log[i] + b->log_l[i]) : 0);
    }
    double z = a->lse_square_scale, sum = b->rest[i] + b->top[i];
    r.loss = k->sample[i] * (r.loss + (z != 0 ? z * r.lse * r.lse : 0)) + nan;
    /* what is no number of T is no loss: the sum agrees with the losses it is the sum of */
    if (fabs(r.loss) < (DTYPE == 32 ? 0x1p-126 : 0x1p-1022))
        r.loss = (double)(T)r.loss;
    r.scale = k->sample[i] * a->grad_scale;
    r.excess = z != 0 ? 2 * z * r.lse : 0;
    r.below_top = (r.excess * b->top[i] - r.weight * b->rest[i]) / sum + nan;
    return r;
}

/* Whether one element is more than half of the row. */
static inline int has_most(const batch *b, size_t i) { return b->top[i] > b->rest[i]; }

/* g = e factor - scale q, and at an element that is more than half of its row, which only the maximum can
   be, scale (W - q) + below_top. */
static void dense_gradient(work *k, batch *b, const row_result *r, const double *factor, const double *factor_l)
{
    double weight[LANES], scale[LANES], below_top[LANES], half_sum[LANES];
    T f[LANES], f_l[LANES], w[LANES], s[LANES], below[LANES], half[LANES];
    for (size_t i = 0; i < b->n; i++) {
        weight[i] = r[i].weight;
        scale[i] = r[i].scale;
        below_top[i] = r[i].scale * r[i].below_top;
        half_sum[i] = has_most(b, i) ? (b->top[i] + b->rest[i]) / 2 : INFINITY;
    }
    for (size_t row = 0; row < batch_tile_rows(b); row++) {
        parts_to_lanes(b, factor, factor_l, row, f, f_l);
        to_lanes(b, weight, row, w);
        to_lanes(b, scale, row, s);
        to_lanes(b, below_top, row, below);
        to_lanes(b, half_sum, row, half);
        for (size_t chunk = 0; chunk < b->plan->chunks; chunk++) {
            tile e = exps_tile(b, row, chunk);
            label_tile t = labels_of(k, b, row, chunk);
            for (int c = 0; c < LANES; c += VL)
                for (size_t i = 0; i < e.full + (e.part != 0); i++) {
                    size_t n = lanes_in_step(e, i, c);
                    T *p = e.p + (ptrdiff_t)i * e.step + c;
                    vf v = vf_load_n(p, n, vf_set(0)), q = label(k, &t, i, c, n), sl = vf_load(s + c);
                    vf plain = vf_fnma(q, sl, vf_fma(v, vf_load(f + c), vf_mul(v, vf_load(f_l + c))));
                    vf at_top = vf_fma(vf_sub(vf_load(w + c), q), sl, vf_load(below + c));
                    vf g = vf_select(vf_lt(vf_load(half + c), v), at_top, plain);
                    vf_store_n(p, vf_drop(vf_eq(sl, vf_set(0)), g), n);
                }
            tile_write(b->plan, &b->out, row, b->n, chunk, e);
        }
    }
}

/* The target's own part of the gradient, last: what the walk left there lacks A. */
static void target_gradient(const work *k, batch *b, const row_result *r)
{
    for (size_t i = 0; i < b->n; i++) {
        if (k->ignored[i])
            continue;
        char *at = b->out.array->p + b->out.row[i] + column_offset(&b->out, (size_t)k->target[i]);
        double q = k->on_target[i];
        T g;
        if (k->x_target[i] == b->max[i] && has_most(b, i)) {
            double weight = k->a->weight ? (double)((const T *)k->a->weight)[k->target[i]] : 1;
            double others = k->dense ? sl_sum_value(&k->mass[i]) - (double)k->smooth * weight : 0; /* W - q */
            g = (T)(r[i].scale * (others + r[i].below_top));
        } else {
            gather(&g, 1, at, 0, 1, b->out.array->storage);
            g = (T)((double)g - r[i].scale * q);
        }
        scatter(at, 0, &g, 1, 1, b->out.array->storage);
    }
}

static void cross_entropy_batch(work *k, sl_cross_entropy *a, batch *b, size_t first)
{
    row_result r[LANES];
    double loss[LANES], lse[LANES], smaller[LANES], factor[LANES], factor_l[LANES];
    int wanted = a->grad.p != NULL;
    k->soft = rows_at(b->plan, &a->soft, first, b->n);
    read_targets(k, b, first);
    batch_sum(b, wanted ? STORE : 0, k->dense ? add_labels : NULL, k);
    batch_log(b);
    for (size_t i = 0; i < b->n; i++) {
        lse[i] = a->lse.p || k->dense ? fabs(logsumexp_of(b, i)) : INFINITY;
        loss[i] = k->ignored[i] || k->dense ? INFINITY : (b->max[i] - k->x_target[i]) + b->log[i];
        smaller[i] = lse[i] < loss[i] ? lse[i] : loss[i];
    }
    batch_refine(b, smaller);
    for (size_t i = 0; i < b->n; i++) {
        r[i] = finish_row(k, b, i);
        loss[i] = r[i].loss;
        lse[i] = r[i].lse;
        factor[i] = factor_l[i] = 0;
        if (!k->ignored[i])
            over_sum(b, i, r[i].scale * (r[i].weight + r[i].excess), &factor[i], &factor_l[i]);
        sl_sum_add(&a->total, loss[i]);
    }
    put_row_values(b, &a->loss, first, loss);
    put_row_values(b, &a->lse, first, lse);
    if (!wanted)
        return;
    if (k->dense)
        dense_gradient(k, b, r, factor, factor_l);
    else
        put_scaled_exps(b, factor, factor_l);
    if (a->target.p)
        target_gradient(k, b, r);
}

void FN(cross_entropy)(sl_cross_entropy *a, size_t begin, size_t end)
{
    fp_state state = fp_enter();
    plan p = make_plan(a->shape, &a->logits);
    batch b;
    work k = {
        .a = a,
        .keep = (T)(1 - a->label_smoothing),
        .smooth = a->shape->cols ? (T)(a->label_smoothing / (double)a->shape->cols) : 0,
        .dense = !a->target.p || a->label_smoothing != 0,
    };
    for (size_t first = begin; first < end; first += p.batch) {
        batch_start(&b, &p, &a->logits, &a->grad, first, min_size(p.batch, end - first));
        cross_entropy_batch(&k, a, &b, first);
    }
    fp_leave(state);
}
