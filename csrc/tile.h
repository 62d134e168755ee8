/* Rows of any memory layout as tiles: steps of elements that a kernel walks with one loop.

   A tile lies along one row (a step is LANES neighbouring columns) or across a batch of rows (a step is a column, its
   lanes are rows). Across needs nothing summed over lanes, so it serves short rows, which are transposed into a buffer,
   and rows whose elements lie far apart, since then their neighbours mostly lie together (class axis first or in the
   middle).
   Which one is chosen depends on the routine, the number of columns and their stride, never on the other rows: a row's
   result is the same bytes whatever rows stand beside it. */
#ifndef SL_TILE_H
#define SL_TILE_H

#include "strided.h"
#include "transpose.h"

enum {
    FEW = 4,         /* columns so many elements apart are gathered rather than taken with those of other rows */
    FEW_COLUMNS = 6, /* up to so many columns rows are summed by the distances from their maxima: sum_few */
    SHORT = DTYPE == 32 ? 256 : 200,    /* up to so many columns rows are transposed rather than summed along */
    SHORT_OUT = DTYPE == 32 ? 102 : 72, /* the same where outputs are transposed back and no loss depends on it */
    STEPS = 128,     /* of a full tile of LANES rows: 16 KiB */
    TILE = STEPS * LANES,
    WIDE = TILE * 3 / 4, /* of more than LANES rows: what it is read from and goes to should fit into L1, too */
    SEGMENT = 16,    /* tiles, or more if there would be more than SL_SEGMENTS of them */
};

typedef struct {
    const sl_shape *shape;
    int across;
    int few;         /* no more than FEW_COLUMNS */
    size_t batch;    /* rows taken together */
    size_t chunk;    /* columns a tile holds */
    size_t chunks;   /* tiles a row, or a batch across, is cut into */
    size_t segment;  /* tiles that long rows are summed by, see long.h */
    size_t segments;
} plan;

/* One operand of a batch: where each of its rows starts, and whether tiles can be read and written in place. */
typedef struct {
    const sl_array *array;
    ALIGNED ptrdiff_t row[ROWS];
    int linear;   /* contiguous columns */
    int adjacent; /* across, a whole batch side by side */
    int direct;
    ptrdiff_t ahead; /* see ahead_of */
} rows_of;

/* `full` steps, `step` elements apart, of LANES elements or across one a row; then one of `part` < LANES. `ahead` bytes
   from an element is memory that tiles to come will want: each names another part of it. */
typedef struct {
    T *p;
    ptrdiff_t step;
    size_t full, part;
    ptrdiff_t ahead;
} tile;

static inline int is_aligned(const sl_array *a, ptrdiff_t stride)
{
    return a->storage == 0 && (uintptr_t)a->p % sizeof(T) == 0 && stride % (ptrdiff_t)sizeof(T) == 0;
}

static inline int contiguous_columns(const sl_shape *s, const sl_array *a)
{
    return is_aligned(a, 0) && (s->cols <= 1 || (s->col_dims == 1 && a->col[0] == sizeof(T)));
}

/* Whether the elements of rows follow each other in memory without a gap. */
static inline int without_gaps(const sl_shape *s, const sl_array *a)
{
    return s->row_dims == 1 && contiguous_columns(s, a) && a->row[0] == (ptrdiff_t)(s->cols * sizeof(T));
}

/* Whether a per-row operand has one value behind the other. */
static inline int contiguous_rows(const sl_shape *s, const sl_array *a)
{
    return s->row_dims == 1 && a->row[0] == sizeof(T) && a->storage == 0;
}

/* Whether the columns of a row lie far apart, as those of a class axis that is not last. */
static inline int scattered_columns(const sl_shape *s, const sl_array *a)
{
    const ptrdiff_t item = a->storage & SL_HALF ? 2 : sizeof(T);
    return s->col_dims == 1 && (a->col[0] > FEW * item || a->col[0] < -FEW * item);
}

