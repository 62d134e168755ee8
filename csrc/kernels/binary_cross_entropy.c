/* Binary cross-entropy with logits and its gradient, for any real target y, weight w and pos_weight q.

   With A = w(1 - y), B = w q y and e = exp(-|x|):
     loss = A softplus(x) + B softplus(-x) = (x > 0 ? A : B) |x| + (A + B) log1p(e)
     grad = A sigmoid(x) - B sigmoid(-x), the sigmoids being 1/(1 + e) and e/(1 + e) or the other way round.
   Nothing cancels for targets in [0, 1] but A against B in the gradient, which is in the data. A zero coefficient
   times an infinite logit is 0: the limit.

   The largest errors found in ULP, where fma is an instruction:
   binary_cross_entropy       f32 <= 1.50 (1.094 at 0x1.203812p-2), f64 <= 1.50 (1.102 at 0x1.3d355c3e26e95p-2)
   binary_cross_entropy_and_grad.grad f32 <= 1.50 (0.711 at 0x1.f1ee4ep+0), f64 <= 1.50 (0.715 at 0x1.558a3e4ea2a04p+9)
   binary_cross_entropy.soft  f32 <= 1.50 (1.440, logit 30.51), f64 <= 1.50 (1.115, logit 1.565)
   binary_cross_entropy_and_grad.soft f32 <= 2.00 (1.680, logit 0.7749), f64 <= 2.00 (1.711, logit 0.1837)
   binary_cross_entropy.weighted f32 <= 3.00 (2.768, logit 1.527), f64 <= 3.00 (2.995, logit -4.496e-08)
   binary_cross_entropy_and_grad.weighted f32 <= 3.00 (2.439, logit 0.7726), f64 <= 3.00 (2.392, logit -0.001544) */
#include "map.h"

typedef struct {
    const T *y, *w, *q; /* w and q: both or none */
    T *loss, *grad;     /* grad may be NULL */
    vf grad_scale;
} operands;

typedef struct {
    vf loss, grad;
} losses;

ALWAYS_INLINE losses loss_and_grad(vf x, v_parts e, vf a, vf b, vf grad_scale, int weighted, int far)
{
    vf zero = vf_set(0), one = vf_set(1), size = vf_abs(x);
    vm positive = vf_lt(zero, x);
    v_one_plus_t p = v_one_plus(e, far);
    v_descent w = v_descend(vf_minus_abs(x), far);

    vf log1p = v_down(vf_add(p.log, v_rounded(p.f, v_log1p_low(p, zero), w, far)), w, far);
    if (weighted)
        log1p = vf_mul(log1p, vf_add(a, b));
    vf c = vf_select(positive, a, b);

    vf g = v_fraction(p, w, far), large = vf_fnma(p.r, g, p.r);
    vf small = v_down(vf_fma(p.r, g, vf_sub(one, p.r)), w, far);
    vf rise = vf_select(positive, large, small), fall = vf_select(positive, small, large);
    return (losses){.loss = vf_fma(c, vf_drop(vf_eq(c, zero), size), log1p),
                    .grad = vf_mul(vf_fnma(b, fall, vf_mul(a, rise)), grad_scale)};
}

ALWAYS_INLINE void step(const operands *o, size_t i, const begun *x, int vectors, size_t n, int weighted, int far)
{
    losses r[SIDE_BY_SIDE];
    UNROLL for (int j = 0; j < vectors; j++) {
        size_t at = (size_t)j * VL;
        fetch_to_read(o->y + i + at, AHEAD);
        vf b = vf_load_n(o->y + i + at, n - at, vf_set(0)), a = vf_sub(vf_set(1), b);
        if (weighted) {
            vf w = vf_load_n(o->w + i + at, n - at, vf_set(0)), q = vf_load_n(o->q + i + at, n - at, vf_set(0));
            a = vf_mul(a, w);
            b = vf_mul(b, vf_mul(w, q));
        }
        r[j] = loss_and_grad(x[j].x, x[j].half, a, b, o->grad_scale, weighted, far);
    }
    UNROLL for (int j = 0; j < vectors; j++) {
        size_t at = (size_t)j * VL;
        put_vector(o->loss + i + at, r[j].loss, n - at);
        if (o->grad)
            put_vector(o->grad + i + at, r[j].grad, n - at);
    }
}

ALWAYS_INLINE void step_plain(const void *o, size_t i, const begun *x, int vectors, size_t n, int far)
{
    step(o, i, x, vectors, n, 0, far);
}

ALWAYS_INLINE void step_weighted(const void *o, size_t i, const begun *x, int vectors, size_t n, int far)
{
    step(o, i, x, vectors, n, 1, far);
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

/* Whether a run is contiguous memory of the kernel's type. */
static int is_direct(const sl_run *r) { return r->p && r->stride == sizeof(T) && !r->storage; }

static char *element(const sl_run *r, size_t i) { return r->p + (ptrdiff_t)i * r->stride; }

/* n elements of a run from i as such memory: where they are, or in the buffer. */
static const T *contiguous(const sl_run *r, size_t i, size_t n, T *buffer)
{
    if (is_direct(r))
        return (const T *)element(r, i);
    gather(buffer, 1, element(r, i), r->stride, n, r->storage, 0);
    return buffer;
}

/* Writes what is in the buffer because the run is not such memory. */
static void put_run(const sl_run *r, size_t i, size_t n, const T *buffer)
{
    if (r->p && !is_direct(r))
        scatter(element(r, i), r->stride, buffer, 1, n, r->storage, 0);
}

/* Vectors of a group. Two do not fit into 16 registers, and if memory serves anyway, four wait less for one another:
   AVX2 takes 8-14 % less. */
enum { TOGETHER = MANY_REGISTERS ? 2 : 4 };

void FN(binary_cross_entropy)(const sl_binary_cross_entropy *a, size_t begin, size_t end, sl_sum *total)
{
    T x[BUFFER], y[BUFFER], w[BUFFER], q[BUFFER], loss[BUFFER], grad[BUFFER], one = 1;
    const sl_run ones = {.p = (char *)&one};
    const int weighted = a->weight.p || a->pos_weight.p;
    fp_state state = fp_enter();
    for (size_t i = begin; i < end; i += BUFFER) {
        size_t m = min_size(BUFFER, end - i);
        const T *logits = contiguous(&a->x, i, m, x);
        operands o = {
            .y = contiguous(&a->y, i, m, y),
            .loss = is_direct(&a->loss) ? (T *)element(&a->loss, i) : loss,
            .grad = is_direct(&a->grad) ? (T *)element(&a->grad, i) : a->grad.p ? grad : NULL,
            .grad_scale = vf_set((T)a->grad_scale),
        };
        if (weighted) {
            o.w = contiguous(a->weight.p ? &a->weight : &ones, i, m, w);
            o.q = contiguous(a->pos_weight.p ? &a->pos_weight : &ones, i, m, q);
        }
        if (weighted)
            in_groups(v_exp_minus_abs, step_weighted, &o, logits, m, TOGETHER);
        else
            in_groups(v_exp_minus_abs, step_plain, &o, logits, m, TOGETHER);
        sl_sum_add(total, block_sum(o.loss, m));
        put_run(&a->loss, i, m, loss);
        put_run(&a->grad, i, m, grad);
    }
    fp_leave(state);
}
