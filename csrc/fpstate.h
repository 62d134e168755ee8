/* fp_enter and fp_leave outside kernels, which have their instruction set's. */
#ifndef SL_FPSTATE_H
#define SL_FPSTATE_H

#ifdef __SSE2__
#include <emmintrin.h>

#include "simd/x86_fpstate.h"
#else
#include "simd/fenv_fpstate.h"
#endif

#endif
