/* The loops over strided elements, one for each way they may be stored. */
#include "strided.h"
#include "half.h"

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

ALWAYS_INLINE T read_one(const char *p, int storage)
{
    if (storage & SL_HALF) {
        uint16_t bits;
        memcpy(&bits, p, sizeof bits);
        return (T)sl_half_to_float(storage & SL_SWAPPED ? __builtin_bswap16(bits) : bits);
    }
    if (storage & SL_SWAPPED)
        return swapped(p);
    T x;
    memcpy(&x, p, sizeof x);
    return x;
}

ALWAYS_INLINE void write_one(char *p, T x, int storage)
{
    if (storage & SL_HALF) {
        uint16_t bits = sl_float_to_half((float)x);
        memcpy(p, &bits, sizeof bits);
    } else
        memcpy(p, &x, sizeof x);
}

ALWAYS_INLINE void read_all(T *to, ptrdiff_t step, const char *from, ptrdiff_t stride, size_t n, int storage)
{
    for (size_t i = 0; i < n; i++)
        to[(ptrdiff_t)i * step] = read_one(from + (ptrdiff_t)i * stride, storage);
}

ALWAYS_INLINE void write_all(char *to, ptrdiff_t stride, const T *from, ptrdiff_t step, size_t n, int storage)
{
    for (size_t i = 0; i < n; i++)
        write_one(to + (ptrdiff_t)i * stride, from[(ptrdiff_t)i * step], storage);
}

/* Neighbours in either order; where their distance is known the compiler makes vector code. */
ALWAYS_INLINE void gather_as(T *to, ptrdiff_t step, const char *from, ptrdiff_t stride, size_t n, int storage)
{
    const ptrdiff_t item = storage & SL_HALF ? 2 : (ptrdiff_t)sizeof(T);
    if (step == 1 && stride == item)
        read_all(to, 1, from, item, n, storage);
    else if (step == 1 && stride == -item)
        read_all(to, 1, from, -item, n, storage);
    else
        read_all(to, step, from, stride, n, storage);
}

ALWAYS_INLINE void scatter_as(char *to, ptrdiff_t stride, const T *from, ptrdiff_t step, size_t n, int storage)
{
    const ptrdiff_t item = storage & SL_HALF ? 2 : (ptrdiff_t)sizeof(T);
    if (step == 1 && stride == item)
        write_all(to, item, from, 1, n, storage);
    else if (step == 1 && stride == -item)
        write_all(to, -item, from, 1, n, storage);
    else
        write_all(to, stride, from, step, n, storage);
}

enum { NEXT_BUT_ONE = 2 * sizeof(T) };

/* Every second element, as the real parts of complex numbers; returns how many are done. The element behind the last
   one may be nobody's: it is not read, and those between are not written, not even with what they are. */
static size_t read_every_second(T *to, const char *from, size_t n, ptrdiff_t ahead)
{
    size_t i = 0;
    for (; i + VL < n; i += VL, from += VL * NEXT_BUT_ONE) {
        UNROLL for (int line = 0; line < VL * NEXT_BUT_ONE; line += CACHE_LINE)
            fetch_to_read(from + line, ahead);
        vf v[2] = {vf_load((const T *)from), vf_load((const T *)from + VL)};
        vf_unzip(v);
        vf_store(to + i, v[0]);
    }
    return i;
}

static size_t write_every_second(char *to, const T *from, size_t n, ptrdiff_t ahead)
{
    size_t i = 0;
    for (; i + VL <= n; i += VL, to += VL * NEXT_BUT_ONE) {
        UNROLL for (int line = 0; line < VL * NEXT_BUT_ONE; line += CACHE_LINE)
            fetch_to_write(to + line, ahead);
#ifdef VF_EVERY_SECOND
        vf_store_every_second((T *)to, vf_load(from + i));
#else
        UNROLL for (int j = 0; j < VL; j++)
            memcpy(to + j * NEXT_BUT_ONE, from + i + j, sizeof(T));
#endif
    }
    return i;
}

#ifdef VF_HALVES
/* Neighbouring halves by the processor's own conversions; returns how many are done. */
static size_t read_halves(T *to, const char *from, size_t n, ptrdiff_t ahead)
{
    size_t i = 0;
    for (; i + VL <= n; i += VL) {
        fetch_to_read(from + 2 * i, ahead);
        vf_store(to + i, vf_load_halves(from + 2 * i));
    }
    return i;
}

static size_t write_halves(char *to, const T *from, size_t n, ptrdiff_t ahead)
{
    size_t i = 0;
    for (; i + VL <= n; i += VL) {
        fetch_to_write(to + 2 * i, ahead);
        vf a = vf_load(from + i);
        vf_store_halves(to + 2 * i, vf_select(vf_eq(a, a), a, vf_set(NAN)));
    }
    return i;
}
#endif

void gather(T *to, ptrdiff_t step, const char *from, ptrdiff_t stride, size_t n, int storage, ptrdiff_t ahead)
{
    size_t done = 0;
    if (!storage && step == 1 && stride == NEXT_BUT_ONE)
        done = read_every_second(to, from, n, ahead);
#ifdef VF_HALVES
    if (storage == SL_HALF && step == 1 && stride == 2)
        done = read_halves(to, from, n, ahead);
#endif
    to += (ptrdiff_t)done * step;
    from += (ptrdiff_t)done * stride;
    n -= done;
    switch (storage) {
    case 0: gather_as(to, step, from, stride, n, 0); break;
    case SL_SWAPPED: gather_as(to, step, from, stride, n, SL_SWAPPED); break;
    case SL_HALF: gather_as(to, step, from, stride, n, SL_HALF); break;
    default: gather_as(to, step, from, stride, n, SL_HALF | SL_SWAPPED);
    }
}

void scatter(char *to, ptrdiff_t stride, const T *from, ptrdiff_t step, size_t n, int storage, ptrdiff_t ahead)
{
    size_t done = 0;
    if (!storage && step == 1 && stride == NEXT_BUT_ONE)
        done = write_every_second(to, from, n, ahead);
#ifdef VF_HALVES
    if (storage & SL_HALF && step == 1 && stride == 2)
        done = write_halves(to, from, n, ahead);
#endif
    to += (ptrdiff_t)done * stride;
    from += (ptrdiff_t)done * step;
    n -= done;
    if (storage & SL_HALF)
        scatter_as(to, stride, from, step, n, SL_HALF);
    else
        scatter_as(to, stride, from, step, n, 0);
}
