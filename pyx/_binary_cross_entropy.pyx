"""Binary cross-entropy with logits."""

cimport numpy as cnp
from cpython.object cimport PyObject
from numpy cimport ndarray, npy_intp

from simdloss._arrays cimport (
    as_array, as_real, check_apart, check_real, kernel_type_of, new_like, or_scalar, out_like, overlap,
    shape_of,
)
from simdloss._blocks cimport run_elements
from simdloss._dispatch cimport active
from simdloss._options cimport MEAN, NONE, Reduction, loss_value, read_reduction
from simdloss.ops cimport SL_HALF, sl_binary_cross_entropy, sl_run, sl_share, sl_sum

cnp.import_array()


cdef extern from "numpy/arrayobject.h":
    ctypedef struct PyArrayObject
    ctypedef int (*IterNext "NpyIter_IterNextFunc *")(cnp.NpyIter *iterator) noexcept nogil
    cnp.NpyIter *NpyIter_AdvancedNew(int nop, PyArrayObject **op, cnp.npy_uint32 flags, cnp.NPY_ORDER order,
                                     cnp.NPY_CASTING casting, cnp.npy_uint32 *op_flags, cnp.PyArray_Descr **op_dtypes,
                                     int oa_ndim, int **op_axes, const npy_intp *shape, npy_intp buffer) except NULL
    cnp.NpyIter *NpyIter_Copy(cnp.NpyIter *iterator) except NULL
    # These two leave no Python exception where they are given a place for the message.
    int NpyIter_ResetToIterIndexRange(cnp.NpyIter *iterator, npy_intp begin, npy_intp end, char **error) noexcept nogil
    IterNext NpyIter_GetIterNext(cnp.NpyIter *iterator, char **error) noexcept nogil


cdef extern from "<fenv.h>" nogil:
    ctypedef struct fenv_t:
        pass
    int fegetenv(fenv_t *environment)
    int fesetenv(const fenv_t *environment)
    const fenv_t *FE_DFL_ENV


def binary_cross_entropy_with_logits(logits, target, *, weight=None, pos_weight=None, reduction="mean", out=None):
    """
    Binary cross-entropy of logits.

    Parameters
    ----------
    logits : array_like
        Unnormalised log-probabilities of class 1, of any shape.
    target : array_like
        Of the shape of `logits`; any real numbers, usually 0, 1 or probabilities.
    weight : array_like, optional
        Factor of each loss; broadcasts to the shape of `logits`.
    pos_weight : array_like, optional
        Factor of the terms of class 1; broadcasts to the shape of `logits`.
    reduction : {"mean", "sum", "none"}, optional
        What is returned of the losses. The mean divides by their number, whatever the weights; it is NaN for none.
    out : ndarray, optional
        Where to put the losses of ``reduction="none"``.

    Returns
    -------
    float, ndarray or scalar
        A Python float for "mean" and "sum", accumulated in more than float64. For "none" an array of the shape of
        `logits` and in its memory order: float32 for float32, float16 for float16, else float64.

    Raises
    ------
    TypeError
        If an argument is longdouble, complex or not numeric, or if `out` is no array of the result's dtype.
    ValueError
        If `target` has another shape than `logits`, if a weight does not broadcast to it, if `reduction` is unknown, or
        if `out` has another shape, is read-only or goes with "mean" or "sum".

    See Also
    --------
    binary_cross_entropy_with_logits_and_grad : with the gradient.

    Notes
    -----
    With weight w, pos_weight q and target y the loss is ``w * ((1 - y) * softplus(x) + q * y * softplus(-x))``, where a
    factor of 0 times an infinite term is 0, the limit. PyTorch has a function of this name and meaning [1]_, but gives
    NaN for infinite logits.

    References
    ----------
    .. [1] https://docs.pytorch.org/docs/stable/generated/torch.nn.functional.binary_cross_entropy_with_logits.html

    Examples
    --------
    >>> import numpy as np, simdloss
    >>> simdloss.binary_cross_entropy_with_logits(np.array([5.0, 5.0]), [1, 0], reduction="none")
    array([0.00671535, 5.00671535])
    """
    return compute(logits, target, weight, pos_weight, reduction, out, False, None)


