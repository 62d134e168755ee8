"""Properties that hold for any input: hypothesis looks for shapes, strides, axes and values where they do not."""

import hypothesis.extra.numpy as hnp
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import simdloss

DTYPES = st.sampled_from([np.float32, np.float64])
quick = settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


def close(dtype, factor=8):
    eps = float(np.finfo(dtype).eps)
    return {"rtol": factor * eps, "atol": factor * eps}


@st.composite
def views(draw, min_dims=1):
    """A view of a larger array: any axes order, steps and directions, some axes repeated by a stride of 0."""
    dtype = draw(DTYPES)
    shape = draw(
        hnp.array_shapes(min_dims=min_dims, max_dims=4, min_side=1, max_side=draw(st.sampled_from([4, 9, 40])))
    )
    steps = [draw(st.sampled_from([1, 1, 2, 3, -1, -2])) for _ in shape]
    seed, spread = draw(st.integers(0, 2**32 - 1)), draw(st.sampled_from([0.1, 3.0, 50.0]))
    holder = np.random.default_rng(seed).normal(size=[n * abs(s) for n, s in zip(shape, steps, strict=True)]) * spread
    view = holder.astype(dtype)[tuple(slice(None, None, s) for s in steps)]
    view = view.transpose(draw(st.permutations(range(len(shape)))))
    if draw(st.integers(0, 4)) == 0:
        repeated = draw(st.integers(0, view.ndim - 1))
        first = view[tuple(slice(0, 1) if i == repeated else slice(None) for i in range(view.ndim))]
        view = np.broadcast_to(first, view.shape)
    return view


def axes_of(draw_from, array):
    return draw_from.draw(st.integers(-array.ndim, array.ndim - 1), label="axis")


@quick
@given(x=views(), data=st.data())
def test_softmax_sums_to_one(isa, x, data):
    axis = axes_of(data, x)
    p = simdloss.softmax(x, axis=axis)
    assert (p >= 0).all()
    assert (p <= 1 + 2 * np.finfo(x.dtype).eps).all()
    np.testing.assert_allclose(p.sum(axis, dtype=float), 1, rtol=20 * np.finfo(x.dtype).eps)
    np.testing.assert_allclose(np.exp(simdloss.log_softmax(x, axis=axis).astype(float)), p, **close(x.dtype, 200))


@quick
@given(x=views(), data=st.data())
def test_contiguous_copy_gives_the_same(isa, x, data):
    axis = axes_of(data, x)
    straight = np.moveaxis(np.ascontiguousarray(np.moveaxis(x, axis, -1)), -1, axis)
    for function in (simdloss.softmax, simdloss.log_softmax, simdloss.logsumexp):
        found, want = function(x, axis=axis), function(straight, axis=axis)
        np.testing.assert_allclose(found, want, **close(x.dtype))
    for function in (simdloss.sigmoid, simdloss.log_sigmoid, simdloss.softplus):
        np.testing.assert_array_equal(function(x), function(straight))


@quick
@given(x=views(min_dims=2), data=st.data())
def test_axes_can_be_permuted(isa, x, data):
    axis = axes_of(data, x) % x.ndim
    order = data.draw(st.permutations(range(x.ndim)))
    moved = order.index(axis)
    for function in (simdloss.softmax, simdloss.log_softmax):
        found = function(x.transpose(order), axis=moved)
        np.testing.assert_allclose(found, function(x, axis=axis).transpose(order), **close(x.dtype))
    rest = [i - (i > axis) for i in order if i != axis]
    lse = simdloss.logsumexp(x.transpose(order), axis=moved)
    np.testing.assert_allclose(lse, simdloss.logsumexp(x, axis=axis).transpose(rest), **close(x.dtype))


@quick
@given(x=views(), data=st.data())
def test_tuple_of_axes_is_one_long_axis(isa, x, data):
    axes = tuple(data.draw(st.lists(st.integers(0, x.ndim - 1), unique=True, min_size=1)))
    rest = [i for i in range(x.ndim) if i not in axes]
    flat = np.ascontiguousarray(x.transpose(*rest, *axes)).reshape([x.shape[i] for i in rest] + [-1])
    want = simdloss.logsumexp(flat, axis=-1)
    found, p = simdloss.logsumexp_and_grad(x, axis=axes)
    np.testing.assert_allclose(found, want, **close(x.dtype))
    np.testing.assert_allclose(simdloss.logsumexp(x, axis=axes), want, **close(x.dtype))
    np.testing.assert_allclose(p.transpose(*rest, *axes).reshape(flat.shape), simdloss.softmax(flat), **close(x.dtype))


@quick
@given(x=views(), shift=st.integers(-64, 64), data=st.data())
def test_shift_invariance(isa, x, shift, data):
    """Logits on a grid, so that the shift itself does not round: softmax stays, logsumexp moves along."""
    axis = axes_of(data, x)
    x = np.round(x * 8).astype(x.dtype) / x.dtype.type(8)
    moved = x + x.dtype.type(shift)
    np.testing.assert_allclose(simdloss.softmax(moved, axis=axis), simdloss.softmax(x, axis=axis), **close(x.dtype))
    lse = simdloss.logsumexp(x, axis=axis)
    size = max(1, float(np.abs(lse).max()), abs(shift))
    np.testing.assert_allclose(
        simdloss.logsumexp(moved, axis=axis), lse + shift, rtol=0, atol=4 * np.finfo(x.dtype).eps * size
    )


