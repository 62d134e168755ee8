/* Rows with contiguous columns, to and from a tile across them: squares of SQUARE x SQUARE elements, as many side by
   side as a vector holds, are turned in registers. Rows of few columns, one behind the other, are taken as whole
   vectors instead of one by one. */
#ifndef SL_TRANSPOSE_H
#define SL_TRANSPOSE_H

#include "kernel.h"

/* VL rows, n <= SQUARE columns of them from c, to a tile */
ALWAYS_INLINE void turn_rows(const T *const *row, size_t c, size_t n, T *at, size_t step)
{
    vf v[SQUARE];
    UNROLL for (size_t i = 0; i < SQUARE; i++)
        v[i] = vf_load_rows(row + i, c, n);
    vf_transpose(v);
    UNROLL for (size_t i = 0; i < SQUARE; i++)
        if (i < n)
            vf_store(at + (c + i) * step, v[i]);
}

/* `rows` <= VL rows from a tile */
ALWAYS_INLINE void turn_columns(const T *at, size_t step, size_t c, size_t n, T *const *row, size_t rows)
{
    vf v[SQUARE];
    UNROLL for (size_t i = 0; i < SQUARE; i++)
        v[i] = i < n ? vf_load(at + (c + i) * step) : vf_set(0);
    vf_transpose(v);
    UNROLL for (size_t i = 0; i < SQUARE; i++)
        vf_store_rows(row + i, rows - min_size(rows, i), c, v[i], n);
}

/* The same for VL columns, of which vectors can be stored. */
ALWAYS_INLINE void turn_vectors(const T *at, size_t step, size_t c, T *const *row, size_t rows)
{
    enum { SQUARES = VL / SQUARE };
    vf v[VL];
    UNROLL for (size_t i = 0; i < VL; i++)
        v[i] = vf_load(at + (c + i) * step);
    UNROLL for (size_t i = 0; i < VL; i += SQUARE)
        vf_transpose(v + i);
    UNROLL for (size_t i = 0; i < SQUARE; i++) {
        vf whole[SQUARES];
        UNROLL for (size_t p = 0; p < SQUARES; p++)
            whole[p] = v[p * SQUARE + i];
        vf_transpose_parts(whole);
        UNROLL for (size_t p = 0; p < SQUARES; p++)
            if (p * SQUARE + i < rows)
                vf_store(row[p * SQUARE + i] + c, whole[p]);
    }
}

ALWAYS_INLINE void turn_last_rows(const T *const *row, size_t c, size_t n, T *at, size_t step)
{
    switch (n) {
    case 1: turn_rows(row, c, 1, at, step); break;
    case 2: turn_rows(row, c, 2, at, step); break;
    case 3: turn_rows(row, c, 3, at, step);
    }
}

ALWAYS_INLINE void turn_last_columns(const T *at, size_t step, size_t c, size_t n, T *const *row, size_t rows)
{
    switch (n) {
    case 1: turn_columns(at, step, c, 1, row, rows); break;
    case 2: turn_columns(at, step, c, 2, row, rows); break;
    case 3: turn_columns(at, step, c, 3, row, rows);
    }
}

/* Columns of a tile (step elements apart) from `lanes` rows, a multiple of VL, whose element 0 is at row[i]. */
static inline void rows_to_tile(const T *const *restrict row, size_t lanes, size_t cols, T *restrict at, size_t step)
{
    for (size_t r = 0; r < lanes; r += VL) {
        size_t c = 0;
        for (; c + SQUARE <= cols; c += SQUARE)
            turn_rows(row + r, c, SQUARE, at + r, step);
        turn_last_rows(row + r, c, cols - c, at + r, step);
    }
}

/* The other way, to n rows. */
static inline void tile_to_rows(const T *at, size_t step, T *const *row, size_t n, size_t cols)
{
    for (size_t r = 0; r < n; r += VL) {
        size_t c = 0, rows = min_size(VL, n - r);
        for (; c + VL <= cols; c += VL)
            turn_vectors(at + r, step, c, row + r, rows);
        for (; c + SQUARE <= cols; c += SQUARE)
            turn_columns(at + r, step, c, SQUARE, row + r, rows);
        turn_last_columns(at + r, step, c, cols - c, row + r, rows);
    }
}

