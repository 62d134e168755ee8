# The targets and class weights of cross-entropy.
from numpy cimport ndarray

from simdloss._arrays cimport Axes
from simdloss.ops cimport sl_cross_entropy

cdef ndarray as_target(object given, ndarray logits, const Axes *axes, long long ignore_index)
cdef double scan(const sl_cross_entropy *job, ndarray logits, ndarray target, const Axes *axes) except? -1
cdef double sum_weights(ndarray weight) noexcept
