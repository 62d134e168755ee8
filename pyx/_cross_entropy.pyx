"""Cross-entropy of class indices and of soft labels."""

cimport cython
cimport numpy as cnp
from cpython.long cimport PyLong_AsLongLongAndOverflow, PyLong_CheckExact
from cpython.number cimport PyNumber_Index
from libc.stdint cimport int64_t
from numpy cimport ndarray

from simdloss._arrays cimport (
    Axes, apart, apart_or_same, as_array, as_kernel_type, as_real, cast, check_apart, check_real, class_count,
    has_row_shape, kernel_type_of, new_like, new_rows, or_scalar, out_like, out_rows, read_axis, row_shape, shape_of,
)
from simdloss._blocks cimport Rows, run_rows
from simdloss._dispatch cimport active
from simdloss._operands cimport lay, lay_nothing, lay_rows, make_shape
from simdloss._options cimport MEAN, NONE, Reduction, loss_value, read_fraction, read_number, read_reduction
from simdloss._targets cimport as_target, scan, sum_weights
from simdloss.ops cimport sl_array, sl_cross_entropy, sl_memory, sl_part, sl_shape, sl_share, sl_sum

cnp.import_array()


cdef enum:
    NOT_IGNORED = -100


def cross_entropy(logits, target, *, weight=None, sample_weight=None, ignore_index=NOT_IGNORED, label_smoothing=0.0,
                  lse_square_scale=0.0, reduction="mean", axis=-1, return_lse=False, out=None):
    """
    Cross-entropy of logits with class indices or soft labels.

    Parameters
    ----------
    logits : array_like
        Unnormalised log-probabilities, shape ``(..., C)`` with the classes along `axis`.
    target : array_like
        Class indices: integers of the shape of `logits` without `axis`. Or soft labels: floating point of exactly the
        shape of `logits`.
    weight : array_like, optional
        Weight of each class, shape ``(C,)``.
    sample_weight : array_like, optional
        Weight of each row, of the shape of `logits` without `axis`.
    ignore_index : int, optional
        Rows with this target have loss and gradient 0 and do not count in the mean. Class indices only.
    label_smoothing : float, optional
        Share of the target that is spread evenly over all classes, from 0 to 1.
    lse_square_scale : float, optional
        Adds this times the square of the row's log-sum-exp (z-loss).
    reduction : {"mean", "sum", "none"}, optional
        What is returned of the rows' losses. The mean of class indices divides by the sum of the kept rows' weights,
        class weight times sample weight; that of soft labels by the number of rows or, with `sample_weight`, by its
        sum. It is NaN where that is 0.
    axis : int, optional
        The axis of the classes.
    return_lse : bool, optional
        Also return the log-sum-exp of every row.
    out : ndarray, optional
        Where to put the losses of ``reduction="none"``.

    Returns
    -------
    loss : float, ndarray or scalar
        A Python float for "mean" and "sum", accumulated in more than float64. For "none" an array of the shape of
        `logits` without `axis` (a scalar for 1-D logits): float32 for float32, float16 for float16, else float64.
    lse : ndarray or scalar
        Of the shape and dtype that the losses of "none" have; only with `return_lse`.

    Raises
    ------
    TypeError
        If a dtype is not one of the above: among others for bool or floating-point class indices and integer one-hot
        labels.
    ValueError
        If a shape does not fit, or an option is unknown or outside its range.
    IndexError
        If a target is neither `ignore_index` nor in ``[0, C)``; nothing has been written then.

    See Also
    --------
    cross_entropy_and_grad : with the gradient.

    Notes
    -----
    With lse the row's log-sum-exp, t its target, w the weights and e the smoothing, the loss of a row is ``sum_c q_c
    (lse - x_c) + lse_square_scale * lse**2``, where ``q_c = (1 - e) w_t [c = t] + e/C w_c`` for class indices and ``q_c
    = w_c ((1 - e) y_c + e/C)`` for soft labels y, of any sign and sum. A q_c of 0 contributes 0 even where x_c is
    ``-inf``. A single target costs ``(m - x_t) + log1p(S')``, with m the largest logit and S' the sum of ``exp(x_j -
    m)`` over the others, which is right for confident rows too.

    The semantics are those of PyTorch's function of this name [1]_; there the class axis is 1, and an ignored row with
    a NaN logit has a NaN gradient, here 0.

    References
    ----------
    .. [1] https://docs.pytorch.org/docs/stable/generated/torch.nn.CrossEntropyLoss.html

    Examples
    --------
    >>> import numpy as np, simdloss
    >>> simdloss.cross_entropy(np.array([[10.0, -10.0], [0.0, 0.0]]), [0, 1], reduction="none")
    array([2.06115362e-09, 6.93147181e-01])
    """
    return compute(logits, target, weight, sample_weight, ignore_index, label_smoothing, lse_square_scale, reduction,
                   axis, return_lse, out, False, None)