/* Dense rows, without gaps between them, of n columns: VL of them are n vectors in memory.

   Let n be odd. Then the numbers of a column are in VL different lanes of these, that of row i in lane (n i + c) mod
   VL. So a column is put together from all vectors, each lane from the one in which it is the column's, and its lanes
   are put into the order of rows. Of twice an odd number m of columns, pairs of numbers make m such columns, of VL/2
   rows each, and pairs of those are unzipped. The fewer columns, the more it gains over squares: softmax of 3 takes
   10-19 % less, of 10 up to 12 %. */
enum { MOST_DENSE = 10 };

/* The first unit of vector k that is column c's, of m columns of units of so many numbers. */
ALWAYS_INLINE int first_unit(int c, int k, int m, int unit) { return (c + m * VL - k * VL / unit) % m; }

/* Column c of those. */
ALWAYS_INLINE vf dense_column(const vf *v, int m, int c, int unit)
{
    vf mixed = v[0];
    UNROLL for (int k = 1; k < m; k++)
        mixed = vf_choose_every(m, first_unit(c, k, m, unit), unit, v[k], mixed);
    return m == 1 ? mixed : vf_permute(mixed, (lane_numbers / unit * m + c) * unit + lane_numbers % unit);
}

ALWAYS_INLINE void to_columns(vf *v, int n)
{
    const int unit = n % 2 ? 1 : 2, m = n / unit;
    vf column[MOST_DENSE];
    UNROLL for (int c = 0; c < n; c += unit) {
        UNROLL for (int j = 0; j < unit; j++)
            column[c + j] = dense_column(v + j * m, m, c / unit, unit);
        if (unit == 2)
            vf_unzip(column + c);
    }
    UNROLL for (int c = 0; c < n; c++)
        v[c] = column[c];
}

/* All m of them, to the vectors in memory. */
ALWAYS_INLINE void dense_vectors(vf *v, int m, int unit)
{
    const int inverse = m == 3 ? 11 : m == 5 ? 13 : 7; /* 1/m modulo 16 */
    vf turned[MOST_DENSE];
    UNROLL for (int c = 0; c < m && m > 1; c++)
        turned[c] = vf_permute(v[c], (lane_numbers / unit - c) * inverse * unit + lane_numbers % unit);
    UNROLL for (int k = 0; k < m && m > 1; k++) {
        v[k] = turned[0];
        UNROLL for (int c = 1; c < m; c++)
            v[k] = vf_choose_every(m, first_unit(c, k, m, unit), unit, turned[c], v[k]);
    }
}

ALWAYS_INLINE void to_rows(vf *v, int n)
{
    const int unit = n % 2 ? 1 : 2, m = n / unit;
    vf half[2][MOST_DENSE];
    if (unit == 1) {
        dense_vectors(v, m, 1);
        return;
    }
    UNROLL for (int c = 0; c < m; c++) {
        vf_zip(v + 2 * c);
        half[0][c] = v[2 * c];
        half[1][c] = v[2 * c + 1];
    }
    UNROLL for (int j = 0; j < 2; j++) {
        dense_vectors(half[j], m, 2);
        UNROLL for (int k = 0; k < m; k++)
            v[j * m + k] = half[j][k];
    }
}

/* `rows` of them, a multiple of VL, to a tile, or from it if `out` */
ALWAYS_INLINE void turn_dense(T *row, size_t rows, size_t n, T *at, size_t step, int out)
{
    for (size_t i = 0; i < rows; i += VL) {
        vf v[MOST_DENSE];
        UNROLL for (size_t j = 0; j < n; j++)
            v[j] = vf_load(out ? at + j * step + i : row + n * i + j * VL);
        if (out)
            to_rows(v, (int)n);
        else
            to_columns(v, (int)n);
        UNROLL for (size_t j = 0; j < n; j++)
            vf_store(out ? row + n * i + j * VL : at + j * step + i, v[j]);
    }
}

/* As many rows as make whole vectors, if rows of n columns are moved faster so; returns how many. */
ALWAYS_INLINE size_t move_dense(T *row, size_t rows, size_t n, T *at, size_t step, int out)
{
    rows = rows / VL * VL;
    switch (n) {
    case 2: turn_dense(row, rows, 2, at, step, out); break;
    case 3: turn_dense(row, rows, 3, at, step, out); break;
    case 5: turn_dense(row, rows, 5, at, step, out); break;
    case 6: turn_dense(row, rows, 6, at, step, out); break;
    case 7: turn_dense(row, rows, 7, at, step, out); break;
    case 10: turn_dense(row, rows, 10, at, step, out); break;
    default: return 0;
    }
    return rows;
}

#endif
