"""The same numbers in any memory layout, with the class axis anywhere, give the same results."""

import itertools
from functools import lru_cache

import numpy as np
import pytest
import reference
import rowwise
from layouts import LAYOUTS, OUTPUT_LAYOUTS, memory_of
from ulp import Expected

import simdloss

# Class counts and row counts on both sides of what is worked on in tiles of rows or of classes.
SHAPES = [(37, 10), (10, 37), (3, 5, 40), (5, 40, 3), (40, 3, 9), (3, 4, 5, 11), (2, 33, 3, 130)]


@lru_cache(maxsize=64)
def case(routine, shape, axis, dtype):
    """Arguments with the class axis at `axis`, and the expected results laid out likewise."""
    last = [n for i, n in enumerate(shape) if i != axis] + [shape[axis]]
    args = rowwise.given(routine, rowwise.data(tuple(last), dtype, seed=axis))

    def back(a):
        return a if a is None or a.ndim < len(shape) else np.moveaxis(a, -1, axis)

    exact = [(back(value), back(scale)) for value, scale in routine.exact(*args)]
    return tuple(map(back, args)), [Expected(value, rowwise.BOUND, dtype, scale) for value, scale in exact]


def check(routine, results, expected, what):
    for result, want in zip(rowwise.as_tuple(results), expected, strict=True):
        want.check(result, f"{routine.name}: {what}")


def output_shapes(routine, shape, axis):
    sizes = {"row": [n for i, n in enumerate(shape) if i != axis], "elements": shape}
    return [sizes[kind] for kind in routine.results]


def shapes_and_axes():
    return [(shape, axis) for shape in SHAPES for axis in range(len(shape))]


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("routine", rowwise.ROW_ROUTINES, ids=lambda routine: routine.name)
def test_logits_layout(isa, dtype, routine, layout):
    for shape, axis in shapes_and_axes():
        (logits, *others), exact = case(routine, shape, axis, dtype)
        laid = LAYOUTS[layout](logits)
        results = routine.run(laid, *others, axis=axis)
        check(routine, results, exact, f"{shape}, axis {axis}, {layout}")
        np.testing.assert_array_equal(laid, logits)


@pytest.mark.parametrize("layout", OUTPUT_LAYOUTS)
@pytest.mark.parametrize("routine", rowwise.ROW_ROUTINES, ids=lambda routine: routine.name)
def test_output_layout(isa, dtype, routine, layout):
    """Nothing beside the output is written, either."""
    for shape, axis in shapes_and_axes():
        args, exact = case(routine, shape, axis, dtype)
        outs = [OUTPUT_LAYOUTS[layout](np.full(size, -7, dtype)) for size in output_shapes(routine, shape, axis)]
        before = [memory_of(out).tobytes() for out in outs]
        results = routine.run(*args, axis=axis, **dict(zip(routine.outputs, outs, strict=True)))
        check(routine, results, exact, f"{shape}, axis {axis}, out {layout}")
        for result, out in zip(rowwise.as_tuple(results), outs, strict=True):
            assert result is out
        for out, bytes_before in zip(outs, before, strict=True):
            out[...] = -7
            assert memory_of(out).tobytes() == bytes_before


@pytest.mark.parametrize("routine", [r for r in rowwise.ROW_ROUTINES if r.needs], ids=lambda routine: routine.name)
def test_target_layout(isa, dtype, routine):
    for (shape, axis), layout in itertools.product(shapes_and_axes(), LAYOUTS):
        (logits, target), exact = case(routine, shape, axis, dtype)
        results = routine.run(np.asfortranarray(logits), LAYOUTS[layout](target), axis=axis)
        check(routine, results, exact, f"{shape}, axis {axis}, target {layout}")


@pytest.mark.parametrize("width", [64, 50], ids=["images", "windows"])
@pytest.mark.parametrize("classes", [7, 8, 21, 130])
@pytest.mark.parametrize("routine", rowwise.ROW_ROUTINES, ids=lambda routine: routine.name)
def test_columns_a_power_of_two_apart(isa, dtype, routine, classes, width):
    """As those of images with the class axis in the middle: they crowd in few sets of a cache."""
    arrays = rowwise.data((2, 32, width, classes), dtype)
    holders = []

    def lay(a):
        holders.append(np.full((2, classes, 32, 64), 99, dtype))
        window = np.moveaxis(holders[-1], 1, -1)[:, :, :width]
        window[...] = a
        return window

    x, *others = (lay(a) if a.ndim == 4 else a for a in rowwise.given(routine, arrays))
    outs = [lay(0) if kind == "elements" else np.zeros(x.shape[:-1], dtype) for kind in routine.results]
    exact = rowwise.expected(routine, arrays)
    check(routine, routine.run(x, *others, axis=-1, **dict(zip(routine.outputs, outs, strict=True))), exact, "apart")
    np.testing.assert_array_equal(x, arrays["logits"])
    if routine.name in rowwise.IN_PLACE:
        check(routine, routine.run(x, *others, axis=-1, **{rowwise.IN_PLACE[routine.name]: x}), exact, "in place")
    for holder in holders:
        assert (holder[..., width:] == 99).all()


