"""The accuracy contract: every routine, what it is run on, what it should return and how far it may be off.

One row per output. `f32` and `f64` are the largest errors allowed, in ULP of the result, on instruction sets that have
a fused multiply-add; the portable one may be off by `PORTABLE_MORE` ULP more. Where a row sums terms of both signs
(soft labels, weights), no algorithm in working precision keeps the last bits of a difference, and the ULP is that of
the largest term: such rows say `scaled`.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import lru_cache

import inputs
import numpy as np
import reference
from ulp import ulp_errors, wide

import simdloss

HAVE_FMA = {"avx2", "avx512", "neon"}
PORTABLE_MORE = 1.0


@dataclass(frozen=True)
class Routine:
    name: str
    run: Callable  # run(*inputs) -> array
    exact: Callable  # exact(*inputs) -> wide array, or (wide array, wide scale) where `scaled`
    inputs: Callable[[type], Iterable]  # of one dtype: arrays or tuples of arrays
    f32: float
    f64: float
    scaled: bool = False

    def bound(self, dtype, isa) -> float:
        return (self.f32 if dtype == np.float32 else self.f64) + (0 if isa in HAVE_FMA else PORTABLE_MORE)

    @lru_cache(maxsize=2)  # noqa: B019 - the table lives as long as the tests do
    def cases(self, dtype) -> list:
        """(inputs, exact result, scale or None) of one dtype, computed once for all instruction sets."""
        found = []
        for given in self.inputs(dtype):
            given = given if isinstance(given, tuple) else (given,)
            with np.errstate(all="ignore"):
                exact = self.exact(*given)
            found.append((given, *(exact if self.scaled else (exact, None))))
        return found

    def worst(self, dtype) -> tuple[float, float | str, str]:
        """The largest error on the instruction set in use, in ULP, the input or kind of row that has it, details."""
        largest, place, detail = 0.0, "nowhere", "nowhere"
        for given, exact, scale in self.cases(dtype):
            result = self.run(*given)
            assert result.dtype == dtype
            assert result.shape == exact.shape
            errors = ulp_errors(result, exact, scale)
            at = np.unravel_index(np.argmax(errors), errors.shape)
            if errors[at] > largest:
                x = given[0][at if given[0].shape == errors.shape else at[0]]
                largest = float(errors[at])
                place = float(x) if given[0].ndim == 1 else f"{given[0].shape[1]} classes"
                detail = (
                    f"at {tuple(map(int, at))} of {given[0].shape}, {x if x.ndim == 0 else x[:9]!r}: "
                    f"got {result[at]!r}, exact {exact[at]!r}"
                )
        return largest, place, detail


def _weights(classes, dtype):
    return inputs.random(classes).uniform(0.25, 4, classes).astype(dtype)


def _loss(parts):
    return parts.loss, parts.loss_scale


def _grad(parts):
    return parts.grad, parts.grad_scale


def _cross_entropy(logits, target, **options):
    return simdloss.cross_entropy(logits, target, reduction="none", **options)


def _cross_entropy_grad(logits, target, **options):
    return simdloss.cross_entropy_and_grad(logits, target, reduction="none", **options)[1]


def _mixed(logits):
    """Every option of the loss at once."""
    return {"weight": _weights(logits.shape[-1], logits.dtype), "label_smoothing": 0.1, "lse_square_scale": 1e-3}


def _pos_weights(x):
    return {"weight": _weights(x.size, x.dtype), "pos_weight": x.dtype.type(2.5)}


def _weighted(x, y):
    """A weight also multiplies the rounding of what was subnormal before it."""
    parts = reference.binary_cross_entropy(x, y, **_pos_weights(x))
    least = 2.5 * wide(_pos_weights(x)["weight"]) * np.finfo(x.dtype).tiny
    parts.loss_scale, parts.grad_scale = np.maximum(parts.loss_scale, least), np.maximum(parts.grad_scale, least)
    return parts


def _bce(x, y, **options):
    return simdloss.binary_cross_entropy_with_logits(x, y, reduction="none", **options)


def _bce_grad(x, y, **options):
    return simdloss.binary_cross_entropy_with_logits_and_grad(x, y, reduction="none", **options)[1]


def _hard_targets(dtype):
    return inputs.binary(dtype)[:1]


def _soft_targets(dtype):
    return inputs.binary(dtype)[1:]


def _moderate(dtype):
    """Pairs whose logits are small enough for the squared logsumexp not to swamp the loss."""
    return [(x, t) for x, t in inputs.rows_with_targets(dtype) if np.abs(x).max() < 1000 and x.size < 50_000]


def logsumexp_scale(exact, top, dtype):
    """The size whose ULP counts for a logsumexp: its own, unless it is what a cancellation left.

    It is maximum + logarithm. float64 cannot keep a difference of float64 numbers, so where these two have opposite
    signs the ULP is that of their magnitudes' sum. For float32 float64 can, until the result is smaller than what the
    rounding of the logits themselves has moved it.
    """
    if dtype == np.float64:
        return np.maximum(np.abs(exact), np.where(np.isfinite(top), np.abs(top) + np.abs(exact - top), 0))
    return np.maximum(np.abs(exact), np.finfo(dtype).eps * np.maximum(np.abs(top), 1))


def _logsumexp(x, *_):
    exact = reference.logsumexp(x)
    return exact, logsumexp_scale(exact, reference.rows(x).top[:, 0], x.dtype)


# fmt: off
ROUTINES = [
    # name, run, exact, inputs, float32, float64
    Routine("sigmoid", simdloss.sigmoid, reference.sigmoid, lambda t: [inputs.elementwise(t)], 1.0, 0.80),
    Routine("log_sigmoid", simdloss.log_sigmoid, reference.log_sigmoid, lambda t: [inputs.elementwise(t)], 0.76, 0.80),
    Routine("softplus", simdloss.softplus, reference.softplus, lambda t: [inputs.elementwise(t)], 0.76, 0.80),
    Routine("log_sigmoid_and_grad.value", lambda x: simdloss.log_sigmoid_and_grad(x)[0], reference.log_sigmoid,
            lambda t: [inputs.elementwise(t)], 0.76, 0.80),
    Routine("log_sigmoid_and_grad.grad", lambda x: simdloss.log_sigmoid_and_grad(x)[1], lambda x: reference.sigmoid(-x),
            lambda t: [inputs.elementwise(t)], 0.76, 0.80),

    Routine("logsumexp", lambda x: simdloss.logsumexp(x, axis=-1), _logsumexp, inputs.rows, 0.55, 1.0,
            scaled=True),
    Routine("logsumexp.near_zero", lambda x: simdloss.logsumexp(x, axis=-1), _logsumexp,
            inputs.rows_that_cancel, 0.55, 1.0, scaled=True),
    Routine("logsumexp_and_grad.value", lambda x: simdloss.logsumexp_and_grad(x)[0], _logsumexp,
            inputs.rows, 0.55, 1.0, scaled=True),
    Routine("logsumexp_and_grad.grad", lambda x: simdloss.logsumexp_and_grad(x)[1],
            lambda x: reference.rows(x).softmax, inputs.rows, 3.0, 4.0),
    Routine("softmax", simdloss.softmax, lambda x: reference.rows(x).softmax, inputs.rows, 3.0, 4.0),
    Routine("log_softmax", simdloss.log_softmax, lambda x: reference.rows(x).log_softmax, inputs.rows, 3.0, 4.0),

    Routine("cross_entropy", _cross_entropy, lambda x, t: reference.cross_entropy(x, t).loss,
            inputs.rows_with_targets, 0.55, 1.0),
    Routine("cross_entropy_and_grad.grad", _cross_entropy_grad, lambda x, t: reference.cross_entropy(x, t).grad,
            inputs.rows_with_targets, 3.0, 4.0),
    Routine("cross_entropy.lse", lambda x, t: simdloss.cross_entropy(x, t, reduction="none", return_lse=True)[1],
            _logsumexp, inputs.rows_with_targets, 0.55, 1.0, scaled=True),
    Routine("cross_entropy.soft", _cross_entropy, lambda x, y: _loss(reference.cross_entropy(x, y)),
            inputs.rows_with_soft_labels, 3.0, 4.0, scaled=True),
    Routine("cross_entropy_and_grad.soft", _cross_entropy_grad, lambda x, y: _grad(reference.cross_entropy(x, y)),
            inputs.rows_with_soft_labels, 3.0, 4.0, scaled=True),
    Routine("cross_entropy.mixed", lambda x, t: _cross_entropy(x, t, **_mixed(x)),
            lambda x, t: _loss(reference.cross_entropy(x, t, **_mixed(x))), _moderate, 3.0, 4.0, scaled=True),
    Routine("cross_entropy_and_grad.mixed", lambda x, t: _cross_entropy_grad(x, t, **_mixed(x)),
            lambda x, t: _grad(reference.cross_entropy(x, t, **_mixed(x))), _moderate, 3.0, 4.0, scaled=True),

    Routine("binary_cross_entropy", _bce, lambda x, y: reference.binary_cross_entropy(x, y).loss,
            _hard_targets, 1.5, 1.5),
    Routine("binary_cross_entropy_and_grad.grad", _bce_grad, lambda x, y: reference.binary_cross_entropy(x, y).grad,
            _hard_targets, 1.5, 1.5),
    Routine("binary_cross_entropy.soft", _bce, lambda x, y: _loss(reference.binary_cross_entropy(x, y)),
            _soft_targets, 1.5, 1.5, scaled=True),
    Routine("binary_cross_entropy_and_grad.soft", _bce_grad, lambda x, y: _grad(reference.binary_cross_entropy(x, y)),
            _soft_targets, 2.0, 2.0, scaled=True),
    Routine("binary_cross_entropy.weighted", lambda x, y: _bce(x, y, **_pos_weights(x)),
            lambda x, y: _loss(_weighted(x, y)), inputs.binary, 3.0, 3.0, scaled=True),
    Routine("binary_cross_entropy_and_grad.weighted", lambda x, y: _bce_grad(x, y, **_pos_weights(x)),
            lambda x, y: _grad(_weighted(x, y)), inputs.binary, 3.0, 3.0, scaled=True),
]
# fmt: on

BY_NAME = {routine.name: routine for routine in ROUTINES}
