"""Every length around a vector, a tile of rows and a chunk: right results, and nothing written outside the output."""

from functools import lru_cache

import inputs
import numpy as np
import pytest
import reference
import rowwise
from ulp import Expected

import simdloss

LENGTHS = (
    *(*range(74), 102, 103, 127, 128, 129, 200, 201, 255, 256, 257, 511, 512, 513),
    *(1023, 1025, 4095, 4096, 4097, 8193, 20_000),
)
ROW_COUNTS = (1, 2, 3, 4, 7, 15, 31, 32, 33, 63, 64, 65, 97)
FENCE = 64  # elements on both sides of an output that must keep their value
SENTINEL = 12345.0


class Fenced:
    """An output with sentinels before and behind it."""

    def __init__(self, shape, dtype):
        size = int(np.prod(shape))
        self._all = np.full(size + 2 * FENCE, SENTINEL, dtype)
        self.array = self._all[FENCE : FENCE + size].reshape(shape)
        self._size = size

    def check(self):
        outside = np.delete(self._all, slice(FENCE, FENCE + self._size))
        assert (outside == SENTINEL).all(), f"written outside an output of {self._size} elements"


@lru_cache
def elementwise_data(name, dtype):
    x = inputs.random(7).normal(size=max(LENGTHS)).astype(dtype) * dtype(30)
    exact = {
        "sigmoid": (reference.sigmoid(x),),
        "log_sigmoid": (reference.log_sigmoid(x),),
        "softplus": (reference.softplus(x),),
        "log_sigmoid_and_grad": (reference.log_sigmoid(x), reference.sigmoid(-x)),
    }
    return x, [Expected(value, 3, dtype) for value in exact[name]]


@pytest.mark.parametrize("name", ["sigmoid", "log_sigmoid", "softplus", "log_sigmoid_and_grad"])
def test_elementwise_lengths(isa, dtype, name):
    x, expected = elementwise_data(name, dtype)
    function = getattr(simdloss, name)
    for n in LENGTHS:
        outs = [Fenced((n,), dtype) for _ in expected]
        function(x[:n], out=tuple(out.array for out in outs) if len(outs) > 1 else outs[0].array)
        for out, want in zip(outs, expected, strict=True):
            out.check()
            want.check(out.array, f"{name} of {n}", slice(n))


def row_counts(classes):
    return ROW_COUNTS if classes <= 129 else ROW_COUNTS[:4]


@lru_cache(maxsize=len(inputs.CLASS_COUNTS))
def row_data(routine, dtype, classes):
    arrays = rowwise.data((max(row_counts(classes)), classes), dtype, seed=classes)
    return rowwise.given(routine, arrays), rowwise.expected(routine, arrays)


@pytest.mark.parametrize("routine", rowwise.ROW_ROUTINES, ids=lambda routine: routine.name)
def test_row_lengths(isa, dtype, routine):
    for classes in inputs.CLASS_COUNTS:
        args, expected = row_data(routine, dtype, classes)
        for n in row_counts(classes):
            outs = [Fenced((n,) if output == "row" else (n, classes), dtype) for output in routine.results]
            named = {name: out.array for name, out in zip(routine.outputs, outs, strict=True)}
            results = rowwise.as_tuple(routine.run(*(a[:n] for a in args), axis=-1, **named))
            for result, out, want in zip(results, outs, expected, strict=True):
                assert result is out.array
                out.check()
                want.check(result, f"{routine.name} of {(n, classes)}", slice(n))


def test_binary_cross_entropy_lengths(isa, dtype):
    rng = inputs.random(8)
    x = (rng.normal(size=max(LENGTHS)) * 5).astype(dtype)
    y = rng.uniform(0, 1, x.shape).astype(dtype)
    exact = reference.binary_cross_entropy(x, y)
    want = Expected(exact.loss, 3, dtype, exact.loss_scale)
    want_grad = Expected(exact.grad, 3, dtype, exact.grad_scale)
    for n in LENGTHS:
        loss, grad = Fenced((n,), dtype), Fenced((n,), dtype)
        simdloss.binary_cross_entropy_with_logits_and_grad(
            x[:n], y[:n], reduction="none", out=loss.array, grad_out=grad.array
        )
        loss.check()
        grad.check()
        want.check(loss.array, f"loss of {n}", slice(n))
        want_grad.check(grad.array, f"gradient of {n}", slice(n))
