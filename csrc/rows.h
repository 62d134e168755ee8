/* A batch of up to ROWS rows: their sums of exponentials, the logarithms of these, and a second walk over the tiles in
   which the caller makes its outputs, while they are in cache. */
#ifndef SL_ROWS_H
#define SL_ROWS_H

#include "rowvec.h"
#include "scale.h"
#include "sumexp.h"
#include "tile_copy.h"

enum {
    GROUP = 8, /* lanes of sums over elements or rows one by one: those of the widest vd */
};

typedef struct {
    const plan *plan;
    ALIGNED size_t number[ROWS];        /* the rows, in ascending order */
    size_t n, lanes;                    /* n rounded up to whole vectors: absent rows are computed, not used */
    rows_of x, out;                     /* out, optional */
    int out_keeps;                      /* exponentials stay in out's memory until they are scaled */
    size_t begin, end;                  /* the tiles walked: all, or those of a segment (long.h) */
    size_t stale;                       /* tiles before it keep exponentials of an older unit, of no use any more */
    int overwritten;                    /* exponentials stand where logits were read to and are wanted once more */
    int in_place;                       /* they could stand where the logits do in memory, for want of another place */
    size_t held;                        /* tiles before it have a place of their own until the batch is done */
    T *room;                            /* for the first tiles of rows of several, and how many */
    size_t tiles;
    sums sums;
    ALIGNED T scratch[TILE];
} batch;

/* The most memory that tiles of rows of several have use for: where all are read and written in place, none. */
static inline size_t most_held(const plan *p, const sl_array *x, const sl_array *y)
{
    const int plain = !p->across && contiguous_columns(p->shape, x) && contiguous_columns(p->shape, y) && x->p != y->p;
    return !y->p || p->chunks == 1 || plain ? 0 : p->chunks * TILE * sizeof(T);
}

/* Whether walks ask for what lies a batch ahead, line by line while they compute, which takes 5-25 % less than to ask
   for all of it in copies; but not where much lies between, as was found by measuring. Without an output there is one
   walk less, and copies do better, too. */
static inline int walks_ask(const plan *p, const rows_of *r)
{
    if (p->across && r->regular)
        return p->chunks <= 4 || !beyond_caches(p->shape);
    return r->walks == 2;
}

/* What is true of all batches of a call; `held` optional. */
static inline void batch_open(batch *b, const plan *p, const sl_array *x, const sl_array *out, const sl_memory *held)
{
    b->plan = p;
    b->room = held ? held->p : NULL;
    b->tiles = p->chunks == 1 ? 1 : held ? held->size / (TILE * sizeof(T)) : 0;
    b->held = 0;
    open_rows(&b->x, p, x);
    /* Walks that read each column of a tile at once do well with the second cache, unless columns collide there, too;
       without an output even then. */
    if (MANY_REGISTERS && b->x.collide)
        b->x.collide = out->p && columns_collide(p->shape->cols, x->col[0], SECOND_CACHE);
    open_rows(&b->out, p, out);
    b->out.past = out->p && past_caches(p, &b->out);
    b->out.by_walks = !b->out.past && b->out.regular && walks_ask(p, &b->out);
    b->x.by_walks = out->p && walks_ask(p, &b->x);
}

/* What was written past the caches is there for other threads, too, from here on. Rows of segments never are. */
static inline void batch_close(const batch *b)
{
    if (b->out.past)
        vf_stream_end();
}

/* How many of the rows [first, end) the next batch takes. What is written past the caches should begin with a line. */
static inline size_t batch_rows(const batch *b, size_t first, size_t end)
{
    const size_t line = CACHE_LINE / sizeof(T), over = ((uintptr_t)b->out.array->p / sizeof(T) + first) % line;
    return min_size(b->plan->batch - (b->out.past ? over : 0), end - first);
}

/* A batch of the rows in `number`. */
static inline void batch_begin(batch *b, size_t n)
{
    const plan *p = b->plan;
    const int same = b->out.array->p == b->x.array->p;
    b->n = n;
    b->lanes = (n + VL - 1) / VL * VL;
    find_rows(&b->x, p, b->number, n);
    find_rows(&b->out, p, b->number, n);
    b->in_place = same && b->out.direct && p->chunks > 1;
    b->out_keeps = b->out.direct && !same; /* logits may be wanted after their exponentials are known */
    b->overwritten = 0;
    b->begin = b->stale = 0;
    b->end = p->chunks;
}

/* A batch of n rows from `first`. */
static inline void batch_start(batch *b, size_t first, size_t n)
{
    for (size_t i = 0; i < n; i++)
        b->number[i] = first + i;
    batch_begin(b, n);
}

