/* Elementwise functions over runs of any stride, through small buffers where they are not contiguous. */
#ifndef SL_MAP_H
#define SL_MAP_H

#include "strided.h"
#include "vmath.h"

/* The most vectors computed side by side. A polynomial is one long chain of operations, each of which waits for the
   last; the longer a function, the more vectors it takes to keep the machine busy. Of longer polynomials less fits into
   AVX2's registers. */
enum { SIDE_BY_SIDE = DTYPE == 32 ? 6 : 4 };

/* Computes `vectors` vectors beginning at element i, of which x are loaded already, and which hold n elements in all.
   `far`: some |x| may be beyond MODERATE. Where none is, results are the same either way. Outputs may be inputs: all
   are loaded before one is stored. */
typedef void group_step(const void *operands, size_t i, const vf *x, int vectors, size_t n, int far);

/* NaN is not far: it passes through either way. It must not hide those that are, so that the least is never NaN: it is
   the second operand. */
ALWAYS_INLINE int any_far(const vf *x, int vectors)
{
    vf lowest = vf_set(0);
    UNROLL for (int j = 0; j < vectors; j++)
        lowest = vf_min(vf_minus_abs(x[j]), lowest);
    return vm_any(vf_lt(lowest, vf_set(-MODERATE)));
}

ALWAYS_INLINE int load_group(const T *x, vf *v, int vectors)
{
    UNROLL for (int j = 0; j < vectors; j++) {
        fetch_to_read(x + j * VL, AHEAD);
        v[j] = vf_load(x + j * VL);
    }
    return any_far(v, vectors);
}

ALWAYS_INLINE void put_vector(T *y, vf v, size_t n)
{
    fetch_to_write(y, AHEAD);
    vf_store_n(y, v, n);
}

/* What only far elements need is in a loop of its own, or the registers it takes would cost the other. */
ALWAYS_INLINE void in_groups(group_step *step, const void *operands, const T *x, size_t n, int vectors)
{
    const size_t group = (size_t)vectors * VL;
    vf v[SIDE_BY_SIDE];
    size_t i = 0;
    while (i + group <= n) {
        for (; i + group <= n && !load_group(x + i, v, vectors); i += group)
            step(operands, i, v, vectors, group, 0);
        for (; i + group <= n && load_group(x + i, v, vectors); i += group)
            step(operands, i, v, vectors, group, 1);
    }
    for (; i < n; i += VL) {
        vf last = vf_load_n(x + i, n - i, vf_set(0));
        if (any_far(&last, 1))
            step(operands, i, &last, 1, min_size(VL, n - i), 1);
        else
            step(operands, i, &last, 1, min_size(VL, n - i), 0);
    }
}

/* One or two functions of x. */
typedef struct {
    vf y, z;
} map_result;
typedef map_result map_function(vf x, int far);

typedef struct {
    map_function *function;
    T *y, *z; /* z may be NULL */
} map_operands;

ALWAYS_INLINE void map_step(const void *operands, size_t i, const vf *x, int vectors, size_t n, int far)
{
    const map_operands *o = operands;
    map_result r[SIDE_BY_SIDE];
    UNROLL for (int j = 0; j < vectors; j++)
        r[j] = o->function(x[j], far);
    UNROLL for (int j = 0; j < vectors; j++) {
        size_t at = (size_t)j * VL;
        put_vector(o->y + i + at, r[j].y, n - at);
        if (o->z)
            put_vector(o->z + i + at, r[j].z, n - at);
    }
}

/* The caller's floating-point state is put aside: results do not depend on it, and it is as before afterwards. */
ALWAYS_INLINE void map_strided(map_function *function, const T *x, ptrdiff_t xs, T *y, ptrdiff_t ys, T *z, ptrdiff_t zs,
                               size_t n, int vectors)
{
    const ptrdiff_t unit = sizeof(T);
    const int contiguous = xs == unit && ys == unit && (!z || zs == unit);
    T x_buffer[BUFFER], y_buffer[BUFFER], z_buffer[BUFFER];
    fp_state state = fp_enter();
    for (size_t i = 0, m = n; i < n; i += m) {
        map_operands o = {function, y, z};
        const T *from = x;
        if (!contiguous) {
            m = min_size(BUFFER, n - i);
            gather(x_buffer, 1, (const char *)x + (ptrdiff_t)i * xs, xs, m, 0, 0);
            o = (map_operands){function, y_buffer, z ? z_buffer : NULL};
            from = x_buffer;
        }
        in_groups(map_step, &o, from, m, vectors);
        if (!contiguous) {
            scatter((char *)y + (ptrdiff_t)i * ys, ys, y_buffer, 1, m, 0, 0);
            if (z)
                scatter((char *)z + (ptrdiff_t)i * zs, zs, z_buffer, 1, m, 0, 0);
        }
    }
    fp_leave(state);
}

#endif
