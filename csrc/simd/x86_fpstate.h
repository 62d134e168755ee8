/* The caller's floating-point state on x86: rounding, flush-to-zero, exception flags. */
typedef unsigned fp_state;

/* The compiler does not know that arithmetic depends on the state: what is stored before is not computed after. */
#define FP_FENCE() __asm__ volatile("" ::: "memory")

/* Every exception masked, round to nearest, subnormals kept; what the caller had is returned. */
static inline fp_state fp_enter(void)
{
    const unsigned flags = 0x3f, standard = 0x1f80;
    unsigned before = _mm_getcsr();
    if ((before & ~flags) != standard)
        _mm_setcsr(standard);
    FP_FENCE();
    return before;
}

static inline void fp_leave(fp_state before)
{
    FP_FENCE();
    if (_mm_getcsr() != before)
        _mm_setcsr(before);
}
