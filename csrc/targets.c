/* Index targets and weights of rows, read once before any output is written. */
#include "targets.h"

#include "fpstate.h"
#include "half.h"
#include "ops.h"
#include "sum.h"

#include <stdbool.h>
#include <string.h>

static double load_weight(const char *p, int storage, bool is_double)
{
    bool swapped = storage & SL_SWAPPED;
    if (storage & SL_HALF) {
        uint16_t half;
        memcpy(&half, p, sizeof half);
        return (double)sl_half_to_float(swapped ? __builtin_bswap16(half) : half);
    }
    if (is_double) {
        uint64_t bits;
        double x;
        memcpy(&bits, p, sizeof bits);
        bits = swapped ? __builtin_bswap64(bits) : bits;
        memcpy(&x, &bits, sizeof x);
        return x;
    }
    uint32_t bits;
    memcpy(&bits, p, sizeof bits);
    return (double)sl_bits_to_float(swapped ? __builtin_bswap32(bits) : bits);
}

static inline double class_weight(const void *weight, bool is_double, size_t i)
{
    return is_double ? ((const double *)weight)[i] : (double)((const float *)weight)[i];
}

double sl_sum_weights(const void *weight, int weight_is_double, size_t n)
{
    sl_sum sum = {0};
    fp_state state = fp_enter();
    for (size_t i = 0; i < n; i++)
        sl_sum_add(&sum, class_weight(weight, weight_is_double, i));
    volatile double value = sl_sum_value(&sum); /* computed here, in this state */
    fp_leave(state);
    return value;
}

/* A run of rows along the innermost dimension: where its operands begin, and what they have added up to. */
typedef struct {
    const sl_cross_entropy *a;
    bool is_double, weighted;
    const char *target, *sample_weight;
    ptrdiff_t target_stride, sample_weight_stride;
    sl_sum *weights;
} run;

static bool is_bad(int64_t target, int64_t ignore, uint64_t cols)
{
    return target != ignore && (uint64_t)target >= cols;
}

/* The first of n unweighted rows whose target is bad, or n; inlined into one loop per storage of the targets, with the
   stride of the commonest. Mostly all are classes: then t and cols - 1 - t have no sign, and no target is ignored but
   one that is a class. */
static inline size_t count_kept(run *r, size_t n, int storage, ptrdiff_t stride)
{
    const int64_t ignore = r->a->ignore_index;
    const uint64_t cols = r->a->shape->cols;
    const char *p = r->target;
    uint64_t signs = 0;
    for (size_t i = 0; i < n; i++, p += stride) {
        uint64_t t = (uint64_t)sl_read_target(p, storage);
        signs |= t | (cols - 1 - t);
    }
    size_t ignored = 0, i = n;
    if (signs >> 63 || (uint64_t)ignore < cols) { /* once more, leaving out those that are ignored */
        signs = 0;
        p = r->target;
        for (i = 0; i < n; i++, p += stride) {
            uint64_t t = (uint64_t)sl_read_target(p, storage), apart = t ^ (uint64_t)ignore;
            uint64_t kept = (apart | -apart) >> 63; /* apart != 0: SSE2 cannot compare 64 bits */
            ignored += 1 - kept;
            signs |= (t | (cols - 1 - t)) & -kept;
        }
    }
    if (signs >> 63)
        for (i = 0, p = r->target; !is_bad(sl_read_target(p, storage), ignore, cols); i++)
            p += stride;
    sl_sum_add(r->weights, (double)(n - ignored));
    return i;
}

/* The same of weighted rows, whose weights are added to a sum of their own: one in memory would have each wait for the
   one before to be stored. */
static inline size_t weigh_kept(run *r, size_t n, int storage, ptrdiff_t stride)
{
    const sl_cross_entropy *a = r->a;
    const char *target = r->target, *sample_weight = r->sample_weight;
    sl_sum sum = {0};
    size_t i;
    for (i = 0; i < n; i++, target += stride, sample_weight += r->sample_weight_stride) {
        double w = 1;
        if (a->target.p) {
            int64_t t = sl_read_target(target, storage);
            if (is_bad(t, a->ignore_index, a->shape->cols))
                break;
            if (t == a->ignore_index)
                continue;
            if (a->weight)
                w = class_weight(a->weight, r->is_double, (size_t)t);
        }
        if (a->sample_weight.p)
            w *= load_weight(sample_weight, a->sample_weight.storage, r->is_double);
        sl_sum_add(&sum, w);
    }
    sl_sum_join(r->weights, &sum);
    return i;
}

static inline size_t scan_rows(run *r, size_t n, int storage, ptrdiff_t stride)
{
    return r->weighted ? weigh_kept(r, n, storage, stride) : count_kept(r, n, storage, stride);
}

static size_t scan_run(run *r, size_t n)
{
    const ptrdiff_t stride = r->target_stride;
    const bool soft = !r->a->target.p;
    if (soft && !r->weighted) { /* every row is kept */
        sl_sum_add(r->weights, (double)n);
        return n;
    }
    switch (soft ? SL_INT64 : r->a->target.storage) { /* of soft labels, no target is read */
    case SL_INT32: return stride == 4 ? scan_rows(r, n, SL_INT32, 4) : scan_rows(r, n, SL_INT32, stride);
    case SL_INT64: return stride == 8 ? scan_rows(r, n, SL_INT64, 8) : scan_rows(r, n, SL_INT64, stride);
    default: return scan_rows(r, n, r->a->target.storage, stride);
    }
}

static const char *row_of(const sl_shape *s, const sl_array *a, size_t row)
{
    const char *p = a->p;
    for (int d = s->row_dims - 1; p && d >= 0; d--) {
        p += (ptrdiff_t)(row % s->row[d]) * a->row[d];
        row /= s->row[d];
    }
    return p;
}

static __attribute__((noinline)) ptrdiff_t scan(const sl_cross_entropy *a, int weight_is_double, size_t begin,
                                                size_t end, sl_sum *denominator, int64_t *bad_target)
{
    const sl_shape *s = a->shape;
    const int last = s->row_dims - 1;
    const size_t run_length = last < 0 ? 1 : s->row[last];
    run r = {
        .a = a,
        .is_double = weight_is_double,
        .weighted = (a->weight && a->target.p) || a->sample_weight.p,
        .target_stride = a->target.p && last >= 0 ? a->target.row[last] : 0,
        .sample_weight_stride = a->sample_weight.p && last >= 0 ? a->sample_weight.row[last] : 0,
        .weights = denominator,
    };

    for (size_t first = begin, n; first < end; first += n) {
        size_t left = run_length - first % run_length;
        n = left < end - first ? left : end - first;
        r.target = row_of(s, &a->target, first);
        r.sample_weight = row_of(s, &a->sample_weight, first);
        const size_t good = scan_run(&r, n);
        if (good < n) {
            *bad_target = sl_read_target(r.target + (ptrdiff_t)good * r.target_stride, a->target.storage);
            return (ptrdiff_t)(first + good);
        }
    }
    return -1;
}

ptrdiff_t sl_scan_targets(const sl_cross_entropy *a, int weight_is_double, size_t begin, size_t end,
                          sl_sum *denominator, int64_t *bad_target)
{
    fp_state state = fp_enter();
    ptrdiff_t bad = scan(a, weight_is_double, begin, end, denominator, bad_target);
    fp_leave(state);
    return bad;
}
