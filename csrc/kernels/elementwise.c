/* sigmoid, log-sigmoid with its gradient, softplus: x -> functions of e = exp(-|x|), see vmath.h.

   log_sigmoid(x) = min(x, 0) - log1p(e), its derivative sigmoid(-x); softplus(x) = -log_sigmoid(-x).
   sigmoid(x) = 1/(1 + e) or e/(1 + e), never 1 - sigmoid(-x): each is a sum of positive terms and keeps its relative
   accuracy into the subnormals. */
#include "strided.h"
#include "vmath.h"

/* 1/(1 + e) where x > 0, else e/(1 + e). */
ALWAYS_INLINE vf v_sigmoid(vf x, v_exp_abs_t a)
{
    vm positive = vf_lt(vf_set(0), x);
    vf q = v_over_one_plus(vf_select(positive, vf_set(1), a.e.h), vf_drop(positive, a.e.l), a.e);
    return vf_select(positive, q, v_lower(a.tiny, q));
}

/* log(1 + e^x) = max(x, 0) + log1p(e). Where e is tiny, log1p(e) is the whole result for x < 0 and none of it for
   x > 0. */
ALWAYS_INLINE vf v_softplus(vf x, v_exp_abs_t a)
{
    vf2 l = v_log1p(a.e);
    vf above = vf_max(x, vf_set(0)), y = v_add3(above, l.h, l.l);
    return vf_select(vf_lt(vf_set(0), x), y, v_lower(a.tiny, y));
}

ALWAYS_INLINE vf v_minus(vf x) { return vf_sub(vf_set((T)-0.0), x); }

ALWAYS_INLINE void sigmoid_step(const T *x, T *y, T *unused, size_t n)
{
    (void)unused;
    vf v = vf_load_n(x, n, vf_set(0));
    vf_store_n(y, v_sigmoid(v, v_exp_minus_abs(v)), n);
}

ALWAYS_INLINE void softplus_step(const T *x, T *y, T *unused, size_t n)
{
    (void)unused;
    vf v = vf_load_n(x, n, vf_set(0));
    vf_store_n(y, v_softplus(v, v_exp_minus_abs(v)), n);
}

ALWAYS_INLINE void log_sigmoid_and_grad_step(const T *x, T *y, T *dy, size_t n)
{
    vf v = v_minus(vf_load_n(x, n, vf_set(0)));
    v_exp_abs_t a = v_exp_minus_abs(v);
    if (y)
        vf_store_n(y, v_minus(v_softplus(v, a)), n);
    if (dy)
        vf_store_n(dy, v_sigmoid(v, a), n);
}

ALWAYS_INLINE void log_sigmoid_step(const T *x, T *y, T *unused, size_t n)
{
    (void)unused;
    log_sigmoid_and_grad_step(x, y, NULL, n);
}

ALWAYS_INLINE void log_sigmoid_grad_step(const T *x, T *unused, T *dy, size_t n)
{
    (void)unused;
    log_sigmoid_and_grad_step(x, NULL, dy, n);
}

void FN(sigmoid)(const T *x, ptrdiff_t xs, T *y, ptrdiff_t ys, size_t n)
{
    map_strided(sigmoid_step, x, xs, y, ys, NULL, 0, n);
}

void FN(softplus)(const T *x, ptrdiff_t xs, T *y, ptrdiff_t ys, size_t n)
{
    map_strided(softplus_step, x, xs, y, ys, NULL, 0, n);
}

void FN(log_sigmoid)(const T *x, ptrdiff_t xs, T *y, ptrdiff_t ys, T *dy, ptrdiff_t dys, size_t n)
{
    if (y && dy)
        map_strided(log_sigmoid_and_grad_step, x, xs, y, ys, dy, dys, n);
    else if (y)
        map_strided(log_sigmoid_step, x, xs, y, ys, NULL, 0, n);
    else if (dy)
        map_strided(log_sigmoid_grad_step, x, xs, NULL, 0, dy, dys, n);
}