/* Whether rows lie side by side in memory, as those of a class axis that is first or in the middle. */
static inline int adjacent_rows(const sl_shape *s, const sl_array *a)
{
    return s->row_dims && a->row[s->row_dims - 1] == sizeof(T);
}

/* `across`: SHORT or SHORT_OUT. With a gradient it is SHORT, too, so that it does not change the loss. */
static inline plan make_plan(const sl_shape *s, const sl_array *x, size_t across)
{
    plan p = {.shape = s};
    const int scattered = scattered_columns(s, x);
    p.across = s->cols <= across || scattered;
    p.few = p.across && s->cols <= FEW_COLUMNS;
    p.batch = p.across && !scattered && s->cols > STEPS ? LANES / 2 : LANES; /* so that a tile holds all columns */
    p.chunk = p.across ? TILE / p.batch : TILE;
    p.chunks = (s->cols + p.chunk - 1) / p.chunk;
    /* More of few columns, unless they lie in runs, whose ends more would cross. */
    if (p.across && !(adjacent_rows(s, x) && s->row_dims > 1))
        while (p.batch < ROWS && (p.batch + LANES) * s->cols <= WIDE)
            p.batch += LANES;
    if (!p.across && s->cols * LANES > TILE)
        p.batch = s->cols < TILE ? TILE / s->cols : 1;
    p.segments = 1;
    if (p.chunks > SEGMENT) {
        p.segment = p.chunks > SEGMENT * SL_SEGMENTS ? (p.chunks + SL_SEGMENTS - 1) / SL_SEGMENTS : SEGMENT;
        p.segments = (p.chunks + p.segment - 1) / p.segment;
    }
    return p;
}

/* The byte offsets of n rows, in ascending order. */
static inline void row_offsets(const sl_shape *s, const ptrdiff_t *stride, const size_t *number, size_t n,
                               ptrdiff_t *offset)
{
    if (s->row_dims <= 1) {
        const ptrdiff_t step = s->row_dims ? stride[0] : 0;
        ptrdiff_t at = n ? (ptrdiff_t)number[0] * step : 0;
        if (n && number[n - 1] - number[0] == n - 1) /* mostly; AVX2 has no product of such integers */
            for (size_t i = 0; i < n; i++, at += step)
                offset[i] = at;
        else
            for (size_t i = 0; i < n; i++)
                offset[i] = (ptrdiff_t)number[i] * step;
        return;
    }
    size_t index[SL_MAX_DIMS];
    ptrdiff_t at = 0;
    for (size_t i = 0; i < n; i++) {
        offset[i] = at;
        if (i == 0 || number[i] != number[i - 1] + 1) {
            size_t rest = number[i];
            offset[i] = 0;
            for (int d = s->row_dims - 1; d >= 0; d--) {
                index[d] = rest % s->row[d];
                rest /= s->row[d];
                offset[i] += (ptrdiff_t)index[d] * stride[d];
            }
        }
        at = offset[i];
        for (int d = s->row_dims - 1; d >= 0; d--) {
            at += stride[d];
            if (++index[d] < s->row[d])
                break;
            at -= (ptrdiff_t)s->row[d] * stride[d];
            index[d] = 0;
        }
    }
}

static inline int are_adjacent(const ptrdiff_t *row, size_t n)
{
    ptrdiff_t apart = 0;
    for (size_t i = 1; i < n; i++)
        apart |= row[i] - row[i - 1] - (ptrdiff_t)sizeof(T);
    return apart == 0;
}

/* Whether the columns of a tile across, `stride` bytes apart, crowd in so few sets of the first cache that they evict
   each other between one walk and the next, as at powers of two: sets repeat after 4 KiB and have 8 ways or more. */
static inline int columns_collide(const plan *p, ptrdiff_t stride)
{
    enum { PERIOD = 4096, WAYS = 8 };
    const size_t lowest_bit = (size_t)(stride & -stride), apart = min_size(lowest_bit, PERIOD);
    return min_size(p->chunk, p->shape->cols) * apart >= WAYS * PERIOD;
}

