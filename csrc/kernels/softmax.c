/* softmax and log_softmax of rows.

   softmax: exponentials in a row's unit, times 1/sum as high and low part; what underflows does so once, in that
   product. log_softmax: (x - max) - log1p(S'/e^max), two terms of one sign.

   The largest errors found in ULP, where fma is an instruction:
   softmax                    f32 <= 3.00 (2.460, ascending, 300 classes), f64 <= 4.00 (2.456, spread 10, 5 classes)
   log_softmax                f32 <= 3.00 (1.513, spread 100, 33 classes), f64 <= 4.00 (1.560, logsumexp near 0, 34 classes) */
#include "long.h"

static void log_tile(batch *b, size_t row, size_t chunk, const T *max, const T *log)
{
    tile x = read_x_again(b, row, chunk), y = result_tile(b, row, chunk, kept_tile(b, row, chunk));
    const tile written = y;
    const ptrdiff_t next = next_logits(b, row, chunk, x.p);
    const int across = b->plan->across;
    if (!across) {
        x = in_vectors(x);
        y = in_vectors(y);
    }
    for (size_t c = 0; c < (across ? b->lanes : VL); c += VL) {
        vf m = of_rows(max, across, row, c), l = of_rows(log, across, row, c);
        const T *p = x.p + c;
        T *q = y.p + c;
        for (size_t i = 0; i < x.full; i++, p += x.step, q += y.step) {
            if (next)
                fetch_to_read(p, next);
            vf_store(q, vf_sub(vf_sub(vf_load(p), m), l));
        }
        if (x.part)
            vf_store_n(q, vf_sub(vf_sub(vf_load_n(p, x.part, m), m), l), x.part);
    }
    tile_write(b->plan, &b->out, row, b->n, chunk, written);
}

static void put_log_softmax(batch *b)
{
    ALIGNED T log[ROWS] = {0};
    for (size_t i = 0; i < b->lanes; i += VD) {
        vd2 value = log_of(b, i);
        vd_write(log + i, value.h + value.l + undefined(b, i));
    }
    for (size_t row = 0; row < batch_tile_rows(b); row++)
        for (size_t chunk = b->begin; chunk < b->end; chunk++)
            log_tile(b, row, chunk, b->sums.max, log);
}

static plan plan_of(const sl_softmax *a)
{
    plan p = make_plan(a->shape, &a->x);
    p.rough = ROUGH;
    return p;
}

static void softmax_sum(const sl_softmax *a, batch *b)
{
    batch_sum(b, (a->log ? LEAVE_TOP : STORE) | b->plan->rough, NULL, NULL);
}

static void put_output(const sl_softmax *a, batch *b)
{
    if (a->log)
        put_log_softmax(b);
    else
        put_softmax(b);
}

static void softmax_step(void *job, batch *b, const sl_part *part)
{
    switch (part->step) {
    case SL_SUM:
        batch_cut(b, part);
        softmax_sum(job, b);
        keep_sums(b, part);
        break;
    case SL_ROWS:
        join_sums(b, part);
        break;
    case SL_OUTPUT:
        take_sums(b, part);
        put_output(job, b);
    }
}

void FN(softmax)(const sl_softmax *a, size_t begin, size_t end, const sl_memory *held)
{
    fp_state state = fp_enter();
    plan p = plan_of(a);
    batch b;
    batch_open(&b, &p, &a->x, &a->y, held);
    for (size_t first = begin; first < end; first += b.n) {
        batch_start(&b, first, batch_rows(&b, first, end));
        if (!a->log)
            overwrite_logits(&b, 0);
        if (p.segments > 1) {
            long_rows((void *)a, &b, 1, softmax_step);
        } else {
            softmax_sum(a, &b);
            put_output(a, &b);
        }
    }
    batch_close(&b);
    fp_leave(state);
}

void FN(softmax_part)(const sl_softmax *a, size_t begin, size_t end, const sl_part *part)
{
    fp_state state = fp_enter();
    plan p = plan_of(a);
    batch b;
    batch_open(&b, &p, &a->x, &a->y, NULL);
    batch_start(&b, begin, end - begin);
    softmax_step((void *)a, &b, part);
    fp_leave(state);
}
