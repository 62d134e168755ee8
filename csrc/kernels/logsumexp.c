/* logsumexp of rows, with softmax as its gradient, and the weighted sum that SciPy's b asks for.

   logsumexp = max + log1p(S'/e^max), the logarithm in float64 for both dtypes and added in two parts.

   The largest errors found in ULP, where fma is an instruction:
   logsumexp                  f32 <= 0.55 (0.527, logsumexp near S'/S, 2 classes), f64 <= 1.00 (0.606, logsumexp near S'/S, 2 classes)
   logsumexp.near_zero        f32 <= 0.55 (0.097, 10 classes), f64 <= 1.00 (0.048, 10 classes)
   logsumexp_and_grad.value   f32 <= 0.55 (0.527, logsumexp near S'/S, 2 classes), f64 <= 1.00 (0.606, logsumexp near S'/S, 2 classes)
   logsumexp_and_grad.grad    f32 <= 3.00 (1.950, ascending, 4097 classes), f64 <= 4.00 (2.583, spread 100, 50257 classes) */
#include "long.h"

static void sum(const sl_logsumexp *a, batch *b)
{
    batch_sum(b, a->softmax.p ? STORE | LEAVE_TOP : LEAVE_TOP, NULL, NULL);
}

static void put_rows(const sl_logsumexp *a, batch *b)
{
    ALIGNED double lse[ROWS], sign[ROWS];
    for (size_t i = 0; i < b->lanes; i += VD)
        vd_put(lse + i, logsumexp_of(b, i, log_of(b, i)));
    sharpen_logsumexp(b, lse);
    put_row_values(b, &a->lse, lse);
    if (!a->sign.p)
        return;
    for (size_t i = 0; i < b->n; i++)
        sign[i] = isnan(lse[i]) ? lse[i] : lse[i] > -INFINITY;
    put_row_values(b, &a->sign, sign);
}

static void logsumexp_step(void *job, batch *b, const sl_part *part)
{
    switch (part->step) {
    case SL_SUM:
        batch_cut(b, part);
        sum(job, b);
        keep_sums(b, part);
        break;
    case SL_ROWS:
        join_sums(b, part);
        put_rows(job, b);
        break;
    case SL_OUTPUT:
        take_sums(b, part);
        put_softmax(b);
    }
}

static void logsumexp_batch(const sl_logsumexp *a, batch *b)
{
    overwrite_logits(b, 1);
    if (b->plan->segments > 1) {
        long_rows((void *)a, b, a->softmax.p != NULL, logsumexp_step);
        return;
    }
    sum(a, b);
    put_rows(a, b);
    if (a->softmax.p)
        put_softmax(b);
}

void FN(logsumexp_part)(const sl_logsumexp *a, size_t begin, size_t end, const sl_part *part)
{
    fp_state state = fp_enter();
    plan p = make_plan(a->shape, &a->x, SHORT);
    batch b;
    batch_open(&b, &p, NULL);
    batch_start(&b, &a->x, &a->softmax, begin, end - begin);
    logsumexp_step((void *)a, &b, part);
    fp_leave(state);
}

/* The sum of weight * exp over one buffered tile of a row, in the row's unit. An infinite maximum has no exponential:
   it counts as 1, and all else as 0. */
static double weighted_sum(const T *x, const T *weight, const T *e, size_t n, int infinite)
{
    double lane[8] = {0}, sum = 0;
    for (size_t i = 0; i < n; i++) {
        double exponential = !infinite ? (double)e[i] : isnan(x[i]) ? (double)x[i] : x[i] == (T)INFINITY;
        lane[i % 8] += weight[i] != 0 ? (double)weight[i] * exponential : 0;
    }
    for (int j = 0; j < 8; j++)
        sum += lane[j];
    return sum;
}

