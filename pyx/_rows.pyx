"""Log-sum-exp and softmax over rows."""

cimport numpy as cnp
from numpy cimport ndarray

from simdloss._arrays cimport (
    Axes, apart, apart_or_same, as_array, as_kernel_type, as_real, cast, check_apart, check_real, kernel_type_of,
    new_like, new_rows, or_scalar, out_like, out_rows, read_axes, shape_of,
)
from simdloss._blocks cimport Rows, run_rows
from simdloss._dispatch cimport active
from simdloss._operands cimport lay, lay_nothing, lay_rows, make_shape
from simdloss.ops cimport sl_logsumexp, sl_memory, sl_part, sl_shape, sl_softmax, sl_sum

import numpy as np

cnp.import_array()

cdef tuple NUMBERS = (bool, int, float)


def logsumexp(a, axis=None, b=None, keepdims=False, return_sign=False, *, out=None):
    """
    Logarithm of a sum of exponentials, ``log(sum(b * exp(a)))``.

    A drop-in for `scipy.special.logsumexp` on real numbers.

    Parameters
    ----------
    a : array_like
        Exponents; real.
    axis : int, tuple of int or None, optional
        Axis or axes to sum over; None, the default, sums over all.
    b : array_like, optional
        Factors of the exponentials, of any sign. `a` and `b` broadcast against each other, and their dtypes promote. An
        element whose factor is 0 contributes nothing, even where `a` is infinite or NaN.
    keepdims : bool, optional
        Keep the summed axes, with size one.
    return_sign : bool, optional
        Also return the sign of the sum, and the logarithm of its absolute value; otherwise a negative sum gives NaN.
    out : ndarray, optional
        Where to put the logarithm: of the result's shape and dtype.

    Returns
    -------
    lse : ndarray or scalar
        The logarithm, without the axes summed over: float32 for float32, float16 for float16, else float64. ``-inf``
        for a sum over nothing.
    sign : ndarray or scalar
        1, -1 or 0, of the dtype of `lse`; only with `return_sign`.

    Raises
    ------
    TypeError
        If `a` or `b` is longdouble, complex or not numeric, or if `out` is no array of the result's dtype.
    ValueError
        If `a` and `b` do not broadcast, an axis is out of range or repeated, or `out` has another shape or is
        read-only.

    See Also
    --------
    logsumexp_and_grad : with its gradient, which is the softmax.

    Notes
    -----
    With m the largest element and S' the sum of ``exp(a - m)`` over the others, the result is ``m + log1p(S')``, which
    keeps its relative accuracy where it is near 0. With `b` the largest term is found first, and the sum taken relative
    to it, so that neither large nor tiny factors overflow or vanish.

    Examples
    --------
    >>> import numpy as np, simdloss
    >>> float(simdloss.logsumexp([1000.0, 1000.0]))
    1000.6931471805599
    >>> lse, sign = simdloss.logsumexp([1.0, 2.0], b=[1, -1], return_sign=True)
    >>> float(sign)
    -1.0
    """
    cdef Axes axes
    cdef sl_shape shape
    cdef sl_logsumexp job
    cdef ndarray factors = None
    cdef ndarray lse, sign = None
    cdef ndarray x
    if b is None:
        x = as_real(a, "a")
    else:
        x, factors = with_factors(a, b)
    if cnp.PyArray_NDIM(x) == 0:
        x = x.reshape(1)
        factors = None if factors is None else factors.reshape(1)
    read_axes(&axes, axis, cnp.PyArray_NDIM(x))

    if out is None:
        lse = new_rows(x, &axes, keepdims)
    else:
        lse = out_rows(out, "out", x, &axes, keepdims)
        x = apart(x, lse)
        factors = apart(factors, lse)
    lay(&job.x, x)
    lay_rows(&job.lse, lse, &axes, keepdims)
    if return_sign:
        sign = new_rows(x, &axes, keepdims)
    lay(&job.b, factors)
    lay_rows(&job.sign, sign, &axes, keepdims)
    lay_nothing(&job.softmax)
    job.shape = &shape
    make_shape(&shape, x, &axes, [&job.lse, &job.sign, &job.b, &job.x], 4, True)
    run_logsumexp(&job, kernel_type_of(x) == cnp.NPY_DOUBLE)

    result = lse if out is not None else or_scalar(lse)
    return (result, or_scalar(sign)) if return_sign else result


