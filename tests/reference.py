"""What the routines should return, by plain formulas in np.longdouble, rows along the last axis.

Every function takes arrays that hold float32 or float64 numbers exactly. Nothing here calls simdloss.
"""

from dataclasses import dataclass

import mpmath
import numpy as np
from ulp import WIDE, wide


def sigmoid(x):
    x = wide(x)
    e = np.exp(-np.abs(x))
    return np.where(x < 0, e, WIDE(1)) / (1 + e)


def log_sigmoid(x):
    x = wide(x)
    return np.minimum(x, 0) - np.log1p(np.exp(-np.abs(x)))


def softplus(x):
    x = wide(x)
    return np.maximum(x, 0) + np.log1p(np.exp(-np.abs(x)))


@dataclass
class Rows:
    """The parts of a row's softmax, none of them the result of a cancellation; rows along the last axis."""

    top: np.ndarray  # the row's maximum, kept as a column
    rest: np.ndarray  # sum of exp(x - top) over all but one maximal element, a column
    exp: np.ndarray  # exp(x - top)
    below: np.ndarray  # x - top
    others: np.ndarray  # sum of exp(x_k - top) over k != j, for every j

    @property
    def lse(self):
        return (self.top + np.log1p(self.rest))[..., 0]

    @property
    def softmax(self):
        return self.exp / (1 + self.rest)

    @property
    def log_softmax(self):
        return self.below - np.log1p(self.rest)

    @property
    def one_minus_softmax(self):
        return self.others / (1 + self.rest)


def rows(x) -> Rows:
    x = wide(x)
    at = np.argmax(x, axis=-1)[..., None]
    top = np.take_along_axis(x, at, -1)
    below = x - top
    # A difference of two doubles may need more bits than WIDE has; what it lost goes into the exponential.
    with np.errstate(invalid="ignore"):
        back = below + top
        lost = (x - back) - (top - (back - below))
    exp = np.exp(below) * (1 + np.where(np.isfinite(below), lost, 0))
    without_top = exp.copy()
    np.put_along_axis(without_top, at, 0, -1)
    rest = without_top.sum(axis=-1, keepdims=True)
    others = 1 + (rest - exp)
    np.put_along_axis(others, at, rest, -1)
    return Rows(top, rest, exp, below, others)


def logsumexp(x):
    """Rows whose result nearly cancels against their maximum are summed with mpmath."""
    parts = rows(x)
    lse = parts.lse.copy()
    hard = np.abs(lse) < np.abs(parts.top[..., 0]) / 32
    for i in zip(*np.nonzero(hard), strict=True):
        with mpmath.workdps(50):
            exact = mpmath.log(mpmath.fsum(mpmath.exp(mpmath.mpf(float(v))) for v in x[i]))
            head = float(exact)
            lse[i] = WIDE(head) + WIDE(float(exact - mpmath.mpf(head)))
    return lse


@dataclass
class Loss:
    """A loss and its gradient before any reduction, with the size of the terms that cancel in each."""

    loss: np.ndarray
    grad: np.ndarray
    loss_scale: np.ndarray
    grad_scale: np.ndarray
    lse: np.ndarray | None = None
    denominator: WIDE | None = None

    def reduced(self, reduction):
        """(loss, gradient) of mean or sum; none gives back what is stored."""
        if reduction == "none":
            return self.loss, self.grad
        divisor = self.denominator if reduction == "mean" else WIDE(1)
        return self.loss.sum() / divisor, self.grad / divisor


def class_coefficients(shape, target, weight, label_smoothing):
    """q of the formulas: what every class's -log p is multiplied by."""
    classes = shape[-1]
    weight = np.ones(classes, WIDE) if weight is None else wide(weight)
    smoothing = WIDE(label_smoothing)
    target = np.asarray(target)
    if target.dtype.kind == "f":
        return weight * ((1 - smoothing) * wide(target) + smoothing / classes)
    hot = target[..., None] == np.arange(classes)
    return np.where(hot, (1 - smoothing) * weight, 0) + smoothing / classes * weight


def cross_entropy(
    logits, target, *, weight=None, sample_weight=None, ignore_index=-100, label_smoothing=0.0, lse_square_scale=0.0
) -> Loss:
    target = np.asarray(target)
    parts = rows(logits)
    soft = target.dtype.kind == "f"
    kept = np.ones(parts.lse.shape, bool) if soft else target != ignore_index
    q = class_coefficients(parts.exp.shape, target, weight, label_smoothing)
    other_q = class_sums_without(q)
    z = WIDE(lse_square_scale)
    p, lse = parts.softmax, parts.lse
    with np.errstate(invalid="ignore"):
        terms = np.where(q == 0, 0, -q * parts.log_softmax)
    square = z * lse**2
    push, pull, bend = p * other_q, q * parts.one_minus_softmax, 2 * z * lse[..., None] * p
    scale = np.where(kept, 1 if sample_weight is None else wide(sample_weight), 0)
    mass = np.ones(lse.shape, WIDE) if soft or weight is None else wide(weight)[np.where(kept, target, 0)]
    return Loss(
        loss=np.where(kept, scale * (terms.sum(-1) + square), 0),
        grad=np.where(kept[..., None], scale[..., None] * (push - pull + bend), 0),
        loss_scale=np.abs(scale) * (np.abs(terms).sum(-1) + np.abs(square)),
        grad_scale=np.abs(scale)[..., None] * (np.abs(q) + np.abs(p * q.sum(-1, keepdims=True)) + np.abs(bend)),
        lse=lse,
        denominator=(scale * mass).sum(),
    )


def class_sums_without(q):
    """Sum over k != j of q_k, exactly 0 for the target of a plain row, where a difference could round."""
    only = (q != 0) & (np.count_nonzero(q, axis=-1, keepdims=True) == 1)
    return np.where(only, 0, q.sum(-1, keepdims=True) - q)


def binary_cross_entropy(x, y, *, weight=None, pos_weight=None) -> Loss:
    x, y = wide(x), wide(y)
    w = WIDE(1) if weight is None else wide(weight)
    q = WIDE(1) if pos_weight is None else wide(pos_weight)
    negative, positive = w * (1 - y), w * q * y
    with np.errstate(invalid="ignore"):
        up, down = softplus(x), softplus(-x)
        a = np.where(negative == 0, 0, negative * up)
        b = np.where(positive == 0, 0, positive * down)
    push, pull = negative * sigmoid(x), positive * sigmoid(-x)
    return Loss(
        loss=a + b,
        grad=push - pull,
        loss_scale=np.abs(a) + np.abs(b),
        grad_scale=np.abs(push) + np.abs(pull),
        denominator=WIDE(x.size),
    )
