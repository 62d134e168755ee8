/* 16 bytes of a vector on x86: what a row has in a square (transpose.h). */
#if DTYPE == 32
typedef __m128 vf_part;

/* n <= SQUARE elements and zeros. Not by a mask: on some processors that is slow to store. */
static inline vf_part part_load(const T *p, size_t n)
{
    if (n >= 4)
        return _mm_loadu_ps(p);
    if (n == 1)
        return _mm_load_ss(p);
    vf_part two = _mm_castsi128_ps(_mm_loadl_epi64((const __m128i *)p)); /* which may be anywhere, unlike a double */
    return n == 2 ? two : _mm_movelh_ps(two, _mm_load_ss(p + 2));
}

static inline void part_store(T *p, vf_part a, size_t n)
{
    if (n >= 4)
        _mm_storeu_ps(p, a);
    else if (n == 1)
        _mm_store_ss(p, a);
    else
        _mm_storel_pi((__m64 *)p, a);
    if (n == 3)
        _mm_store_ss(p + 2, _mm_movehl_ps(a, a));
}
#else
typedef __m128d vf_part;

static inline vf_part part_load(const T *p, size_t n) { return n >= 2 ? _mm_loadu_pd(p) : _mm_load_sd(p); }

static inline void part_store(T *p, vf_part a, size_t n)
{
    if (n >= 2)
        _mm_storeu_pd(p, a);
    else
        _mm_store_sd(p, a);
}
#endif
