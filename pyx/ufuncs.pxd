# The elementwise routines: what the ufuncs' loops and the direct path of _elementwise share.
from libc.stddef cimport ptrdiff_t

from simdloss._dispatch cimport active
from simdloss.ops cimport sl_ops_f32, sl_ops_f64

cdef enum Routine:
    SIGMOID
    LOG_SIGMOID
    SOFTPLUS
    LOG_SIGMOID_AND_GRAD


ctypedef fused real:
    float
    double


# z: the second output of LOG_SIGMOID_AND_GRAD.
cdef inline void run(Routine routine, const real *x, ptrdiff_t xs, real *y, ptrdiff_t ys, real *z, ptrdiff_t zs,
                     size_t n) noexcept nogil:
    if real is float:
        ops = active.f32
    else:
        ops = active.f64
    if routine == SIGMOID:
        ops.sigmoid(x, xs, y, ys, n)
    elif routine == SOFTPLUS:
        ops.softplus(x, xs, y, ys, n)
    else:
        ops.log_sigmoid(x, xs, y, ys, z, zs, n)