/* How far from an element that is read or written lies the one to ask for: AHEAD, but a number of rows where these have
   gaps between them or are in another order. */
static inline ptrdiff_t ahead_of(const plan *p, const sl_array *a)
{
    const sl_shape *s = p->shape;
    const ptrdiff_t bytes = (ptrdiff_t)(s->cols * sizeof(T)), apart = s->row_dims ? a->row[s->row_dims - 1] : 0;
    if (apart == 0 || apart == bytes || bytes >= AHEAD)
        return AHEAD;
    const ptrdiff_t size = apart < 0 ? -apart : apart, rows = (AHEAD + size - 1) / size, batch = (ptrdiff_t)p->batch;
    return apart * (rows > batch ? rows : batch);
}

static inline void find_rows(rows_of *restrict r, const plan *p, const sl_array *a, const size_t *number, size_t n)
{
    const sl_shape *s = p->shape;
    r->array = a;
    r->direct = r->linear = r->adjacent = 0;
    if (!a->p)
        return;
    r->linear = contiguous_columns(s, a);
    r->ahead = ahead_of(p, a);
    row_offsets(s, a->row, number, n, r->row);
    if (p->across)
        r->direct = n == p->batch && adjacent_rows(s, a) && s->col_dims == 1 && is_aligned(a, a->col[0]);
    else
        r->direct = r->linear;
    for (int d = 0; d < s->row_dims && r->direct; d++)
        r->direct = a->row[d] % (ptrdiff_t)sizeof(T) == 0;
    if (p->across && r->direct) {
        r->adjacent = are_adjacent(r->row, n);
        r->direct = r->adjacent && !columns_collide(p, a->col[0]);
    }
}

static void move_run(const rows_of *r, char *at, ptrdiff_t stride, size_t n, T *buffer, ptrdiff_t step, int out)
{
    if (out)
        scatter(at, stride, buffer, step, n, r->array->storage, r->ahead);
    else
        gather(buffer, step, at, stride, n, r->array->storage, r->ahead);
}

/* Gathers, or scatters if `out`, the n columns of a row from `first`, one evenly spaced run after another. */
static void each_run(const plan *p, const rows_of *r, size_t row, size_t first, size_t n, T *buffer, ptrdiff_t step,
                            int out)
{
    const sl_shape *s = p->shape;
    const sl_array *a = r->array;
    int last = s->col_dims - 1;
    char *at = a->p + r->row[row];
    if (s->col_dims == 1) {
        move_run(r, at + (ptrdiff_t)first * a->col[0], a->col[0], n, buffer, step, out);
        return;
    }
    while (n) {
        size_t rest = first, run = last < 0 ? 1 : min_size(n, s->col[last] - first % s->col[last]);
        ptrdiff_t offset = 0;
        for (int d = last; d >= 0; d--) {
            offset += (ptrdiff_t)(rest % s->col[d]) * a->col[d];
            rest /= s->col[d];
        }
        move_run(r, at + offset, last < 0 ? 0 : a->col[last], run, buffer, step, out);
        buffer += (ptrdiff_t)run * step;
        first += run;
        n -= run;
    }
}

/* The shape of the tile that holds columns [first, first + cols) of one row or, across, of a batch. */
static inline tile tile_in(const plan *p, T *at, ptrdiff_t step, size_t cols, ptrdiff_t ahead)
{
    if (p->across)
        return (tile){at, step, cols, 0, ahead};
    return (tile){at, LANES, cols / LANES, cols % LANES, ahead};
}

static inline size_t columns_of(const plan *p, size_t chunk)
{
    return min_size(p->chunk, p->shape->cols - chunk * p->chunk);
}