@quick
@given(x=views(), data=st.data())
def test_logsumexp_bounds(isa, x, data):
    """Between the maximum and the maximum plus log of the count."""
    axis = axes_of(data, x)
    lse, top = simdloss.logsumexp(x, axis=axis), x.max(axis)
    slack = 2 * np.finfo(x.dtype).eps * np.abs(top)
    assert (lse >= top).all()
    assert (lse <= top + np.log(x.shape[axis]) * (1 + 1e-6) + slack).all()


@quick
@given(x=views(), data=st.data())
def test_logsumexp_of_one_element(isa, x, data):
    axis = axes_of(data, x)
    single = x.take([0], axis)
    np.testing.assert_array_equal(simdloss.logsumexp(single, axis=axis), single.squeeze(axis))


@quick
@given(x=views(), data=st.data())
def test_cross_entropy_properties(isa, x, data):
    """Losses are not negative, gradient rows sum to 0, and one row alone gives what it gives in a batch."""
    axis = axes_of(data, x) % x.ndim
    shape = [n for i, n in enumerate(x.shape) if i != axis]
    target = np.random.default_rng(0).integers(0, x.shape[axis], shape)
    loss, grad = simdloss.cross_entropy_and_grad(x, target, axis=axis, reduction="none")
    assert (np.asarray(loss) >= 0).all()
    np.testing.assert_allclose(grad.sum(axis, dtype=float), 0, atol=40 * np.finfo(x.dtype).eps)
    picked = np.take_along_axis(simdloss.log_softmax(x, axis=axis), np.expand_dims(target, axis), axis).squeeze(axis)
    np.testing.assert_allclose(loss, -picked, **close(x.dtype))
    one_hot = np.moveaxis(target[..., None] == np.arange(x.shape[axis]), -1, axis).astype(x.dtype)
    soft_loss, soft_grad = simdloss.cross_entropy_and_grad(x, one_hot, axis=axis, reduction="none")
    np.testing.assert_allclose(soft_loss, loss, **close(x.dtype))
    np.testing.assert_allclose(soft_grad, grad, **close(x.dtype))
    if shape:
        rows = np.moveaxis(x, axis, -1)
        at = tuple(data.draw(st.integers(0, n - 1)) for n in shape)
        alone, alone_grad = simdloss.cross_entropy_and_grad(rows[at], target[at], reduction="none")
        np.testing.assert_allclose(alone, loss[at], **close(x.dtype))
        np.testing.assert_allclose(alone_grad, np.moveaxis(grad, axis, -1)[at], **close(x.dtype))


@quick
@given(x=views(), reduction=st.sampled_from(["mean", "sum"]), data=st.data())
def test_reductions_follow_from_none(isa, x, reduction, data):
    axis = axes_of(data, x) % x.ndim
    shape = [n for i, n in enumerate(x.shape) if i != axis]
    rng = np.random.default_rng(1)
    target = rng.integers(0, x.shape[axis], shape)
    options = {"axis": axis, "sample_weight": rng.uniform(0.5, 2, shape).astype(x.dtype)}
    rows, row_grads = simdloss.cross_entropy_and_grad(x, target, reduction="none", **options)
    loss, grad = simdloss.cross_entropy_and_grad(x, target, reduction=reduction, **options)
    divisor = float(options["sample_weight"].sum(dtype=float)) if reduction == "mean" else 1.0
    assert loss == pytest.approx(float(rows.sum(dtype=float)) / divisor, rel=1e-6 if x.dtype == np.float32 else 1e-13)
    np.testing.assert_allclose(grad, row_grads / divisor, rtol=8 * np.finfo(x.dtype).eps, atol=1e-40)


@quick
@given(x=views(), data=st.data())
def test_elementwise_identities(isa, x, data):
    s, t = simdloss.sigmoid(x).astype(float), simdloss.sigmoid(-x).astype(float)
    np.testing.assert_allclose(s + t, 1, **close(x.dtype))
    np.testing.assert_array_equal(simdloss.softplus(x), -simdloss.log_sigmoid(-x))
    assert (simdloss.log_sigmoid(x) <= 0).all()
    gap = simdloss.softplus(x).astype(float) - simdloss.softplus(-x)
    np.testing.assert_allclose(gap, x, rtol=4 * np.finfo(x.dtype).eps, atol=4 * np.finfo(x.dtype).eps)
    order = np.argsort(x, axis=None)
    assert (np.diff(simdloss.sigmoid(x.ravel()[order]).astype(float)) >= -4 * np.finfo(x.dtype).eps).all()


@quick
@given(x=views(), weighted=st.booleans(), data=st.data())
def test_binary_cross_entropy_properties(isa, x, weighted, data):
    """Against two classes of cross_entropy, and against the elementwise functions."""
    y = np.random.default_rng(2).integers(0, 2, x.shape)
    loss, grad = simdloss.binary_cross_entropy_with_logits_and_grad(x, y, reduction="none")
    pair = np.stack([np.zeros_like(x), x], axis=-1)
    two_loss, two_grad = simdloss.cross_entropy_and_grad(pair, y, reduction="none")
    np.testing.assert_allclose(loss, two_loss, **close(x.dtype))
    np.testing.assert_allclose(grad, two_grad[..., 1], **close(x.dtype))
    np.testing.assert_allclose(loss, simdloss.softplus(np.where(y == 1, -x, x)), **close(x.dtype))
