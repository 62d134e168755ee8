/* The rows that a batch of cross-entropy computes, and what it reads of them before the walk over their logits. The
   letters are those of kernels/cross_entropy.c. */
#ifndef SL_TARGET_ROWS_H
#define SL_TARGET_ROWS_H

#include "labels.h"
#include "targets.h"

typedef struct {
    const sl_cross_entropy *a;
    int dense;                                 /* q is not 0 beside the target */
    ALIGNED int64_t index[LANES];              /* class indices of rows from `read` to `read_end` */
    size_t read, read_end;
    uint64_t ignored;                          /* of them, a bit each */
    ALIGNED size_t target[ROWS];
    ALIGNED T lane_target[ROWS];               /* the same, where picks_targets */
    double kept[ROWS];                         /* 1, or 0 where the target is ignored or the row absent */
    ALIGNED T x_target[ROWS], sample[ROWS];    /* x at the target, sample_weight */
    ALIGNED double class_weight[ROWS];         /* of the target */
    double total[GROUP], total_l[GROUP];       /* of the losses, row i to lane i % GROUP, with what was lost */
    label_work labels;
} work;

/* The class indices of n rows from `first`. */
static void read_indices(const sl_shape *s, const sl_array *a, size_t first, size_t n, int64_t *index)
{
    if (a->storage == SL_INT64 && row_step(s, a) == 8 && evenly_spaced(s, a)) {
        if (n == LANES) /* moved in vectors where the compiler knows how many there are */
            memcpy(index, a->p + first * 8, LANES * 8);
        else
            memcpy(index, a->p + first * 8, n * 8);
        return;
    }
    size_t number[ROWS];
    ptrdiff_t at[ROWS];
    for (size_t i = 0; i < n; i++)
        number[i] = first + i;
    row_offsets(s, a->row, number, n, at);
    if (a->storage == SL_INT32)
        for (size_t i = 0; i < n; i++)
            index[i] = sl_read_target(a->p + at[i], SL_INT32);
    else
        for (size_t i = 0; i < n; i++)
            index[i] = sl_read_target(a->p + at[i], a->storage);
}

/* n values, at[i] bytes from where the operand begins. */
static inline void read_values(const sl_array *a, const ptrdiff_t *at, size_t n, T *value)
{
    if (a->storage)
        for (size_t i = 0; i < n; i++)
            gather(value + i, 1, a->p + at[i], 0, 1, a->storage, 0);
    else
        for (size_t i = 0; i < n; i++)
            memcpy(value + i, a->p + at[i], sizeof(T));
}

/* Zeros to `cols` elements each of n rows from `first`, in runs along the last dimension: bytes that lie together at
   once. */
static void clear(const sl_shape *s, const sl_array *a, size_t first, size_t n, size_t cols)
{
    static const T zeros[1];
    if (!a->p)
        return;
    const int last = s->row_dims - 1;
    const size_t item = a->storage & SL_HALF ? 2 : sizeof(T), row = cols * item;
    const ptrdiff_t apart = row_step(s, a), step = cols > 1 ? a->col[0] : (ptrdiff_t)item;
    for (size_t run; n; first += run, n -= run) {
        ptrdiff_t at;
        row_offsets(s, a->row, &first, 1, &at);
        char *p = a->p + at;
        run = last > 0 ? min_size(n, s->row[last] - first % s->row[last]) : n;
        if (step == (ptrdiff_t)item && apart == (ptrdiff_t)row)
            memset(p, 0, run * row);
        else if (apart == (ptrdiff_t)item)
            for (size_t c = 0; c < cols; c++)
                memset(p + (ptrdiff_t)c * step, 0, run * item);
        else
            for (size_t i = 0; i < run; i++, p += apart) {
                if (step == (ptrdiff_t)item)
                    memset(p, 0, row);
                else
                    scatter(p, step, zeros, 0, cols, a->storage, 0);
            }
    }
}

static void clear_rows(const work *k, const plan *p, size_t first, size_t n)
{
    clear(p->shape, &k->a->loss, first, n, 1);
    clear(p->shape, &k->a->grad, first, n, p->shape->cols);
}

/* Clears the ignored ones of n rows from `first`, a bit of `ignored` each. Where rows are so short that they are
   written faster than told apart, the others get zeros too before they get their gradients, which may not stand where
   their logits do. */
static void clear_ignored(const work *k, const plan *p, size_t first, size_t n, uint64_t ignored)
{
    const sl_array *grad = &k->a->grad;
    if (!grad->p || (p->shape->cols <= LANES && without_gaps(p->shape, grad) && grad->p != k->a->logits.p)) {
        clear_rows(k, p, first, n);
        return;
    }
    while (ignored) {
        const size_t skip = (size_t)__builtin_ctzll(ignored), run = (size_t)__builtin_ctzll(~(ignored >> skip));
        clear_rows(k, p, first + skip, run);
        ignored &= ~((((uint64_t)1 << run) - 1) << skip);
    }
}