@pytest.mark.parametrize("repeated", ["rows", "classes", "both"])
@pytest.mark.parametrize("routine", rowwise.ROW_ROUTINES, ids=lambda routine: routine.name)
def test_broadcast_logits(isa, dtype, routine, repeated):
    for rows, classes in [(37, 10), (5, 300), (64, 3)]:
        arrays = rowwise.data((rows, classes), dtype)
        full = (slice(0, 1) if repeated != "classes" else slice(None), slice(0, 1) if repeated != "rows" else ...)
        arrays["logits"] = np.broadcast_to(arrays["logits"][full], (rows, classes))
        assert 0 in arrays["logits"].strides
        args = rowwise.given(routine, arrays)
        check(routine, routine.run(*args, axis=-1), rowwise.expected(routine, arrays), f"{(rows, classes)} {repeated}")


@pytest.mark.parametrize("routine", rowwise.ROW_ROUTINES, ids=lambda routine: routine.name)
def test_memmap(isa, dtype, routine, tmp_path):
    arrays = rowwise.data((50, 40), dtype)
    for name, array in arrays.items():
        mapped = np.memmap(tmp_path / name, array.dtype, "w+", shape=array.shape)
        mapped[...] = array
        mapped.flush()
        arrays[name] = np.memmap(tmp_path / name, array.dtype, "r", shape=array.shape)
    args = rowwise.given(routine, arrays)
    results = routine.run(*args, axis=-1)
    check(routine, results, rowwise.expected(routine, arrays), "memmap")
    assert all(type(result) is np.ndarray for result in rowwise.as_tuple(results))


@pytest.mark.parametrize("name", ["sigmoid", "log_sigmoid", "softplus"])
def test_elementwise_layout(isa, dtype, name):
    for shape in [(300,), *SHAPES]:
        x = np.random.default_rng(0).normal(size=shape).astype(dtype)
        want = Expected(getattr(reference, name)(x), 3, dtype)
        for layout, out_layout in itertools.product(LAYOUTS, OUTPUT_LAYOUTS):
            laid, out = LAYOUTS[layout](x), OUTPUT_LAYOUTS[out_layout](np.zeros_like(x))
            assert getattr(simdloss, name)(laid, out=out) is out
            want.check(out, f"{name} of {shape} {layout} into {out_layout}")
            want.check(getattr(simdloss, name)(laid), f"{name} of {shape} {layout}")


def binary_expected(parts, dtype):
    return Expected(parts.loss, 3, dtype, parts.loss_scale), Expected(parts.grad, 3, dtype, parts.grad_scale)


def test_binary_cross_entropy_layout(isa, dtype):
    rng = np.random.default_rng(0)
    for shape in [(300,), (37, 10), (3, 4, 5, 11)]:
        x, y = (rng.normal(size=shape).astype(dtype) for _ in range(2))
        exact = reference.binary_cross_entropy(x, y)
        want, want_grad = binary_expected(exact, dtype)
        for layout, target_layout in itertools.product(LAYOUTS, LAYOUTS):
            laid = LAYOUTS[layout](x), LAYOUTS[target_layout](y)
            loss, grad = simdloss.binary_cross_entropy_with_logits_and_grad(*laid, reduction="none")
            what = f"{shape}: logits {layout}, target {target_layout}"
            want.check(loss, what)
            want_grad.check(grad, what)
            mean = simdloss.binary_cross_entropy_with_logits(*laid)
            assert mean == pytest.approx(float(exact.reduced("mean")[0]), rel=1e-6), what


@pytest.mark.parametrize("layout", OUTPUT_LAYOUTS)
def test_binary_cross_entropy_output_layout(isa, dtype, layout):
    rng = np.random.default_rng(0)
    for shape in [(300,), (37, 10), (3, 4, 5, 11)]:
        x, y = (rng.normal(size=shape).astype(dtype) for _ in range(2))
        loss, grad = OUTPUT_LAYOUTS[layout](np.zeros_like(x)), OUTPUT_LAYOUTS["reversed"](np.zeros_like(x))
        found = simdloss.binary_cross_entropy_with_logits_and_grad(x, y, reduction="none", out=loss, grad_out=grad)
        assert found[0] is loss
        assert found[1] is grad
        want, want_grad = binary_expected(reference.binary_cross_entropy(x, y), dtype)
        want.check(loss, f"{shape} {layout}")
        want_grad.check(grad, f"{shape} {layout}")


MEMORY_ORDERS = [
    np.ascontiguousarray,
    np.asfortranarray,
    lambda a: np.ascontiguousarray(a.swapaxes(0, 1)).swapaxes(0, 1),
]


@pytest.mark.parametrize("lay", MEMORY_ORDERS, ids=["C", "F", "swapped"])
def test_gradient_has_the_memory_order_of_the_logits(dtype, lay):
    logits = lay(np.zeros((3, 4, 5), dtype))
    target = np.zeros((3, 4), int)
    grads = [
        simdloss.cross_entropy_and_grad(logits, target)[1],
        simdloss.cross_entropy_and_grad(logits, np.zeros((3, 4, 5), dtype))[1],
        simdloss.logsumexp_and_grad(logits)[1],
        simdloss.binary_cross_entropy_with_logits_and_grad(logits, np.zeros((3, 4, 5)))[1],
        simdloss.softmax(logits),
        simdloss.log_softmax(logits),
    ]
    for grad in grads:
        assert grad.strides == logits.strides
