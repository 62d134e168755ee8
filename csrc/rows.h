/* A batch of up to LANES rows: their sums of exponentials, the logarithms of these, and a second walk over the tiles in
   which the caller makes its outputs, while they are in cache. */
#ifndef SL_ROWS_H
#define SL_ROWS_H

#include "precise.h"
#include "rowmath.h"
#include "sumexp.h"

/* float32 rows so short that they are summed in float64 outright: there are no terms to average errors over. */
static inline int summed_in_double(const plan *p) { return DTYPE == 32 && VF_FUSED && p->shape->cols <= 32; }

typedef struct {
    const plan *plan;
    size_t n;
    rows_of x, out;                     /* out: where exponentials stay on their way to a softmax or gradient, optional */
    int skip[LANES];                    /* rows along that batch_sum leaves out; its caller makes nothing of them */
    double max[LANES];
    double rest[LANES], rest_l[LANES];  /* S', all but one maximum; high and low part, in the row's unit */
    double top[LANES], top_l[LANES];    /* e^max */
    double log[LANES], log_l[LANES];    /* log1p(S'/e^max): logsumexp is max + log */
    T base[LANES], round[LANES], floor[LANES];
    T exps[TILE], scratch[TILE];
} batch;

static inline void batch_start(batch *b, const plan *p, const sl_array *x, const sl_array *out, size_t first, size_t n)
{
    b->plan = p;
    b->n = n;
    b->x = rows_at(p, x, first, n);
    b->out = rows_at(p, out, first, n);
    if (out->p == x->p) /* in place, logits are still wanted after their exponentials are known */
        b->out.direct = 0;
    memset(b->skip, 0, sizeof b->skip);
}

/* Tiles are visited row by row along, and all rows at once across. */
static inline size_t batch_tile_rows(const batch *b) { return b->plan->across ? 1 : b->n; }

static inline tile read_x(batch *b, size_t row, size_t chunk)
{
    return tile_read(b->plan, &b->x, row, b->n, chunk, b->scratch);
}

/* Where the exponentials of a tile are kept between the walks: in the output, or in `exps` if one batch of tiles is all
   there is; otherwise they are computed again (exps_tile). */
static inline tile kept_tile(batch *b, size_t row, size_t chunk)
{
    if (b->out.direct)
        return tile_in_place(b->plan, &b->out, row, chunk);
    size_t slot = b->plan->across || b->plan->chunks > 1 ? 0 : row * b->plan->shape->cols;
    return tile_in_buffer(b->plan, b->exps + slot, chunk);
}

/* The lanes of one row's sums, or of a batch across, become the totals of row `row`, or of all rows. */
static inline void take_totals(batch *b, size_t row, sums *s)
{
    if (!b->plan->across)
        for (int w = LANES / 2; w; w /= 2)
            for (int l = 0; l < w; l++) {
                double lost;
                two_sum(s->total[l], s->total[l + w], &s->total[l], &lost);
                s->total_l[l] += s->total_l[l + w] + lost;
            }
    size_t n = b->plan->across ? LANES : 1;
    for (size_t l = 0; l < n; l++) {
        b->rest[row + l] = s->total[l];
        b->rest_l[row + l] = s->total_l[l];
        b->max[row + l] = (double)s->max[l];
        b->top[row + l] = s->top[l];
        b->top_l[row + l] = s->top_l[l];
        b->base[row + l] = s->base[l];
        b->round[row + l] = s->round[l];
        b->floor[row + l] = s->floor[l];
    }
}

/* The first walk: each logit is read once, its exponential added up and, with STORE as mode, kept. `visit`, optional, sees
   every tile of logits with its lanes' maxima before exponentials may overwrite it. */
typedef void tile_visitor(void *context, batch *b, size_t row, size_t chunk, tile x, const T *m);

