/* Elements of any stride and storage, to and from contiguous memory. */
#ifndef SL_STRIDED_H
#define SL_STRIDED_H

#include "kernel.h"

/* Elements a buffer holds: 4 KiB of doubles, so that an input and two outputs stay in L1. */
enum { BUFFER = 512 };

/* Compiled once for all kernels: strided.c. */
#define gather FN(gather)
#define scatter FN(scatter)

/* n elements of any storage and alignment, `stride` bytes apart, to memory `step` elements apart. */
void gather(T *to, ptrdiff_t step, const char *from, ptrdiff_t stride, size_t n, int storage);

/* The other way; not to swapped storage. */
void scatter(char *to, ptrdiff_t stride, const T *from, ptrdiff_t step, size_t n, int storage);

#endif
