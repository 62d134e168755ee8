/* Binary cross-entropy with logits and its gradient, for any real target y, weight w and pos_weight q.

   With A = w(1 - y), B = w q y and e = exp(-|x|):
     loss = A softplus(x) + B softplus(-x) = (x > 0 ? A : B) |x| + (A + B) log1p(e)
     grad = A sigmoid(x) - B sigmoid(-x)   = (A max-term - B min-term) / (1 + e), the terms being 1 and e or e and 1.
   Nothing cancels for targets in [0, 1] but A against B in the gradient, which is in the data. A zero coefficient
   times an infinite logit is 0: the limit.

   The largest errors found in ULP, where fma is an instruction:
   binary_cross_entropy       f32 <= 1.50 (1.200 at 0x1.348efp-5), f64 <= 1.50 (1.174 at 0x1.739e61a1fecp-23)
   binary_cross_entropy_and_grad.grad f32 <= 1.50 (0.717 at 0x1.f2fc06p+3), f64 <= 1.50 (0.718 at -0x1.99f287c2231c4p+3)
   binary_cross_entropy.soft  f32 <= 1.50 (1.440, logit 30.51), f64 <= 1.50 (1.115, logit 1.565)
   binary_cross_entropy_and_grad.soft f32 <= 2.00 (1.942, logit 1.614), f64 <= 2.00 (1.639, logit -0.05518)
   binary_cross_entropy.weighted f32 <= 3.00 (2.768, logit 1.527), f64 <= 3.00 (2.995, logit -4.496e-08)
   binary_cross_entropy_and_grad.weighted f32 <= 3.00 (2.458, logit 1.385), f64 <= 3.00 (2.493, logit 0.549) */
#include "map.h"

typedef struct {
    const T *x, *y, *w, *q;
    T *loss, *grad;
} operands;

ALWAYS_INLINE void step(operands o, size_t i, size_t n, vf grad_scale, int weighted, int far)
{
    vf zero = vf_set(0), one = vf_set(1);
    vf x = vf_load_n(o.x + i, n, zero), b = vf_load_n(o.y + i, n, zero), a = vf_sub(one, b);
    if (weighted) {
        vf w = vf_load_n(o.w + i, n, zero), q = vf_load_n(o.q + i, n, zero);
        a = vf_mul(a, w);
        b = vf_mul(b, vf_mul(w, q));
    }
    vf2 e = far ? v_exp_minus_abs_lifted(x) : v_exp_minus_abs(x);
    vm positive = vf_lt(zero, x), lifted = vf_lt(vf_set(FAR), vf_abs(x));

    vf2 l = v_log1p(e, far);
    vf softplus = vf_add(l.h, l.l), c = vf_select(positive, a, b);
    if (far)
        softplus = vf_select(lifted, v_round_far(l), softplus);
    if (weighted)
        softplus = vf_mul(softplus, vf_add(a, b));
    vf_store_n(o.loss + i, vf_fma(c, vf_drop(vf_eq(c, zero), vf_abs(x)), softplus), n);

    if (o.grad) {
        vf2 term = e;
        if (far) {
            term.h = vf_select(lifted, v_round_far(e), e.h);
            term.l = vf_drop(lifted, e.l);
        }
        vf of_a = vf_select(positive, one, term.h), of_b = vf_select(positive, term.h, one);
        vf top = vf_sub(vf_mul(a, of_a), vf_mul(b, of_b));
        vf top_l = vf_sub(vf_mul(a, vf_drop(positive, term.l)), vf_mul(b, vf_keep(positive, term.l)));
        vf2 g = v_over_one_plus(top, top_l, e);
        vf_store_n(o.grad + i, vf_mul(vf_add(g.h, g.l), grad_scale), n);
    }
}

ALWAYS_INLINE void block(operands o, size_t n, T grad_scale, int weighted, int far)
{
    vf scale = vf_set(grad_scale);
    size_t i = 0;
    for (; i + VL <= n; i += VL)
        step(o, i, VL, scale, weighted, far);
    if (i < n)
        step(o, i, n - i, scale, weighted, far);
}

/* The sum of one block, in lanes of double that do not depend on the instruction set. */
static double block_sum(const T *x, size_t n)
{
    double lane[8] = {0}, sum = 0;
    size_t i = 0;
    for (; i + 8 <= n; i += 8)
        for (int j = 0; j < 8; j++)
            lane[j] += (double)x[i + (size_t)j];
    for (int j = 0; j < 8; j++)
        sum += lane[j];
    for (; i < n; i++)
        sum += (double)x[i];
    return sum;
}

/* The n elements at p as contiguous memory: where they are, or in the buffer. */
static const T *contiguous(const char *p, ptrdiff_t stride, size_t n, T *buffer)
{
    if (stride == sizeof(T))
        return (const T *)p;
    gather(buffer, 1, p, stride, n, 0);
    return buffer;
}

void FN(binary_cross_entropy)(const sl_binary_cross_entropy *a, size_t begin, size_t end, sl_sum *total)
{
    const ptrdiff_t unit = sizeof(T);
    T x[BUFFER], y[BUFFER], w[BUFFER], q[BUFFER], loss[BUFFER], grad[BUFFER];
    const T one = 1;
    int weighted = a->weight || a->pos_weight;
    fp_state state = fp_enter();
    for (size_t i = begin; i < end; i += BUFFER) {
        size_t m = min_size(BUFFER, end - i);
        ptrdiff_t at = (ptrdiff_t)i;
        char *loss_at = a->loss ? a->loss + at * a->losses : NULL, *grad_at = a->grad ? a->grad + at * a->grads : NULL;
        operands o = {
            .x = contiguous(a->x + at * a->xs, a->xs, m, x),
            .y = contiguous(a->y + at * a->ys, a->ys, m, y),
            .loss = loss_at && a->losses == unit ? (T *)loss_at : loss,
            .grad = grad_at && a->grads == unit ? (T *)grad_at : grad_at ? grad : NULL,
        };
        if (weighted) {
            o.w = a->weight ? contiguous(a->weight + at * a->weights, a->weights, m, w)
                            : contiguous((const char *)&one, 0, m, w);
            o.q = a->pos_weight ? contiguous(a->pos_weight + at * a->pos_weights, a->pos_weights, m, q)
                                : contiguous((const char *)&one, 0, m, q);
        }
        T scale = (T)a->grad_scale;
        switch ((weighted ? 2 : 0) + any_far(o.x, m)) {
        case 0: block(o, m, scale, 0, 0); break;
        case 1: block(o, m, scale, 0, 1); break;
        case 2: block(o, m, scale, 1, 0); break;
        default: block(o, m, scale, 1, 1);
        }
        sl_sum_add(total, block_sum(o.loss, m));
        if (loss_at && o.loss == loss)
            scatter(loss_at, a->losses, loss, 1, m, 0);
        if (o.grad == grad)
            scatter(grad_at, a->grads, grad, 1, m, 0);
    }
    fp_leave(state);
}
