"""Array checks shared by the functions of rows and losses: inputs, outputs, shared memory, the operands of kernels."""

cimport numpy as cnp
from cpython.long cimport PyLong_CheckExact
from cpython.object cimport PyObject, PyTypeObject
from cpython.ref cimport Py_INCREF
from libc.stddef cimport ptrdiff_t
from numpy cimport ndarray, npy_intp

from simdloss.ops cimport SL_HALF, SL_INT8, SL_INT16, SL_INT32, SL_INT64, SL_SWAPPED, SL_UNSIGNED, sl_array, sl_shape

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


# --- Operands of kernels ---

cdef int int_of_size(npy_intp size) noexcept:
    if size == 8:
        return SL_INT64
    if size == 4:
        return SL_INT32
    return SL_INT16 if size == 2 else SL_INT8


cdef int storage_of(ndarray a) noexcept:
    cdef int kind = cnp.PyArray_TYPE(a)
    cdef int storage = 0 if cnp.PyArray_ISNOTSWAPPED(a) else SL_SWAPPED
    if kind == cnp.NPY_FLOAT16:
        storage |= SL_HALF
    elif cnp.PyTypeNum_ISINTEGER(kind):
        storage |= int_of_size(cnp.PyArray_ITEMSIZE(a))
        if cnp.PyTypeNum_ISUNSIGNED(kind):
            storage |= SL_UNSIGNED
    return storage


cdef void lay_nothing(sl_array *to) noexcept:
    to.p = NULL


# Until make_shape(), row[i] is the stride along axis i, reduced or not.
cdef void lay(sl_array *to, ndarray a) noexcept:
    cdef int i
    if a is None:
        lay_nothing(to)
        return
    to.p = cnp.PyArray_BYTES(a)
    to.storage = storage_of(a)
    for i in range(cnp.PyArray_NDIM(a)):
        to.row[i] = cnp.PyArray_STRIDE(a, i)


cdef void lay_rows(sl_array *to, ndarray a, const Axes *axes, bint keepdims) noexcept:
    cdef int i, k = 0
    if a is None:
        lay_nothing(to)
        return
    to.p = cnp.PyArray_BYTES(a)
    to.storage = storage_of(a)
    for i in range(axes.ndim):
        if axes.reduced[i]:
            to.row[i] = 0
            k += keepdims
        else:
            to.row[i] = cnp.PyArray_STRIDE(a, k)
            k += 1


# Inserts an axis into the n axes of `order`, before the first of a smaller stride.
cdef int insert_by_stride(int *order, int n, int axis, const npy_intp *strides) noexcept:
    cdef int k = n
    while k > 0 and abs(strides[order[k - 1]]) < abs(strides[axis]):
        order[k] = order[k - 1]
        k -= 1
    order[k] = axis
    return n + 1


# The shape of x as a kernel walks it, and every operand's strides along its dimensions. With `sort`, rows and columns
# go in the order of x's memory and neighbouring dimensions become one wherever all operands allow it; without, the rows
# are numbered as C orders them.
cdef void make_shape(sl_shape *shape, ndarray x, const Axes *axes, sl_array **operands, int n, bint sort) noexcept:
    cdef int rows[SL_MAX_DIMS]
    cdef int cols[SL_MAX_DIMS]
    cdef npy_intp strides[SL_MAX_DIMS]
    cdef int i, k
    shape.rows = shape.cols = 1
    shape.row_dims = shape.col_dims = 0
    for i in range(axes.ndim):
        strides[i] = cnp.PyArray_STRIDE(x, i) if sort else 0
        if axes.reduced[i]:
            shape.cols *= cnp.PyArray_DIM(x, i)
        else:
            shape.rows *= cnp.PyArray_DIM(x, i)
        if cnp.PyArray_DIM(x, i) == 1:
            continue
        if axes.reduced[i]:
            shape.col_dims = insert_by_stride(cols, shape.col_dims, i, strides)
        else:
            shape.row_dims = insert_by_stride(rows, shape.row_dims, i, strides)
    for k in range(shape.row_dims):
        shape.row[k] = cnp.PyArray_DIM(x, rows[k])
    for k in range(shape.col_dims):
        shape.col[k] = cnp.PyArray_DIM(x, cols[k])

    for i in range(n):
        if operands[i].p != NULL:
            order_strides(operands[i], rows, shape.row_dims, cols, shape.col_dims)
    if sort:
        shape.row_dims = merge(shape.row, shape.row_dims, operands, n, False)
        shape.col_dims = merge(shape.col, shape.col_dims, operands, n, True)


cdef void order_strides(sl_array *a, const int *rows, int row_dims, const int *cols, int col_dims) noexcept:
    cdef ptrdiff_t strides[SL_MAX_DIMS]
    cdef int i
    for i in range(col_dims):
        a.col[i] = a.row[cols[i]]
    for i in range(row_dims):
        strides[i] = a.row[rows[i]]
    for i in range(row_dims):
        a.row[i] = strides[i]


cdef inline ptrdiff_t *strides_of(sl_array *a, bint cols) noexcept:
    return &a.col[0] if cols else &a.row[0]


# Makes one dimension of two neighbours wherever every operand steps from one to the other as within the inner one.
cdef int merge(size_t *dims, int ndim, sl_array **operands, int n, bint cols) noexcept:
    cdef int i, k, last = 0
    cdef ptrdiff_t *strides
    cdef bint whole
    if ndim < 2:
        return ndim
    for k in range(1, ndim):
        whole = True
        for i in range(n):
            if operands[i].p != NULL:
                strides = strides_of(operands[i], cols)
                whole = whole and strides[last] == strides[k] * <ptrdiff_t> dims[k]
        if whole:
            dims[last] *= dims[k]
        else:
            last += 1
            dims[last] = dims[k]
        for i in range(n):
            if operands[i].p != NULL:
                strides = strides_of(operands[i], cols)
                strides[last] = strides[k]
    return last + 1