def binary_cross_entropy_with_logits_and_grad(logits, target, *, weight=None, pos_weight=None, reduction="mean",
                                              out=None, grad_out=None):
    """
    Binary cross-entropy of logits, and its gradient, in one pass.

    Parameters
    ----------
    logits : array_like
        Unnormalised log-probabilities of class 1, of any shape.
    target : array_like
        Of the shape of `logits`; any real numbers, usually 0, 1 or probabilities.
    weight, pos_weight, reduction, out : optional
        As `binary_cross_entropy_with_logits` takes them.
    grad_out : ndarray, optional
        Where to put the gradient; `logits` itself for in place.

    Returns
    -------
    loss : float, ndarray or scalar
        As `binary_cross_entropy_with_logits` returns it.
    grad : ndarray or scalar
        Gradient of what was returned with respect to `logits`, of their shape and in their memory order: float32 for
        float32, float16 for float16, else float64. For "none" each element's own derivative; for "mean" with the factor
        1/number in it.

    Raises
    ------
    TypeError, ValueError
        As `binary_cross_entropy_with_logits` does; also for a `grad_out` of another dtype or shape, a read-only one, or
        one that shares memory with `out`.

    See Also
    --------
    binary_cross_entropy_with_logits : the loss alone; its formula is explained there.

    Notes
    -----
    With weight w, pos_weight q and target y the gradient is ``w * ((1 - y) * sigmoid(x) - q * y * sigmoid(-x))``.

    Examples
    --------
    >>> import numpy as np, simdloss
    >>> loss, grad = simdloss.binary_cross_entropy_with_logits_and_grad(np.array([0.0, 0.0]), [1, 0], reduction="sum")
    >>> grad
    array([-0.5,  0.5])
    """
    return compute(logits, target, weight, pos_weight, reduction, out, True, grad_out)


cdef object compute(object logits, object target, object weight, object pos_weight, object reduction, object out,
                    bint with_grad, object grad_out):
    cdef sl_binary_cross_entropy job
    cdef sl_sum total
    cdef ndarray loss = None, grad = None, w = None, q = None
    cdef Reduction reduce = read_reduction(reduction, out)
    cdef ndarray x = as_real(logits, "logits")
    cdef ndarray y = as_array(target, "target")
    check_real(y, "target")
    if not cnp.PyArray_SAMESHAPE(x, y):
        raise ValueError(f"target must have the shape of logits, {shape_of(x)}; got {shape_of(y)}")
    if weight is not None:
        w = as_weight(weight, x, "weight")
    if pos_weight is not None:
        q = as_weight(pos_weight, x, "pos_weight")

    if reduce == NONE:
        loss = new_like(x) if out is None else out_like(out, "out", x)
    if with_grad:
        grad = new_like(x) if grad_out is None else out_like(grad_out, "grad_out", x)
    check_apart(loss, "out", grad, "grad_out")

    cdef double count = <double> cnp.PyArray_SIZE(x)
    job.grad_scale = sl_share(count) if reduce == MEAN else 1
    total.sum = total.rest = 0
    if is_plain(x, y, w, q, loss, grad):
        run_plain(&job, x, y, w, q, loss, grad, &total)
    else:
        iterate(&job, x, y, w, q, loss, grad, &total)

    value = loss_value(reduce, &total, count, loss, out)
    if with_grad:
        return value, (or_scalar(grad) if grad_out is None else grad_out)
    return value


# An array that broadcasts to the logits without enlarging them.
cdef ndarray as_weight(object given, ndarray logits, str name):
    cdef ndarray weight = as_array(given, name)
    cdef int i, before = cnp.PyArray_NDIM(logits) - cnp.PyArray_NDIM(weight)
    check_real(weight, name)
    fits = before >= 0
    if fits:
        for i in range(cnp.PyArray_NDIM(weight)):
            if cnp.PyArray_DIM(weight, i) not in (1, cnp.PyArray_DIM(logits, before + i)):
                fits = False
    if not fits:
        raise ValueError(f"{name} must broadcast to the shape of logits, {shape_of(logits)}; got {shape_of(weight)}")
    return weight


ctypedef void (*Kernel)(const sl_binary_cross_entropy *a, size_t begin, size_t end, sl_sum *total) noexcept nogil

ctypedef struct Call:
    const sl_binary_cross_entropy *job
    Kernel kernel


cdef inline Kernel kernel_of(bint is_double) noexcept:
    return active.f64.binary_cross_entropy if is_double else active.f32.binary_cross_entropy