/* Reads the class indices of the next rows, a bit of `ignored` for each. */
static void read_window(work *k, const plan *p, size_t first, size_t end)
{
    const size_t n = min_size(LANES, end - first);
    int some = 0;
    read_indices(p->shape, &k->a->target, first, n, k->index);
    for (size_t i = 0; i < n; i++)
        some |= k->index[i] == k->a->ignore_index;
    k->ignored = 0;
    for (size_t i = 0; i < n && some; i++)
        k->ignored |= (uint64_t)(k->index[i] == k->a->ignore_index) << i;
    k->read = first;
    k->read_end = first + n;
}

/* n > 0 */
static inline uint64_t lowest_bits(size_t n) { return ~(uint64_t)0 >> (64 - n); }

/* Clears the rows from `first` to the end of its window, and those of further windows that are ignored as a whole;
   returns the row after them. */
static __attribute__((noinline)) size_t skip_windows(work *k, const plan *p, size_t first, size_t end)
{
    const size_t begin = first;
    do {
        first = k->read_end;
        if (first < end)
            read_window(k, p, first, end);
    } while (first < end && k->ignored == lowest_bits(k->read_end - first));
    clear_rows(k, p, begin, first - begin);
    return first;
}

/* The batch's rows and their targets, from row `first` on; returns the row after them. A row that is ignored is not
   computed, unless its logsumexp is wanted or its neighbours in memory are, from which a batch cannot leave it out. */
static size_t take_rows(work *restrict k, batch *restrict b, const plan *p, size_t first, size_t end)
{
    const sl_cross_entropy *a = k->a;
    const int all = a->lse.p || (p->across && adjacent_rows(p->shape, &a->logits));
    const size_t most = batch_rows(b, first, end);
    size_t n = 0;
    if (!a->target.p)
        for (; n < most; n++) {
            k->kept[n] = 1;
            b->number[n] = first++;
        }
    while (first < end && n < most) {
        if (first >= k->read_end)
            read_window(k, p, first, end);
        const int64_t *restrict index = k->index + (first - k->read);
        const uint64_t ignored = k->ignored >> (first - k->read);
        const size_t start = n;
        size_t count = k->read_end - first;
        if (!ignored) {
            count = min_size(count, most - n);
            for (size_t i = 0; i < count; i++) {
                b->number[start + i] = first + i;
                k->kept[start + i] = 1;
                k->target[start + i] = (size_t)index[i];
            }
            n += count;
        } else if (all && !a->lse.p && ignored == lowest_bits(count)) {
            if (n)
                break;
            first = skip_windows(k, p, first, end);
            continue;
        } else {
            const uint64_t rows = lowest_bits(count);
            uint64_t taken = all ? rows : rows & ~ignored;
            for (; taken; taken &= taken - 1, n++) {
                const size_t i = (size_t)__builtin_ctzll(taken);
                if (n == most) {
                    count = i;
                    break;
                }
                const int kept = !(ignored >> i & 1);
                b->number[n] = first + i;
                k->kept[n] = kept;
                k->target[n] = kept ? (size_t)index[i] : 0;
            }
            if (!all)
                clear_ignored(k, p, first, count, ignored & lowest_bits(count));
        }
        first += count;
    }
    for (size_t i = n; i % VL; i++)
        k->kept[i] = 0;
    b->n = n;
    return first;
}

/* Asks for what a batch of rows [begin, end), of which some are left out, does not ask for itself: it does for what lies
   AHEAD of each row along, and across of as many rows as it has. A tenth left out, cross-entropy with its gradient takes
   5-17 % less where the second cache does not hold it all. Where most are left out, so will be those ahead. */
static void fetch_beside(const batch *b, const sl_array *a, size_t begin, size_t end, int out)
{
    const plan *p = b->plan;
    const size_t bytes = p->shape->cols * sizeof(T), run = p->across ? b->n : 1;
    if (!a->p || end - begin == b->n || end - begin > 4 * b->n || p->few || bytes >= AHEAD ||
        !without_gaps(p->shape, a))
        return;
    for (size_t i = 0, row = begin; i <= b->n; i += run) {
        const size_t taken = i < b->n ? b->number[i] : end; /* the next row that is, or run of rows */
        char *const at = a->p + row * bytes;
        fetch_rows(&at, 1, (taken - row) * bytes, AHEAD, out);
        row = taken + run;
    }
}

/* Whether targets are found by comparing all columns of a tile with them. For so few columns that is faster than to go
   to one row after another: AVX-512 takes 7-15 % less for cross-entropy of float32 with its gradient, AVX2 0-9 %. */
