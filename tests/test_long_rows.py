"""Rows so long that they are summed in segments: right results, and the same bytes from threads that share a row."""

import timeit
from functools import lru_cache

import numpy as np
import pytest
import rowwise

import simdloss

CLASSES = 200_003  # more than one segment of either dtype, and no whole number of anything


def _last_is_top(x):
    x[-1] = 800


def _step_up(x):
    """All others are far below, but their exponentials are kept beside those of the first tile."""
    x[:4096] = 0
    x[4096:] = 41


def _flat(x):
    x[:] = 3


def _ascending(x):
    x[:] = np.linspace(-9000, 9000, x.size)


def _descending(x):
    x[:] = np.linspace(9000, -9000, x.size)


def _nothing_at_first(x):
    x[:70_000] = -np.inf


def _nothing_in_the_middle(x):
    x[60_000:140_000] = -np.inf


def _levels(x):
    x += np.repeat([-30, 50, -200, 100, 99, -5000, 9000], -(-x.size // 7))[: x.size]


KINDS = {
    "ordinary": lambda x: None,
    "last is top": _last_is_top,
    "step up": _step_up,
    "flat": _flat,
    "ascending": _ascending,
    "descending": _descending,
    "nothing at first": _nothing_at_first,
    "nothing in the middle": _nothing_in_the_middle,
    "levels": _levels,
}


@lru_cache
def long_rows(dtype):
    arrays = rowwise.data((len(KINDS), CLASSES), dtype, seed=1)
    for row, change in zip(arrays["logits"], KINDS.values(), strict=True):
        change(row)
    arrays["soft"][arrays["logits"] == -np.inf] = 0
    at = np.argmax(arrays["logits"], axis=1)
    arrays["target"][::2] = at[::2]
    lowest = np.isinf(arrays["logits"][np.arange(len(at)), arrays["target"]])
    arrays["target"][lowest] = at[lowest]
    return arrays


@lru_cache(maxsize=1)
def expected(routine, dtype):
    return rowwise.expected(routine, long_rows(dtype))


def _as_it_is(routine, args, n):
    with simdloss.num_threads(n):
        return rowwise.as_tuple(routine.run(*args, axis=-1))


def _class_axis_first(routine, args, n):
    args = [np.asfortranarray(a).T if a.ndim == 2 else a for a in args]
    with simdloss.num_threads(n):
        return [a if a.ndim == 1 else a.T for a in rowwise.as_tuple(routine.run(*args, axis=0))]


def _in_place(routine, args, n):
    args = [args[0].copy(), *args[1:]]
    with simdloss.num_threads(n):
        return rowwise.as_tuple(routine.run(*args, axis=-1, **{rowwise.IN_PLACE[routine.name]: args[0]}))


def _every_second(routine, args, n):
    """Logits and what is as large as they are: these tiles have no place in memory of their own."""
    args = [spread(a) if a.ndim == 2 else a for a in args]
    outs = [
        spread(args[0]) if kind == "elements" else np.empty(len(args[0]), args[0].dtype) for kind in routine.results
    ]
    with simdloss.num_threads(n):
        return rowwise.as_tuple(routine.run(*args, axis=-1, **dict(zip(routine.outputs, outs, strict=True))))


def spread(x):
    return np.repeat(x, 2, axis=1)[:, ::2]


CALLS = {
    "as it is": _as_it_is,
    "class axis first": _class_axis_first,
    "in place": _in_place,
    "every second": _every_second,
}


@pytest.mark.parametrize("call", CALLS)
@pytest.mark.parametrize("routine", rowwise.ROW_ROUTINES, ids=lambda routine: routine.name)
def test_value(isa, dtype, routine, call):
    if call == "in place" and routine.name not in rowwise.IN_PLACE:
        return
    args = rowwise.given(routine, long_rows(dtype))
    alone, shared = (CALLS[call](routine, args, n) for n in (1, 3))
    for a, b, want in zip(alone, shared, expected(routine, dtype), strict=True):
        for i, kind in enumerate(KINDS):
            want.check(a[i], f"{routine.name}, {kind}", i)
        assert a.tobytes() == b.tobytes()


def test_segments_grow(isa, dtype):
    """Their number is bounded: those of a very long row are longer."""
    x = np.zeros((2, 5_000_003), dtype)
    x[0, -1] = x[1, 2_500_000] = np.log(x.shape[1] - 1)
    target = np.array([x.shape[1] - 1, 7])
    want = np.log(2 * (x.shape[1] - 1)) - x[[0, 1], target]
    for n in (1, 4):
        with simdloss.num_threads(n):
            loss, grad = simdloss.cross_entropy_and_grad(x, target, reduction="none")
        np.testing.assert_allclose(loss, want, rtol=3 * np.finfo(dtype).eps)
        np.testing.assert_allclose(grad[0, -1], -0.5, rtol=3 * np.finfo(dtype).eps)
        np.testing.assert_allclose(grad[1, 2_500_000], 0.5, rtol=3 * np.finfo(dtype).eps)
        np.testing.assert_allclose(grad[:, :7], 0.5 / (x.shape[1] - 1), rtol=3 * np.finfo(dtype).eps)


@pytest.mark.parametrize("layout", [np.asarray, spread], ids=["as it is", "every second"])
@pytest.mark.parametrize("at", [0, 70_000, -1])
@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_no_number(isa, dtype, value, at, layout):
    """Wherever in a long row it stands: NaN spoils all, +inf and rows of -inf have no distribution."""
    x = np.zeros((2, CLASSES), dtype) if value != -np.inf else np.full((2, CLASSES), -np.inf, dtype)
    x[:, at] = value
    x = layout(x)
    out = layout(np.empty_like(x))
    target = np.array([3, -100])
    for n in (1, 3):
        with simdloss.num_threads(n):
            lse, grad = simdloss.logsumexp_and_grad(x, grad_out=out)
            np.testing.assert_array_equal(lse, np.full(2, value, dtype))
            assert np.isnan(grad).all()
            assert np.isnan(simdloss.softmax(x, out=out)).all()
            assert np.isnan(simdloss.log_softmax(x, out=out)).all()
            loss, grad = simdloss.cross_entropy_and_grad(x, target, reduction="none", label_smoothing=0.1, grad_out=out)
            assert np.isnan(loss[0])
            assert np.isnan(grad[0]).all()
            assert loss[1] == 0
            assert not grad[1].any(), "of an ignored row"


@pytest.mark.parametrize("classes", [9001, CLASSES])
@pytest.mark.parametrize("routine", rowwise.ROW_ROUTINES, ids=lambda routine: routine.name)
def test_neighbours_of_infinity(isa, dtype, routine, classes):
    """Rows taken together with one that has no distribution are as without it."""
    arrays = rowwise.data((7, classes), dtype)
    args = rowwise.given(routine, arrays)
    want = _class_axis_first(routine, args, 1)
    args[0][1, classes // 3] = np.inf
    found = _class_axis_first(routine, args, 1)
    for a, b in zip(found, want, strict=True):
        np.testing.assert_array_equal(a[[0, 2, 6]], b[[0, 2, 6]])
        assert not np.isfinite(a[1]).any()


def test_many_new_units_take_no_longer(isa):
    """Each tile of an ascending row outgrows the unit before: what was kept in it is computed again, but only once."""
    x = np.linspace(-1e4, 1e4, 2_000_000, dtype=np.float32)
    out = np.empty_like(x)

    def seconds(x):
        return min(timeit.repeat(lambda: simdloss.softmax(x, out=out), number=1, repeat=5))

    assert seconds(x) < 10 * seconds(x / 1e4)