/* Tiles are visited row by row along, and all rows at once across. */
static inline size_t batch_tile_rows(const batch *b) { return b->plan->across ? 1 : b->n; }

static inline tile_rows rows_of_tile(const batch *b, size_t row)
{
    return b->plan->across ? (tile_rows){0, b->lanes, b->lanes} : (tile_rows){row, 1, LANES};
}

/* Rows of a single tile have a place each in a batch's buffers. */
static inline size_t place_of(const batch *b, size_t row)
{
    return b->plan->across || b->plan->chunks > 1 ? 0 : row * b->plan->shape->cols;
}

/* Gives the first tiles of rows of several a place each in the memory of the call, where without it the second walk
   would read logits into the scratch once more or compute exponentials again, as it does for the tiles beyond. */
static inline void hold_tiles(batch *b, int mode)
{
    const int again = mode & STORE ? !b->out_keeps : !b->x.direct;
    b->held = again || b->plan->chunks == 1 ? b->tiles : 0;
}

static inline T *buffer_of(batch *b, size_t row, size_t chunk)
{
    return b->plan->chunks > 1 && chunk < b->held ? b->room + chunk * TILE : b->scratch + place_of(b, row);
}

static inline tile read_x(batch *b, size_t row, size_t chunk)
{
    T *buffer = buffer_of(b, row, chunk);
    if (b->plan->across && b->n < b->plan->batch && !b->x.direct && !b->x.linear)
        memset(buffer, 0, sizeof(T) * b->plan->batch * columns_of(b->plan, chunk)); /* absent rows */
    return tile_read(b->plan, &b->x, row, b->n, chunk, buffer);
}

/* The same once more: what has been read is mostly still there. */
static inline tile read_x_again(batch *b, size_t row, size_t chunk)
{
    if (b->x.direct || chunk >= b->held || b->overwritten)
        return read_x(b, row, chunk);
    return tile_in_buffer(b->plan, &b->x, row, chunk, buffer_of(b, row, chunk));
}

/* Where the exponentials of a tile are kept between the walks: in the output, or where its logits were read to if there
   they can stay, so that fewer lines of the first cache are taken; otherwise they are computed again (exps_tile). */
static inline tile kept_tile(batch *b, size_t row, size_t chunk)
{
    if (b->out_keeps)
        return tile_in_place(b->plan, &b->out, row, chunk);
    return tile_in_buffer(b->plan, &b->out, row, chunk, buffer_of(b, row, chunk));
}

/* Where the last walk puts what it makes of a kept tile: in memory if it can, and tile_write has nothing to do then. */
static inline tile result_tile(const batch *b, size_t row, size_t chunk, tile kept)
{
    return b->out.direct ? tile_in_place(b->plan, &b->out, row, chunk) : kept;
}

/* The exponentials of a tile from its logits, in the rows' present units. */
static void store_exps(batch *b, size_t row, size_t chunk, tile e)
{
    lane_totals unused[ROWS / LANES];
    tile x = read_x(b, row, chunk);
    const int mode = STORE | b->plan->rough;
    sum_tiles(&b->sums.unit, b->plan->across, rows_of_tile(b, row), &x, &e, b->sums.max, NULL, unused, mode);
}

/* In place, lets exponentials overwrite their logits unless these are wanted again: where a later tile asks for another
   unit than the first and, if `lse` is, for rows of float32 that have nothing above 0 (sharpen_logsumexp). To see that,
   all tiles are walked: that takes less than computing exponentials twice. */
static void overwrite_logits(batch *b, int lse)
{
    sums *s = &b->sums;
    const size_t n = b->plan->across ? b->lanes : b->n;
    if (!b->in_place)
        return;
    ALIGNED T m[ROWS] = {0};
    s->cols = b->plan->shape->cols;
    sums_start(s, n);
    for (size_t chunk = 0; chunk < b->plan->chunks; chunk++) {
        for (size_t row = 0; row < batch_tile_rows(b); row++)
            tile_max(read_x(b, row, chunk), b->plan->across, rows_of_tile(b, row), m);
        if (sums_meet(s, n, chunk == 0, m))
            return;
        for (size_t i = 0; i < n; i += VL)
            vf_store(s->max + i, vf_max(vf_load(m + i), vf_load(s->max + i)));
    }
    for (size_t i = 0; i < b->n && lse && DTYPE == 32; i++)
        if (s->max[i] < 0)
            return;
    b->out_keeps = 1;
}

/* The first walk: each logit is read once, its exponential added up and, with STORE in mode, kept. `visit`, optional,
   sees the tiles of logits with their rows' maxima before exponentials may overwrite them. */
typedef void tile_visitor(void *context, batch *b, size_t chunk, const tile *x, const T *m);

