"""The probes of csrc/kernels/probe.c, for the benchmark's rooflines; no part of the public interface."""

cimport numpy as cnp
from numpy cimport ndarray

from simdloss._dispatch cimport active
from simdloss.ops cimport SL_PROBE_STEP

cnp.import_array()

# A store past the caches wants a whole vector's alignment, and no vector is wider than a line of the cache.
ALIGNMENT = 64
STEP = SL_PROBE_STEP


def run(str what, ndarray x not None, ndarray y not None, size_t times):
    """
    Go over `x` `times` times with the instruction set in use, without the GIL.

    Parameters
    ----------
    what : {"read", "copy", "stream", "exp"}
        "read" writes the sum of `x`, "exp" the sum of its exponentials, for ``|x| < 80``, to ``y[0]``; "copy" and
        "stream" copy `x` to `y`, the latter by stores past the caches where the instruction set has them.
    x, y : ndarray of float32 or float64, one dtype
        Contiguous, of one length that is a multiple of `STEP`, at addresses that are multiples of `ALIGNMENT`.
    times : int

    Raises
    ------
    ValueError
        If `what` is unknown, or `x` or `y` is not as above.
    """
    cdef size_t n = cnp.PyArray_SIZE(x)
    cdef int type_num = cnp.PyArray_TYPE(x)
    cdef object array
    for name, array in (("x", x), ("y", y)):
        if (cnp.PyArray_TYPE(array) != type_num or type_num not in (cnp.NPY_FLOAT32, cnp.NPY_FLOAT64)
                or not array.flags.carray or array.size != n or n % STEP or array.ctypes.data % ALIGNMENT):
            raise ValueError(
                f"{name} must be contiguous, float32 or float64 as x is, of x's length, a multiple of {STEP}, at an "
                f"address that is a multiple of {ALIGNMENT}; got {array.dtype} of shape {array.shape} "
                f"at {array.ctypes.data:#x}"
            )
    if what not in ("read", "copy", "stream", "exp"):
        raise ValueError(f"what must be 'read', 'copy', 'stream' or 'exp'; got {what!r}")
    if type_num == cnp.NPY_FLOAT32:
        run32(what, <const float *> cnp.PyArray_DATA(x), <float *> cnp.PyArray_DATA(y), n, times)
    else:
        run64(what, <const double *> cnp.PyArray_DATA(x), <double *> cnp.PyArray_DATA(y), n, times)


cdef void run32(str what, const float *x, float *y, size_t n, size_t times):
    cdef void (*probe)(const float *, float *, size_t, size_t) noexcept nogil
    if what == "read":
        probe = active.f32.probe_read
    elif what == "copy":
        probe = active.f32.probe_copy
    elif what == "stream":
        probe = active.f32.probe_stream
    else:
        probe = active.f32.probe_exp
    with nogil:
        probe(x, y, n, times)


cdef void run64(str what, const double *x, double *y, size_t n, size_t times):
    cdef void (*probe)(const double *, double *, size_t, size_t) noexcept nogil
    if what == "read":
        probe = active.f64.probe_read
    elif what == "copy":
        probe = active.f64.probe_copy
    elif what == "stream":
        probe = active.f64.probe_stream
    else:
        probe = active.f64.probe_exp
    with nogil:
        probe(x, y, n, times)
