/* sigmoid, log-sigmoid with its gradient, softplus: x -> functions of e = exp(-|x|), see vmath.h.

   log_sigmoid(x) = min(x, 0) - log1p(e), its derivative sigmoid(-x); softplus(x) = -log_sigmoid(-x).
   sigmoid(x) = 1/(1 + e) or e/(1 + e), never 1 - sigmoid(-x): each is a sum of positive terms and keeps its relative
   accuracy into the subnormals.

   The largest errors found in ULP, where fma is an instruction:
   sigmoid                    f32 <= 1.00 (0.717 at -0x1.f2fc06p+3), f64 <= 0.80 (0.718 at -0x1.99f287c2231c4p+3)
   log_sigmoid                f32 <= 0.76 (0.731 at -0x1.258c76p-7), f64 <= 0.80 (0.727 at -0x1.dec0c8e316445p-7)
   softplus                   f32 <= 0.76 (0.731 at 0x1.258c76p-7), f64 <= 0.80 (0.727 at 0x1.dec0c8e316445p-7)
   log_sigmoid_and_grad.value f32 <= 0.76 (0.731 at -0x1.258c76p-7), f64 <= 0.80 (0.727 at -0x1.dec0c8e316445p-7)
   log_sigmoid_and_grad.grad  f32 <= 0.76 (0.717 at 0x1.f2fc06p+3), f64 <= 0.80 (0.718 at 0x1.99f287c2231c4p+3) */
#include "map.h"

/* How a result becomes T: near, by one addition; far, with e lifted where it carries the result (`small`). */
ALWAYS_INLINE vf rounded(vf2 y, vf x, vm small, int far)
{
    vf sum = vf_add(y.h, y.l);
    if (!far)
        return sum;
    return vf_select(vm_and(small, vf_lt(vf_set(FAR), vf_abs(x))), v_round_far(y), sum);
}

/* 1/(1 + e) where x > 0, else e/(1 + e). */
ALWAYS_INLINE vf v_sigmoid(vf x, vf2 e, int far)
{
    vm positive = vf_lt(vf_set(0), x), small = vf_lt(x, vf_set(0));
    return rounded(v_over_one_plus(vf_select(positive, vf_set(1), e.h), vf_drop(positive, e.l), e), x, small, far);
}

/* log(1 + e^x) = max(x, 0) + log1p(e). */
ALWAYS_INLINE vf v_softplus(vf x, vf2 e, int far)
{
    return rounded(v_add(vf_max(x, vf_set(0)), v_log1p(e, far)), x, vf_lt(x, vf_set(0)), far);
}

ALWAYS_INLINE vf2 v_exp_of(vf x, int far) { return far ? v_exp_minus_abs_lifted(x) : v_exp_minus_abs(x); }

ALWAYS_INLINE vf v_minus(vf x) { return vf_sub(vf_set((T)-0.0), x); }

ALWAYS_INLINE void sigmoid_step(const T *x, T *y, T *unused, size_t n, int far)
{
    (void)unused;
    vf v = vf_load_n(x, n, vf_set(0));
    vf_store_n(y, v_sigmoid(v, v_exp_of(v, far), far), n);
}

ALWAYS_INLINE void softplus_step(const T *x, T *y, T *unused, size_t n, int far)
{
    (void)unused;
    vf v = vf_load_n(x, n, vf_set(0));
    vf_store_n(y, v_softplus(v, v_exp_of(v, far), far), n);
}

ALWAYS_INLINE void log_sigmoid_and_grad_step(const T *x, T *y, T *dy, size_t n, int far)
{
    vf v = v_minus(vf_load_n(x, n, vf_set(0)));
    vf2 e = v_exp_of(v, far);
    if (y)
        vf_store_n(y, v_minus(v_softplus(v, e, far)), n);
    if (dy)
        vf_store_n(dy, v_sigmoid(v, e, far), n);
}

ALWAYS_INLINE void log_sigmoid_step(const T *x, T *y, T *unused, size_t n, int far)
{
    (void)unused;
    log_sigmoid_and_grad_step(x, y, NULL, n, far);
}

ALWAYS_INLINE void log_sigmoid_grad_step(const T *x, T *unused, T *dy, size_t n, int far)
{
    (void)unused;
    log_sigmoid_and_grad_step(x, NULL, dy, n, far);
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