/* One row along: sum of b exp(x), an element whose b is 0 being absent, as log of its magnitude and sign. */
static void weighted_row(const plan *p, const rows_of *x, const rows_of *weight, size_t row, double *lse, double *sign)
{
    const tile_rows only = {0, 1, LANES};
    T x_buffer[TILE], b_buffer[TILE], e_buffer[TILE], m[LANES] = {0};
    double total = 0;
    lane_totals unused; /* without b */
    rows_of x_row = *x, b_row = *weight;
    x_row.direct = b_row.direct = 0;
    sums s = {0};
    s.cols = p->shape->cols;
    sums_start(&s, 1);
    for (size_t chunk = 0; chunk < p->chunks; chunk++) {
        size_t n = columns_of(p, chunk);
        tile t = tile_read(p, &x_row, row, 1, chunk, x_buffer);
        tile_read(p, &b_row, row, 1, chunk, b_buffer);
        for (size_t i = 0; i < n; i++)
            x_buffer[i] = b_buffer[i] != 0 ? x_buffer[i] : -(T)INFINITY;
        units before = s.unit;
        tile_max(t, 0, only, m);
        if (sums_meet(&s, 1, chunk == 0, m)) {
            double root = unit_ratio_root(&before, &s.unit, 0);
            total = total * root * root;
        }
        tile e = tile_in(p, e_buffer, LANES, n, 0);
        sum_tiles(&s.unit, 0, only, &t, &e, m, &unused, STORE);
        s.max[0] = m[0] > s.max[0] ? m[0] : s.max[0];
        total += weighted_sum(x_buffer, b_buffer, e_buffer, n, s.max[0] == (T)INFINITY);
    }
    ALIGNED double top_of[VD];
    double ratio, ratio_l, excess, excess_l, log, log_l, lane[VD];
    vd2 tops = exp_of_max(&s.unit, 0, s.max);
    vd_put(top_of, tops.h + tops.l);
    double top = isinf(s.max[0]) ? 1 : top_of[0];
    total = s.max[0] == -(T)INFINITY && !isnan(total) ? 0 : total;
    divide_parts(fabs(total), 0, top, 0, &ratio, &ratio_l);
    two_sum(ratio, -1, &excess, &excess_l);
    log1p_parts(excess, excess_l, &log, &log_l);
    vd_put(lane, sum_parts(vd_set((double)s.max[0]), vd_set(log), vd_set(log_l)));
    *lse = total == 0 ? -INFINITY : lane[0];
    *sign = isnan(total) ? total : (total > 0) - (total < 0);
}

void FN(logsumexp)(const sl_logsumexp *a, size_t begin, size_t end, const sl_memory *held)
{
    fp_state state = fp_enter();
    plan p = make_plan(a->shape, &a->x, SHORT);
    batch b;
    batch_open(&b, &p, held);
    if (a->b.p) {
        p.across = 0;
        p.chunk = TILE;
        p.chunks = (a->shape->cols + TILE - 1) / TILE;
    }
    for (size_t first = begin; first < end; first += p.batch) {
        batch_start(&b, &a->x, &a->softmax, first, min_size(p.batch, end - first));
        if (!a->b.p) {
            logsumexp_batch(a, &b);
            continue;
        }
        double lse[ROWS], sign[ROWS];
        rows_of weight;
        find_rows(&weight, &p, &a->b, b.number, b.n);
        for (size_t row = 0; row < b.n; row++) {
            weighted_row(&p, &b.x, &weight, row, lse + row, sign + row);
            if (!a->sign.p && sign[row] < 0)
                lse[row] = NAN;
        }
        put_row_values(&b, &a->lse, lse);
        put_row_values(&b, &a->sign, sign);
    }
    fp_leave(state);
}

void FN(cut_rows)(const sl_shape *s, const sl_array *x, const sl_array *y, sl_cut *cut)
{
    plan p = make_plan(s, x, SHORT);
    cut->together = p.batch;
    cut->segments = p.segments;
    cut->held = most_held(&p, x, y);
}
