/* AArch64 Advanced SIMD: 4 floats or 2 doubles a vector, fma always there. */
#include <arm_neon.h>

enum { VL = 16 / sizeof(T), VF_FUSED = 1, VF_STREAMS = 0 };

#if DTYPE == 32
typedef float32x4_t vf;
typedef uint32x4_t vm;
#define OP(op) op##q_f32
#define OPU(op) op##q_u32
#define OPN(op) op##q_n_u32
#define OPX(op) op##q_n_f32
#define VF_BITS vreinterpretq_u32_f32
#define VF_FROM_BITS vreinterpretq_f32_u32
#else
typedef float64x2_t vf;
typedef uint64x2_t vm;
#define OP(op) op##q_f64
#define OPU(op) op##q_u64
#define OPN(op) op##q_n_u64
#define OPX(op) op##q_n_f64
#define VF_BITS vreinterpretq_u64_f64
#define VF_FROM_BITS vreinterpretq_f64_u64
#endif

#define vf_set OPX(vdup)
#define vf_load OP(vld1)
#define vf_store OP(vst1)
#define vf_stream OP(vst1) /* ACLE has no store past the caches */
#define vf_stream_end() ((void)0)
#define vf_add OP(vadd)
#define vf_sub OP(vsub)
#define vf_mul OP(vmul)
#define vf_div OP(vdiv)
#define vf_fma(a, b, c) OP(vfma)(c, a, b)  /*  a*b + c */
#define vf_fnma(a, b, c) OP(vfms)(c, a, b) /* -a*b + c */
#define vf_abs OP(vabs)
#define vf_minus_abs(a) OP(vneg)(OP(vabs)(a))
#define vf_lt OP(vclt)
#define vf_eq OP(vceq)
#define vf_not_gt(a, b) ((vm)vmvnq_u8((uint8x16_t)OP(vcgt)(a, b)))
#define vf_not_ge(a, b) ((vm)vmvnq_u8((uint8x16_t)OP(vcge)(a, b)))
#define vf_select OP(vbsl)
#define vf_keep(m, a) VF_FROM_BITS(OPU(vand)(m, VF_BITS(a))) /* a where m, else 0 */
#define vf_drop(m, a) VF_FROM_BITS(OPU(vbic)(VF_BITS(a), m)) /* 0 where m, else a */
#define vf_add_where(m, a, b) vf_add(a, vf_keep(m, b)) /* a + b where m, else a */

/* b where one of them is NaN, as on x86 (vmaxq would give NaN) */
static inline vf vf_max(vf a, vf b) { return vf_select(OP(vcgt)(a, b), a, b); }
static inline vf vf_min(vf a, vf b) { return vf_select(OP(vclt)(a, b), a, b); }
#define vf_min_beside(max, a, b) vf_min(a, b) /* where max is the larger of both */

static inline int vm_any(vm m)
{
    uint64x2_t half = (uint64x2_t)m;
    return (vgetq_lane_u64(half, 0) | vgetq_lane_u64(half, 1)) != 0;
}

/* how many lanes */
static inline int vm_count(vm m) { return vaddvq_u8((uint8x16_t)m >> 7) / (int)sizeof(T); }


/* a with the bits of t, shifted left by n, added to its own */
#define vf_add_bits(a, t, n) VF_FROM_BITS(OPU(vadd)(VF_BITS(a), OPN(vshl)(VF_BITS(t), n)))

/* one of 8 numbers, by the low bits of t: for index j the sizeof(T) bytes from j sizeof(T); the lowest byte of an index
   is spread over its lane */
static inline vf vf_lookup(const T *table, vf t)
{
#if DTYPE == 32
    const uint8x16_t lane = {0, 0, 0, 0, 4, 4, 4, 4, 8, 8, 8, 8, 12, 12, 12, 12};
    const uint8x16_t byte = {0, 1, 2, 3, 0, 1, 2, 3, 0, 1, 2, 3, 0, 1, 2, 3};
    uint8x16x2_t bytes;
#else
    const uint8x16_t lane = {0, 0, 0, 0, 0, 0, 0, 0, 8, 8, 8, 8, 8, 8, 8, 8};
    const uint8x16_t byte = {0, 1, 2, 3, 4, 5, 6, 7, 0, 1, 2, 3, 4, 5, 6, 7};
    uint8x16x4_t bytes;
#endif
    memcpy(&bytes, table, sizeof bytes);
    uint8x16_t j = vandq_u8(vqtbl1q_u8((uint8x16_t)VF_BITS(t), lane), vdupq_n_u8(7));
    uint8x16_t i = vmlaq_u8(byte, j, vdupq_n_u8(sizeof(T)));
#if DTYPE == 32
    return (vf)vqtbl2q_u8(bytes, i);
#else
    return (vf)vqtbl4q_u8(bytes, i);
#endif
}

/* the difference of the bits, as integers */
#define vf_sub_bits(a, b) VF_FROM_BITS(OPU(vsub)(VF_BITS(a), VF_BITS(b)))

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
#define vf_largest OP(vmaxv)

/* lanes by their numbers, modulo VL; bytes by theirs */
typedef IT vi __attribute__((vector_size(16)));
#if DTYPE == 32
static const vi lane_numbers = {0, 1, 2, 3};
#define BYTES_OF(lanes) ((lanes) * 0x04040404 + 0x03020100)
#else
static const vi lane_numbers = {0, 1};
#define BYTES_OF(lanes) ((lanes) * 0x0808080808080808 + 0x0706050403020100)
#endif
static inline vf vf_permute(vf a, vi numbers)
{
    return (vf)vqtbl1q_u8((uint8x16_t)a, (uint8x16_t)BYTES_OF(numbers & (VL - 1)));
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
    UNROLL for (int i = 0; i < VL; i += 2) {
        a[i] = OP(vtrn1)(v[i], v[i + 1]);
        a[i + 1] = OP(vtrn2)(v[i], v[i + 1]);
    }
#if DTYPE == 32
    UNROLL for (int i = 0; i < 2; i++) {
        float64x2_t low = vreinterpretq_f64_f32(a[i]), high = vreinterpretq_f64_f32(a[i + 2]);
        v[i] = vreinterpretq_f32_f64(vtrn1q_f64(low, high));
        v[i + 2] = vreinterpretq_f32_f64(vtrn2q_f64(low, high));
    }
#else
    v[0] = a[0];
    v[1] = a[1];
#endif
}

/* the same with parts of 16 bytes for elements */
#define vf_transpose_parts(v) ((void)(v))

/* the even lanes of v[0] and v[1], then the odd ones */
static inline void vf_unzip(vf *v)
{
    vf odd = OP(vuzp2)(v[0], v[1]);
    v[0] = OP(vuzp1)(v[0], v[1]);
    v[1] = odd;
}

/* the other way */
static inline void vf_zip(vf *v)
{
    vf high = OP(vzip2)(v[0], v[1]);
    v[0] = OP(vzip1)(v[0], v[1]);
    v[1] = high;
}

#if DTYPE == 32
/* doubles of floats; each half of a vf is a vd */
typedef float64x2_t vd;
typedef float32x2_t vd_narrow;
enum { VD = 2 };
#define vd_set vdupq_n_f64
#define vd_fma(a, b, c) vfmaq_f64(c, a, b)
#define vd_widen vcvt_f64_f32
#define vd_low(a) vd_widen(vget_low_f32(a))
#define vd_high vcvt_high_f64_f32
#endif

#include "fenv_fpstate.h"