static void batch_sum(batch *b, int mode, tile_visitor *visit, void *context)
{
    const plan *p = b->plan;
    const size_t tiles = batch_tile_rows(b), n = p->across ? b->lanes : b->n;
    const tile_rows all = {0, n, p->across ? b->lanes : LANES};
    const int few = p->few && (mode & LEAVE_TOP || p->shape->cols == 2); /* softmax of more is not faster so */
    const int at_once = p->across && p->chunks == 1; /* one tile has all of all rows */
    tile x[LANES], e[LANES];
    lane_totals lanes[LANES];
    ALIGNED T second[ROWS];
    sums part; /* of further tiles than the first, in units of b->sums */
    hold_tiles(b, mode);
    b->sums.cols = p->shape->cols;
    if (!at_once) {
        sums_start(&b->sums, n);
        sums_start(&part, n);
        for (size_t i = 0; i < n; i += VL) /* vectors of rows along end with absent ones */
            vf_store(second + i, vf_set(0));
    }
    if (b->begin) { /* the unit that the first segment starts with, too */
        tile_max(read_x(b, 0, 0), p->across, rows_of_tile(b, 0), part.max);
        sums_meet(&b->sums, n, 1, part.max);
    }
    for (size_t chunk = b->begin; chunk < b->end; chunk++) {
        sums *found = chunk ? &part : &b->sums;
        for (size_t row = 0; row < tiles; row++) {
            x[row] = read_x(b, row, chunk);
            e[row] = kept_tile(b, row, chunk);
            if (mode & LEAVE_TOP && !p->across)
                tile_max_near(x[row], rows_of_tile(b, row), found->max, second);
            else if (mode & LEAVE_TOP && !few)
                tile_max_two(x[row], 1, all, found->max, second);
            else
                tile_max(x[row], p->across, rows_of_tile(b, row), found->max);
        }
        if (visit)
            visit(context, b, chunk, x, found->max);
        if (few) {
            sum_few(&b->sums, n, x[0], e[0], mode);
            break;
        }
        if (sums_meet(&b->sums, n, chunk == 0, found->max) && mode & STORE)
            b->stale = chunk;
        /* The exponential of infinity is NaN. Where exponentials are stored, a sum that leaves it out is safe. */
        const int store = mode & STORE || any_infinite(n, found->max) ? STORE : 0;
        b->overwritten |= store > (mode & STORE);
        const int stay = mode & LEAVE_TOP && !p->across; /* tops of some rows, in their sums */
        const T *most = mode & LEAVE_TOP ? second : found->max, *tops = stay ? found->max : NULL;
        sum_tiles(&b->sums.unit, p->across, all, x, e, most, tops, lanes, mode | store);
        if (stay)
            sum_tiles(&b->sums.unit, 0, all, x, e, most, tops, lanes, (mode & ~LEAVE_TOP) | store);
        sums_take(found, &b->sums.unit, p->across, all, lanes, second, mode);
        if (chunk)
            sums_add(&b->sums, n, &part, mode);
    }
}

/* log1p(S'/e^max) of VD rows: logsumexp is max + log. A row without a finite logit has no top: 1 stands in, and the
   maximum decides. */
ALWAYS_INLINE vd2 log_of(const batch *b, size_t i)
{
    vd2 top = parts_get(&b->sums.top, i);
    top.h = vd_choose((vd_bits)(top.h > 0), top.h, vd_set(1));
    return vd_log_of_sum(parts_get(&b->sums.rest, i), top, DTYPE == 64);
}

/* NaN where the maximum is infinite, else 0: such rows have a logsumexp, but no distribution. Rows of nothing sum to
   0. */
static inline vd undefined(const batch *b, size_t i)
{
    vd max = vd_read(b->sums.max + i);
    return b->plan->shape->cols ? (vd)(max - max) : vd_set(0);
}

ALWAYS_INLINE vd inverse_of(const sums *s, size_t i) { return 1.0 / (vd_get(s->top.h + i) + vd_get(s->rest.h + i)); }

/* What makes probabilities, or gradients, of the kept exponentials: high and low part. A high part of 0 makes 0 of
   numbers, and with a low part of NaN of anything. */
typedef struct {
    ALIGNED T high[ROWS], low[ROWS];
} row_factors;

