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

static inline uint16_t half_bits(const char *p, int storage)
{
    uint16_t bits;
    memcpy(&bits, p, sizeof bits);
    return storage & SL_SWAPPED ? __builtin_bswap16(bits) : bits;
}

void gather(T *to, ptrdiff_t step, const char *from, ptrdiff_t stride, size_t n, int storage)
{
    if (storage & SL_HALF)
        for (size_t i = 0; i < n; i++, to += step, from += stride)
            *to = (T)sl_half_to_float(half_bits(from, storage));
    else if (storage & SL_SWAPPED)
        for (size_t i = 0; i < n; i++, to += step, from += stride)
            *to = swapped(from);
    else if (step == 1 && stride == sizeof(T))
        memcpy(to, from, n * sizeof(T));
    else if (step == 1 && stride == 2 * sizeof(T)) /* as real parts of complex numbers; vector code */
        for (size_t i = 0; i < n; i++)
            memcpy(to + i, from + i * (2 * sizeof(T)), sizeof(T));
    else
        for (size_t i = 0; i < n; i++, to += step, from += stride)
            memcpy(to, from, sizeof(T));
}

void scatter(char *to, ptrdiff_t stride, const T *from, ptrdiff_t step, size_t n, int storage)
{
    if (storage & SL_HALF)
        for (size_t i = 0; i < n; i++, to += stride, from += step) {
            uint16_t bits = sl_float_to_half((float)*from);
            memcpy(to, &bits, sizeof bits);
        }
    else if (step == 1 && stride == sizeof(T))
        memcpy(to, from, n * sizeof(T));
    else
        for (size_t i = 0; i < n; i++, to += stride, from += step)
            memcpy(to, from, sizeof(T));
}