def cross_entropy_and_grad(logits, target, *, weight=None, sample_weight=None, ignore_index=NOT_IGNORED,
                           label_smoothing=0.0, lse_square_scale=0.0, reduction="mean", axis=-1, return_lse=False,
                           out=None, grad_out=None):
    """
    Cross-entropy of logits with class indices or soft labels, and its gradient, in one pass.

    Parameters
    ----------
    logits : array_like
        Unnormalised log-probabilities, shape ``(..., C)`` with the classes along `axis`.
    target : array_like
        Class indices: integers of the shape of `logits` without `axis`. Or soft labels: floating point of exactly the
        shape of `logits`.
    weight, sample_weight, ignore_index, label_smoothing, lse_square_scale : optional
        As `cross_entropy` takes them.
    reduction, axis, return_lse, out : optional
        As `cross_entropy` takes them.
    grad_out : ndarray, optional
        Where to put the gradient; `logits` itself for in place.

    Returns
    -------
    loss : float, ndarray or scalar
        As `cross_entropy` returns it.
    grad : ndarray
        Gradient of what was returned with respect to `logits`, of their shape and in their memory order: float32 for
        float32, float16 for float16, else float64. For "none" each row's own gradient; for "mean" with the factor
        1/denominator in it.
    lse : ndarray or scalar
        The log-sum-exp of every row; only with `return_lse`.

    Raises
    ------
    TypeError, ValueError, IndexError
        As `cross_entropy` does; also for a `grad_out` of another dtype or shape, a read-only one, or one that shares
        memory with `out`.

    See Also
    --------
    cross_entropy : the loss alone; formulas and options are explained there.

    Notes
    -----
    With p the row's softmax and W the sum of its q_c, the gradient is ``W p_j - q_j + 2 lse_square_scale lse p_j``,
    times the sample weight. That of a lone target is ``-(sum of p_j over j != t)``, never ``p_t - 1``.

    Examples
    --------
    >>> import numpy as np, simdloss
    >>> loss, grad = simdloss.cross_entropy_and_grad(np.array([[0.0, 0.0]]), [1])
    >>> loss, grad
    (0.6931471805599453, array([[ 0.5, -0.5]]))
    """
    return compute(logits, target, weight, sample_weight, ignore_index, label_smoothing, lse_square_scale, reduction,
                   axis, return_lse, out, True, grad_out)


# Nothing but the call itself refers to it, so no cycle can.
@cython.final
@cython.freelist(8)
@cython.no_gc
@cython.auto_pickle(False)
cdef class _Operands:
    """The arrays of one call; None where absent."""

    cdef ndarray logits, target, sample_weight, weight, loss, lse, grad


cdef object compute(object logits, object target, object weight, object sample_weight, object ignore_index,
                    object label_smoothing, object lse_square_scale, object reduction, object axis, bint return_lse,
                    object out, bint with_grad, object grad_out):
    cdef Axes axes
    cdef sl_shape shape
    cdef sl_cross_entropy job
    cdef sl_sum total
    cdef _Operands o = _Operands.__new__(_Operands)
    cdef Reduction reduce = read_reduction(reduction, out)
    job.ignore_index = read_ignore_index(ignore_index)
    job.label_smoothing = read_fraction(label_smoothing, "label_smoothing")
    job.lse_square_scale = read_number(lse_square_scale, "lse_square_scale")
    read_inputs(o, &axes, logits, target, weight, sample_weight, axis, job.ignore_index)
    make_outputs(o, &axes, reduce == NONE, out, with_grad, grad_out, return_lse)
    lay_operands(&job, &shape, o, &axes)

    cdef double denominator = scan(&job, o.logits, o.target, &axes)
    job.grad_scale = sl_share(denominator) if reduce == MEAN else 1
    total.sum = total.rest = 0
    run(&job, kernel_type_of(o.logits) == cnp.NPY_DOUBLE, &total)

    loss = loss_value(reduce, &total, denominator, o.loss, out)
    if with_grad:
        return (loss, o.grad, or_scalar(o.lse)) if return_lse else (loss, o.grad)
    return (loss, or_scalar(o.lse)) if return_lse else loss


cdef int64_t read_ignore_index(object value) except? -1:
    cdef int too_large = 0
    cdef int64_t number = PyLong_AsLongLongAndOverflow(value, &too_large) if PyLong_CheckExact(value) else -1
    if number != -1:
        return number
    try:
        return <int64_t> PyNumber_Index(value)
    except TypeError:
        raise TypeError(f"ignore_index must be an integer; got {value!r}") from None
    except OverflowError:
        raise ValueError(f"ignore_index must fit into int64; got {value!r}") from None