# --- One run over memory ---

# Whether all operands are native, aligned and contiguous in the same order, and outputs are inputs or apart from them.
cdef bint is_plain(ndarray x, ndarray y, ndarray w, ndarray q, ndarray loss, ndarray grad) noexcept:
    cdef int order = cnp.NPY_ARRAY_C_CONTIGUOUS
    if not cnp.PyArray_CHKFLAGS(x, order):
        order = cnp.NPY_ARRAY_F_CONTIGUOUS
    return (is_run(x, x, order) and is_run(y, x, order) and is_run(w, x, order) and is_run(q, x, order)
            and is_run(loss, x, order) and is_run(grad, x, order)
            and is_clear(loss, x) and is_clear(loss, y) and is_clear(loss, w) and is_clear(loss, q)
            and is_clear(grad, x) and is_clear(grad, y) and is_clear(grad, w) and is_clear(grad, q))


cdef inline bint is_run(ndarray a, ndarray x, int order) noexcept:
    return a is None or (cnp.PyArray_TYPE(a) == cnp.PyArray_TYPE(x) and cnp.PyArray_SAMESHAPE(a, x)
                         and cnp.PyArray_CHKFLAGS(a, order | cnp.NPY_ARRAY_ALIGNED) and cnp.PyArray_ISNOTSWAPPED(a))


cdef inline bint is_clear(ndarray out, ndarray a) noexcept:
    return out is None or a is None or cnp.PyArray_DATA(out) == cnp.PyArray_DATA(a) or not overlap(out, a)


cdef inline void lay_run(sl_run *run, ndarray a) noexcept:
    run.p = NULL
    if a is not None:
        run.p, run.stride = cnp.PyArray_BYTES(a), cnp.PyArray_ITEMSIZE(a)
        run.storage = SL_HALF if cnp.PyArray_TYPE(a) == cnp.NPY_FLOAT16 else 0


cdef int run_plain(sl_binary_cross_entropy *job, ndarray x, ndarray y, ndarray w, ndarray q, ndarray loss, ndarray grad,
                   sl_sum *total) except -1:
    cdef Call call
    cdef bint is_double = cnp.PyArray_TYPE(x) == cnp.NPY_DOUBLE
    lay_run(&job.x, x)
    lay_run(&job.y, y)
    lay_run(&job.weight, w)
    lay_run(&job.pos_weight, q)
    lay_run(&job.loss, loss)
    lay_run(&job.grad, grad)
    call.job = job
    call.kernel = kernel_of(is_double)
    return run_elements(block, &call, cnp.PyArray_SIZE(x), is_double, 800, total)


cdef void block(void *given, size_t begin, size_t end, sl_sum *total) noexcept nogil:
    call = <const Call *> given
    call.kernel(call.job, begin, end, total)


# --- Any layout and dtype: NumPy's iterator broadcasts, casts and buffers ---

cdef enum:
    OPERANDS = 6
    INPUTS = 4
    ITERATOR = (cnp.NPY_ITER_EXTERNAL_LOOP | cnp.NPY_ITER_BUFFERED | cnp.NPY_ITER_GROWINNER | cnp.NPY_ITER_ZEROSIZE_OK
                | cnp.NPY_ITER_COPY_IF_OVERLAP | cnp.NPY_ITER_RANGED | cnp.NPY_ITER_DELAY_BUFALLOC)
    # Elements: six buffers of float64 for each of ten threads stay below 1 MB.
    ITERATOR_BUFFER = 2048
    # Writing an element of an output after reading the same one of an input is no overlap.
    OPERAND = cnp.NPY_ITER_ALIGNED | cnp.NPY_ITER_NBO | cnp.NPY_ITER_OVERLAP_ASSUME_ELEMENTWISE
    INPUT = OPERAND | cnp.NPY_ITER_READONLY
    OUTPUT = OPERAND | cnp.NPY_ITER_WRITEONLY | cnp.NPY_ITER_NO_BROADCAST

ctypedef struct Iteration:
    sl_binary_cross_entropy *job
    Kernel kernel
    cnp.NpyIter *iterator
    int place[OPERANDS]
    int storage[OPERANDS]
    bint out_of_memory


