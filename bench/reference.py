"""Every routine in a wider type: float64 for float32 results, long double for float64 ones.

These are the formulas that have no cancellation, written for plainness and never timed. Each takes the inputs by the
names that `data.py` gives them, already in the wider type, and returns the results in the order of the routine.
"""

import numpy as np

from .ulp import Exact

WIDER = {np.dtype(np.float32): np.dtype(np.float64), np.dtype(np.float64): np.dtype(np.longdouble)}


def sigmoid(x):
    """Return 1 / (1 + exp(-x))."""
    e = np.exp(-np.abs(x))
    return np.where(x >= 0, 1, e) / (1 + e)


def softplus(x):
    """Return log(1 + exp(x))."""
    return np.maximum(x, 0) + np.log1p(np.exp(-np.abs(x)))


def log_sigmoid(x):
    """Return log(1 / (1 + exp(-x)))."""
    return -softplus(-x)


def log_sigmoid_and_grad(x):
    """Return the log-sigmoid and its derivative sigmoid(-x)."""
    return log_sigmoid(x), sigmoid(-x)


def binary_losses(x, target):
    """Return the binary cross-entropy of each element and its derivative."""
    return (1 - target) * softplus(x) + target * softplus(-x), (1 - target) * sigmoid(x) - target * sigmoid(-x)


def binary_cross_entropy_with_logits(x, target):
    """Return the mean of the binary cross-entropies."""
    return np.mean(binary_losses(x, target)[0])


def binary_cross_entropy_with_logits_and_grad(x, target):
    """Return that mean and its gradient."""
    losses, grad = binary_losses(x, target)
    return np.mean(losses), grad / x.size


class _Rows:
    """A log-sum-exp over `axis` in parts, the maximum's own term kept apart: near-zero losses are right so."""

    def __init__(self, x, axis=-1):
        self.top = x.max(axis=axis, keepdims=True)
        exp = np.exp(x - self.top)
        self.softmax = exp / exp.sum(axis=axis, keepdims=True)
        np.put_along_axis(exp, x.argmax(axis=axis, keepdims=True), 0, axis=axis)
        self.log1p_others = np.log1p(exp.sum(axis=axis, keepdims=True))
        self.log_softmax = (x - self.top) - self.log1p_others


def logsumexp(x):
    """Return log(sum(exp(x)))."""
    parts = _Rows(x)
    value = (parts.top + parts.log1p_others).squeeze(-1)
    if x.dtype == WIDER[np.dtype(np.float32)]:
        return value
    # Where maximum and logarithm cancel, what is asked of float64 results is an error of an ULP of the maximum.
    return Exact(value, np.maximum(np.abs(value), np.abs(parts.top).squeeze(-1)))


def logsumexp_and_grad(x):
    """Return the log-sum-exp and its gradient, the softmax."""
    return logsumexp(x), softmax(x)


def softmax(x):
    """Return exp(x) / sum(exp(x))."""
    return _Rows(x).softmax


def log_softmax(x):
    """Return x - log(sum(exp(x)))."""
    return _Rows(x).log_softmax


def row_losses(x, target, axis=-1):
    """Return the cross-entropy of each row and its gradient."""
    parts = _Rows(x, axis)
    chosen = np.expand_dims(target, axis)
    losses = -np.take_along_axis(parts.log_softmax, chosen, axis).squeeze(axis)
    # softmax - 1 at the target would cancel where the row is confident.
    grad = parts.softmax
    np.put_along_axis(grad, chosen, 0, axis)
    np.put_along_axis(grad, chosen, -grad.sum(axis=axis, keepdims=True), axis)
    return losses, grad


def cross_entropy(x, target, axis=-1):
    """Return the mean cross-entropy of class indices."""
    return np.mean(row_losses(x, target, axis)[0])


def cross_entropy_and_grad(x, target, axis=-1):
    """Return that mean and its gradient."""
    losses, grad = row_losses(x, target, axis)
    return np.mean(losses), grad / target.size


def cross_entropy_and_grad_of_soft_labels(x, target):
    """Return the mean cross-entropy of class probabilities, rounded and so not quite of sum 1, and its gradient."""
    parts = _Rows(x)
    loss = -np.mean((target * parts.log_softmax).sum(axis=-1))
    share = target.sum(axis=-1, keepdims=True) * parts.softmax
    return loss, Exact((share - target) / len(x), np.maximum(share, target) / len(x))


def cross_entropy_and_grad_with_options(x, target, weight=None, label_smoothing=0, ignore_index=-100):
    """Return the mean over kept rows of the cross-entropy of smoothed and weighted indices, and its gradient."""
    parts = _Rows(x)
    classes = x.shape[-1]
    weight = np.ones(classes, x.dtype) if weight is None else weight
    kept = target != ignore_index
    is_target = np.arange(classes) == np.where(kept, target, 0)[:, None]
    share = weight * ((1 - label_smoothing) * is_target + x.dtype.type(label_smoothing) / classes)
    share[~kept] = 0
    count = weight[target[kept]].sum()
    loss = -(share * parts.log_softmax).sum() / count
    pushed = share.sum(axis=-1, keepdims=True) * parts.softmax
    # Without smoothing nothing cancels: at the target the gradient is minus the sum of the others.
    grad = pushed - share
    if label_smoothing:
        return loss, Exact(grad / count, np.maximum(pushed, share) / count)
    others = np.where(is_target, 0, pushed)
    grad = np.where(is_target & kept[:, None], -others.sum(axis=-1, keepdims=True), others)
    return loss, grad / count