/* Very short rows of float32, all at once and in float64. */
static void batch_sum_short(batch *b, int mode, tile_visitor *visit, void *context)
{
    T m[LANES];
    double tops[LANES] = {0};
    tile x = read_x(b, 0, 0);
    tile_max(x, m);
    if (visit)
        visit(context, b, 0, 0, x, m);
    memset(b->rest, 0, sizeof b->rest);
    precise_sum(x, m, b->rest, tops, mode == STORE ? kept_tile(b, 0, 0) : (tile){0});
    for (int l = 0; l < LANES; l++) {
        b->max[l] = (double)m[l];
        b->top[l] = ldexp(1, BIAS);
        b->rest[l] += (tops[l] - 1) * b->top[l];
        b->rest_l[l] = b->top_l[l] = 0;
    }
}

static void batch_sum(batch *b, int mode, tile_visitor *visit, void *context)
{
    const plan *p = b->plan;
    if (summed_in_double(p)) {
        batch_sum_short(b, mode, visit, context);
        return;
    }
    for (size_t row = 0; row < batch_tile_rows(b); row++) {
        sums s;
        T m[LANES], factor[LANES], zero[LANES] = {0};
        sums_start(&s, p->shape->cols);
        for (size_t chunk = 0; chunk < (b->skip[row] ? 0 : p->chunks); chunk++) {
            tile x = read_x(b, row, chunk), e = mode == STORE ? kept_tile(b, row, chunk) : (tile){0};
            if (sums_meet_tile(&s, p->across, chunk == 0, x, m, factor) && mode == STORE && b->out.direct)
                for (size_t before = 0; before < chunk; before++)
                    for (int twice = 0; twice < 2; twice++)
                        tile_scale(tile_in_place(p, &b->out, row, before), factor, zero);
            if (visit)
                visit(context, b, row, chunk, x, m);
            sums_add_tile(&s, p->across, x, e, m, mode);
        }
        take_totals(b, row, &s);
    }
}

/* log1p(S'/e^max) of every row. A row without a finite logit has no top: 1 stands in, and the maximum decides. */
static void batch_log(batch *b)
{
    size_t n = b->plan->across ? LANES : b->n;
    for (size_t i = 0; i < n; i++) {
        double top = b->top[i] > 0 ? b->top[i] : 1, ratio, ratio_l;
        divide_parts(b->rest[i], b->rest_l[i], top, b->top_l[i], &ratio, &ratio_l);
        log1p_parts(ratio, ratio_l, &b->log[i], &b->log_l[i]);
    }
}

/* One value a row as one value a lane. Absent rows are 0. */
static inline void to_lanes(const batch *b, const double *value, size_t row, T *lane)
{
    for (size_t l = 0; l < LANES; l++) {
        size_t i = b->plan->across ? l : row;
        lane[l] = i < b->n ? (T)value[i] : 0;
    }
}

/* Likewise a value in two parts, as T and what that leaves. */
static inline void parts_to_lanes(const batch *b, const double *high, const double *low, size_t row, T *lane, T *lane_l)
{
    to_lanes(b, high, row, lane);
    for (size_t l = 0; l < LANES; l++) {
        size_t i = b->plan->across ? l : row;
        lane_l[l] = i < b->n ? (T)((high[i] - (double)lane[l]) + low[i]) : 0;
    }
}

/* S'/e^max of one row in float64, along the row however the batch lies. */
static double precise_ratio(batch *b, size_t row)
{
    plan along = *b->plan;
    rows_of x = b->x;
    double rest[LANES] = {0}, tops[LANES] = {0};
    T max[LANES], last[LANES];
    along.across = 0;
    along.chunk = TILE;
    x.direct = contiguous_columns(along.shape, x.array) && x.row[row] % (ptrdiff_t)sizeof(T) == 0;
    for (int l = 0; l < LANES; l++)
        max[l] = (T)b->max[row];
    for (size_t chunk = 0; chunk * TILE < along.shape->cols; chunk++) {
        tile t = tile_read(&along, &x, row, 1, chunk, b->scratch);
        precise_sum(t, max, rest, tops, (tile){0});
        if (!t.part)
            continue;
        for (size_t l = 0; l < LANES; l++)
            last[l] = l < t.part ? t.p[t.full * LANES + l] : -(T)INFINITY;
        precise_sum((tile){last, LANES, 1, 0}, max, rest, tops, (tile){0});
    }
    for (int l = 1; l < LANES; l++) {
        rest[0] += rest[l];
        tops[0] += tops[l];
    }
    return ldexp(rest[0], -BIAS) + (tops[0] - 1);
}

