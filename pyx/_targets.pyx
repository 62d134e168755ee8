"""The targets of cross-entropy: class indices of every integer dtype, soft labels, and the errors of both."""

cimport numpy as cnp
from libc.stdint cimport INT64_MAX, int64_t
from libc.stddef cimport ptrdiff_t
from numpy cimport ndarray

from simdloss._arrays cimport (
    Axes, as_array, as_kernel_type, class_count, has_row_shape, kernel_type_of, row_shape, shape_of,
)
from simdloss._blocks cimport run_elements
from simdloss._operands cimport lay_nothing, lay_rows, make_shape
from simdloss.ops cimport sl_cross_entropy, sl_scan_targets, sl_shape, sl_sum, sl_sum_weights, sl_total_value

import numpy as np

cnp.import_array()


# Class indices as they are, or soft labels as the kernel of the logits reads them.
cdef ndarray as_target(object given, ndarray logits, const Axes *axes, long long ignore_index):
    cdef ndarray target = as_array(given, "target")
    cdef int kind = cnp.PyArray_TYPE(target)
    if cnp.PyArray_SAMESHAPE(target, logits):
        if cnp.PyTypeNum_ISINTEGER(kind) or cnp.PyTypeNum_ISBOOL(kind):
            raise TypeError(f"target of the shape of logits must be floating point, soft labels; got {target.dtype}: "
                            "write target.argmax(axis) for class indices, target.astype(logits.dtype) for soft labels")
        return as_kernel_type(target, kernel_type_of(logits), "target")
    if not has_row_shape(target, logits, axes, False):
        raise ValueError(f"target must have shape {row_shape(logits, axes, False)}, that of logits without axis, "
                         f"for class indices, or that of logits, {shape_of(logits)}, for soft labels; "
                         f"got {shape_of(target)}")
    if not cnp.PyTypeNum_ISINTEGER(kind):
        raise TypeError(f"target of shape {shape_of(target)} must be class indices of an integer dtype; "
                        f"got {target.dtype}: write target.astype(np.int64) if its values are indices")
    if kind == cnp.NPY_ULONG or kind == cnp.NPY_ULONGLONG:
        check_unsigned(target, logits, axes, ignore_index)
    return target


# Unsigned values beyond int64 are no classes, nor may they become negative ones, such as ignore_index.
cdef int check_unsigned(ndarray target, ndarray logits, const Axes *axes, long long ignore_index) except -1:
    if cnp.PyArray_SIZE(target) and (<object> target).max() > INT64_MAX:
        beyond = np.asarray(target > INT64_MAX)
        raise_bad_target(int((<object> target)[beyond][0]), beyond.argmax(), logits, axes, ignore_index)
    return 0


ctypedef struct Scan:
    const sl_cross_entropy *job
    bint is_double, found_bad


cdef void scan_block(void *given, size_t begin, size_t end, sl_sum *denominator) noexcept nogil:
    cdef int64_t bad
    call = <Scan *> given
    # Several threads may say so; which of them found the first is not asked.
    if sl_scan_targets(call.job, call.is_double, begin, end, denominator, &bad) >= 0:
        call.found_bad = True


# Checks every class index, and returns the denominator of the mean.
cdef double scan(const sl_cross_entropy *job, ndarray logits, ndarray target, const Axes *axes) except? -1:
    cdef sl_sum denominator
    cdef int64_t bad = 0
    cdef Scan call
    cdef sl_shape shape
    cdef sl_cross_entropy in_order
    cdef ptrdiff_t position
    denominator.sum = denominator.rest = 0
    call.job = job
    call.is_double = kernel_type_of(logits) == cnp.NPY_DOUBLE
    call.found_bad = False
    run_elements(scan_block, &call, job.shape.rows, False, 1000, &denominator)
    if not call.found_bad:
        return sl_total_value(&denominator)

    # Once more, now in the order in which C and the reader count rows.
    lay_rows(&in_order.target, target, axes, False)
    lay_nothing(&in_order.sample_weight)
    in_order.weight = NULL
    in_order.ignore_index = job.ignore_index
    in_order.shape = &shape
    make_shape(&shape, logits, axes, [&in_order.target], 1, False)
    position = sl_scan_targets(&in_order, call.is_double, 0, shape.rows, &denominator, &bad)
    raise_bad_target(bad, position, logits, axes, job.ignore_index)


cdef int raise_bad_target(object value, object position, ndarray logits, const Axes *axes,
                          long long ignore_index) except -1:
    rows = row_shape(logits, axes, False)
    at = [int(i) for i in np.unravel_index(position, rows)] if rows else ""
    raise IndexError(f"target{at} is {value}: it must be in [0, {class_count(logits, axes)}), a class of logits, "
                     f"or ignore_index {ignore_index}")


# Of contiguous class weights.
cdef double sum_weights(ndarray weight) noexcept:
    cdef bint is_double = cnp.PyArray_TYPE(weight) == cnp.NPY_DOUBLE
    return sl_sum_weights(cnp.PyArray_DATA(weight), is_double, cnp.PyArray_SIZE(weight))