# a and its factors b as arrays of one shape, for a kernel of their common dtype.
cdef tuple with_factors(object a, object b):
    cdef ndarray x = as_array(a, "a")
    cdef ndarray factors = as_array(b, "b")
    check_real(x, "a")
    check_real(factors, "b")
    # Python's own numbers do not take part in promotion, as in NumPy.
    dtype = np.result_type(a if type(a) in NUMBERS else x.dtype, b if type(b) in NUMBERS else factors.dtype)
    cdef int type_num = dtype.num
    if not cnp.PyTypeNum_ISFLOAT(type_num):
        type_num = cnp.NPY_DOUBLE
    x = cast(x, type_num)
    factors = as_kernel_type(factors, kernel_type_of(x), "b")
    try:
        return np.broadcast_arrays(x, factors)
    except ValueError:
        raise ValueError(
            f"a and b must broadcast against each other; got shapes {shape_of(x)} and {shape_of(factors)}") from None


def logsumexp_and_grad(a, axis=-1, *, keepdims=False, out=None, grad_out=None):
    """
    Logarithm of a sum of exponentials, and its gradient: the softmax.

    Parameters
    ----------
    a : array_like
        Exponents; real.
    axis : int, tuple of int or None, optional
        Axis or axes to sum over, the last one by default; None sums over all.
    keepdims : bool, optional
        Keep the summed axes of the logarithm, with size one.
    out : ndarray, optional
        Where to put the logarithm.
    grad_out : ndarray, optional
        Where to put the gradient; `a` itself for in place.

    Returns
    -------
    lse : ndarray or scalar
        ``log(sum(exp(a)))``, without the axes summed over.
    grad : ndarray
        ``exp(a - lse)``, of the shape of `a` and in its memory order. Both are float32 for float32, float16 for
        float16, else float64.

    Raises
    ------
    TypeError
        If `a` is longdouble, complex or not numeric, or if `out` or `grad_out` is no array of the result's dtype.
    ValueError
        If an axis is out of range or repeated, if `out` or `grad_out` has another shape or is read-only, or if the two
        share memory.

    See Also
    --------
    logsumexp : the logarithm alone, also with factors.
    softmax : the gradient alone.

    Examples
    --------
    >>> import numpy as np, simdloss
    >>> lse, grad = simdloss.logsumexp_and_grad(np.array([0.0, 0.0]))
    >>> float(lse), grad
    (0.6931471805599453, array([0.5, 0.5]))
    """
    cdef Axes axes
    cdef sl_shape shape
    cdef sl_logsumexp job
    cdef ndarray lse, grad
    cdef ndarray x = as_real(a, "a")
    read_axes(&axes, axis, cnp.PyArray_NDIM(x))

    if out is None:
        lse = new_rows(x, &axes, keepdims)
    else:
        lse = out_rows(out, "out", x, &axes, keepdims)
    if grad_out is None:
        grad = new_like(x)
    else:
        grad = out_like(grad_out, "grad_out", x)
    check_apart(lse, "out", grad, "grad_out")
    x = apart_or_same(apart(x, lse), grad)
    lay(&job.x, x)
    lay(&job.softmax, grad)
    lay_rows(&job.lse, lse, &axes, keepdims)
    lay_nothing(&job.b)
    lay_nothing(&job.sign)
    job.shape = &shape
    make_shape(&shape, x, &axes, [&job.lse, &job.x, &job.softmax], 3, True)
    run_logsumexp(&job, kernel_type_of(x) == cnp.NPY_DOUBLE)
    return (lse if out is not None else or_scalar(lse)), (grad if grad_out is not None else or_scalar(grad))


def softmax(x, axis=-1, *, out=None):
    """
    Exponentials divided by their sum, ``exp(x - logsumexp(x))``.

    Parameters
    ----------
    x : array_like
        Logits; real.
    axis : int, tuple of int or None, optional
        Axis or axes to sum over, the last one by default; None sums over all.
    out : ndarray, optional
        Where to put the result; `x` itself for in place.

    Returns
    -------
    ndarray or scalar
        Of the shape of `x` and in its memory order: float32 for float32, float16 for float16, else float64.

    Raises
    ------
    TypeError
        If `x` is longdouble, complex or not numeric, or if `out` is no array of the result's dtype.
    ValueError
        If an axis is out of range or repeated, or `out` has another shape or is read-only.

    See Also
    --------
    log_softmax : its logarithm.
    logsumexp_and_grad : with the logarithm of the sum.

    Notes
    -----
    A logit of ``-inf`` gives exactly 0. A row that holds ``inf`` or NaN, or ``-inf`` only, gives NaN. SciPy's function
    of this name sums over all axes by default.

    Examples
    --------
    >>> import numpy as np, simdloss
    >>> simdloss.softmax(np.array([[0.0, 0.0], [-np.inf, 1000.0]]))
    array([[0.5, 0.5],
           [0. , 1. ]])
    """
    return normalised(x, axis, out, False)


