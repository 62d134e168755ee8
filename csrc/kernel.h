/* All that a kernel file includes first: its dtype T, its symbol names FN(name), and the vectors of its instruction
   set. Compiled with -DISA=<portable|avx2|avx512|neon> -DDTYPE=<32|64>. */
#ifndef SL_KERNEL_H
#define SL_KERNEL_H

#include <float.h>
#include <math.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "ops.h"
#include "sum.h"

#if DTYPE == 32
typedef float T;
typedef int32_t IT; /* an integer of its size */
enum { SIGNIFICAND_BITS = 23 };
#define MAX_T FLT_MAX
#else
typedef double T;
typedef int64_t IT;
enum { SIGNIFICAND_BITS = 52 };
#define MAX_T DBL_MAX
#endif

/* Loops over memory ask for what is so many bytes ahead: beyond the page where the prefetchers of processors end, and
   as far as the third level of caches takes to answer. It goes to the second: in the first it would take the place of
   what is in use. */
enum { AHEAD = 16384 };
#define fetch_to_read(p, ahead) __builtin_prefetch((const char *)(p) + (ahead), 0, 2)
#define fetch_to_write(p, ahead) __builtin_prefetch((const char *)(p) + (ahead), 1, 2)

/* Loops over vectors in registers must be unrolled, or the vectors live in memory. */
#define UNROLL _Pragma("GCC unroll 16")

/* Rows are turned into columns by squares of so many rows and columns: 16 bytes of each row. */
enum { SQUARE = 16 / sizeof(T) };

#define SL_PASTE_(name, bits, isa) sl_##name##_f##bits##_##isa
#define SL_PASTE(name, bits, isa) SL_PASTE_(name, bits, isa)
#define FN(name) SL_PASTE(name, DTYPE, ISA)

#define SL_HEADER_(isa) SL_STRING(simd/isa.h)
#define SL_STRING(path) #path
#define SL_HEADER(isa) SL_HEADER_(isa)
#include SL_HEADER(ISA)

/* a 2^k where k is the low bits of t's significand, as rounding by a large constant leaves it there; the result is
   normal */
static inline vf vf_times_pow2(vf a, vf t) { return vf_add_bits(a, t, SIGNIFICAND_BITS); }

#define X(name, args) void FN(name) args;
#include "ops.def"
#undef X

/* Sums run in this many lanes (128 bytes of T) whatever the width of a vector, and are folded in one order, so that
   every instruction set with fma gives the same bytes. */
enum { LANES = 128 / sizeof(T) };

/* Whether vectors are those of AVX-512, of which there are 32. For all others loops are cut to fit 16 registers. */
enum { MANY_REGISTERS = sizeof(vf) == 64 };

/* Rows taken together, at most: each step of theirs waits for the one before, so there should be something else to do.
   A multiple of LANES. */
enum { ROWS = 64 };

/* For arrays of lanes and rows: no vector of theirs crosses a cache line. */
enum { CACHE_LINE = 64 };
#define ALIGNED _Alignas(CACHE_LINE)

#define ALWAYS_INLINE static inline __attribute__((always_inline))

static inline size_t min_size(size_t a, size_t b) { return a < b ? a : b; }

/* The exact sum of two doubles, whichever is larger, as a rounded sum and what it lost (Knuth, TAOCP 2, 4.2.2). */
static inline void two_sum(double a, double b, double *sum, double *lost)
{
    double s = a + b, b_in_s = s - a;
    *lost = (a - (s - b_in_s)) + (b - b_in_s);
    *sum = s;
}

#endif