cdef int iterate(sl_binary_cross_entropy *job, ndarray x, ndarray y, ndarray w, ndarray q, ndarray loss,
                 ndarray grad, sl_sum *total) except -1:
    cdef PyObject *all[OPERANDS]
    cdef PyArrayObject *given[OPERANDS]
    cdef cnp.npy_uint32 flags[OPERANDS]
    cdef cnp.PyArray_Descr *types[OPERANDS]
    cdef int i, n = 0, kernel_type = kernel_type_of(x)
    cdef bint is_half, is_double = kernel_type == cnp.NPY_DOUBLE
    cdef Iteration call
    cdef cnp.dtype descr = cnp.PyArray_DescrFromType(kernel_type)
    cdef cnp.dtype half = cnp.PyArray_DescrFromType(cnp.NPY_FLOAT16)
    cdef fenv_t caller
    all[:] = [<PyObject *> x, <PyObject *> y, <PyObject *> w, <PyObject *> q, <PyObject *> loss, <PyObject *> grad]
    for i in range(OPERANDS):
        call.place[i], call.storage[i] = -1, 0
        if <object> all[i] is not None:
            call.place[i] = n
            given[n] = <PyArrayObject *> all[i]
            # NumPy's own conversions of float16 take tens of times longer where numbers are small.
            is_half = not is_double and cnp.PyArray_TYPE(<ndarray> all[i]) == cnp.NPY_FLOAT16
            call.storage[i] = SL_HALF if is_half else 0
            types[n] = <cnp.PyArray_Descr *> half if is_half else <cnp.PyArray_Descr *> descr
            flags[n] = INPUT if i < INPUTS else OUTPUT
            n += 1

    call.job = job
    call.kernel = kernel_of(is_double)
    call.out_of_memory = False
    fegetenv(&caller)
    try:
        call.iterator = NpyIter_AdvancedNew(n, given, ITERATOR, cnp.NPY_KEEPORDER, cnp.NPY_UNSAFE_CASTING, flags, types,
                                            -1, NULL, NULL, ITERATOR_BUFFER)
        try:
            run_elements(iterate_block, &call, cnp.PyArray_SIZE(x), is_double, 1200, total)
        finally:
            # Also writes back what was computed in temporaries.
            cnp.NpyIter_Deallocate(call.iterator)
    finally:
        # Casts of numpy clear the flags.
        fesetenv(&caller)
    if call.out_of_memory:
        raise MemoryError("no buffers to convert or gather the operands")
    return 0


# An iterator of its own, as several threads walk at once, and the floating-point environment in which casts of every
# thread round alike; the flags they leave are not for the caller.
cdef void iterate_block(void *given, size_t begin, size_t end, sl_sum *total) noexcept nogil:
    cdef fenv_t environment
    cdef cnp.NpyIter *iterator = NULL
    cdef char *error = NULL
    call = <Iteration *> given
    if begin == end:
        return
    with gil:
        try:
            iterator = NpyIter_Copy(call.iterator)
        except MemoryError:
            call.out_of_memory = True
            return
    fegetenv(&environment)
    fesetenv(FE_DFL_ENV)
    if NpyIter_ResetToIterIndexRange(iterator, begin, end, &error):
        run_all(call, iterator, total)
    else:
        call.out_of_memory = True
    fesetenv(&environment)
    with gil:
        cnp.NpyIter_Deallocate(iterator)


cdef void run_all(const Iteration *call, cnp.NpyIter *iterator, sl_sum *total) noexcept nogil:
    cdef char *error = NULL
    cdef IterNext next_run = NpyIter_GetIterNext(iterator, &error)
    cdef char **at = cnp.NpyIter_GetDataPtrArray(iterator)
    cdef npy_intp *steps = cnp.NpyIter_GetInnerStrideArray(iterator)
    cdef npy_intp *n = cnp.NpyIter_GetInnerLoopSizePtr(iterator)
    cdef sl_binary_cross_entropy job = call.job[0]
    cdef sl_run **runs = [&job.x, &job.y, &job.weight, &job.pos_weight, &job.loss, &job.grad]
    cdef int i, place
    while True:
        for i in range(OPERANDS):
            place = call.place[i]
            runs[i].p = at[place] if place >= 0 else NULL
            runs[i].stride = steps[place] if place >= 0 else 0
            runs[i].storage = call.storage[i]
        call.kernel(&job, 0, n[0], total)
        if not next_run(iterator):
            break
