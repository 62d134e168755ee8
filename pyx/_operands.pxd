from numpy cimport ndarray

from simdloss._arrays cimport Axes
from simdloss.ops cimport sl_array, sl_shape

# First each is laid over the axes as they are, absent where its array is None; then make_shape() sorts, turns and
# merges the dimensions of all. Rows go forwards in the last of them that there is: it should be the output, and before
# it what is read with it, since to read in reverse takes less than to write so.
cdef void lay(sl_array *to, ndarray a) noexcept
cdef void lay_rows(sl_array *to, ndarray a, const Axes *axes, bint keepdims) noexcept
cdef void lay_nothing(sl_array *to) noexcept
cdef void make_shape(sl_shape *shape, ndarray x, const Axes *axes, sl_array **operands, int n, bint sort) noexcept