static inline int picks_targets(const work *k, const plan *p) { return k->a->target.p && p->few; }

/* The elements of a tile across that stand at the targets of their rows. */
static inline void pick_at_targets(const work *k, const batch *b, tile t, T *picked)
{
    for (size_t i = 0; i < b->lanes; i += VL) {
        const vf target = vf_load(k->lane_target + i);
        const T *p = t.p + i;
        vf found = vf_load(p), col = vf_set(0);
        for (size_t c = 1; c < t.full; c++) {
            p += t.step;
            col = vf_add(col, vf_set(1));
            found = vf_select(vf_eq(col, target), vf_load(p), found);
        }
        vf_store(picked + i, found);
    }
}

/* The other way. */
static inline void put_at_targets(const work *k, const batch *b, tile t, const T *value)
{
    for (size_t i = 0; i < b->lanes; i += VL) {
        const vf target = vf_load(k->lane_target + i), v = vf_load(value + i);
        T *p = t.p + i;
        vf col = vf_set(0);
        for (size_t c = 0; c < t.full; c++, p += t.step) {
            vf_store(p, vf_select(vf_eq(col, target), v, vf_load(p)));
            col = vf_add(col, vf_set(1));
        }
    }
}

/* Whether logits at targets are taken from tiles across, where they are in the first cache by then. Tiles of segments
   are not all in one batch. */
static inline int sees_targets(const work *k, const plan *p) { return k->a->target.p && p->across && p->segments == 1; }

static inline void see_targets(work *k, const batch *b, size_t chunk, tile x)
{
    const size_t first = chunk * b->plan->chunk;
    if (picks_targets(k, b->plan)) {
        pick_at_targets(k, b, x, k->x_target);
        return;
    }
    for (size_t i = 0; i < b->n; i++) {
        const size_t at = k->target[i] - first;
        if (at < x.full)
            k->x_target[i] = x.p[(ptrdiff_t)at * x.step + (ptrdiff_t)i];
    }
}

/* One value a row of a per-row operand: put_row_values the other way. */
static inline void get_row_values(const batch *b, const sl_array *a, T *value)
{
    const sl_shape *s = b->plan->shape;
    const ptrdiff_t step = row_step(s, a);
    ptrdiff_t at[ROWS];
    if (batch_is_whole(b) && evenly_spaced(s, a)) {
        gather(value, 1, a->p + (ptrdiff_t)b->number[0] * step, step, b->n, a->storage, 0);
        return;
    }
    row_offsets(s, a->row, b->number, b->n, at);
    read_values(a, at, b->n, value);
}

/* Everything a batch needs of its rows before the walk, which may overwrite the logits. */
static void read_rows(work *restrict k, const batch *restrict b)
{
    const sl_cross_entropy *a = k->a;
    const sl_shape *s = b->plan->shape;
    const size_t with_target = a->target.p && s->cols ? b->n : 0; /* all rows are ignored where there are no classes */
    ptrdiff_t at[ROWS];
    for (size_t i = with_target; i < b->lanes; i++)
        k->x_target[i] = 0;
    if (a->sample_weight.p) {
        get_row_values(b, &a->sample_weight, k->sample);
        for (size_t i = b->n; i < b->lanes; i++)
            k->sample[i] = 0;
    }
    if (!a->target.p)
        return;
    for (size_t i = 0; i < b->lanes && a->weight; i++)
        k->class_weight[i] = i < with_target ? (double)((const T *)a->weight)[k->target[i]] : 0;
    if (picks_targets(k, b->plan))
        for (size_t i = 0; i < b->lanes; i++)
            k->lane_target[i] = i < with_target ? (T)(int32_t)k->target[i] : 0;
    if (sees_targets(k, b->plan))
        return;
    for (size_t i = 0; i < with_target; i++)
        at[i] = b->x.row[i] + column_offset(&b->x, k->target[i]);
    read_values(&a->logits, at, with_target, k->x_target);
}

/* What sample weight, A, and q at the target without A are of VD rows. */
ALWAYS_INLINE vd sample_of(const work *k, size_t i)
{
    return k->a->sample_weight.p ? vd_read(k->sample + i) : vd_set(1);
}

ALWAYS_INLINE vd class_weight_of(const work *k, size_t i)
{
    return k->a->target.p && k->a->weight ? vd_get(k->class_weight + i) : vd_set(1);
}

ALWAYS_INLINE vd on_target_of(const work *k, size_t i)
{
    const vd_bits kept = (vd_bits)(vd_get(k->kept + i) != 0);
    return k->a->target.p ? vd_where(kept, k->labels.keep * class_weight_of(k, i)) : vd_set(0);
}

ALWAYS_INLINE vd spread_of(const work *k, size_t i) { return k->labels.smooth * class_weight_of(k, i); }

#endif
