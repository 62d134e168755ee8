/* AVX2 + FMA + F16C: 8 floats or 4 doubles a vector. The two differ by a suffix, so they are one macro. */
#include <immintrin.h>

enum { VL = 32 / sizeof(T), VF_FUSED = 1, VF_STREAMS = 1 };

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
#define vf_min_beside(max, a, b) vf_min(a, b) /* where max is the larger of both */
#define vf_abs(a) OP(andnot)(vf_set((T)-0.0), a)
#define vf_minus_abs(a) OP(or)(vf_set((T)-0.0), a)
#define vf_lt(a, b) OP(cmp)(a, b, _CMP_LT_OQ)
#define vf_eq(a, b) OP(cmp)(a, b, _CMP_EQ_OQ)
#define vf_not_gt(a, b) OP(cmp)(a, b, _CMP_NGT_UQ)
#define vf_not_ge(a, b) OP(cmp)(a, b, _CMP_NGE_UQ)
#define vf_select(m, a, b) OP(blendv)(b, a, m)
#define vf_keep(m, a) OP(and)(m, a)    /* a where m, else 0 */
#define vf_drop(m, a) OP(andnot)(m, a) /* 0 where m, else a */
#define vf_add_where(m, a, b) vf_add(a, vf_keep(m, b)) /* a + b where m, else a */
#define vm_any(m) (OP(movemask)(m) != 0)
#define vm_count(m) __builtin_popcount((unsigned)OP(movemask)(m))


/* a with the bits of t, shifted left by n, added to its own */
#define vf_add_bits(a, t, n) VF_FROM_BITS(OPI(add)(VF_BITS(a), OPI(slli)(VF_BITS(t), n)))

/* one of 8 numbers, by the low bits of t */
static inline vf vf_lookup(const T *table, vf t)
{
#if DTYPE == 32
    return _mm256_permutevar8x32_ps(vf_load(table), VF_BITS(t));
#else
    /* Low and high halves of the numbers are looked up apart. */
    __m256 a = _mm256_loadu_ps((const float *)table), b = _mm256_loadu_ps((const float *)table + 8);
    __m256d low = _mm256_castps_pd(_mm256_shuffle_ps(a, b, 0x88));
    __m256d high = _mm256_castps_pd(_mm256_shuffle_ps(a, b, 0xdd));
    __m256i l = _mm256_permutevar8x32_epi32(VF_BITS(_mm256_permute4x64_pd(low, 0xd8)), VF_BITS(t));
    __m256i h = _mm256_permutevar8x32_epi32(VF_BITS(_mm256_permute4x64_pd(high, 0xd8)), VF_BITS(t));
    return VF_FROM_BITS(_mm256_blend_epi32(l, _mm256_slli_epi64(h, 32), 0xaa));
#endif
}

/* the difference of the bits, as integers */
#define vf_sub_bits(a, b) VF_FROM_BITS(OPI(sub)(VF_BITS(a), VF_BITS(b)))

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

/* lanes by their numbers, modulo VL */
typedef IT vi __attribute__((vector_size(32)));
#if DTYPE == 32
static const vi lane_numbers = {0, 1, 2, 3, 4, 5, 6, 7};
#define vf_permute(a, numbers) _mm256_permutevar8x32_ps(a, (__m256i)(numbers))
#else
static const vi lane_numbers = {0, 1, 2, 3};
static inline vf vf_permute(vf a, vi numbers)
{
    const vi halves = (numbers * 2 & 7) * ((1LL << 32) + 1) + (1LL << 32); /* of 4 bytes each */
    return _mm256_castps_pd(_mm256_permutevar8x32_ps(_mm256_castpd_ps(a), (__m256i)halves));
}
#endif

/* every n-th unit of lanes of a from the first-th on, the others of b */
#define vf_choose_every(n, first, unit, a, b) vf_select((vm)(lane_numbers / (unit) % (n) == (first)), a, b)

#include "x86_squares.h"
#if DTYPE == 32
#define FROM_PART _mm256_castps128_ps256
#else
#define FROM_PART _mm256_castpd128_pd256
#endif

/* n elements each of every SQUARE-th row, from column c */
static inline vf vf_load_rows(const T *const *row, size_t c, size_t n)
{
    return OP(insertf128)(FROM_PART(part_load(row[0] + c, n)), part_load(row[SQUARE] + c, n), 1);
}

/* the same to memory, of those of the first `rows` */
static inline void vf_store_rows(T *const *row, size_t rows, size_t c, vf a, size_t n)
{
    if (rows > 0)
        part_store(row[0] + c, OP(extractf128)(a, 0), n);
    if (rows > SQUARE)
        part_store(row[SQUARE] + c, OP(extractf128)(a, 1), n);
}

/* the rows of each square become its columns */
static inline void vf_transpose(vf *v)
{
    vf a[SQUARE];
    UNROLL for (int i = 0; i < SQUARE; i += 2) {
        a[i] = OP(unpacklo)(v[i], v[i + 1]);
        a[i + 1] = OP(unpackhi)(v[i], v[i + 1]);
    }
#if DTYPE == 32
    UNROLL for (int i = 0; i < 2; i++) {
        v[2 * i] = OP(shuffle)(a[i], a[i + 2], 0x44);
        v[2 * i + 1] = OP(shuffle)(a[i], a[i + 2], 0xee);
    }
#else
    v[0] = a[0];
    v[1] = a[1];
#endif
}

/* the same with parts of 16 bytes for elements */
static inline void vf_transpose_parts(vf *v)
{
    vf low = OP(permute2f128)(v[0], v[1], 0x20), high = OP(permute2f128)(v[0], v[1], 0x31);
    v[0] = low;
    v[1] = high;
}

/* the even lanes of v[0] and v[1], then the odd ones */
static inline void vf_unzip(vf *v)
{
#if DTYPE == 32
    __m256d even = _mm256_castps_pd(OP(shuffle)(v[0], v[1], 0x88));
    __m256d odd = _mm256_castps_pd(OP(shuffle)(v[0], v[1], 0xdd));
    v[0] = _mm256_castpd_ps(_mm256_permute4x64_pd(even, 0xd8));
    v[1] = _mm256_castpd_ps(_mm256_permute4x64_pd(odd, 0xd8));
#else
    vf odd = OP(unpackhi)(v[0], v[1]);
    v[0] = OP(permute4x64)(OP(unpacklo)(v[0], v[1]), 0xd8);
    v[1] = OP(permute4x64)(odd, 0xd8);
#endif
}

/* the other way */
static inline void vf_zip(vf *v)
{
    vf high = OP(unpackhi)(v[0], v[1]);
    v[0] = OP(unpacklo)(v[0], v[1]);
    v[1] = high;
    vf_transpose_parts(v);
}

#if DTYPE == 32
/* doubles of floats; each half of a vf is a vd */
typedef __m256d vd;
typedef __m128 vd_narrow;
enum { VD = 4 };
#define vd_set _mm256_set1_pd
#define vd_fma _mm256_fmadd_pd
#define vd_widen _mm256_cvtps_pd
#define vd_low(a) vd_widen(_mm256_castps256_ps128(a))
#define vd_high(a) vd_widen(_mm256_extractf128_ps(a, 1))

/* VL halves, in memory of any alignment */
#define VF_HALVES 1
#define vf_load_halves(p) _mm256_cvtph_ps(_mm_loadu_si128((const __m128i *)(p)))
#define vf_store_halves(p, a) _mm_storeu_si128((__m128i *)(p), _mm256_cvtps_ph(a, _MM_FROUND_TO_NEAREST_INT))

#endif

#include "x86_fpstate.h"
