"""Array checks shared by the functions of rows and losses: inputs, outputs, shared memory."""

cimport numpy as cnp
from cpython.long cimport PyLong_CheckExact
from cpython.object cimport PyObject, PyTypeObject
from cpython.ref cimport Py_INCREF
from libc.stddef cimport ptrdiff_t
from numpy cimport ndarray, npy_intp

from operator import index

import numpy as np
from numpy.exceptions import AxisError
from numpy.lib.array_utils import normalize_axis_tuple

cnp.import_array()


cdef extern from "Python.h":
    # Without an exception for numbers that are too large: the nearest.
    ptrdiff_t PyNumber_AsSsize_t(object number, PyObject *overflow) except? -1

cdef extern from "numpy/arrayobject.h":
    # Steals the reference to descr.
    object PyArray_NewLikeArray(ndarray prototype, cnp.NPY_ORDER order, cnp.PyArray_Descr *descr, int subok)
    object PyArray_New(PyTypeObject *subtype, int nd, const npy_intp *dims, int type_num, const npy_intp *strides,
                       void *data, int itemsize, int flags, PyObject *obj)


# --- Inputs ---

# As np.asarray: no subclass.
cdef ndarray as_array(object given, str name):
    if cnp.PyArray_CheckExact(given):
        return <ndarray> given
    try:
        return np.asarray(given)
    except ValueError as error:
        raise ValueError(f"{name} must be an array or nested sequences of numbers: {error}") from None


cdef int check_real(ndarray a, str name) except -1:
    cdef int kind = cnp.PyArray_TYPE(a)
    if (kind == cnp.NPY_FLOAT or kind == cnp.NPY_DOUBLE or kind == cnp.NPY_FLOAT16 or cnp.PyTypeNum_ISBOOL(kind)
            or cnp.PyTypeNum_ISINTEGER(kind)):
        return 0
    raise TypeError(f"{name} must have a dtype of float16, float32, float64, integers or bool; got {a.dtype}")


# float16, float32, float64 in either byte order as they are; bool and integers as float64.
cdef ndarray as_real(object given, str name):
    a = as_array(given, name)
    check_real(a, name)
    if cnp.PyTypeNum_ISFLOAT(cnp.PyArray_TYPE(a)):
        return a
    return <ndarray> cnp.PyArray_Cast(a, cnp.NPY_DOUBLE)


cdef int kernel_type_of(ndarray a) noexcept:
    return cnp.NPY_DOUBLE if cnp.PyArray_TYPE(a) == cnp.NPY_DOUBLE else cnp.NPY_FLOAT


cdef ndarray cast(ndarray a, int type_num):
    if cnp.PyArray_TYPE(a) == type_num:
        return a
    # A float64 beyond float32 becomes infinite: the caller's choice of dtype, not worth a warning.
    with np.errstate(all="ignore"):
        return <ndarray> cnp.PyArray_Cast(a, type_num)


# An operand beside those that decided the kernel's type: converted unless the kernel reads its storage.
cdef ndarray as_kernel_type(object given, int kernel_type, str name):
    a = as_array(given, name)
    check_real(a, name)
    if kernel_type == cnp.NPY_FLOAT and cnp.PyArray_TYPE(a) == cnp.NPY_FLOAT16:
        return a
    return cast(a, kernel_type)


# An axis, a tuple of axes or None for all of them; a 0-d array counts as one column of one row.
cdef int read_axes(Axes *axes, object axis, int ndim) except -1:
    cdef int i
    if axis is not None and not isinstance(axis, tuple):
        return read_axis(axes, axis, ndim)
    axes.ndim = ndim
    for i in range(ndim):
        axes.reduced[i] = axis is None
    if axis is not None:
        for i in normalize_axis_tuple(axis, ndim or 1, "axis"):
            if ndim:
                axes.reduced[i] = True
    return 0