cdef int read_inputs(_Operands o, Axes *axes, object logits, object target, object weight, object sample_weight,
                     object axis, int64_t ignore_index) except -1:
    o.logits = as_real(logits, "logits")
    if cnp.PyArray_NDIM(o.logits) == 0:
        raise ValueError("logits must have an axis of classes; got a 0-d array")
    read_axis(axes, axis, cnp.PyArray_NDIM(o.logits))
    o.target = as_target(target, o.logits, axes, ignore_index)
    if is_soft(o) and ignore_index != NOT_IGNORED:
        raise ValueError(f"ignore_index goes with class indices, not with soft labels; got {ignore_index}")
    if sample_weight is not None:
        o.sample_weight = as_kernel_type(sample_weight, kernel_type_of(o.logits), "sample_weight")
        if not has_row_shape(o.sample_weight, o.logits, axes, False):
            raise ValueError(f"sample_weight must have shape {row_shape(o.logits, axes, False)}, that of logits "
                             f"without axis; got {shape_of(o.sample_weight)}")
    if weight is not None:
        o.weight = as_class_weights(weight, kernel_type_of(o.logits))
        if cnp.PyArray_NDIM(o.weight) != 1 or cnp.PyArray_DIM(o.weight, 0) != class_count(o.logits, axes):
            raise ValueError(f"weight must have shape {(class_count(o.logits, axes),)}, one weight a class; "
                             f"got {shape_of(o.weight)}")
    return 0


cdef bint is_soft(_Operands o) noexcept:
    return cnp.PyTypeNum_ISFLOAT(cnp.PyArray_TYPE(o.target))


# Contiguous, aligned and native: the kernels look classes up in it.
cdef ndarray as_class_weights(object given, int kernel_type):
    cdef ndarray weight = as_array(given, "weight")
    check_real(weight, "weight")
    weight = cast(weight, kernel_type)
    if cnp.PyArray_ISCARRAY_RO(weight):
        return weight
    return cnp.PyArray_FROM_OTF(weight, kernel_type, cnp.NPY_ARRAY_IN_ARRAY)


# Allocates or checks the outputs, and copies the inputs that writing to them would spoil.
cdef int make_outputs(_Operands o, const Axes *axes, bint with_loss, object out, bint with_grad, object grad_out,
                      bint with_lse) except -1:
    cdef ndarray x = o.logits
    if out is not None:
        o.loss = out_rows(out, "out", x, axes, False)
    elif with_loss:
        o.loss = new_rows(x, axes, False)
    if grad_out is not None:
        o.grad = out_like(grad_out, "grad_out", x)
    elif with_grad:
        o.grad = new_like(x)
    if with_lse:
        o.lse = new_rows(x, axes, False)

    if out is not None or grad_out is not None:
        check_apart(o.loss, "out", o.grad, "grad_out")
        o.logits = apart_or_same(apart(o.logits, o.loss), o.grad)
        o.target = apart(apart(o.target, o.loss), o.grad)
        if o.sample_weight is not None:
            o.sample_weight = apart(apart(o.sample_weight, o.loss), o.grad)
        if o.weight is not None:
            o.weight = apart(apart(o.weight, o.loss), o.grad)
    return 0


cdef void lay_operands(sl_cross_entropy *job, sl_shape *shape, _Operands o, const Axes *axes) noexcept:
    cdef sl_array **all = [&job.target, &job.soft, &job.sample_weight, &job.loss, &job.lse, &job.logits, &job.grad]
    cdef int i
    lay(&job.logits, o.logits)
    if is_soft(o):
        lay(&job.soft, o.target)
        lay_nothing(&job.target)
    else:
        lay_rows(&job.target, o.target, axes, False)
        lay_nothing(&job.soft)
    lay_rows(&job.sample_weight, o.sample_weight, axes, False)
    lay_rows(&job.loss, o.loss, axes, False)
    lay_rows(&job.lse, o.lse, axes, False)
    lay(&job.grad, o.grad)
    job.shape = shape
    make_shape(shape, o.logits, axes, all, 7, True)
    if shape.col_dims == 0:
        # The kernels of this loss want a column dimension, even of one class.
        shape.col_dims = 1
        shape.col[0] = 1
        for i in range(7):
            all[i].col[0] = 0

    job.weight = NULL
    job.weight_sum = <double> shape.cols
    if o.weight is not None:
        job.weight = cnp.PyArray_DATA(o.weight)
        job.weight_sum = sum_weights(o.weight)


ctypedef struct Call:
    const sl_cross_entropy *job
    void (*kernel)(const sl_cross_entropy *a, size_t begin, size_t end, const sl_memory *held,
                   sl_sum *total) noexcept nogil
    void (*part)(const sl_cross_entropy *a, size_t begin, size_t end, const sl_part *part,
                 sl_sum *total) noexcept nogil


cdef int run(const sl_cross_entropy *job, bint is_double, sl_sum *total) except -1:
    cdef Call call
    cdef Rows rows
    call.job = job
    call.kernel = active.f64.cross_entropy if is_double else active.f32.cross_entropy
    call.part = active.f64.cross_entropy_part if is_double else active.f32.cross_entropy_part
    rows.block, rows.part = block, part_of_rows
    rows.shape, rows.x, rows.y = job.shape, &job.logits, &job.grad
    return run_rows(&rows, &call, is_double, 600 if job.grad.p != NULL else 400, total)


cdef void block(void *given, size_t begin, size_t end, const sl_memory *held, sl_sum *total) noexcept nogil:
    call = <const Call *> given
    call.kernel(call.job, begin, end, held, total)


cdef void part_of_rows(void *given, size_t begin, size_t end, const sl_part *part, sl_sum *total) noexcept nogil:
    call = <const Call *> given
    call.part(call.job, begin, end, part, total)
