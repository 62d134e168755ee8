# Arrays that are given or made: checked, and apart from each other.
from libc.stddef cimport ptrdiff_t
from numpy cimport ndarray, npy_bool, npy_intp

from simdloss.ops cimport SL_MAX_DIMS

# The axes of an array: which of them are reduced (the columns, the classes); the rest are the rows.
ctypedef struct Axes:
    int ndim
    npy_bool reduced[SL_MAX_DIMS]

# Inputs.
cdef ndarray as_array(object given, str name)
cdef int check_real(ndarray a, str name) except -1
cdef ndarray as_real(object given, str name)
cdef int kernel_type_of(ndarray a) noexcept
cdef ndarray cast(ndarray a, int type_num)
cdef ndarray as_kernel_type(object given, int kernel_type, str name)

cdef int read_axes(Axes *axes, object axis, int ndim) except -1
cdef int read_axis(Axes *axes, object axis, int ndim) except -1

cdef tuple shape_of(ndarray a)
cdef tuple row_shape(ndarray x, const Axes *axes, bint keepdims)
cdef bint has_row_shape(ndarray a, ndarray x, const Axes *axes, bint keepdims) noexcept
cdef npy_intp class_count(ndarray x, const Axes *axes) noexcept

# The order of axes in memory.
cdef int insert_by_stride(int *order, int n, int axis, const npy_intp *strides) noexcept

# Outputs.
cdef ndarray new_like(ndarray x)
cdef ndarray new_rows(ndarray x, const Axes *axes, bint keepdims)
cdef ndarray out_like(object out, str name, ndarray x)
cdef ndarray out_rows(object out, str name, ndarray x, const Axes *axes, bint keepdims)
cdef object or_scalar(ndarray a)

# Shared memory.
cdef bint overlap(ndarray a, ndarray b) noexcept
cdef ndarray apart(ndarray a, ndarray out)
cdef ndarray apart_or_same(ndarray a, ndarray out)
cdef int check_apart(ndarray a, str a_name, ndarray b, str b_name) except -1
