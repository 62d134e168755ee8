"""The options that losses share: reductions and numbers."""

cimport numpy as cnp
from cpython.float cimport PyFloat_AS_DOUBLE, PyFloat_CheckExact
from numpy cimport ndarray

from simdloss._arrays cimport or_scalar
from simdloss.ops cimport sl_sum, sl_total_mean, sl_total_value

cnp.import_array()


cdef Reduction read_reduction(object reduction, object out) except? NONE:
    cdef bint mean = reduction == "mean"
    if not mean and reduction == "none":
        return NONE
    if not mean and reduction != "sum":
        raise ValueError(f"reduction must be 'mean', 'sum' or 'none'; got {reduction!r}")
    if out is not None:
        raise ValueError(f"out takes the losses of reduction='none'; reduction={reduction!r} returns a float")
    return MEAN if mean else SUM


# A try statement costs several times what reading a float does.
cdef double read_number(object value, str name) except? -1:
    if PyFloat_CheckExact(value):
        return PyFloat_AS_DOUBLE(value)
    try:
        return <double> value
    except TypeError:
        raise TypeError(f"{name} must be a real number; got {value!r}") from None


cdef double read_fraction(object value, str name) except? -1:
    cdef double number = read_number(value, name)
    if not 0 <= number <= 1:
        raise ValueError(f"{name} must be in [0, 1]; got {value!r}")
    return number


# What a loss returns for its reduction; a mean over nothing is NaN.
cdef object loss_value(Reduction reduction, const sl_sum *total, double count, ndarray loss, object out):
    if reduction == NONE:
        return or_scalar(loss) if out is None else out
    if reduction == SUM:
        return sl_total_value(total)
    return sl_total_mean(total, count)
