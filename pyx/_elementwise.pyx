"""The elementwise functions: a direct path for plain contiguous arrays, a ufunc for all else."""

cimport numpy as cnp
from numpy cimport ndarray, npy_intp

from simdloss._blocks cimport run_elements
from simdloss.ufuncs cimport LOG_SIGMOID, LOG_SIGMOID_AND_GRAD, SIGMOID, SOFTPLUS, Routine, real, run
from simdloss.ops cimport sl_sum

from simdloss import ufuncs

cnp.import_array()

cdef str SAME_KIND = "same_kind"
cdef str KEEP_ORDER = "K"


def sigmoid(x, /, out=None, *, where=True, casting=SAME_KIND, order=KEEP_ORDER, dtype=None, subok=True, signature=None):
    """
    Logistic function, ``1 / (1 + exp(-x))``, element-wise.

    Parameters
    ----------
    x : array_like
        Real numbers, usually logits.
    out : ndarray or tuple of one ndarray, optional
        Where to put the result; `x` itself for in place.
    where, casting, order, dtype, subok, signature : optional
        As every NumPy ufunc takes them, see `numpy.ufunc`.

    Returns
    -------
    ndarray or scalar
        Of the shape of `x`: float32 for float32, float16 for float16, else float64.

    Raises
    ------
    TypeError
        If `x` is longdouble, complex or not numeric.

    See Also
    --------
    log_sigmoid : its logarithm, accurate where the sigmoid underflows.
    simdloss.ufuncs.sigmoid : the ufunc behind it.

    Notes
    -----
    Computed as ``1 / (1 + e)`` or ``e / (1 + e)`` with ``e = exp(-abs(x))``, so that no sign of `x` overflows or loses
    relative accuracy. ``sigmoid(-x)`` is the accurate form of ``1 - sigmoid(x)``.

    Examples
    --------
    >>> import numpy as np, simdloss
    >>> simdloss.sigmoid(np.array([-1000.0, 0.0, 1000.0]))
    array([0. , 0.5, 1. ])
    """
    if where is True and dtype is None and casting is SAME_KIND and order is KEEP_ORDER and signature is None:
        y = direct(SIGMOID, x, out)
        if y is not None:
            return y
    return ufuncs.sigmoid(x, **options(out, where, casting, order, dtype, subok, signature))


def log_sigmoid(x, /, out=None, *, where=True, casting=SAME_KIND, order=KEEP_ORDER, dtype=None, subok=True,
                signature=None):
    """
    Logarithm of the logistic function, ``log(1 / (1 + exp(-x)))``, element-wise.

    Parameters
    ----------
    x : array_like
        Real numbers, usually logits.
    out : ndarray or tuple of one ndarray, optional
        Where to put the result; `x` itself for in place.
    where, casting, order, dtype, subok, signature : optional
        As every NumPy ufunc takes them, see `numpy.ufunc`.

    Returns
    -------
    ndarray or scalar
        Of the shape of `x`: float32 for float32, float16 for float16, else float64.

    Raises
    ------
    TypeError
        If `x` is longdouble, complex or not numeric.

    See Also
    --------
    log_sigmoid_and_grad : with its derivative, in one pass.
    softplus : ``-log_sigmoid(-x)``.
    simdloss.ufuncs.log_sigmoid : the ufunc behind it.

    Notes
    -----
    Computed as ``min(x, 0) - log1p(exp(-abs(x)))``. PyTorch calls it ``logsigmoid``, SciPy ``log_expit``.

    Examples
    --------
    >>> import numpy as np, simdloss
    >>> simdloss.log_sigmoid(np.array([-1000.0, 1000.0]))
    array([-1000.,    -0.])
    """
    if where is True and dtype is None and casting is SAME_KIND and order is KEEP_ORDER and signature is None:
        y = direct(LOG_SIGMOID, x, out)
        if y is not None:
            return y
    return ufuncs.log_sigmoid(x, **options(out, where, casting, order, dtype, subok, signature))


