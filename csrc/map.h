/* Elementwise functions over runs of any stride, through small buffers where they are not contiguous. */
#ifndef SL_MAP_H
#define SL_MAP_H

#include "strided.h"
#include "vmath.h"

/* A function is computed in two halves, and groups of vectors one beside the other: the exponentials of one, `begin`,
   while the one before has its `end`. From x to its log-sigmoid 25 operations of float32 wait for one another, too many
   for a processor to find enough to do between them by itself; and of more vectors in one half the registers do not
   hold all. How many make a group was found by measuring: the more registers a function takes, the fewer. */
enum { SIDE_BY_SIDE = 4 }; /* at most */

typedef struct {
    vf x;
    v_parts half;
} begun;

/* `far`: some |x| may be beyond MODERATE. Where none is, results are the same either way. */
typedef v_parts begin_step(vf x, int far);

/* Ends what was begun of `vectors` vectors, which begin at element i and hold n elements in all. Outputs may be inputs:
   all that it still needs of them is loaded before one is stored. */
typedef void end_step(const void *operands, size_t i, const begun *b, int vectors, size_t n, int far);

/* NaN is not far: it passes through either way. It must not hide those that are, so that the least is never NaN: it is
   the second operand. */
ALWAYS_INLINE int any_far(const begun *b, int vectors)
{
    vf lowest = vf_set(0);
    UNROLL for (int j = 0; j < vectors; j++)
        lowest = vf_min(vf_minus_abs(b[j].x), lowest);
    return vm_any(vf_lt(lowest, vf_set(-MODERATE)));
}

ALWAYS_INLINE int load_group(const T *x, begun *b, int vectors)
{
    UNROLL for (int j = 0; j < vectors; j++) {
        fetch_to_read(x + j * VL, AHEAD);
        b[j].x = vf_load(x + j * VL);
    }
    return any_far(b, vectors);
}

ALWAYS_INLINE void begin_group(begin_step *begin, begun *b, int vectors, int far)
{
    UNROLL for (int j = 0; j < vectors; j++)
        b[j].half = begin(b[j].x, far);
}

ALWAYS_INLINE void put_vector(T *y, vf v, size_t n)
{
    fetch_to_write(y, AHEAD);
    vf_store_n(y, v, n);
}

/* The groups from element i that are far, or not, up to one that differs, where there are any; returns where that
   begins. What only far elements need is in a loop of its own, or the registers it takes would cost the other. */
ALWAYS_INLINE size_t groups_alike(begin_step *begin, end_step *end, const void *operands, const T *x, size_t i,
                                  size_t n, int vectors, int far)
{
    const size_t group = (size_t)vectors * VL;
    begun now[SIDE_BY_SIDE], next[SIDE_BY_SIDE];
    if (i + group > n || load_group(x + i, now, vectors) != far)
        return i;
    begin_group(begin, now, vectors, far);
    for (; i + 2 * group <= n && load_group(x + i + group, next, vectors) == far; i += group) {
        end(operands, i, now, vectors, group, far);
        begin_group(begin, next, vectors, far);
        UNROLL for (int j = 0; j < vectors; j++)
            now[j] = next[j];
    }
    end(operands, i, now, vectors, group, far);
    return i + group;
}

ALWAYS_INLINE void in_groups(begin_step *begin, end_step *end, const void *operands, const T *x, size_t n, int vectors)
{
    size_t i = 0;
    while (i + (size_t)vectors * VL <= n) {
        i = groups_alike(begin, end, operands, x, i, n, vectors, 0);
        i = groups_alike(begin, end, operands, x, i, n, vectors, 1);
    }
    for (; i < n; i += VL) {
        begun last = {.x = vf_load_n(x + i, n - i, vf_set(0))};
        if (any_far(&last, 1)) {
            begin_group(begin, &last, 1, 1);
            end(operands, i, &last, 1, min_size(VL, n - i), 1);
        } else {
            begin_group(begin, &last, 1, 0);
            end(operands, i, &last, 1, min_size(VL, n - i), 0);
        }
    }
}

/* One or two functions of x. */
typedef struct {
    vf y, z;
} map_result;
typedef map_result map_end(vf x, v_parts half, int far);

typedef struct {
    map_end *end;
    T *y, *z; /* z may be NULL */
} map_operands;

ALWAYS_INLINE void map_step(const void *operands, size_t i, const begun *b, int vectors, size_t n, int far)
{
    const map_operands *o = operands;
    map_result r[SIDE_BY_SIDE];
    UNROLL for (int j = 0; j < vectors; j++)
        r[j] = o->end(b[j].x, b[j].half, far);
    UNROLL for (int j = 0; j < vectors; j++) {
        size_t at = (size_t)j * VL;
        put_vector(o->y + i + at, r[j].y, n - at);
        if (o->z)
            put_vector(o->z + i + at, r[j].z, n - at);
    }
}

/* The caller's floating-point state is put aside: results do not depend on it, and it is as before afterwards. */
ALWAYS_INLINE void map_strided(begin_step *begin, map_end *end, const T *x, ptrdiff_t xs, T *y, ptrdiff_t ys, T *z,
                               ptrdiff_t zs, size_t n, int vectors)
{
    const ptrdiff_t unit = sizeof(T);
    const int contiguous = xs == unit && ys == unit && (!z || zs == unit);
    T x_buffer[BUFFER], y_buffer[BUFFER], z_buffer[BUFFER];
    fp_state state = fp_enter();
    for (size_t i = 0, m = n; i < n; i += m) {
        map_operands o = {end, y, z};
        const T *from = x;
        if (!contiguous) {
            m = min_size(BUFFER, n - i);
            gather(x_buffer, 1, (const char *)x + (ptrdiff_t)i * xs, xs, m, 0, 0);
            o = (map_operands){end, y_buffer, z ? z_buffer : NULL};
            from = x_buffer;
        }
        in_groups(begin, map_step, &o, from, m, vectors);
        if (!contiguous) {
            scatter((char *)y + (ptrdiff_t)i * ys, ys, y_buffer, 1, m, 0, 0);
            if (z)
                scatter((char *)z + (ptrdiff_t)i * zs, zs, z_buffer, 1, m, 0, 0);
        }
    }
    fp_leave(state);
}

#endif
