"""scikit-learn: the private losses behind its linear models and gradient boosting, with their buffers given."""

import importlib

import numpy as np

from ..form import Form


def start(threads):
    """Import the library; `threads` go into every call."""
    global losses, _threads
    losses = importlib.import_module("sklearn._loss.loss")
    _threads = threads


def _loss_gradient(loss, target, x, grad):
    rows = np.empty(len(x), x.dtype)
    names = {"loss": loss, "target": target.astype(x.dtype), "x": x, "rows": rows, "grad": grad, "threads": _threads}
    # It knows sums only: the mean and its factor in the gradient are not charged to it.
    return Form(
        "loss.loss_gradient(target, x, loss_out=rows, gradient_out=grad, n_threads=threads)",
        names,
        finish=lambda found: (found[0].mean(dtype=np.float64), found[1] / len(x)),
    )


def binary_cross_entropy_with_logits_and_grad(x, target, grad):
    """Return the forms of the mean binary cross-entropy and its gradient."""
    return [_loss_gradient(losses.HalfBinomialLoss(), target, x, grad)]


def cross_entropy_and_grad(x, target, grad, axis=-1):
    """Return the forms of the mean cross-entropy and its gradient, in the logits' own order."""
    if axis != -1:
        return []
    return [_loss_gradient(losses.HalfMultinomialLoss(n_classes=x.shape[1]), target, x, grad)]


def cross_entropy(x, target, axis=-1):
    """Return the forms of the mean cross-entropy."""
    if axis != -1:
        return []
    loss = losses.HalfMultinomialLoss(n_classes=x.shape[1])
    names = {"loss": loss, "target": target.astype(x.dtype), "x": x, "rows": np.empty(len(x), x.dtype)}
    text = "loss.loss(target, x, loss_out=rows, n_threads=threads)"
    return [Form(text, names | {"threads": _threads}, finish=lambda found: found.mean(dtype=np.float64))]
