"""The row functions and losses as one list, each reduced to: arrays in, named outputs out, exact values, bounds.

The tests of lengths, layouts, aliasing and memory safety all walk it, so a new routine is added to them here.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import reference
from ulp import Expected

import simdloss


@dataclass(frozen=True)
class RowRoutine:
    name: str
    run: Callable  # run(logits, *others, axis=, **outputs) -> output or tuple of outputs
    exact: Callable  # exact(logits with the class axis last, *others) -> the same, (value, scale) each
    outputs: tuple[str, ...]  # names of the output arguments, in order of the results
    needs: tuple[str, ...] = ()  # which of `others` it takes: target, soft

    @property
    def results(self):
        """For each output, whether it holds one number a "row" or all of a row's "elements"."""
        last = "elements" if self.outputs[-1] == "grad_out" or "softmax" in self.name else "row"
        return (*["row"] * (len(self.outputs) - 1), last)


def _plain(value):
    return value, None


def _softmax(x):
    return _plain(reference.rows(x).softmax)


def _lse(x):
    return reference.logsumexp(x), 1 + np.abs(reference.rows(x).top[..., 0])


def _loss(parts):
    return parts.loss, parts.loss_scale


def _grad(parts):
    return parts.grad, parts.grad_scale


def _cross_entropy(x, target):
    return (_loss(reference.cross_entropy(x, target)),)


def _cross_entropy_and_grad(x, target):
    parts = reference.cross_entropy(x, target)
    return _loss(parts), _grad(parts)


def _losses(function):
    def run(x, target, axis, **outputs):
        return function(x, target, axis=axis, reduction="none", **outputs)

    return run


# fmt: off
ROW_ROUTINES = [
    RowRoutine("logsumexp", simdloss.logsumexp, lambda x: (_lse(x),), ("out",)),
    RowRoutine("logsumexp_and_grad", simdloss.logsumexp_and_grad, lambda x: (_lse(x), _softmax(x)),
               ("out", "grad_out")),
    RowRoutine("softmax", simdloss.softmax, lambda x: (_softmax(x),), ("out",)),
    RowRoutine("log_softmax", simdloss.log_softmax, lambda x: (_plain(reference.rows(x).log_softmax),), ("out",)),
    RowRoutine("cross_entropy", _losses(simdloss.cross_entropy), _cross_entropy, ("out",), ("target",)),
    RowRoutine("cross_entropy_and_grad", _losses(simdloss.cross_entropy_and_grad), _cross_entropy_and_grad,
               ("out", "grad_out"), ("target",)),
    RowRoutine("cross_entropy.soft", _losses(simdloss.cross_entropy), _cross_entropy, ("out",), ("soft",)),
    RowRoutine("cross_entropy_and_grad.soft", _losses(simdloss.cross_entropy_and_grad), _cross_entropy_and_grad,
               ("out", "grad_out"), ("soft",)),
]
# fmt: on
IN_PLACE = {"softmax": "out", "log_softmax": "out", "logsumexp_and_grad": "grad_out"} | {
    "cross_entropy_and_grad": "grad_out",
    "cross_entropy_and_grad.soft": "grad_out",
}
BY_NAME = {routine.name: routine for routine in ROW_ROUTINES}

# Looser than the accuracy contract of routines.py, far tighter than any element read from a wrong place.
BOUND = 6.0


def data(shape, dtype, seed=0, spread=4.0):
    """Logits, class indices and soft labels with the class axis last."""
    rng = np.random.default_rng(seed)
    logits = (rng.normal(size=shape) * spread).astype(dtype)
    labels = rng.gamma(0.5, size=shape) + 1e-3
    return {
        "logits": logits,
        "target": rng.integers(0, shape[-1], shape[:-1]),
        "soft": (labels / labels.sum(-1, keepdims=True)).astype(dtype),
    }


def given(routine, arrays):
    """The arguments of one routine out of what `data` made."""
    return arrays["logits"], *(arrays[name] for name in routine.needs)


def expected(routine, arrays):
    """What it should return for them, and how precisely."""
    dtype = arrays["logits"].dtype
    return [Expected(value, BOUND, dtype, scale) for value, scale in routine.exact(*given(routine, arrays))]


def as_tuple(results):
    return results if isinstance(results, tuple) else (results,)