/* The tile in the operand's own memory. Only where it is direct. Across, the next rows lie beside these. */
static inline tile tile_in_place(const plan *p, const rows_of *r, size_t row, size_t chunk)
{
    size_t first = chunk * p->chunk;
    char *at = r->array->p + r->row[row];
    if (p->across)
        return tile_in(p, (T *)(at + (ptrdiff_t)first * r->array->col[0]), r->array->col[0] / (ptrdiff_t)sizeof(T),
                       columns_of(p, chunk), (ptrdiff_t)(p->batch * sizeof(T)));
    return tile_in(p, (T *)at + first, LANES, columns_of(p, chunk), r->ahead);
}

/* The tile in a buffer of TILE elements; `rows` in all. What is fetched ahead lies beyond its place in memory, where it
   has one: across, rows that follow one another. */
static inline tile tile_in_buffer(const plan *p, const rows_of *r, size_t row, size_t rows, size_t chunk, T *buffer)
{
    const size_t cols = columns_of(p, chunk);
    ptrdiff_t ahead = 0;
    if (r->linear && (!p->across || rows == 1 || r->row[1] - r->row[0] == (ptrdiff_t)(cols * sizeof(T))))
        ahead = r->array->p + r->row[row] + (ptrdiff_t)(chunk * p->chunk * sizeof(T)) - (char *)buffer + AHEAD;
    return tile_in(p, buffer, (ptrdiff_t)(p->across ? p->batch : LANES), cols, ahead);
}

/* Copies the columns of a tile across rows that lie side by side to a buffer, or from it if `out`. */
static void move_columns(const plan *p, const rows_of *r, size_t first, size_t cols, T *buffer, int out)
{
    const ptrdiff_t stride = r->array->col[0], next_rows = (ptrdiff_t)(p->batch * sizeof(T));
    char *at = r->array->p + r->row[0] + (ptrdiff_t)first * stride;
    for (size_t c = 0; c < cols; c++, at += stride)
        for (size_t i = 0; i < p->batch; i += VL, buffer += VL) {
            T *element = (T *)at + i;
            if (out) {
                fetch_to_write(element, next_rows);
                vf_store(element, vf_load(buffer));
            } else {
                fetch_to_read(element, next_rows);
                vf_store(buffer, vf_load(element));
            }
        }
}

/* Whether the columns of a row lie together, though not as they are in a tile: in another storage or with gaps. */
static inline int columns_apart(const sl_shape *s, const rows_of *r)
{
    return !r->linear && s->col_dims == 1 && !scattered_columns(s, r->array);
}

/* Copies columns of rows to contiguous memory, or from it if `out`; rows one behind the other as if they were one. */
static void move_rows(const plan *p, const rows_of *r, size_t rows, size_t first, size_t cols, T *buffer, int out)
{
    const sl_array *a = r->array;
    const ptrdiff_t whole = (ptrdiff_t)cols * a->col[0];
    const int as_one = p->shape->row_dims == 1 && a->row[0] == whole &&
                       r->row[rows - 1] - r->row[0] == (ptrdiff_t)(rows - 1) * whole;
    for (size_t i = 0, run = as_one ? rows : 1; i < rows; i += run) {
        char *at = a->p + r->row[i] + (ptrdiff_t)first * a->col[0];
        move_run(r, at, a->col[0], run * cols, buffer + i * cols, 1, out);
    }
}

/* Asks for rows `ahead` of these, all at once: where they have gaps between them, a walk over a tile could not name
   their lines one by one. Not in a function of its own: gcc takes one that only asks for memory to have no effect. */
ALWAYS_INLINE void fetch_rows(char *const *row, size_t rows, size_t size, ptrdiff_t ahead, int out)
{
    for (size_t line = 0; line < size; line += CACHE_LINE, ahead += CACHE_LINE)
        for (size_t i = 0; i < rows; i++)
            if (out)
                fetch_to_write(row[i], ahead);
            else
                fetch_to_read(row[i], ahead);
}

