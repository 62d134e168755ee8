/* AVX-512 F, DQ, BW, VL: 16 floats or 8 doubles a vector, masks in registers of their own. */
#include <immintrin.h>

enum { VL = 64 / sizeof(T), VF_FUSED = 1 };

#if DTYPE == 32
typedef __m512 vf;
typedef __mmask16 vm;
#define OP(op) _mm512_##op##_ps
#define OPI(op) _mm512_##op##_epi32
#define OPM(op) _mm512_##op##_ps_mask
#define VF_BITS _mm512_castps_si512
#define VF_FROM_BITS _mm512_castsi512_ps
#else
typedef __m512d vf;
typedef __mmask8 vm;
#define OP(op) _mm512_##op##_pd
#define OPI(op) _mm512_##op##_epi64
#define OPM(op) _mm512_##op##_pd_mask
#define VF_BITS _mm512_castpd_si512
#define VF_FROM_BITS _mm512_castsi512_pd
#endif
#define VF_LANES(n) ((vm)((1u << (n)) - 1)) /* n < VL */

#define vf_set OP(set1)
#define vf_load OP(loadu)
#define vf_store OP(storeu)
#define vf_stream OP(stream) /* past the caches; aligned to a vector; vf_stream_end() after the last */
#define vf_stream_end _mm_sfence
#define vf_add OP(add)
#define vf_sub OP(sub)
#define vf_mul OP(mul)
#define vf_div OP(div)
#define vf_fma OP(fmadd)   /*  a*b + c */
#define vf_fnma OP(fnmadd) /* -a*b + c */
#define vf_max OP(max)     /* a > b ? a : b, so b where one of them is NaN */
#define vf_min OP(min)     /* a < b ? a : b */
#define vf_abs OP(abs)
#define vf_minus_abs(a) OP(or)(vf_set((T)-0.0), a)
#define vf_lt(a, b) OPM(cmp)(a, b, _CMP_LT_OQ)
#define vf_eq(a, b) OPM(cmp)(a, b, _CMP_EQ_OQ)
#define vf_ne(a, b) OPM(cmp)(a, b, _CMP_NEQ_UQ)
#define vf_not_ge(a, b) OPM(cmp)(a, b, _CMP_NGE_UQ)
#define vf_select(m, a, b) OP(mask_blend)(m, b, a)
#define vf_keep(m, a) OP(maskz_mov)(m, a)            /* a where m, else 0 */
#define vf_drop(m, a) OP(maskz_mov)((vm) ~(m), a) /* 0 where m, else a */
#define vf_add_where(m, a, b) OP(mask_add)(a, m, a, b) /* a + b where m, else a */
#define vm_and(a, b) ((vm)((a) & (b)))
#define vm_any(m) ((m) != 0)


/* a with the bits of t, shifted left by n, added to its own */
#define vf_add_bits(a, t, n) VF_FROM_BITS(OPI(add)(VF_BITS(a), OPI(slli)(VF_BITS(t), n)))

/* one of 8 numbers, by the low bits of t */
static inline vf vf_lookup(const T *table, vf t)
{
#if DTYPE == 32
    return _mm512_permutexvar_ps(VF_BITS(t), _mm512_broadcast_f32x8(_mm256_loadu_ps(table)));
#else
    return _mm512_permutexvar_pd(VF_BITS(t), vf_load(table));
#endif
}

/* the difference of the bits, as integers */
#define vf_sub_bits(a, b) VF_FROM_BITS(OPI(sub)(VF_BITS(a), VF_BITS(b)))

/* the first n lanes of memory, `fill` in the rest; reads no other byte */
static inline vf vf_load_n(const T *p, size_t n, vf fill)
{
    return n >= VL ? vf_load(p) : OP(mask_loadu)(fill, VF_LANES(n), p);
}

static inline void vf_store_n(T *p, vf a, size_t n)
{
    if (n >= VL)
        vf_store(p, a);
    else
        OP(mask_storeu)(p, VF_LANES(n), a);
}

/* the largest lane; no NaN */
#define vf_largest OP(reduce_max)

/* the rows of a square become its columns */
static inline void vf_transpose(vf *v)
{
    vf a[VL], b[VL];
    UNROLL for (int i = 0; i < VL; i += 2) {
        a[i] = OP(unpacklo)(v[i], v[i + 1]);
        a[i + 1] = OP(unpackhi)(v[i], v[i + 1]);
    }
#if DTYPE == 32
    UNROLL for (int i = 0; i < VL; i += 4)
        UNROLL for (int j = 0; j < 2; j++) {
            __m512d low = _mm512_castps_pd(a[i + j]), high = _mm512_castps_pd(a[i + j + 2]);
            b[i + 2 * j] = _mm512_castpd_ps(_mm512_unpacklo_pd(low, high));
            b[i + 2 * j + 1] = _mm512_castpd_ps(_mm512_unpackhi_pd(low, high));
        }
    enum { QUARTER = 4 };
#define SHUFFLE_QUARTERS _mm512_shuffle_f32x4
#else
    UNROLL for (int i = 0; i < VL; i++)
        b[i] = a[i];
    enum { QUARTER = 2 };
#define SHUFFLE_QUARTERS _mm512_shuffle_f64x2
#endif
    UNROLL for (int j = 0; j < QUARTER; j++) {
        vf even_low = SHUFFLE_QUARTERS(b[j], b[QUARTER + j], 0x88);
        vf odd_low = SHUFFLE_QUARTERS(b[j], b[QUARTER + j], 0xdd);
        vf even_high = SHUFFLE_QUARTERS(b[2 * QUARTER + j], b[3 * QUARTER + j], 0x88);
        vf odd_high = SHUFFLE_QUARTERS(b[2 * QUARTER + j], b[3 * QUARTER + j], 0xdd);
        v[j] = SHUFFLE_QUARTERS(even_low, even_high, 0x88);
        v[QUARTER + j] = SHUFFLE_QUARTERS(odd_low, odd_high, 0x88);
        v[2 * QUARTER + j] = SHUFFLE_QUARTERS(even_low, even_high, 0xdd);
        v[3 * QUARTER + j] = SHUFFLE_QUARTERS(odd_low, odd_high, 0xdd);
    }
}

#if DTYPE == 32
/* float labels are summed in double: each half of a vf is a vd */
typedef __m512d vd;
enum { VD = 8 };
#define vd_set _mm512_set1_pd
#define vd_fma _mm512_fmadd_pd
#define vd_low(a) _mm512_cvtps_pd(_mm512_castps512_ps256(a))
#define vd_high(a) _mm512_cvtps_pd(_mm512_extractf32x8_ps(a, 1))

#endif

#include "x86_fpstate.h"
