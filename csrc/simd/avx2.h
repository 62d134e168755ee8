/* AVX2 + FMA: 8 floats or 4 doubles a vector. The two differ by a suffix, so they are one macro. */
#include <immintrin.h>

enum { VL = 32 / sizeof(T), VF_FUSED = 1 };

#if DTYPE == 32
typedef __m256 vf;
#define OP(op) _mm256_##op##_ps
#define OPI(op) _mm256_##op##_epi32
#define VF_BITS _mm256_castps_si256
#define VF_FROM_BITS _mm256_castsi256_ps
#define VF_LANES(n) _mm256_cmpgt_epi32(_mm256_set1_epi32((int)(n)), _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7))
#else
typedef __m256d vf;
#define OP(op) _mm256_##op##_pd
#define OPI(op) _mm256_##op##_epi64
#define VF_BITS _mm256_castpd_si256
#define VF_FROM_BITS _mm256_castsi256_pd
#define VF_LANES(n) _mm256_cmpgt_epi64(_mm256_set1_epi64x((long long)(n)), _mm256_setr_epi64x(0, 1, 2, 3))
#endif

/* A mask is a vector of all-ones and all-zeros lanes. */
typedef vf vm;

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
#define vf_abs(a) OP(andnot)(vf_set((T)-0.0), a)
#define vf_minus_abs(a) OP(or)(vf_set((T)-0.0), a)
#define vf_lt(a, b) OP(cmp)(a, b, _CMP_LT_OQ)
#define vf_eq(a, b) OP(cmp)(a, b, _CMP_EQ_OQ)
#define vf_select(m, a, b) OP(blendv)(b, a, m)
#define vf_keep(m, a) OP(and)(m, a)    /* a where m, else 0 */
#define vf_drop(m, a) OP(andnot)(m, a) /* 0 where m, else a */
#define vm_and OP(and)
#define vm_any(m) (OP(movemask)(m) != 0)

/* 2^k where k is the low bits of t's significand, as rounding by a large constant leaves it there */
static inline vf vf_pow2(vf t)
{
    return VF_FROM_BITS(OPI(add)(OPI(slli)(VF_BITS(t), SIGNIFICAND_BITS), VF_BITS(vf_set(1))));
}

/* a 2^k, k as in vf_pow2; a is a power of two, the result normal */
static inline vf vf_times_pow2(vf a, vf t)
{
    return VF_FROM_BITS(OPI(add)(OPI(slli)(VF_BITS(t), SIGNIFICAND_BITS), VF_BITS(a)));
}

/* the difference of the bits, as integers */
#define vf_sub_bits(a, b) VF_FROM_BITS(OPI(sub)(VF_BITS(a), VF_BITS(b)))

/* table[low 3 bits of t] */
static inline vf vf_lookup8(const T *table, vf t)
{
#if DTYPE == 32
    return _mm256_permutevar8x32_ps(_mm256_loadu_ps(table), VF_BITS(t));
#else
    __m256i bits = VF_BITS(t), twice = _mm256_slli_epi32(_mm256_shuffle_epi32(bits, 0xa0), 1);
    __m256i halves = _mm256_or_si256(twice, _mm256_set1_epi64x(1ll << 32));
    __m256 low = _mm256_permutevar8x32_ps(_mm256_castpd_ps(_mm256_loadu_pd(table)), halves);
    __m256 high = _mm256_permutevar8x32_ps(_mm256_castpd_ps(_mm256_loadu_pd(table + 4)), halves);
    return vf_select(VF_FROM_BITS(_mm256_slli_epi64(bits, 61)), _mm256_castps_pd(high), _mm256_castps_pd(low));
#endif
}

/* the first n lanes of memory, `fill` in the rest; reads no other byte */
static inline vf vf_load_n(const T *p, size_t n, vf fill)
{
    if (n >= VL)
        return vf_load(p);
    __m256i lanes = VF_LANES(n);
    return vf_select(VF_FROM_BITS(lanes), OP(maskload)(p, lanes), fill);
}

static inline void vf_store_n(T *p, vf a, size_t n)
{
    if (n >= VL)
        vf_store(p, a);
    else
        OP(maskstore)(p, VF_LANES(n), a);
}

/* the largest lane; no NaN */
static inline T vf_largest(vf a)
{
#if DTYPE == 32
    __m128 m = _mm_max_ps(_mm256_castps256_ps128(a), _mm256_extractf128_ps(a, 1));
    m = _mm_max_ps(m, _mm_movehl_ps(m, m));
    return _mm_cvtss_f32(_mm_max_ss(m, _mm_movehdup_ps(m)));
#else
    __m128d m = _mm_max_pd(_mm256_castpd256_pd128(a), _mm256_extractf128_pd(a, 1));
    return _mm_cvtsd_f64(_mm_max_sd(m, _mm_unpackhi_pd(m, m)));
#endif
}

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
            b[i + 2 * j] = _mm256_shuffle_ps(a[i + j], a[i + j + 2], 0x44);
            b[i + 2 * j + 1] = _mm256_shuffle_ps(a[i + j], a[i + j + 2], 0xee);
        }
#else
    UNROLL for (int i = 0; i < VL; i++)
        b[i] = a[i];
#endif
    UNROLL for (int i = 0; i < VL / 2; i++) {
        v[i] = OP(permute2f128)(b[i], b[i + VL / 2], 0x20);
        v[i + VL / 2] = OP(permute2f128)(b[i], b[i + VL / 2], 0x31);
    }
}

#if DTYPE == 32
/* float rows are summed in double: each half of a vf is a vd */
typedef __m256d vd, vdm;
enum { VD = 4 };
#define vd_set _mm256_set1_pd
#define vd_load _mm256_loadu_pd
#define vd_store _mm256_storeu_pd
#define vd_add _mm256_add_pd
#define vd_sub _mm256_sub_pd
#define vd_max _mm256_max_pd
#define vd_fma _mm256_fmadd_pd
#define vd_fnma _mm256_fnmadd_pd
#define vd_eq(a, b) _mm256_cmp_pd(a, b, _CMP_EQ_OQ)
#define vd_add_where(m, a, b) _mm256_add_pd(a, _mm256_and_pd(m, b))     /* a + b where m, else a */
#define vd_add_unless(m, a, b) _mm256_add_pd(a, _mm256_andnot_pd(m, b)) /* a where m, else a + b */
#define vd_low(a) _mm256_cvtps_pd(_mm256_castps256_ps128(a))
#define vd_high(a) _mm256_cvtps_pd(_mm256_extractf128_ps(a, 1))

/* upper and lower half, quarter and so on are added */
static inline double vd_sum(vd a)
{
    __m128d pair = _mm_add_pd(_mm256_castpd256_pd128(a), _mm256_extractf128_pd(a, 1));
    return _mm_cvtsd_f64(_mm_add_sd(pair, _mm_unpackhi_pd(pair, pair)));
}

#define vf_from_halves(low, high) _mm256_set_m128(_mm256_cvtpd_ps(high), _mm256_cvtpd_ps(low))

/* a 2^k, k being the low bits of t's significand; the result is normal */
static inline vd vd_times_pow2(vd a, vd t)
{
    return _mm256_castsi256_pd(_mm256_add_epi64(_mm256_castpd_si256(a), _mm256_slli_epi64(_mm256_castpd_si256(t), 52)));
}
#endif

#include "x86_fpstate.h"
