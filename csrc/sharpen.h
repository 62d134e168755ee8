/* The logsumexp of float32 rows whose maximum and logarithm nearly cancel, once more. */
#ifndef SL_SHARPEN_H
#define SL_SHARPEN_H

#include "rows.h"

/* Adds e^(x - max), of which not all are more than e^-700, to a sum in two parts. */
ALWAYS_INLINE void add_exp(vd2 *sum, vd x, vd max)
{
    vd z = x - max, lost;
    sum->h = vd_two_sum(sum->h, vd_exp(vd_choose((vd_bits)(z > -700), z, vd_set(-700)), vd_set(0)), &lost);
    sum->l += lost;
}

/* The logsumexp of n rows once more, n <= VD, as well as float64 allows. A lane is a row where rows are short; those of
   long rows, taken one by one, are columns. */
static __attribute__((noinline)) void logsumexp_again(batch *b, const size_t *row, size_t n, double *lse)
{
    const size_t cols = b->plan->shape->cols;
    const int across = b->plan->across;
    ALIGNED T x[TILE]; /* the batch has exponentials in its own */
    ALIGNED double max[VD], sum[VD], sum_l[VD];
    vd2 all = {vd_set(0), vd_set(0)};
    for (size_t l = 0; l < VD; l++)
        max[l] = (double)b->sums.max[row[min_size(l, n - 1)]];
    for (size_t first = 0, width; first < cols; first += width) {
        width = min_size(TILE / (across ? VD : 1), cols - first);
        for (size_t l = 0; l < n; l++)
            each_run(b->plan, &b->x, row[l], first, width, x + l, across ? VD : 1, 0);
        for (size_t i = 0; across && i < width; i++)
            add_exp(&all, vd_read(x + i * VD), vd_get(max));
        for (size_t i = 0; !across && i < width; i += VD) {
            for (size_t l = width; l < i + VD; l++)
                x[l] = -(T)INFINITY;
            add_exp(&all, vd_read(x + i), vd_get(max));
        }
    }
    vd_put(sum, all.h);
    vd_put(sum_l, all.l);
    for (size_t l = 1; l < VD && !across; l++) {
        double lost;
        two_sum(sum[0], sum[l], sum, &lost);
        sum_l[0] += sum_l[l] + lost;
    }
    vd lost, rest = vd_two_sum(vd_get(sum), vd_set(-1), &lost);
    vd2 log = vd_log_of_sum((vd2){rest, lost + vd_get(sum_l)}, (vd2){vd_set(1), vd_set(0)}, 1);
    vd near = vd_two_sum(vd_get(max), log.h, &lost);
    vd_put(sum, near + (lost + log.l));
    for (size_t l = 0; l < n; l++)
        lse[row[l]] = sum[l];
}

/* Where float32 rows need that. The error of a logarithm, up to 2^-28.65 S'/S, is below 1/20 ULP of any result that is
   not smaller than 4/5 S'/S; maximum and logarithm may cancel to less. Summed in float64, it is below 2^-39.5 S'/S. */
ALWAYS_INLINE vd_bits cancelled(const batch *b, size_t i, vd lse)
{
    const sums *s = &b->sums;
    vd rest = vd_get(s->rest.h + i), sum = rest + vd_get(s->top.h + i), share = vd_set(b->plan->few ? 0x1p-11 : 0.8);
    return (vd_bits)(vd_read(s->max + i) < 0) & (vd_bits)(vd_magnitude(lse) * sum < rest * share);
}

/* The logsumexp of those rows of a batch again. */
static inline void sharpen_logsumexp(batch *b, double *lse)
{
    vd_bits any = {0};
    for (size_t i = 0; i < b->lanes; i += VD)
        any |= cancelled(b, i, vd_get(lse + i));
    if (DTYPE == 64 || !vd_any(any))
        return;
    size_t row[ROWS], n = 0;
    for (size_t i = 0; i < b->n; i += VD) {
        vd_bits again = cancelled(b, i, vd_get(lse + i));
        for (size_t l = i; l < min_size(i + VD, b->n); l++) {
            row[n] = l;
            n += again[l - i] != 0;
        }
    }
    const size_t together = b->plan->across ? VD : 1;
    for (size_t i = 0; i < n; i += together)
        logsumexp_again(b, row + i, min_size(together, n - i), lse);
}

#endif
