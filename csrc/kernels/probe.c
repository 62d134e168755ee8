/* What the machine can do at best, for the rooflines of the benchmark: read memory, copy it with ordinary stores and
   with stores past the caches, and sum e^x by the exponential of vmath.h, rounded to T. Rows know theirs to 1/32 ULP
   and lose nothing of their sum (lanes.h), which costs more.

   Each goes over the same n elements `times` times, so that a pass over L1 is not lost in the cost of a call; n is a
   multiple of SL_PROBE_STEP (ops.h), and stores past the caches want y aligned to a vector. */
#include "vmath.h"

/* Enough independent sums to hide the latency of an addition at two loads a cycle, on every CPU known here. */
enum { CHAINS = 8, STRIDE = CHAINS * VL };

ALWAYS_INLINE void start(vf *sum)
{
    for (int c = 0; c < CHAINS; c++)
        sum[c] = vf_set(0);
}

ALWAYS_INLINE void finish(const vf *sum, T *out)
{
    T lanes[VL];
    double total = 0;
    for (int c = 0; c < CHAINS; c++) {
        vf_store(lanes, sum[c]);
        for (int l = 0; l < VL; l++)
            total += (double)lanes[l];
    }
    *out = (T)total;
}

void FN(probe_read)(const T *x, T *sum, size_t n, size_t times)
{
    fp_state caller = fp_enter();
    vf s[CHAINS];
    start(s);
    for (; times; times--)
        for (size_t i = 0; i < n; i += STRIDE)
            for (int c = 0; c < CHAINS; c++)
                s[c] = vf_add(s[c], vf_load(x + i + c * VL));
    finish(s, sum);
    fp_leave(caller);
}

void FN(probe_copy)(const T *x, T *y, size_t n, size_t times)
{
    for (; times; times--)
        for (size_t i = 0; i < n; i += STRIDE)
            for (int c = 0; c < CHAINS; c++)
                vf_store(y + i + c * VL, vf_load(x + i + c * VL));
}

void FN(probe_stream)(const T *x, T *y, size_t n, size_t times)
{
    for (; times; times--)
        for (size_t i = 0; i < n; i += STRIDE)
            for (int c = 0; c < CHAINS; c++)
                vf_stream(y + i + c * VL, vf_load(x + i + c * VL));
    vf_stream_end();
}

void FN(probe_exp)(const T *x, T *sum, size_t n, size_t times)
{
    fp_state caller = fp_enter();
    vf s[CHAINS];
    start(s);
    for (; times; times--)
        for (size_t i = 0; i < n; i += STRIDE)
            for (int c = 0; c < CHAINS; c++) {
                v_scaled_exp e = v_exp(vf_load(x + i + c * VL), vf_set(1), 0);
                s[c] = vf_fma(e.s, vf_add(vf_set(1), vf_add(e.r, e.u)), s[c]);
            }
    finish(s, sum);
    fp_leave(caller);
}
