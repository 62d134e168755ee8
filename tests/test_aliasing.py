"""Outputs that are an input, or overlap one: the same results as with memory of their own."""

import numpy as np
import pytest
import rowwise
import scipy.special
from layouts import OUTPUT_LAYOUTS

import simdloss

SHAPES = [(37, 10), (5, 300), (64, 3), (33, 1), (3, 5000)]
IN_PLACE = [(routine, output) for name, output in rowwise.IN_PLACE.items() for routine in [rowwise.BY_NAME[name]]]


@pytest.mark.parametrize("order", ["C", "F", "reversed", "padded"])
@pytest.mark.parametrize(("routine", "output"), IN_PLACE, ids=[routine.name for routine, _ in IN_PLACE])
def test_in_place(isa, dtype, routine, output, order):
    for shape in SHAPES:
        args = rowwise.given(routine, rowwise.data(shape, dtype))
        x, same = (OUTPUT_LAYOUTS[order](args[0]) for _ in range(2))
        want = rowwise.as_tuple(routine.run(same, *args[1:], axis=-1))
        found = rowwise.as_tuple(routine.run(x, *args[1:], axis=-1, **{output: x}))
        assert found[routine.outputs.index(output)] is x
        for a, b in zip(found, want, strict=True):
            np.testing.assert_array_equal(a, b)


def _ordinary(x):
    pass


def _later_maximum(x):
    """So much larger that what was summed before is nothing beside it."""
    x[1, 6000] = 300


def _normalised(x):
    """Log-probabilities, whose logsumexp is next to 0 although none of them is."""
    x -= scipy.special.logsumexp(x.astype(np.float64), axis=1, keepdims=True).astype(x.dtype)


def _no_numbers(x):
    x[0, 7000], x[1, 5000], x[2] = np.nan, np.inf, -np.inf


@pytest.mark.parametrize("order", ["C", "F"])
@pytest.mark.parametrize("change", [_ordinary, _later_maximum, _normalised, _no_numbers])
@pytest.mark.parametrize(("routine", "output"), IN_PLACE, ids=[routine.name for routine, _ in IN_PLACE])
def test_rows_of_several_tiles_in_place(isa, dtype, routine, output, change, order):
    """Exponentials may stand where their logits did, but not if these are wanted once more."""
    arrays = rowwise.data((64, 9001), dtype)
    change(arrays["logits"])
    args = rowwise.given(routine, arrays)
    x, same = (OUTPUT_LAYOUTS[order](args[0]) for _ in range(2))
    wants_lse = {"return_lse": True} if "cross_entropy" in routine.name else {}
    for options in ({}, wants_lse):
        want = rowwise.as_tuple(routine.run(same, *args[1:], axis=-1, **options))
        x[...] = same
        found = rowwise.as_tuple(routine.run(x, *args[1:], axis=-1, **options, **{output: x}))
        for a, b in zip(found, want, strict=True):
            np.testing.assert_array_equal(a, b)


def windows(shape, dtype):
    """Pairs of views of one memory that overlap in part, in both directions, by little and by much."""
    rows, classes = shape
    for shift in (1, classes, 3 * classes + 2, -1, -classes):
        memory = np.zeros((rows + 8) * classes + 64, dtype)
        begin = 4 * classes + 8
        size = rows * classes
        yield memory[begin:][:size].reshape(shape), memory[begin + shift :][:size].reshape(shape), f"shifted by {shift}"
    memory = np.zeros(shape, dtype)
    yield memory, memory[::-1], "rows reversed"
    yield memory, memory[:, ::-1], "columns reversed"
    if rows == classes:
        yield memory, memory.T, "transposed"


@pytest.mark.parametrize(("routine", "output"), IN_PLACE, ids=[routine.name for routine, _ in IN_PLACE])
def test_partial_overlap_with_the_logits(isa, dtype, routine, output):
    for shape in [*SHAPES, (17, 17)]:
        args = rowwise.given(routine, rowwise.data(shape, dtype))
        want = rowwise.as_tuple(routine.run(*args, axis=-1))
        for x, out, how in windows(shape, dtype):
            x[...] = args[0]
            found = rowwise.as_tuple(routine.run(x, *args[1:], axis=-1, **{output: out}))
            for a, b in zip(found, want, strict=True):
                np.testing.assert_array_equal(a, b, err_msg=f"{shape} {how}")


