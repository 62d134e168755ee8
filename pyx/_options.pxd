# The options that losses share.
from numpy cimport ndarray

from simdloss.ops cimport sl_sum

cdef enum Reduction:
    MEAN
    SUM
    NONE

cdef Reduction read_reduction(object reduction, object out) except? NONE
cdef double read_number(object value, str name) except? -1
cdef double read_fraction(object value, str name) except? -1
cdef object loss_value(Reduction reduction, const sl_sum *total, double count, ndarray loss, object out)