cdef int read_axis(Axes *axes, object axis, int ndim) except -1:
    cdef int i
    cdef ptrdiff_t at
    if PyLong_CheckExact(axis):
        at = PyNumber_AsSsize_t(axis, NULL)
    else:
        try:
            at = PyNumber_AsSsize_t(axis, NULL)
        except TypeError:
            raise TypeError(f"axis must be an integer; got {axis!r}") from None
    cdef int size = ndim if ndim else 1
    if not -size <= at < size:
        raise AxisError(index(axis), ndim, "axis")
    axes.ndim = ndim
    for i in range(ndim):
        axes.reduced[i] = False
    if ndim:
        axes.reduced[at + size if at < 0 else at] = True
    return 0


cdef tuple shape_of(ndarray a):
    return (<object> a).shape


cdef tuple row_shape(ndarray x, const Axes *axes, bint keepdims):
    cdef int i
    shape = []
    for i in range(axes.ndim):
        if not axes.reduced[i]:
            shape.append(cnp.PyArray_DIM(x, i))
        elif keepdims:
            shape.append(1)
    return tuple(shape)


cdef bint has_row_shape(ndarray a, ndarray x, const Axes *axes, bint keepdims) noexcept:
    cdef int i, k = 0
    for i in range(axes.ndim):
        if axes.reduced[i] and not keepdims:
            continue
        if k == cnp.PyArray_NDIM(a) or cnp.PyArray_DIM(a, k) != (1 if axes.reduced[i] else cnp.PyArray_DIM(x, i)):
            return False
        k += 1
    return k == cnp.PyArray_NDIM(a)


cdef npy_intp class_count(ndarray x, const Axes *axes) noexcept:
    cdef int i
    cdef npy_intp n = 1
    for i in range(axes.ndim):
        if axes.reduced[i]:
            n *= cnp.PyArray_DIM(x, i)
    return n


# --- Outputs ---

# As np.empty_like: x's memory order, native byte order, no subclass.
cdef ndarray new_like(ndarray x):
    return <ndarray> PyArray_NewLikeArray(x, cnp.NPY_KEEPORDER, native(cnp.PyArray_TYPE(x)), 0)


cdef cnp.PyArray_Descr *native(int type_num):
    descr = cnp.PyArray_DescrFromType(type_num)
    Py_INCREF(descr)
    return <cnp.PyArray_Descr *> descr


# Inserts an axis into the n axes of `order`, before the first of a smaller stride.
cdef int insert_by_stride(int *order, int n, int axis, const npy_intp *strides) noexcept:
    cdef int k = n
    while k > 0 and abs(strides[order[k - 1]]) < abs(strides[axis]):
        order[k] = order[k - 1]
        k -= 1
    order[k] = axis
    return n + 1


# One element per row of x, in the order in which x's memory has the rows.
cdef ndarray new_rows(ndarray x, const Axes *axes, bint keepdims):
    cdef int order[SL_MAX_DIMS]
    cdef npy_intp dims[SL_MAX_DIMS]
    cdef npy_intp strides[SL_MAX_DIMS]
    cdef npy_intp stride = cnp.PyArray_ITEMSIZE(x)
    cdef int i, k, n = 0, ndim = 0
    for i in range(axes.ndim):
        if axes.reduced[i] and not keepdims:
            continue
        dims[ndim] = 1 if axes.reduced[i] else cnp.PyArray_DIM(x, i)
        strides[ndim] = 0 if axes.reduced[i] else cnp.PyArray_STRIDE(x, i)
        n = insert_by_stride(order, n, ndim, strides)
        ndim += 1
    for k in reversed(range(n)):
        strides[order[k]] = stride
        stride *= max(dims[order[k]], 1)
    return <ndarray> PyArray_New(<PyTypeObject *> ndarray, ndim, dims, cnp.PyArray_TYPE(x), strides, NULL, 0, 0, NULL)


