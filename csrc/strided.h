/* Elements of any stride and storage, to and from contiguous memory. */
#ifndef SL_STRIDED_H
#define SL_STRIDED_H

#include "kernel.h"

/* Elements a buffer holds: 4 KiB of doubles, so that an input and two outputs stay in L1. */
enum { BUFFER = 512 };

/* Of ops.def, since the ufuncs use them, too. Halves want the floating-point state of fp_enter. */
#define gather FN(gather)
#define scatter FN(scatter)

#endif
