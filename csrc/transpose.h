/* Rows with contiguous columns, to and from a tile across them: squares of SQUARE x SQUARE elements, as many side by
   side as a vector holds, are turned in registers. Rows of two columns, one behind the other, take two operations. */
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
static inline void rows_to_tile(const T *const *row, size_t lanes, size_t cols, T *at, size_t step)
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

/* n rows, a multiple of VL, of two columns, which begin at `row` and have nothing between them, to a tile */
static inline void pairs_to_tile(const T *row, size_t n, T *at, size_t step)
{
    for (size_t i = 0; i < n; i += VL) {
        vf v[2] = {vf_load(row + 2 * i), vf_load(row + 2 * i + VL)};
        vf_unzip(v);
        vf_store(at + i, v[0]);
        vf_store(at + step + i, v[1]);
    }
}

/* the other way */
static inline void tile_to_pairs(const T *at, size_t step, T *row, size_t n)
{
    for (size_t i = 0; i < n; i += VL) {
        vf v[2] = {vf_load(at + i), vf_load(at + step + i)};
        vf_zip(v);
        vf_store(row + 2 * i, v[0]);
        vf_store(row + 2 * i + VL, v[1]);
    }
}

#endif