/* Those of VD rows: `weight` times the inverse of their sums, or 0 where they are not `used`, whatever is in them. */
ALWAYS_INLINE void put_factors(row_factors *f, const batch *b, size_t i, vd weight, vd inverse, vd_bits used)
{
    const sums *s = &b->sums;
    vd q = weight * inverse, high = vd_number_or_nan(q + undefined(b, i)), low, lost, sum;
    if (DTYPE == 64) {
        vd2 rest = parts_get(&s->rest, i);
        sum = vd_two_sum(vd_get(s->top.h + i), rest.h, &lost); /* the exponentials lack the top's low part, too */
        low = (vd_fma(-q, sum, weight) - q * (lost + rest.l)) * inverse;
        vd rounded = high + vd_finite_or_0(low);
        low = low - (rounded - high);
        high = rounded;
    } else
        low = high - vd_widen(vd_round(high));
    vd_bits odd = ~(vd_bits)(high == high);
    vd_write(f->high + i, vd_where(used, high));
    vd_write(f->low + i, vd_choose(odd, vd_where(~used, high), vd_where(used, low)));
}

/* high + low + last */
ALWAYS_INLINE vd sum_parts(vd high, vd low, vd last)
{
    vd lost = vd_set(0), sum = high + low;
    if (DTYPE == 64)
        sum = vd_two_sum(high, low, &lost);
    return sum + (vd_finite_or_0(lost) + last);
}

ALWAYS_INLINE vd logsumexp_of(const batch *b, size_t i, vd2 log)
{
    return sum_parts(vd_read(b->sums.max + i), log.h, log.l);
}

/* The exponentials of a tile, as batch_sum kept them or computed once more. */
static tile exps_tile(batch *b, size_t row, size_t chunk)
{
    tile e = kept_tile(b, row, chunk);
    if (chunk < b->stale || (!b->out_keeps && chunk >= b->held))
        store_exps(b, row, chunk, e);
    return e;
}

/* How many bytes beyond `at`, the beginning of a tile, the logits lie that have this tile's place in the next batch; 0
   if they need not be asked for. The last walk does that: while exponentials are summed, outputs are asked for as well,
   and memory could not keep up, to be idle afterwards. With more logits than fit into caches softmax and log_softmax of
   long rows take up to a quarter less; where they do fit, asking would take 5 % more. Where it takes two walks to ask
   for a tile, it is the second half of it. */
static inline ptrdiff_t next_logits(const batch *b, size_t row, size_t chunk, const T *at)
{
    const plan *p = b->plan;
    const sl_shape *s = p->shape;
    if (b->x.by_walks && b->x.walks == 2 && !(p->across && b->out.direct)) {
        const size_t half = (p->across ? p->batch : 1) * columns_of(p, chunk) * sizeof(T);
        return memory_of_tile(p, &b->x, row, chunk) - (const char *)at + b->x.ahead + (ptrdiff_t)half;
    }
    if (p->across || !b->x.direct || s->row_dims != 1 || !beyond_caches(s))
        return 0;
    const ptrdiff_t rows = (ptrdiff_t)p->batch * b->x.array->row[0];
    return (const char *)tile_in_place(p, &b->x, row, chunk).p - (const char *)at + rows;
}

/* Whether these are all the rows from the first to the last. */
static inline int batch_is_whole(const batch *b) { return b->number[b->n - 1] - b->number[0] == b->n - 1; }

/* One value a row to a per-row output. */
static inline void put_row_values(const batch *b, const sl_array *a, const double *value)
{
    if (!a->p)
        return;
    const sl_shape *s = b->plan->shape;
    const ptrdiff_t step = row_step(s, a);
    ptrdiff_t at[ROWS];
    ALIGNED T x[ROWS];
    for (size_t i = 0; i < b->lanes; i += VD)
        vd_write(x + i, vd_number_or_nan(vd_get(value + i)));
    if (batch_is_whole(b) && evenly_spaced(s, a)) {
        scatter(a->p + (ptrdiff_t)b->number[0] * step, step, x, 1, b->n, a->storage, 0);
        return;
    }
    row_offsets(s, a->row, b->number, b->n, at);
    for (size_t i = 0; i < b->n; i++)
        scatter(a->p + at[i], 0, x + i, 1, 1, a->storage, 0);
}

/* The second walk of a softmax: the kept exponentials over their sums, to the output. */
static inline void put_softmax(batch *b)
{
    row_factors f;
    const vd one = vd_set(1);
    for (size_t i = 0; i < b->lanes; i += VD)
        put_factors(&f, b, i, one, inverse_of(&b->sums, i), (vd_bits)(one == one));
    for (size_t row = 0; row < batch_tile_rows(b); row++)
        for (size_t chunk = b->begin; chunk < b->end; chunk++) {
            tile e = exps_tile(b, row, chunk), y = result_tile(b, row, chunk, e);
            ptrdiff_t next = next_logits(b, row, chunk, e.p);
            tile_scale(e, y, b->plan->across, rows_of_tile(b, row), f.high, f.low, next);
            tile_write(b->plan, &b->out, row, b->n, chunk, y);
        }
}

#endif
