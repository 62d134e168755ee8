/* Any machine: the 16-byte vectors of GNU C (gcc, clang), which become SSE2, NEON, VSX or plain scalars.
   No fused multiply-add: vf_fma rounds twice, and vmath.h reduces arguments without relying on it. */
#include <string.h>

enum { VL = 16 / sizeof(T), VF_FUSED = 0, VF_STREAMS = 0 };

#if DTYPE == 32
typedef float vf __attribute__((vector_size(16)));
typedef int32_t vm __attribute__((vector_size(16)));
typedef uint32_t vu __attribute__((vector_size(16)));
#else
typedef double vf __attribute__((vector_size(16)));
typedef int64_t vm __attribute__((vector_size(16)));
typedef uint64_t vu __attribute__((vector_size(16)));
#endif

static inline vf vf_set(T a) { return a - (vf){0}; }

static inline vf vf_load(const T *p)
{
    vf a;
    memcpy(&a, p, sizeof a);
    return a;
}

static inline void vf_store(T *p, vf a) { memcpy(p, &a, sizeof a); }
#define vf_stream vf_store /* GNU C has no store past the caches */
#define vf_stream_end() ((void)0)

#define vf_add(a, b) ((a) + (b))
#define vf_sub(a, b) ((a) - (b))
#define vf_mul(a, b) ((a) * (b))
#define vf_div(a, b) ((a) / (b))
#define vf_fma(a, b, c) ((a) * (b) + (c))
#define vf_fnma(a, b, c) ((c) - (a) * (b))
#define vf_lt(a, b) ((vm)((a) < (b)))
#define vf_eq(a, b) ((vm)((a) == (b)))
#define vf_not_gt(a, b) (~(vm)((a) > (b)))
#define vf_not_ge(a, b) (~(vm)((a) >= (b)))
#define vf_keep(m, a) ((vf)((m) & (vm)(a)))  /* a where m, else 0 */
#define vf_drop(m, a) ((vf)(~(m) & (vm)(a))) /* 0 where m, else a */
#define vf_add_where(m, a, b) vf_add(a, vf_keep(m, b)) /* a + b where m, else a */

static inline vf vf_select(vm m, vf a, vf b) { return (vf)((m & (vm)a) | (~m & (vm)b)); }
static inline vf vf_max(vf a, vf b) { return vf_select((vm)(a > b), a, b); } /* b where one of them is NaN */
static inline vf vf_min(vf a, vf b) { return vf_select((vm)(a < b), a, b); }
#define vf_min_beside(max, a, b) vf_min(a, b) /* where max is the larger of both */
static inline vf vf_minus_abs(vf a) { return (vf)((vm)a | (vm)vf_set((T)-0.0)); }
static inline vf vf_abs(vf a) { return vf_drop((vm)vf_set((T)-0.0), a); }

static inline int vm_any(vm m)
{
    uint64_t half[2];
    memcpy(half, &m, sizeof half);
    return (half[0] | half[1]) != 0;
}

/* how many lanes */
static inline int vm_count(vm m)
{
    int n = 0;
    for (int i = 0; i < VL; i++)
        n -= (int)m[i];
    return n;
}


/* a with the bits of t, shifted left by n, added to its own */
#define vf_add_bits(a, t, n) ((vf)((vu)(a) + ((vu)(t) << (n))))

/* one of 8 numbers, by the low bits of t */
static inline vf vf_lookup(const T *table, vf t)
{
    vu j = (vu)t & 7;
    vf a;
    for (int i = 0; i < VL; i++)
        a[i] = table[j[i]];
    return a;
}

/* the difference of the bits, as integers */
#define vf_sub_bits(a, b) ((vf)((vu)(a) - (vu)(b)))

/* the first n lanes of memory, `fill` in the rest; reads no other byte */
static inline vf vf_load_n(const T *p, size_t n, vf fill)
{
    if (n >= VL)
        return vf_load(p);
    for (size_t i = 0; i < n; i++)
        fill[i] = p[i];
    return fill;
}

static inline void vf_store_n(T *p, vf a, size_t n)
{
    if (n >= VL)
        vf_store(p, a);
    else
        for (size_t i = 0; i < n; i++)
            p[i] = a[i];
}

/* the largest lane; no NaN */
static inline T vf_largest(vf a)
{
    T largest = a[0];
    for (int i = 1; i < VL; i++)
        largest = a[i] > largest ? a[i] : largest;
    return largest;
}

/* lanes by their numbers, modulo VL */
typedef vm vi;
#if DTYPE == 32
static const vi lane_numbers = {0, 1, 2, 3};
#else
static const vi lane_numbers = {0, 1};
#endif
static inline vf vf_permute(vf a, vi numbers)
{
    vf b;
    for (int i = 0; i < VL; i++)
        b[i] = a[numbers[i] & (VL - 1)];
    return b;
}

/* every n-th unit of lanes of a from the first-th on, the others of b */
#define vf_choose_every(n, first, unit, a, b) vf_select((vm)(lane_numbers / (unit) % (n) == (first)), a, b)

/* n elements of a row from column c */
static inline vf vf_load_rows(const T *const *row, size_t c, size_t n) { return vf_load_n(row[0] + c, n, vf_set(0)); }

/* the same to memory, if there is a row */
static inline void vf_store_rows(T *const *row, size_t rows, size_t c, vf a, size_t n)
{
    if (rows > 0)
        vf_store_n(row[0] + c, a, n);
}

/* the rows of a square become its columns */
static inline void vf_transpose(vf *v)
{
    vf a[VL];
    for (int i = 0; i < VL; i++)
        for (int j = 0; j < VL; j++)
            a[i][j] = v[j][i];
    memcpy(v, a, sizeof a);
}

/* the same with parts of 16 bytes for elements */
#define vf_transpose_parts(v) ((void)(v))

/* the even lanes of v[0] and v[1], then the odd ones */
static inline void vf_unzip(vf *v)
{
    vf a[2];
    for (int i = 0; i < 2 * VL; i++)
        a[i % 2][i / 2] = v[i / VL][i % VL];
    memcpy(v, a, sizeof a);
}

/* the other way */
static inline void vf_zip(vf *v)
{
    vf a[2];
    for (int i = 0; i < 2 * VL; i++)
        a[i / VL][i % VL] = v[i % 2][i / 2];
    memcpy(v, a, sizeof a);
}

#if DTYPE == 32
/* doubles of floats; each half of a vf is a vd */
typedef double vd __attribute__((vector_size(16)));
typedef float vd_narrow __attribute__((vector_size(8)));
enum { VD = 2 };

static inline vd vd_set(double a) { return a - (vd){0}; }

#define vd_fma(a, b, c) ((a) * (b) + (c))
#define vd_widen(a) __builtin_convertvector(a, vd)
#define vd_low(a) ((vd){(double)(a)[0], (double)(a)[1]})
#define vd_high(a) ((vd){(double)(a)[2], (double)(a)[3]})
#endif

#include "fenv_fpstate.h"