def log_softmax(x, axis=-1, *, out=None):
    """
    Logarithm of the softmax, ``x - logsumexp(x)``.

    Parameters
    ----------
    x : array_like
        Logits; real.
    axis : int, tuple of int or None, optional
        Axis or axes to sum over, the last one by default; None sums over all.
    out : ndarray, optional
        Where to put the result; `x` itself for in place.

    Returns
    -------
    ndarray or scalar
        Of the shape of `x` and in its memory order: float32 for float32, float16 for float16, else float64.

    Raises
    ------
    TypeError
        If `x` is longdouble, complex or not numeric, or if `out` is no array of the result's dtype.
    ValueError
        If an axis is out of range or repeated, or `out` has another shape or is read-only.

    See Also
    --------
    softmax : its exponential.
    cross_entropy : the elements at the targets alone, summed up.

    Notes
    -----
    With m the largest logit and S' the sum of ``exp(x - m)`` over the others, the result is ``(x - m) - log1p(S')``:
    right for confident rows too, where ``log(softmax(x))`` gives 0 or ``-inf``.

    Examples
    --------
    >>> import numpy as np, simdloss
    >>> simdloss.log_softmax(np.array([40.0, 0.0]))
    array([-4.24835426e-18, -4.00000000e+01])
    """
    return normalised(x, axis, out, True)


cdef object normalised(object given, object axis, object out, bint log):
    cdef Axes axes
    cdef sl_shape shape
    cdef sl_softmax job
    cdef ndarray y
    cdef ndarray x = as_real(given, "x")
    read_axes(&axes, axis, cnp.PyArray_NDIM(x))
    if out is None:
        y = new_like(x)
    else:
        y = out_like(out, "out", x)
        x = apart_or_same(x, y)
    lay(&job.x, x)
    lay(&job.y, y)
    job.log = log
    job.shape = &shape
    make_shape(&shape, x, &axes, [&job.x, &job.y], 2, True)
    run_softmax(&job, kernel_type_of(x) == cnp.NPY_DOUBLE)
    return y if out is not None else or_scalar(y)


ctypedef struct LogsumexpCall:
    const sl_logsumexp *job
    void (*kernel)(const sl_logsumexp *a, size_t begin, size_t end, const sl_memory *held) noexcept nogil
    void (*part)(const sl_logsumexp *a, size_t begin, size_t end, const sl_part *part) noexcept nogil


cdef int run_logsumexp(const sl_logsumexp *job, bint is_double) except -1:
    cdef LogsumexpCall call
    cdef Rows rows
    call.job = job
    call.kernel = active.f64.logsumexp if is_double else active.f32.logsumexp
    call.part = active.f64.logsumexp_part if is_double else active.f32.logsumexp_part
    rows.block, rows.part = logsumexp_block, logsumexp_part
    if job.b.p != NULL:
        rows.part = NULL
    rows.shape, rows.x, rows.y = job.shape, &job.x, &job.softmax
    return run_rows(&rows, &call, is_double, 600 if job.softmax.p != NULL else 400, NULL)


cdef void logsumexp_block(void *given, size_t begin, size_t end, const sl_memory *held, sl_sum *unused) noexcept nogil:
    call = <const LogsumexpCall *> given
    call.kernel(call.job, begin, end, held)


cdef void logsumexp_part(void *given, size_t begin, size_t end, const sl_part *part, sl_sum *unused) noexcept nogil:
    call = <const LogsumexpCall *> given
    call.part(call.job, begin, end, part)


ctypedef struct SoftmaxCall:
    const sl_softmax *job
    void (*kernel)(const sl_softmax *a, size_t begin, size_t end, const sl_memory *held) noexcept nogil
    void (*part)(const sl_softmax *a, size_t begin, size_t end, const sl_part *part) noexcept nogil


cdef int run_softmax(const sl_softmax *job, bint is_double) except -1:
    cdef SoftmaxCall call
    cdef Rows rows
    call.job = job
    call.kernel = active.f64.softmax if is_double else active.f32.softmax
    call.part = active.f64.softmax_part if is_double else active.f32.softmax_part
    rows.block, rows.part = softmax_block, softmax_part
    rows.shape, rows.x, rows.y = job.shape, &job.x, &job.y
    return run_rows(&rows, &call, is_double, 600, NULL)


cdef void softmax_block(void *given, size_t begin, size_t end, const sl_memory *held, sl_sum *unused) noexcept nogil:
    call = <const SoftmaxCall *> given
    call.kernel(call.job, begin, end, held)


cdef void softmax_part(void *given, size_t begin, size_t end, const sl_part *part, sl_sum *unused) noexcept nogil:
    call = <const SoftmaxCall *> given
    call.part(call.job, begin, end, part)
