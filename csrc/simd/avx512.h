/* AVX-512 F, DQ, BW, VL: 16 floats or 8 doubles a vector, masks in registers of their own. */
#include <immintrin.h>

enum { VL = 64 / sizeof(T), VF_FUSED = 1, VF_STREAMS = 1 };

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
#define vf_not_gt(a, b) OPM(cmp)(a, b, _CMP_NGT_UQ)
#define vf_not_ge(a, b) OPM(cmp)(a, b, _CMP_NGE_UQ)
#define vf_select(m, a, b) OP(mask_blend)(m, b, a)
#define vf_keep(m, a) VF_FROM_BITS(OPI(maskz_mov)(m, VF_BITS(a))) /* a where m, else 0; free after vf_add_bits */
#define vf_drop(m, a) OP(maskz_mov)((vm) ~(m), a) /* 0 where m, else a */
#define vf_add_where(m, a, b) OP(mask_add)(a, m, a, b) /* a + b where m, else a */
#define vm_any(m) ((m) != 0)
#define vm_count __builtin_popcount


/* min(a, b) where max is the larger of both: the bits that are not its, which need none of the units that compare */
#define vf_min_beside(max, a, b) VF_FROM_BITS(OPI(ternarylogic)(VF_BITS(max), VF_BITS(a), VF_BITS(b), 0x96))

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

/* lanes by their numbers, modulo VL */
typedef IT vi __attribute__((vector_size(64)));
#if DTYPE == 32
static const vi lane_numbers = {0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15};
#else
static const vi lane_numbers = {0, 1, 2, 3, 4, 5, 6, 7};
#endif
#define vf_permute(a, numbers) OP(permutexvar)((__m512i)(numbers), a)

/* every n-th unit of lanes of a from the first-th on, the others of b */
static inline vf vf_choose_every(int n, int first, int unit, vf a, vf b)
{
    unsigned lanes = 0;
    UNROLL for (int l = 0; l < VL; l++)
        lanes |= (unsigned)(l / unit % n == first) << l;
    return vf_select((vm)lanes, a, b);
}

#include "x86_squares.h"
#if DTYPE == 32
#define WITH_PART(a, b, i) _mm512_insertf32x4(a, b, i)
#define PART(a, i) _mm512_extractf32x4_ps(a, i)
#define FROM_PART _mm512_castps128_ps512
#define SHUFFLE_PARTS _mm512_shuffle_f32x4
#define EVEN_LANES _mm512_setr_epi32(0, 2, 4, 6, 8, 10, 12, 14, 16, 18, 20, 22, 24, 26, 28, 30)
#define ZIPPED_LANES _mm512_setr_epi32(0, 16, 1, 17, 2, 18, 3, 19, 4, 20, 5, 21, 6, 22, 7, 23)
#else
#define WITH_PART(a, b, i) _mm512_insertf64x2(a, b, i)
#define PART(a, i) _mm512_extractf64x2_pd(a, i)
#define FROM_PART _mm512_castpd128_pd512
#define SHUFFLE_PARTS _mm512_shuffle_f64x2
#define EVEN_LANES _mm512_setr_epi64(0, 2, 4, 6, 8, 10, 12, 14)
#define ZIPPED_LANES _mm512_setr_epi64(0, 8, 1, 9, 2, 10, 3, 11)
#endif

/* n elements each of every SQUARE-th row, from column c */
static inline vf vf_load_rows(const T *const *row, size_t c, size_t n)
{
    vf a = FROM_PART(part_load(row[0] + c, n));
    a = WITH_PART(a, part_load(row[SQUARE] + c, n), 1);
    a = WITH_PART(a, part_load(row[2 * SQUARE] + c, n), 2);
    return WITH_PART(a, part_load(row[3 * SQUARE] + c, n), 3);
}

/* the same to memory, of those of the first `rows` */
static inline void vf_store_rows(T *const *row, size_t rows, size_t c, vf a, size_t n)
{
    if (rows > 0)
        part_store(row[0] + c, PART(a, 0), n);
    if (rows > SQUARE)
        part_store(row[SQUARE] + c, PART(a, 1), n);
    if (rows > 2 * SQUARE)
        part_store(row[2 * SQUARE] + c, PART(a, 2), n);
    if (rows > 3 * SQUARE)
        part_store(row[3 * SQUARE] + c, PART(a, 3), n);
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
    vf even_low = SHUFFLE_PARTS(v[0], v[1], 0x88), even_high = SHUFFLE_PARTS(v[2], v[3], 0x88);
    vf odd_low = SHUFFLE_PARTS(v[0], v[1], 0xdd), odd_high = SHUFFLE_PARTS(v[2], v[3], 0xdd);
    v[0] = SHUFFLE_PARTS(even_low, even_high, 0x88);
    v[1] = SHUFFLE_PARTS(odd_low, odd_high, 0x88);
    v[2] = SHUFFLE_PARTS(even_low, even_high, 0xdd);
    v[3] = SHUFFLE_PARTS(odd_low, odd_high, 0xdd);
}

/* the lanes `first` of both to v[0], those `further` on to v[1] */
static inline void vf_pick(vf *v, __m512i first, int further)
{
    vf a = OP(permutex2var)(v[0], first, v[1]);
    v[1] = OP(permutex2var)(v[0], OPI(add)(first, OPI(set1)(further)), v[1]);
    v[0] = a;
}

/* the even lanes of v[0] and v[1], then the odd ones; and the other way */
#define vf_unzip(v) vf_pick(v, EVEN_LANES, 1)
#define vf_zip(v) vf_pick(v, ZIPPED_LANES, VL / 2)

/* to every second element from p */
#define VF_EVERY_SECOND 1
static inline void vf_store_every_second(T *p, vf a)
{
    vf twice[2] = {a, a};
    vf_zip(twice);
    OP(mask_storeu)(p, (vm)0x5555, twice[0]);
    OP(mask_storeu)(p + VL, (vm)0x5555, twice[1]);
}

#if DTYPE == 32
/* doubles of floats; each half of a vf is a vd */
typedef __m512d vd;
typedef __m256 vd_narrow;
enum { VD = 8 };
#define vd_set _mm512_set1_pd
#define vd_fma _mm512_fmadd_pd
#define vd_widen _mm512_cvtps_pd
#define vd_low(a) vd_widen(_mm512_castps512_ps256(a))
#define vd_high(a) vd_widen(_mm512_extractf32x8_ps(a, 1))

/* VL halves, in memory of any alignment */
#define VF_HALVES 1
#define vf_load_halves(p) _mm512_cvtph_ps(_mm256_loadu_si256((const __m256i *)(p)))
#define vf_store_halves(p, a) _mm256_storeu_si256((__m256i *)(p), _mm512_cvtps_ph(a, _MM_FROUND_TO_NEAREST_INT))

#endif

#include "x86_fpstate.h"
