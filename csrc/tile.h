/* Rows of any memory layout as tiles: steps of elements that a kernel walks with one loop.

   A tile lies along one row (a step is LANES neighbouring columns) or across a batch of rows (a step is a column, its
   lanes are rows). Across needs nothing summed over lanes, so it serves short rows, which are transposed into a buffer,
   and rows whose elements lie far apart, since then their neighbours mostly lie together (class axis first or in the
   middle).
   Which one is chosen depends on the number of columns and their stride, never on the other rows: a row's result is the
   same bytes whatever rows stand beside it, and a loss is the same with its gradient and without. */
#ifndef SL_TILE_H
#define SL_TILE_H

#include "strided.h"

enum {
    FEW = 4,         /* columns so many elements apart are gathered rather than taken with those of other rows */
    FEW_COLUMNS = 6, /* up to so many columns rows are summed by the distances from their maxima: sum_few */
    SHORT = DTYPE == 32 ? 256 : 200, /* up to so many columns rows are transposed rather than summed along */
    STEPS = 128,     /* of a full tile of LANES rows: 16 KiB */
    TILE = STEPS * LANES,
    WIDE = TILE * 3 / 4, /* of more than LANES rows: what it is read from and goes to should fit into L1, too */
    SEGMENT = 16,    /* tiles, or more if there would be more than SL_SEGMENTS of them */
};

typedef struct {
    const sl_shape *shape;
    int across;
    int few;         /* no more than FEW_COLUMNS */
    int rough;       /* 0, or ROUGH of lanes.h */
    size_t batch;    /* rows taken together */
    size_t chunk;    /* columns a tile holds */
    size_t chunks;   /* tiles a row, or a batch across, is cut into */
    size_t segment;  /* tiles that long rows are summed by, see long.h */
    size_t segments;
} plan;

/* One operand: what is true of all its rows, and where each of a batch starts. */
typedef struct {
    const sl_array *array;
    int linear;      /* contiguous columns */
    int walks;       /* so many over a tile ask for all of another one in memory, a line for each of theirs; 0: more */
    int regular;     /* elements of T side by side, those of a row along, those of a column across */
    int collide;     /* see columns_collide */
    int past;        /* see past_caches */
    int by_walks;    /* what lies ahead is asked for by walks over buffers, not by copies to them */
    ptrdiff_t ahead; /* see look_ahead */
    int adjacent;    /* across, all of a batch side by side, whole vectors */
    int direct;      /* tiles can be read and written in place */
    ALIGNED ptrdiff_t row[ROWS];
} rows_of;

/* `full` steps, `step` elements apart, of LANES elements or across one a row; then one of `part` < LANES. `ahead` bytes
   from an element is memory that tiles to come will want: each names another part of it. From one step to the next
   `ahead` grows by `drift`, where tiles to come are not in a buffer as this one is. */
