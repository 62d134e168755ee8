/* logsumexp of rows, with softmax as its gradient, or with factors of the exponentials (weighted.h).

   logsumexp = max + log1p(S'/e^max), the logarithm in float64 for both dtypes and added in two parts.

   The largest errors found in ULP, where fma is an instruction:
   logsumexp                  f32 <= 0.55 (0.527, logsumexp near S'/S, 2 classes), f64 <= 1.00 (0.608, logsumexp near S'/S, 3 classes)
   logsumexp.near_zero        f32 <= 0.55 (0.097, 10 classes), f64 <= 1.00 (0.048, 10 classes)
   logsumexp_and_grad.value   f32 <= 0.55 (0.527, logsumexp near S'/S, 2 classes), f64 <= 1.00 (0.608, logsumexp near S'/S, 3 classes)
   logsumexp_and_grad.grad    f32 <= 3.00 (1.497, spread 0.01, 64 classes), f64 <= 4.00 (2.415, descending, 129 classes) */
#include "long.h"
#include "sharpen.h"
#include "weighted.h"

static void logsumexp_sum(const sl_logsumexp *a, batch *b)
{
    batch_sum(b, a->softmax.p ? STORE | LEAVE_TOP : LEAVE_TOP, NULL, NULL);
}

static void put_logsumexp(const sl_logsumexp *a, batch *b)
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
        logsumexp_sum(job, b);
        keep_sums(b, part);
        break;
    case SL_ROWS:
        join_sums(b, part);
        put_logsumexp(job, b);
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
    logsumexp_sum(a, b);
    put_logsumexp(a, b);
    if (a->softmax.p)
        put_softmax(b);
}

void FN(logsumexp_part)(const sl_logsumexp *a, size_t begin, size_t end, const sl_part *part)
{
    fp_state state = fp_enter();
    plan p = make_plan(a->shape, &a->x);
    batch b;
    batch_open(&b, &p, &a->x, &a->softmax, NULL);
    batch_start(&b, begin, end - begin);
    logsumexp_step((void *)a, &b, part);
    fp_leave(state);
}

void FN(logsumexp)(const sl_logsumexp *a, size_t begin, size_t end, const sl_memory *held)
{
    fp_state state = fp_enter();
    plan p = make_plan(a->shape, &a->x);
    batch b;
    rows_of weight;
    if (a->b.p) {
        p.across = 0;
        p.chunk = TILE;
        p.chunks = (a->shape->cols + TILE - 1) / TILE;
    }
    batch_open(&b, &p, &a->x, &a->softmax, held);
    open_rows(&weight, &p, &a->b);
    for (size_t first = begin; first < end; first += b.n) {
        batch_start(&b, first, batch_rows(&b, first, end));
        if (!a->b.p) {
            logsumexp_batch(a, &b);
            continue;
        }
        double lse[ROWS], sign[ROWS];
        find_rows(&weight, &p, b.number, b.n);
        for (size_t row = 0; row < b.n; row++) {
            weighted_row(&p, &b.x, &weight, row, lse + row, sign + row);
            if (!a->sign.p && sign[row] < 0)
                lse[row] = NAN;
        }
        put_row_values(&b, &a->lse, lse);
        put_row_values(&b, &a->sign, sign);
    }
    batch_close(&b);
    fp_leave(state);
}

void FN(cut_rows)(const sl_shape *s, const sl_array *x, const sl_array *y, sl_cut *cut)
{
    plan p = make_plan(s, x);
    cut->together = p.batch;
    cut->segments = p.segments;
    cut->held = most_held(&p, x, y);
}