@pytest.mark.parametrize("name", ["cross_entropy_and_grad", "cross_entropy_and_grad.soft"])
def test_gradient_over_the_other_operands(isa, dtype, name):
    """The gradient written over soft labels or weights, the loss over logits or sample weights."""
    shape = (37, 10)
    arrays = rowwise.data(shape, dtype)
    routine = rowwise.BY_NAME[name]
    options = {"weight": np.linspace(1, 2, 10, dtype=dtype), "sample_weight": np.linspace(1, 2, 37, dtype=dtype)}
    args = rowwise.given(routine, arrays)
    want = routine.run(*args, axis=-1, **options)

    def check(found, how):
        for a, b in zip(found, want, strict=True):
            np.testing.assert_array_equal(a, b, err_msg=how)

    memory = np.zeros(1000, dtype)
    for offset in (0, 5, 50):
        weight = memory[offset : offset + 10]
        weight[...] = options["weight"]
        found = routine.run(*args, axis=-1, **options | {"weight": weight}, grad_out=memory[:370].reshape(shape))
        check(found, f"weight inside grad_out at {offset}")
        sample_weight = memory[offset : offset + 37]
        sample_weight[...] = options["sample_weight"]
        found = routine.run(*args, axis=-1, **options | {"sample_weight": sample_weight}, out=memory[:37])
        check(found, f"sample_weight over out at {offset}")
        logits = memory[offset : offset + 370].reshape(shape)
        logits[...] = args[0]
        check(routine.run(logits, args[1], axis=-1, **options, out=memory[:37]), f"loss over logits at {offset}")
    if name.endswith("soft"):
        for offset in (0, 1, 10, 100):
            labels = memory[offset : offset + 370].reshape(shape)
            labels[...] = args[1]
            found = routine.run(args[0], labels, axis=-1, **options, grad_out=memory[:370].reshape(shape))
            check(found, f"labels under grad_out at {offset}")


def test_loss_over_the_target(isa):
    """Memory of class indices reused for the losses."""
    logits = np.random.default_rng(0).normal(size=(50, 10))
    target = np.arange(50) % 10
    want = simdloss.cross_entropy(logits, target, reduction="none")
    found = simdloss.cross_entropy(logits, target, reduction="none", out=target.view(np.float64))
    np.testing.assert_array_equal(found, want)


@pytest.mark.parametrize("name", ["sigmoid", "log_sigmoid", "softplus"])
def test_elementwise_overlap(isa, dtype, name):
    function = getattr(simdloss, name)
    for n in (1, 7, 64, 1000, 20_000):
        x = np.linspace(-8, 8, n).astype(dtype)
        want = function(x)
        np.testing.assert_array_equal(function(x_ := x.copy(), out=x_), want)
        for shift in (1, 3, 16, 500, -1, -3, -16, -500):
            memory = np.zeros(n + 1000, dtype)
            given, out = memory[500 : 500 + n], memory[500 + shift : 500 + shift + n]
            given[...] = x
            np.testing.assert_array_equal(function(given, out=out), want, err_msg=f"{n} shifted by {shift}")
        memory = x.copy()
        np.testing.assert_array_equal(function(memory, out=memory[::-1]), want)


def test_log_sigmoid_and_grad_overlap(isa, dtype):
    for n in (1, 7, 64, 1000, 20_000):
        x = np.linspace(-8, 8, n).astype(dtype)
        want = simdloss.log_sigmoid_and_grad(x)
        for shift in (0, 1, 16, -1, -16):
            for which in (0, 1):
                memory = np.zeros(n + 32, dtype)
                given, out = memory[16 : 16 + n], memory[16 + shift : 16 + shift + n]
                given[...] = x
                outs = [np.zeros_like(x), np.zeros_like(x)]
                outs[which] = out
                for a, b in zip(simdloss.log_sigmoid_and_grad(given, out=tuple(outs)), want, strict=True):
                    np.testing.assert_array_equal(a, b, err_msg=f"{n} shifted by {shift}, output {which}")


@pytest.mark.parametrize("which", ["out", "grad_out"])
def test_binary_cross_entropy_overlap(isa, dtype, which):
    function = simdloss.binary_cross_entropy_with_logits_and_grad
    rng = np.random.default_rng(0)
    for n in (1, 7, 64, 1000, 20_000):
        arrays = {
            "logits": rng.normal(size=n).astype(dtype),
            "target": rng.uniform(size=n).astype(dtype),
            "weight": rng.uniform(1, 2, size=n).astype(dtype),
            "pos_weight": rng.uniform(1, 2, size=n).astype(dtype),
        }
        want = function(*list(arrays.values())[:2], reduction="none", **dict(list(arrays.items())[2:]))
        for name in arrays:
            for shift in (0, 1, 16, -1, -16):
                memory = np.zeros(n + 32, dtype)
                given, out = memory[16 : 16 + n], memory[16 + shift : 16 + shift + n]
                given[...] = arrays[name]
                changed = arrays | {name: given}
                found = function(
                    changed.pop("logits"), changed.pop("target"), reduction="none", **changed, **{which: out}
                )
                for a, b in zip(found, want, strict=True):
                    np.testing.assert_array_equal(a, b, err_msg=f"{n}: {which} over {name} shifted by {shift}")
