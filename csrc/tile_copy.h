/* Tiles that cannot stay in an operand's memory, to and from buffers: rows are transposed, gathered or copied along
   columns, whichever follows memory. */
#ifndef SL_TILE_COPY_H
#define SL_TILE_COPY_H

#include "tile.h"
#include "transpose.h"

static void move_run(const rows_of *r, char *at, ptrdiff_t stride, size_t n, T *buffer, ptrdiff_t step, int out)
{
    if (out)
        scatter(at, stride, buffer, step, n, r->array->storage, r->ahead);
    else
        gather(buffer, step, at, stride, n, r->array->storage, r->by_walks ? 0 : r->ahead);
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

/* n elements past the caches in whole lines, and the rest as usual. */
static inline void stream(T *to, const T *from, size_t n)
{
    const size_t line = CACHE_LINE / sizeof(T), before = min_size(n, -((uintptr_t)to / sizeof(T)) % line);
    const size_t after = before + (n - before) / line * line;
    for (size_t i = 0; i < before; i += VL)
        vf_store_n(to + i, vf_load_n(from + i, before - i, vf_set(0)), before - i);
    for (size_t i = before; i < after; i += VL)
        vf_stream(to + i, vf_load(from + i));
    for (size_t i = after; i < n; i += VL)
        vf_store_n(to + i, vf_load_n(from + i, n - i, vf_set(0)), n - i);
}

/* Copies columns of n rows from the i-th, which lie side by side, to a buffer or, if `out`, from it. */
static void move_columns(const plan *p, const rows_of *r, size_t i, size_t n, size_t first, size_t cols, T *buffer,
                         int out)
{
    const ptrdiff_t stride = r->array->col[0], batch = (ptrdiff_t)(p->batch * sizeof(T));
    const ptrdiff_t next_rows = r->adjacent && r->by_walks ? 0 : batch;
    char *at = r->array->p + r->row[i] + (ptrdiff_t)first * stride;
    for (size_t c = 0; c < cols; c++, at += stride, buffer += p->batch) {
        if (out && r->past) {
            stream((T *)at, buffer, n);
            continue;
        }
        for (size_t j = 0; j < n; j += VL) {
            T *element = (T *)at + j;
            if (out) {
                fetch_to_write(element, next_rows);
                vf_store_n(element, vf_load_n(buffer + j, n - j, vf_set(0)), n - j);
            } else {
                fetch_to_read(element, next_rows);
                vf_store_n(buffer + j, vf_load_n(element, n - j, vf_set(0)), n - j);
            }
        }
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

/* Copies columns that are far apart in rows of any distance: along rows that are evenly spaced, run after run. */
static void move_runs(const plan *p, const rows_of *r, size_t rows, size_t first, size_t cols, T *buffer, int out)
{
    const ptrdiff_t stride = r->array->col[0], item = sizeof(T);
    const int aligned = is_aligned(r->array, stride);
    for (size_t i = 0, n; i < rows; i += n, buffer += n) {
        const ptrdiff_t apart = i + 1 < rows ? r->row[i + 1] - r->row[i] : item;
        for (n = 1; i + n < rows && r->row[i + n] - r->row[i + n - 1] == apart; n++)
            ;
        if (aligned && apart == item) {
            move_columns(p, r, i, n, first, cols, buffer, out);
            continue;
        }
        const ptrdiff_t length = (ptrdiff_t)(n - 1) * apart, lowest = length < 0 ? length : 0;
        char *at = r->array->p + r->row[i] + (ptrdiff_t)first * stride;
        for (size_t c = 0; c < cols; c++, at += stride) {
            char *const low = at + lowest;
            fetch_rows(&low, 1, (size_t)(length - 2 * lowest) + sizeof(T), (ptrdiff_t)p->batch * apart, out);
            move_run(r, at, apart, n, buffer + c * p->batch, 1, out);
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

/* Copies the columns of a tile across rows to a buffer, or from it if `out`. */
static void move_across(const plan *p, const rows_of *r, size_t rows, size_t first, size_t cols, T *buffer, int out)
{
    const int apart = columns_apart(p->shape, r);
    T contiguous[TILE];
    char *at[ROWS];
    if (r->adjacent) {
        move_columns(p, r, 0, rows, first, cols, buffer, out);
        return;
    }
    if (scattered_columns(p->shape, r->array)) {
        move_runs(p, r, rows, first, cols, buffer, out);
        return;
    }
    if (!r->linear && !apart) {
        for (size_t i = 0; i < rows; i++)
            each_run(p, r, i, first, cols, buffer + i, (ptrdiff_t)p->batch, out);
        return;
    }
    for (size_t i = 0; i < rows; i++)
        at[i] = apart ? (char *)(contiguous + i * cols) : r->array->p + r->row[i] + (ptrdiff_t)(first * sizeof(T));
    if (r->linear && r->walks != 1 && !r->by_walks)
        fetch_rows(at, rows, cols * sizeof(T), r->ahead, out);
    if (apart && !out)
        move_rows(p, r, rows, first, cols, contiguous, 0);
    const int dense = cols == p->shape->cols && (apart || without_gaps(p->shape, r->array)) &&
                      at[rows - 1] - at[0] == (ptrdiff_t)((rows - 1) * cols * sizeof(T));
    const size_t moved = dense ? move_dense((T *)at[0], rows, cols, buffer, p->batch, out) : 0;
    if (out) {
        tile_to_rows(buffer + moved, p->batch, (T *const *)at + moved, rows - moved, cols);
        if (apart)
            move_rows(p, r, rows, first, cols, contiguous, 1);
        return;
    }
    size_t lanes = rows;
    for (; lanes % VL; lanes++) /* for absent rows anything will do */
        at[lanes] = at[rows - 1];
    rows_to_tile((const T *const *)at + moved, lanes - moved, cols, buffer + moved, p->batch);
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
    return tile_in_buffer(p, r, row, chunk, buffer);
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

#endif