def softplus(x, /, out=None, *, where=True, casting=SAME_KIND, order=KEEP_ORDER, dtype=None, subok=True,
             signature=None):
    """
    Smooth maximum of x and 0, ``log(1 + exp(x))``, element-wise.

    Parameters
    ----------
    x : array_like
        Real numbers.
    out : ndarray or tuple of one ndarray, optional
        Where to put the result; `x` itself for in place.
    where, casting, order, dtype, subok, signature : optional
        As every NumPy ufunc takes them, see `numpy.ufunc`.

    Returns
    -------
    ndarray or scalar
        Of the shape of `x`: float32 for float32, float16 for float16, else float64.

    Raises
    ------
    TypeError
        If `x` is longdouble, complex or not numeric.

    See Also
    --------
    log_sigmoid : ``-softplus(-x)``.
    simdloss.ufuncs.softplus : the ufunc behind it.

    Notes
    -----
    Computed as ``max(x, 0) + log1p(exp(-abs(x)))``. Its derivative is ``sigmoid(x)``.

    Examples
    --------
    >>> import numpy as np, simdloss
    >>> simdloss.softplus(np.array([-1000.0, 1000.0]))
    array([   0., 1000.])
    """
    if where is True and dtype is None and casting is SAME_KIND and order is KEEP_ORDER and signature is None:
        y = direct(SOFTPLUS, x, out)
        if y is not None:
            return y
    return ufuncs.softplus(x, **options(out, where, casting, order, dtype, subok, signature))


def log_sigmoid_and_grad(x, /, *outs, out=None, where=True, casting=SAME_KIND, order=KEEP_ORDER, dtype=None, subok=True,
                         signature=None):
    """
    ``log_sigmoid(x)`` and its derivative ``sigmoid(-x)``, element-wise in one pass.

    Parameters
    ----------
    x : array_like
        Real numbers, usually logits.
    *outs, out : ndarray or None, optional
        Where to put value and derivative: two arguments after `x`, or a tuple of two as `out`. One of them may be `x`
        itself.
    where, casting, order, dtype, subok, signature : optional
        As every NumPy ufunc takes them, see `numpy.ufunc`.

    Returns
    -------
    value, grad : ndarray or scalar
        Both of the shape of `x`: float32 for float32, float16 for float16, else float64.

    Raises
    ------
    TypeError
        If `x` is longdouble, complex or not numeric.

    See Also
    --------
    log_sigmoid : the value alone.
    simdloss.ufuncs.log_sigmoid_and_grad : the ufunc behind it.

    Notes
    -----
    Value and derivative come from the same ``exp(-abs(x))``. The derivative is never ``1 - sigmoid(x)``, which is 0 for
    every large x.

    Examples
    --------
    >>> import numpy as np, simdloss
    >>> value, grad = simdloss.log_sigmoid_and_grad(np.array([0.0, 40.0]))
    >>> grad
    array([5.00000000e-01, 4.24835426e-18])
    """
    if (where is True and dtype is None and casting is SAME_KIND and order is KEEP_ORDER and signature is None
            and (out is None or not outs)):
        pair = direct_pair(x, outs or out)
        if pair is not None:
            return pair
    return ufuncs.log_sigmoid_and_grad(x, *outs, **options(out, where, casting, order, dtype, subok, signature, outs))


# Those that differ from a ufunc's defaults. With `where`, NumPy warns unless told `out`, be it None.
cdef dict options(out, where, casting, order, dtype, subok, signature, tuple outs=()):
    given = {}
    if out is not None or (where is not True and not outs):
        given["out"] = out
    if where is not True:
        given["where"] = where
    if casting is not SAME_KIND:
        given["casting"] = casting
    if order is not KEEP_ORDER:
        given["order"] = order
    if dtype is not None:
        given["dtype"] = dtype
    if subok is not True:
        given["subok"] = subok
    if signature is not None:
        given["signature"] = signature
    return given


# float32 or float64 exactly, native, aligned and contiguous. A 0-d result would have to become a scalar: the ufunc's
# work.
cdef inline bint is_plain(object x) noexcept:
    if not cnp.PyArray_CheckExact(x):
        return False
    cdef int kind = cnp.PyArray_TYPE(<ndarray> x)
    return ((kind == cnp.NPY_FLOAT or kind == cnp.NPY_DOUBLE) and cnp.PyArray_NDIM(<ndarray> x) > 0
            and cnp.PyArray_ISCARRAY_RO(<ndarray> x))


