/* Rows with contiguous columns, to and from a tile across them: squares of VL x VL elements are turned in registers. */
#ifndef SL_TRANSPOSE_H
#define SL_TRANSPOSE_H

#include "kernel.h"

/* Columns of a tile (LANES elements apart) from the n rows, whose element 0 is at row[i]; other lanes of a square
   become 0. */
static inline void rows_to_tile(const T *const *row, size_t n, size_t cols, T *at)
{
    for (size_t r = 0; r < n; r += VL)
        for (size_t c = 0; c < cols; c += VL) {
            vf v[VL];
            size_t width = min_size(VL, cols - c);
            if (n - r >= VL && width == VL)
                UNROLL for (size_t i = 0; i < VL; i++)
                    v[i] = vf_load(row[r + i] + c);
            else
                UNROLL for (size_t i = 0; i < VL; i++)
                    v[i] = r + i < n ? vf_load_n(row[r + i] + c, width, vf_set(0)) : vf_set(0);
            vf_transpose(v);
            T *p = at + c * LANES + r;
            UNROLL for (size_t i = 0; i < VL; i++)
                if (i < width)
                    vf_store(p + i * LANES, v[i]);
        }
}

static inline void tile_to_rows(const T *at, T *const *row, size_t n, size_t cols)
{
    for (size_t r = 0; r < n; r += VL)
        for (size_t c = 0; c < cols; c += VL) {
            vf v[VL];
            size_t width = min_size(VL, cols - c);
            const T *p = at + c * LANES + r;
            UNROLL for (size_t i = 0; i < VL; i++)
                v[i] = i < width ? vf_load(p + i * LANES) : vf_set(0);
            vf_transpose(v);
            UNROLL for (size_t i = 0; i < VL; i++)
                if (r + i < n)
                    vf_store_n(row[r + i] + c, v[i], width);
        }
}

#endif