/* Copies the columns of a tile across rows to a buffer, or from it if `out`. */
static void move_across(const plan *p, const rows_of *r, size_t rows, size_t first, size_t cols, T *buffer, int out)
{
    const int apart = columns_apart(p->shape, r);
    T contiguous[TILE];
    char *at[ROWS];
    if (r->adjacent) {
        move_columns(p, r, first, cols, buffer, out);
        return;
    }
    if (!r->linear && !apart) {
        for (size_t i = 0; i < rows; i++)
            each_run(p, r, i, first, cols, buffer + i, (ptrdiff_t)p->batch, out);
        return;
    }
    for (size_t i = 0; i < rows; i++)
        at[i] = apart ? (char *)(contiguous + i * cols) : r->array->p + r->row[i] + (ptrdiff_t)(first * sizeof(T));
    if (r->linear && r->ahead != AHEAD)
        fetch_rows(at, rows, cols * sizeof(T), r->ahead, out);
    const int without = p->shape->cols == 2 && (apart || without_gaps(p->shape, r->array)) &&
                        at[rows - 1] - at[0] == (ptrdiff_t)((rows - 1) * cols * sizeof(T));
    const size_t pairs = without ? rows / VL * VL : 0;
    if (out) {
        tile_to_pairs(buffer, p->batch, (T *)at[0], pairs);
        tile_to_rows(buffer + pairs, p->batch, (T *const *)at + pairs, rows - pairs, cols);
        if (apart)
            move_rows(p, r, rows, first, cols, contiguous, 1);
        return;
    }
    if (apart)
        move_rows(p, r, rows, first, cols, contiguous, 0);
    size_t lanes = rows;
    for (; lanes % VL; lanes++) /* for absent rows anything will do */
        at[lanes] = at[rows - 1];
    pairs_to_tile((const T *)at[0], pairs, buffer, p->batch);
    rows_to_tile((const T *const *)at + pairs, lanes - pairs, cols, buffer + pairs, p->batch);
}

static inline tile tile_read(const plan *p, const rows_of *r, size_t row, size_t rows, size_t chunk, T *buffer)
{
    if (r->direct)
        return tile_in_place(p, r, row, chunk);
    size_t cols = columns_of(p, chunk), first = chunk * p->chunk;
    if (!p->across)
        each_run(p, r, row, first, cols, buffer, 1, 0);
    else
        move_across(p, r, rows, first, cols, buffer, 0);
    return tile_in_buffer(p, r, row, rows, chunk, buffer);
}

/* Puts a tile where the operand keeps it, unless it is there. */
static inline void tile_write(const plan *p, const rows_of *r, size_t row, size_t rows, size_t chunk, tile t)
{
    if (r->direct)
        return;
    if (!p->across)
        each_run(p, r, row, chunk * p->chunk, columns_of(p, chunk), t.p, 1, 1);
    else
        move_across(p, r, rows, chunk * p->chunk, columns_of(p, chunk), t.p, 1);
}

/* The rows that tiles belong to, and the lanes that hold something: along, a tile each and all lanes; across, one tile
   and as many lanes as rows, absent ones included that fill up a vector. */
typedef struct {
    size_t first, n, lanes;
} tile_rows;

/* A tile along as vectors of VL lanes, where it does not matter which lane a column belongs to. */
ALWAYS_INLINE tile in_vectors(tile t)
{
    const size_t n = t.full * LANES + t.part;
    return (tile){t.p, VL, n / VL, n % VL, t.ahead};
}

/* One value a row as one a lane: of lane c onwards across, of the row along. */
ALWAYS_INLINE vf of_rows(const T *value, int across, size_t row, size_t c)
{
    return across ? vf_load(value + c) : vf_set(value[row]);
}

/* The byte offset of one column, for a single column dimension. */
static inline ptrdiff_t column_offset(const rows_of *r, size_t col) { return (ptrdiff_t)col * r->array->col[0]; }

#endif
