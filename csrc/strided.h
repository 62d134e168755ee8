/* Runs of elements at any stride, through small buffers where they are not contiguous. */
#ifndef SL_STRIDED_H
#define SL_STRIDED_H

#include "half.h"
#include "kernel.h"

/* Elements a buffer holds: 4 KiB of doubles, so that an input and two outputs stay in L1. */
enum { BUFFER = 512 };

static inline T swapped(const char *p)
{
#if DTYPE == 32
    uint32_t bits;
    memcpy(&bits, p, sizeof bits);
    bits = __builtin_bswap32(bits);
#else
    uint64_t bits;
    memcpy(&bits, p, sizeof bits);
    bits = __builtin_bswap64(bits);
#endif
    T x;
    memcpy(&x, &bits, sizeof x);
    return x;
}

static inline uint16_t half_bits(const char *p, int storage)
{
    uint16_t bits;
    memcpy(&bits, p, sizeof bits);
    return storage & SL_SWAPPED ? __builtin_bswap16(bits) : bits;
}

/* n elements of any storage and alignment, `stride` bytes apart, to memory `step` elements apart. */
static inline void gather(T *to, ptrdiff_t step, const char *from, ptrdiff_t stride, size_t n, int storage)
{
    if (storage & SL_HALF)
        for (size_t i = 0; i < n; i++, to += step, from += stride)
            *to = (T)sl_half_to_float(half_bits(from, storage));
    else if (storage & SL_SWAPPED)
        for (size_t i = 0; i < n; i++, to += step, from += stride)
            *to = swapped(from);
    else
        for (size_t i = 0; i < n; i++, to += step, from += stride)
            memcpy(to, from, sizeof(T));
}

static inline void scatter(char *to, ptrdiff_t stride, const T *from, ptrdiff_t step, size_t n, int storage)
{
    if (storage & SL_HALF)
        for (size_t i = 0; i < n; i++, to += stride, from += step) {
            uint16_t bits = sl_float_to_half((float)*from);
            memcpy(to, &bits, sizeof bits);
        }
    else
        for (size_t i = 0; i < n; i++, to += stride, from += step)
            memcpy(to, from, sizeof(T));
}

/* Computes up to VL elements of one input and two outputs, either of which may be absent (NULL). */
typedef void map_step(const T *x, T *y, T *z, size_t n);

ALWAYS_INLINE void map_contiguous(map_step *step, const T *x, T *y, T *z, size_t n)
{
    size_t i = 0;
    for (; i + VL <= n; i += VL)
        step(x + i, y ? y + i : NULL, z ? z + i : NULL, VL);
    if (i < n)
        step(x + i, y ? y + i : NULL, z ? z + i : NULL, n - i);
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
