/* sigmoid, log-sigmoid with its gradient, softplus: x -> functions of e = exp(-|x|), see vmath.h.

   log_sigmoid(x) = min(x, 0) - log1p(e), its derivative sigmoid(-x); softplus(x) = -log_sigmoid(-x).
   The derivative is 1/(1 + e) or e/(1 + e), and sigmoid(x) is 1/(1 + e^-x): sums of positive terms, so that relative
   accuracy is kept into the subnormals.

   The largest errors found in ULP, where fma is an instruction:
   sigmoid                    f32 <= 1.00 (0.998 at -0x1.4cbf2ap+2), f64 <= 0.80 (0.717 at -0x1.f9ff5858b0f6bp+6)
   log_sigmoid                f32 <= 0.76 (0.750 at 0x1.31fd68p+1), f64 <= 0.80 (0.770 at 0x1.bb47042113432p+0)
   softplus                   f32 <= 0.76 (0.750 at -0x1.31fd68p+1), f64 <= 0.80 (0.770 at -0x1.bb47042113432p+0)
   log_sigmoid_and_grad.value f32 <= 0.76 (0.750 at 0x1.31fd68p+1), f64 <= 0.80 (0.770 at 0x1.bb47042113432p+0)
   log_sigmoid_and_grad.grad  f32 <= 0.76 (0.711 at 0x1.f1ee4ep+0), f64 <= 0.80 (0.715 at 0x1.558a3e4ea2a04p+9) */
#include "map.h"

ALWAYS_INLINE map_result sigmoid(vf x, v_parts divisor, int far)
{
    return (map_result){.y = v_sigmoid(x, divisor, far)};
}

ALWAYS_INLINE map_result softplus(vf x, v_parts e, int far)
{
    return (map_result){.y = v_softplus(x, v_one_plus(e, far), v_descend(x, far), far)};
}

ALWAYS_INLINE map_result log_sigmoid_and_grad(vf x, v_parts e, int far)
{
    vf m = v_minus(x);
    v_one_plus_t p = v_one_plus(e, far);
    v_descent w = v_descend(m, far);
    return (map_result){v_minus(v_softplus(m, p, w, far)), v_sigmoid_of(m, p, w, far)};
}

void FN(sigmoid)(const T *x, ptrdiff_t xs, T *y, ptrdiff_t ys, size_t n)
{
    map_strided(v_one_plus_exp_minus, sigmoid, x, xs, y, ys, NULL, 0, n, 4);
}

void FN(softplus)(const T *x, ptrdiff_t xs, T *y, ptrdiff_t ys, size_t n)
{
    map_strided(v_exp_minus_abs, softplus, x, xs, y, ys, NULL, 0, n, MANY_REGISTERS ? 3 : 2);
}

void FN(log_sigmoid)(const T *x, ptrdiff_t xs, T *y, ptrdiff_t ys, T *dy, ptrdiff_t dys, size_t n)
{
    if (dy)
        map_strided(v_exp_minus_abs, log_sigmoid_and_grad, x, xs, y, ys, dy, dys, n, 2);
    else
        map_strided(v_exp_minus_abs, log_sigmoid_and_grad, x, xs, y, ys, NULL, 0, n, 3);
}