# Contiguous arrays of n bytes each.
cdef inline bint are_disjoint(ndarray a, ndarray b, npy_intp n) noexcept:
    cdef char *p = cnp.PyArray_BYTES(a)
    cdef char *q = cnp.PyArray_BYTES(b)
    return p + n <= q or q + n <= p


cdef inline npy_intp size_of(ndarray a) noexcept:
    cdef npy_intp n = 1
    cdef int i
    for i in range(cnp.PyArray_NDIM(a)):
        n *= cnp.PyArray_DIM(a, i)
    return n


# As plain as x of n bytes, writable, of its type and shape, and its memory either exactly x's or apart from it.
cdef inline bint fits(ndarray x, object out, npy_intp n) noexcept:
    if not is_plain(out):
        return False
    cdef ndarray y = <ndarray> out
    return (cnp.PyArray_TYPE(x) == cnp.PyArray_TYPE(y) and cnp.PyArray_ISWRITEABLE(y) and cnp.PyArray_SAMESHAPE(x, y)
            and (cnp.PyArray_DATA(x) == cnp.PyArray_DATA(y) or are_disjoint(x, y, n)))


# The result, or None where the ufunc must do it.
cdef inline object direct(Routine routine, object x, object out):
    if not is_plain(x):
        return None
    cdef ndarray a = <ndarray> x
    cdef npy_intp n = size_of(a)
    cdef ndarray y
    if out is None:
        y = cnp.PyArray_SimpleNew(cnp.PyArray_NDIM(a), cnp.PyArray_DIMS(a), cnp.PyArray_TYPE(a))
    elif fits(a, out, n * cnp.PyArray_ITEMSIZE(a)):
        y = <ndarray> out
    else:
        return None
    compute(routine, a, y, None, n)
    return y


cdef inline object direct_pair(object x, object out):
    if not is_plain(x):
        return None
    cdef ndarray a = <ndarray> x
    cdef npy_intp n = size_of(a), nbytes = n * cnp.PyArray_ITEMSIZE(a)
    cdef object y = None
    cdef object z = None
    if out is not None:
        if not (type(out) is tuple and len(<tuple> out) == 2):
            return None
        y, z = <tuple> out
    if y is None:
        y = cnp.PyArray_SimpleNew(cnp.PyArray_NDIM(a), cnp.PyArray_DIMS(a), cnp.PyArray_TYPE(a))
    elif not fits(a, y, nbytes):
        return None
    if z is None:
        z = cnp.PyArray_SimpleNew(cnp.PyArray_NDIM(a), cnp.PyArray_DIMS(a), cnp.PyArray_TYPE(a))
    elif not fits(a, z, nbytes) or not are_disjoint(<ndarray> y, <ndarray> z, nbytes):
        return None
    compute(LOG_SIGMOID_AND_GRAD, a, <ndarray> y, <ndarray> z, n)
    return y, z


ctypedef struct Call:
    Routine routine
    bint is_double
    void *x
    void *y
    void *z


cdef inline int compute(Routine routine, ndarray x, ndarray y, ndarray z, npy_intp n) except -1:
    cdef Call call
    call.routine = routine
    call.is_double = cnp.PyArray_TYPE(x) == cnp.NPY_DOUBLE
    call.x = cnp.PyArray_DATA(x)
    call.y = cnp.PyArray_DATA(y)
    call.z = NULL if z is None else cnp.PyArray_DATA(z)
    return run_elements(block, &call, n, call.is_double, 600, NULL)


cdef void block(void *given, size_t begin, size_t end, sl_sum *unused) noexcept nogil:
    call = <const Call *> given
    if call.is_double:
        run_part(call, begin, end, <double *> call.x)
    else:
        run_part(call, begin, end, <float *> call.x)


cdef inline void run_part(const Call *call, size_t begin, size_t end, real *x) noexcept nogil:
    cdef real *z = NULL if call.z == NULL else <real *> call.z + begin
    run(call.routine, <const real *> x + begin, sizeof(real), <real *> call.y + begin, sizeof(real), z, sizeof(real),
        end - begin)
