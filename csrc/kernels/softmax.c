/* softmax and log_softmax of rows.

   softmax: exponentials in a row's unit, times 1/sum as high and low part; what underflows does so once, in that product.
   log_softmax: (x - max) - log1p(S'/e^max), two terms of one sign.

   The largest errors found in ULP, where fma is an instruction:
   softmax                    f32 <= 3.00 (1.495, 129 classes), f64 <= 4.00 (2.283, 257 classes)
   log_softmax                f32 <= 3.00 (1.249, 10 classes), f64 <= 4.00 (1.360, 100 classes) */
#include "rows.h"

static void log_tile(batch *b, size_t row, size_t chunk, const T *max, const T *log)
{
    tile x = read_x(b, row, chunk), y = kept_tile(b, row, chunk);
    for (int c = 0; c < LANES; c += VL) {
        vf m = vf_load(max + c), l = vf_load(log + c);
        const T *p = x.p + c;
        T *q = y.p + c;
        for (size_t i = 0; i < x.full; i++, p += x.step, q += y.step)
            vf_store(q, vf_sub(vf_sub(vf_load(p), m), l));
        if (x.part > (size_t)c) {
            size_t n = x.part - (size_t)c;
            vf_store_n(q, vf_sub(vf_sub(vf_load_n(p, n, m), m), l), n);
        }
    }
    tile_write(b->plan, &b->out, row, b->n, chunk, y);
}

static void softmax_batch(batch *b)
{
    double factor[LANES], factor_l[LANES];
    batch_sum(b, STORE, NULL, NULL);
    for (size_t i = 0; i < b->n; i++)
        over_sum(b, i, 1, &factor[i], &factor_l[i]);
    put_scaled_exps(b, factor, factor_l);
}

static void log_softmax_batch(batch *b)
{
    double log[LANES];
    T max_lane[LANES], log_lane[LANES];
    batch_sum(b, 0, NULL, NULL);
    batch_log(b);
    for (size_t i = 0; i < b->n; i++)
        log[i] = b->log[i] + b->log_l[i] + undefined(b, i);
    for (size_t row = 0; row < batch_tile_rows(b); row++) {
        to_lanes(b, b->max, row, max_lane);
        to_lanes(b, log, row, log_lane);
        for (size_t chunk = 0; chunk < b->plan->chunks; chunk++)
            log_tile(b, row, chunk, max_lane, log_lane);
    }
}

void FN(softmax)(const sl_softmax *a, size_t begin, size_t end)
{
    fp_state state = fp_enter();
    plan p = make_plan(a->shape, &a->x);
    batch b;
    for (size_t first = begin; first < end; first += p.batch) {
        batch_start(&b, &p, &a->x, &a->y, first, min_size(p.batch, end - first));
        if (a->log)
            log_softmax_batch(&b);
        else
            softmax_batch(&b);
    }
    fp_leave(state);
}