typedef struct {
    T *p;
    ptrdiff_t step;
    size_t full, part;
    ptrdiff_t ahead, drift;
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

/* Whether all values of a per-row operand are as far apart as those of the last dimension, row_step. */
static inline int evenly_spaced(const sl_shape *s, const sl_array *a)
{
    int even = 1;
    for (int d = 1; d < s->row_dims; d++)
        even &= a->row[d - 1] == (ptrdiff_t)s->row[d] * a->row[d];
    return even;
}

static inline ptrdiff_t row_step(const sl_shape *s, const sl_array *a)
{
    return s->row_dims ? a->row[s->row_dims - 1] : 0;
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
    return row_step(s, a) == sizeof(T);
}

/* Whether caches do not hold one operand. */
static inline int beyond_caches(const sl_shape *s)
{
    enum { LAST_CACHE = 1 << 24 };
    return s->rows * s->cols >= LAST_CACHE / sizeof(T);
}

static inline plan make_plan(const sl_shape *s, const sl_array *x)
{
    plan p = {.shape = s};
    const int scattered = scattered_columns(s, x);
    p.across = s->cols <= SHORT || scattered;
    p.few = p.across && s->cols <= FEW_COLUMNS;
    p.batch = p.across && !scattered && s->cols > STEPS ? LANES / 2 : LANES; /* so that a tile holds all columns */
    p.chunk = p.across ? TILE / p.batch : TILE;
    p.chunks = (s->cols + p.chunk - 1) / p.chunk;
    /* More of few columns, unless they lie in runs so short that more would often cross their ends. */
    const int runs = adjacent_rows(s, x) && s->row_dims > 1;
    if (p.across && !(runs && s->row[s->row_dims - 1] < 2 * ROWS))
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
    const int last = s->row_dims - 1;
    for (size_t i = 0; i < n;) { /* along the last dimension at a time */
        const size_t begin = number[i], end = begin + s->row[last] - begin % s->row[last];
        ptrdiff_t at = 0;
        for (size_t rest = begin, d = s->row_dims; d-- > 0; rest /= s->row[d])
            at += (ptrdiff_t)(rest % s->row[d]) * stride[d];
        for (; i < n && number[i] < end; i++)
            offset[i] = at + (ptrdiff_t)(number[i] - begin) * stride[last];
    }
}

static inline int are_adjacent(const ptrdiff_t *row, size_t n)
{
    ptrdiff_t apart = 0;
    for (size_t i = 1; i < n; i++)
        apart |= row[i] - row[i - 1] - (ptrdiff_t)sizeof(T);
    return apart == 0;
}

/* Whether so many columns, `stride` bytes apart, crowd in so few sets of a cache that they evict each other between one
   walk and the next, as at powers of two: sets repeat after `period` bytes and have 8 ways or more. */
enum { FIRST_CACHE = 4096, SECOND_CACHE = 1 << 17 };
static inline int columns_collide(size_t cols, ptrdiff_t stride, size_t period)
{
    const size_t lowest_bit = (size_t)(stride & -stride), apart = min_size(lowest_bit, period);
    return cols * apart >= 8 * period;
}

/* Whether tiles across are written past the caches, by way of a buffer: an output that these do not hold, in lines each
   of which would be read from memory first only to be overwritten. Rows along, up to 1.4 times, and rows across of more
   than two tiles, up to 2.6 times, mostly took longer so. */
static inline int past_caches(const plan *p, const rows_of *r)
{
    return VF_STREAMS && p->across && p->chunks <= 2 && r->regular && beyond_caches(p->shape);
}

/* 1: columns lie side by side, forwards or in reverse; 2: every second element is one, as the real parts of complex
   numbers; 0: otherwise. */
static inline int spacing_of(const sl_shape *s, const sl_array *a)
{
    const ptrdiff_t item = sizeof(T);
    if (contiguous_columns(s, a))
        return 1;
    if (s->col_dims != 1 || !is_aligned(a, 0))
        return 0;
    return a->col[0] == -item ? 1 : a->col[0] == 2 * item ? 2 : 0;
}

/* How far from an element that is read or written lies the one to ask for: AHEAD, with every second one twice that, but
   a number of rows where these have gaps between them; columns far apart are asked for elsewhere. */
static inline void look_ahead(rows_of *r, const plan *p)
{
    const sl_shape *s = p->shape;
    const int known = spacing_of(s, r->array), spacing = known ? known : 1;
    const int reverse = s->col_dims == 1 && r->array->col[0] < 0;
    const ptrdiff_t bytes = (ptrdiff_t)(s->cols * sizeof(T)), apart = row_step(s, r->array), most = AHEAD * spacing;
    const ptrdiff_t size = apart < 0 ? -apart : apart, rows = size ? (most + size - 1) / size : 0;
    r->walks = known;
    if (p->across && size > bytes)
        r->walks = known && size <= 2 * bytes ? 2 : 0;
    if (scattered_columns(s, r->array))
        r->ahead = 0;
    else if (bytes * spacing >= most)
        r->ahead = reverse ? -most : most;
    else if (!size || size == bytes * spacing)
        r->ahead = apart < 0 ? -most : most;
    else
        r->ahead = apart * (rows > (ptrdiff_t)p->batch ? rows : (ptrdiff_t)p->batch);
}

/* What is true of all batches. An absent operand has no contiguous columns and is not direct; nothing else is asked. */
static inline void open_rows(rows_of *r, const plan *p, const sl_array *a)
{
    const sl_shape *s = p->shape;
    r->array = a;
    r->direct = r->linear = r->walks = r->regular = r->adjacent = r->past = r->by_walks = 0;
    if (!a->p)
        return;
    r->linear = contiguous_columns(s, a);
    r->regular = p->across ? adjacent_rows(s, a) && s->col_dims == 1 && is_aligned(a, a->col[0]) : r->linear;
    for (int d = 0; d < s->row_dims && r->regular; d++)
        r->regular = a->row[d] % (ptrdiff_t)sizeof(T) == 0;
    const size_t cols = min_size(p->chunk, s->cols);
    r->collide = p->across && r->regular && columns_collide(cols, a->col[0], FIRST_CACHE);
    look_ahead(r, p);
}

/* The rows of a batch. */
static inline void find_rows(rows_of *restrict r, const plan *p, const size_t *number, size_t n)
{
    if (!r->array->p)
        return;
    row_offsets(p->shape, r->array->row, number, n, r->row);
    r->adjacent = p->across && r->regular && n % VL == 0 && are_adjacent(r->row, n);
    r->direct = p->across ? r->adjacent && !r->collide && !r->past : r->regular;
}

/* The shape of the tile that holds columns [first, first + cols) of one row or, across, of a batch. */
static inline tile tile_in(const plan *p, T *at, ptrdiff_t step, size_t cols, ptrdiff_t ahead)
{
    if (p->across)
        return (tile){at, step, cols, 0, ahead, 0};
    return (tile){at, LANES, cols / LANES, cols % LANES, ahead, 0};
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

/* Where the memory of a tile that is not in place begins, with that of all rows of a batch. */
static inline char *memory_of_tile(const plan *p, const rows_of *r, size_t row, size_t chunk)
{
    const ptrdiff_t col = r->linear ? (ptrdiff_t)sizeof(T) : r->array->col[0], apart = row_step(p->shape, r->array);
    const size_t last = col < 0 ? columns_of(p, chunk) - 1 : 0, last_row = p->across && apart < 0 ? p->batch - 1 : 0;
    return r->array->p + r->row[row] + (ptrdiff_t)(chunk * p->chunk + last) * col + (ptrdiff_t)last_row * apart;
}

/* The tile in a buffer of TILE elements. What is fetched ahead lies beyond its place in memory, where it has one:
   across, rows that follow one another but for those that are left out. Where it takes two walks, this one has the
   first half and next_logits the other. */
static inline tile tile_in_buffer(const plan *p, const rows_of *r, size_t row, size_t chunk, T *buffer)
{
    const size_t cols = columns_of(p, chunk);
    ptrdiff_t ahead = 0;
    if (r->walks)
        ahead = memory_of_tile(p, r, row, chunk) - (char *)buffer + r->ahead;
    tile t = tile_in(p, buffer, (ptrdiff_t)(p->across ? p->batch : LANES), cols, ahead);
    if (r->adjacent && r->by_walks) {
        const tile in_memory = tile_in_place(p, r, row, chunk);
        t.ahead = (char *)in_memory.p - (char *)buffer + in_memory.ahead;
        t.drift = (in_memory.step - t.step) * (ptrdiff_t)sizeof(T);
    }
    return t;
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
    return (tile){t.p, VL, n / VL, n % VL, t.ahead, 0};
}

/* One value a row as one a lane: of lane c onwards across, of the row along. */
ALWAYS_INLINE vf of_rows(const T *value, int across, size_t row, size_t c)
{
    return across ? vf_load(value + c) : vf_set(value[row]);
}

/* The byte offset of one column, for a single column dimension. */
static inline ptrdiff_t column_offset(const rows_of *r, size_t col) { return (ptrdiff_t)col * r->array->col[0]; }

#endif