/* Replaces S' by a sum in float64 where errors of single exponentials would show in `result`, the rows' logsumexp or loss.
   log1p(S'/e^max) is right to the error of a term times S'/S; where S' is many times e^max it has at least that many terms,
   whose errors are independent. 12 was found by trial: over 4e5 random rows what was left stayed below 0.07 ULP of the result.
   Without fma other errors are larger, and only a logsumexp near 0 asks for it. */
static inline void batch_refine(batch *b, const double *result)
{
    if (DTYPE != 32 || summed_in_double(b->plan))
        return;
    const double margin = VF_FUSED ? 12 : 0.8;
    int any = 0;
    for (size_t i = 0; i < b->n; i++) {
        double ratio = b->rest[i] / b->top[i], error = ratio / (1 + ratio) / sqrt(ratio > 1 ? ratio : 1);
        if (b->skip[i] || !(margin * error > fabs(result[i])))
            continue;
        b->rest[i] = precise_ratio(b, i) * (b->top[i] + b->top_l[i]);
        b->rest_l[i] = 0;
        any = 1;
    }
    if (any)
        batch_log(b);
}

/* NaN where the maximum is infinite, else 0: such rows have a logsumexp, but no distribution. Rows of nothing sum to 0. */
static inline double undefined(const batch *b, size_t i)
{
    return b->plan->shape->cols ? b->max[i] - b->max[i] : 0;
}

/* What softmax multiplies the kept exponentials by, times `weight`: high and low part. */
static inline void over_sum(const batch *b, size_t i, double weight, double *high, double *low)
{
    double sum, lost, ratio, ratio_l;
    two_sum(b->top[i], b->rest[i], &sum, &lost); /* without top_l: the kept exponentials lack theirs too */
    divide_parts(weight, 0, sum, lost + b->rest_l[i], &ratio, &ratio_l);
    *high = ratio + undefined(b, i);
    *low = ratio_l;
}

/* high + low + last; without the lost part where the sum is infinite, whose lost part is NaN */
static inline double sum_parts(double a, double b, double last)
{
    double sum, lost;
    two_sum(a, b, &sum, &lost);
    return isfinite(lost) ? sum + (lost + last) : sum;
}

static inline double logsumexp_of(const batch *b, size_t i) { return sum_parts(b->max[i], b->log[i], b->log_l[i]); }

/* The exponentials of a tile, as batch_sum kept them or computed once more from the logits. */
static tile exps_tile(batch *b, size_t row, size_t chunk)
{
    tile e = kept_tile(b, row, chunk);
    if (b->out.direct || b->plan->chunks == 1)
        return e;
    sums s;
    memset(&s, 0, sizeof s);
    for (size_t l = 0; l < LANES; l++) {
        size_t i = b->plan->across ? l : row;
        s.base[l] = b->base[i];
        s.round[l] = b->round[i];
        s.floor[l] = b->floor[i];
    }
    sum_range(&s, read_x(b, row, chunk), e, 0, e.full, 1, NULL, NULL, STORE);
    return e;
}

/* One value a row of the batch that starts at row `first` to a per-row output. */
static inline void put_row_values(const batch *b, const sl_array *a, size_t first, const double *value)
{
    if (!a->p)
        return;
    ptrdiff_t at[LANES];
    row_offsets(b->plan->shape, a->row, first, b->n, at);
    for (size_t i = 0; i < b->n; i++) {
        T x = (T)value[i];
        scatter(a->p + at[i], 0, &x, 1, 1, a->storage);
    }
}

/* The exponentials of the whole batch times one factor a row, to the output. */
static void put_scaled_exps(batch *b, const double *factor, const double *factor_l)
{
    T lane[LANES], lane_l[LANES];
    for (size_t row = 0; row < batch_tile_rows(b); row++) {
        parts_to_lanes(b, factor, factor_l, row, lane, lane_l);
        for (size_t chunk = 0; chunk < b->plan->chunks; chunk++) {
            tile e = exps_tile(b, row, chunk);
            tile_scale(e, lane, lane_l);
            tile_write(b->plan, &b->out, row, b->n, chunk, e);
        }
    }
}

#endif