# The caller's buffer for what new_like() or new_rows() would allocate.
cdef ndarray out_like(object out, str name, ndarray x):
    cdef ndarray a = checked_out(out, name, x)
    if not cnp.PyArray_SAMESHAPE(a, x):
        raise ValueError(f"{name} must have shape {shape_of(x)}; got {shape_of(a)}")
    return a


cdef ndarray out_rows(object out, str name, ndarray x, const Axes *axes, bint keepdims):
    cdef ndarray a = checked_out(out, name, x)
    if not has_row_shape(a, x, axes, keepdims):
        raise ValueError(f"{name} must have shape {row_shape(x, axes, keepdims)}; got {shape_of(a)}")
    return a


cdef ndarray checked_out(object out, str name, ndarray x):
    if not isinstance(out, ndarray):
        raise TypeError(f"{name} must be a numpy array; got {type(out).__name__}")
    cdef ndarray a = <ndarray> out
    if cnp.PyArray_TYPE(a) != cnp.PyArray_TYPE(x) or not cnp.PyArray_ISNOTSWAPPED(a):
        raise TypeError(f"{name} must have dtype {cnp.PyArray_DescrFromType(cnp.PyArray_TYPE(x))}; got {a.dtype}")
    if not cnp.PyArray_ISWRITEABLE(a):
        raise ValueError(f"{name} must be writable; it is read-only")
    return a


cdef object or_scalar(ndarray a):
    if cnp.PyArray_NDIM(a):
        return a
    return cnp.PyArray_ToScalar(cnp.PyArray_DATA(a), a)


# --- Shared memory ---

# False for an array without elements.
cdef inline bint extent(ndarray a, char **low, char **high) noexcept:
    cdef int i
    cdef npy_intp span
    low[0] = cnp.PyArray_BYTES(a)
    high[0] = low[0] + cnp.PyArray_ITEMSIZE(a)
    for i in range(cnp.PyArray_NDIM(a)):
        if cnp.PyArray_DIM(a, i) == 0:
            return False
        span = (cnp.PyArray_DIM(a, i) - 1) * cnp.PyArray_STRIDE(a, i)
        if span < 0:
            low[0] += span
        else:
            high[0] += span
    return True


# Whether the memory between the first and the last byte of each has bytes in common.
cdef bint overlap(ndarray a, ndarray b) noexcept:
    cdef char *a_low = NULL
    cdef char *a_high = NULL
    cdef char *b_low = NULL
    cdef char *b_high = NULL
    return extent(a, &a_low, &a_high) and extent(b, &b_low, &b_high) and a_low < b_high and b_low < a_high


cdef bint same(ndarray a, ndarray b) noexcept:
    cdef int i
    if (cnp.PyArray_DATA(a) != cnp.PyArray_DATA(b) or cnp.PyArray_TYPE(a) != cnp.PyArray_TYPE(b)
            or cnp.PyArray_ISNOTSWAPPED(a) != cnp.PyArray_ISNOTSWAPPED(b) or not cnp.PyArray_SAMESHAPE(a, b)):
        return False
    for i in range(cnp.PyArray_NDIM(a)):
        if cnp.PyArray_DIM(a, i) > 1 and cnp.PyArray_STRIDE(a, i) != cnp.PyArray_STRIDE(b, i):
            return False
    return True


# An input that writing to `out` leaves alone: itself, or a copy.
cdef ndarray apart(ndarray a, ndarray out):
    if a is None or out is None or not overlap(a, out):
        return a
    return <ndarray> cnp.PyArray_NewCopy(a, cnp.NPY_KEEPORDER)


cdef ndarray apart_or_same(ndarray a, ndarray out):
    if out is None or same(a, out):
        return a
    return apart(a, out)


cdef int check_apart(ndarray a, str a_name, ndarray b, str b_name) except -1:
    if a is not None and b is not None and overlap(a, b):
        raise ValueError(f"{a_name} and {b_name} must not share memory")
    return 0
