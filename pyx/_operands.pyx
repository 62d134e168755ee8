"""Arrays as the operands that kernels of rows take: addresses, storage, and strides along rows and columns."""

cimport numpy as cnp
from libc.stddef cimport ptrdiff_t
from numpy cimport ndarray, npy_intp

from simdloss._arrays cimport Axes, insert_by_stride
from simdloss.ops cimport (
    SL_HALF, SL_INT8, SL_INT16, SL_INT32, SL_INT64, SL_MAX_DIMS, SL_SWAPPED, SL_UNSIGNED, sl_array, sl_shape,
)

cnp.import_array()


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


# The shape of x as a kernel walks it, and every operand's strides along its dimensions. With `sort`, rows and columns
# go in the order of x's memory, rows forwards in that of the last operand there is, and neighbouring dimensions become
# one wherever all operands allow it; without, the rows are numbered as C orders them.
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
        go_forwards(shape, operands, n)
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


# Counts rows from the other end of each dimension in which the last operand has them in reverse.
cdef void go_forwards(const sl_shape *shape, sl_array **operands, int n) noexcept:
    cdef int i, k
    while n and operands[n - 1].p == NULL:
        n -= 1
    if n == 0 or shape.rows == 0:
        return
    for k in range(shape.row_dims):
        if operands[n - 1].row[k] < 0:
            for i in range(n):
                if operands[i].p != NULL:
                    operands[i].p += <ptrdiff_t> (shape.row[k] - 1) * operands[i].row[k]
                    operands[i].row[k] = -operands[i].row[k]


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
