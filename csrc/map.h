/* Elementwise functions over runs of any stride, through small buffers where they are not contiguous. */
#ifndef SL_MAP_H
#define SL_MAP_H

#include "strided.h"
#include "vmath.h"

/* Whether some |x| is beyond MODERATE. NaN is not: it passes through either way. */
static inline int any_far(const T *x, size_t n)
{
    vf largest = vf_set(0);
    size_t i = 0;
    for (; i + VL <= n; i += VL)
        largest = vf_max(vf_abs(vf_load(x + i)), largest);
    if (i < n)
        largest = vf_max(vf_abs(vf_load_n(x + i, n - i, vf_set(0))), largest);
    return vm_any(vf_lt(vf_set(MODERATE), largest));
}

/* Computes up to VL elements of one input and two outputs, either of which may be absent (NULL). `far`: some |x| may be
   beyond MODERATE. */
typedef void map_step(const T *x, T *y, T *z, size_t n, int far);

ALWAYS_INLINE void map_near_or_far(map_step *step, const T *x, T *y, T *z, size_t n, int far)
{
    size_t i = 0;
    for (; i + VL <= n; i += VL)
        step(x + i, y ? y + i : NULL, z ? z + i : NULL, VL, far);
    if (i < n)
        step(x + i, y ? y + i : NULL, z ? z + i : NULL, n - i, far);
}

/* One block at a time is looked over before it is computed: what only far elements need stays out of the loop that
   almost all blocks take. */
ALWAYS_INLINE void map_contiguous(map_step *step, const T *x, T *y, T *z, size_t n)
{
    for (size_t i = 0; i < n; i += BUFFER) {
        size_t m = min_size(BUFFER, n - i);
        if (any_far(x + i, m))
            map_near_or_far(step, x + i, y ? y + i : NULL, z ? z + i : NULL, m, 1);
        else
            map_near_or_far(step, x + i, y ? y + i : NULL, z ? z + i : NULL, m, 0);
    }
}

/* The caller's floating-point state is put aside: results do not depend on it, and it is as before afterwards. */
ALWAYS_INLINE void map_strided(map_step *step, const T *x, ptrdiff_t xs, T *y, ptrdiff_t ys, T *z, ptrdiff_t zs, size_t n)
{
    const ptrdiff_t unit = sizeof(T);
    fp_state state = fp_enter();
    if (xs == unit && (!y || ys == unit) && (!z || zs == unit)) {
        map_contiguous(step, x, y, z, n);
    } else {
        T x_buffer[BUFFER], y_buffer[BUFFER], z_buffer[BUFFER];
        for (size_t i = 0; i < n; i += BUFFER) {
            size_t m = min_size(BUFFER, n - i);
            ptrdiff_t at = (ptrdiff_t)i;
            gather(x_buffer, 1, (const char *)x + at * xs, xs, m, 0);
            map_contiguous(step, x_buffer, y ? y_buffer : NULL, z ? z_buffer : NULL, m);
            if (y)
                scatter((char *)y + at * ys, ys, y_buffer, 1, m, 0);
            if (z)
                scatter((char *)z + at * zs, zs, z_buffer, 1, m, 0);
        }
    }
    fp_leave(state);
}

#endif
