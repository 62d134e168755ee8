"""The NumPy a careful user would write.

Stable formulas, every buffer allocated once, no temporary that `out=` can avoid, no pass over the data too many. Each
function takes the arrays by the names that `data.py` gives them, allocates its scratch and returns the function to be
timed, which fills the outputs and returns them in the order of the routine. Overflow of `np.exp` to infinity is wanted
in `sigmoid` and gives the right limit: the benchmark switches that warning off once, outside the timing.
"""

import numpy as np


def _exp_of_minus_abs(x, out):
    np.abs(x, out=out)
    np.negative(out, out=out)
    np.exp(out, out=out)


def sigmoid(x, y):
    """Return the call that computes 1 / (1 + exp(-x))."""

    def run():
        np.negative(x, out=y)
        np.exp(y, out=y)
        np.add(y, 1, out=y)
        np.reciprocal(y, out=y)
        return y

    return run


def log_sigmoid(x, y):
    """Return the call that computes min(x, 0) - log1p(exp(-|x|))."""
    scratch = np.empty_like(x)

    def run():
        _exp_of_minus_abs(x, scratch)
        np.log1p(scratch, out=scratch)
        np.minimum(x, 0, out=y)
        np.subtract(y, scratch, out=y)
        return y

    return run


def softplus(x, y):
    """Return the call that computes max(x, 0) + log1p(exp(-|x|))."""
    scratch = np.empty_like(x)

    def run():
        _exp_of_minus_abs(x, scratch)
        np.log1p(scratch, out=scratch)
        np.maximum(x, 0, out=y)
        np.add(y, scratch, out=y)
        return y

    return run


def log_sigmoid_and_grad(x, y, dy):
    """Return the call that computes the log-sigmoid and 1 / (1 + exp(x))."""
    value = log_sigmoid(x, y)

    def run():
        value()
        np.exp(x, out=dy)
        np.add(dy, 1, out=dy)
        np.reciprocal(dy, out=dy)
        return y, dy

    return run


def binary_cross_entropy_with_logits(x, target):
    """Return the call that computes mean(max(x, 0) - x target + log1p(exp(-|x|)))."""
    scratch, terms = np.empty_like(x), np.empty_like(x)

    def run():
        _exp_of_minus_abs(x, scratch)
        np.log1p(scratch, out=scratch)
        np.maximum(x, 0, out=terms)
        np.add(terms, scratch, out=terms)
        np.multiply(x, target, out=scratch)
        np.subtract(terms, scratch, out=terms)
        return terms.sum() / x.size

    return run


def binary_cross_entropy_with_logits_and_grad(x, target, grad):
    """Return the call that computes that mean and (sigmoid(x) - target) / n."""
    value = binary_cross_entropy_with_logits(x, target)
    probability = sigmoid(x, grad)

    def run():
        loss = value()
        probability()
        np.subtract(grad, target, out=grad)
        np.divide(grad, x.size, out=grad)
        return loss, grad

    return run


def _exp_of_rows(x, axis, out):
    """Allocate for, and return, a function that fills `out` with exp(x - max) and gives the maxima and the sums."""
    top = np.empty_like(x.max(axis=axis, keepdims=True))
    total = np.empty_like(top)

    def run():
        x.max(axis=axis, keepdims=True, out=top)
        np.subtract(x, top, out=out)
        np.exp(out, out=out)
        out.sum(axis=axis, keepdims=True, out=total)
        return top, total

    return run


def logsumexp(x, lse):
    """Return the call that computes max + log(sum(exp(x - max)))."""
    exps = _exp_of_rows(x, -1, np.empty_like(x))

    def run():
        top, total = exps()
        np.log(total, out=total)
        np.add(top[:, 0], total[:, 0], out=lse)
        return lse

    return run


def logsumexp_and_grad(x, lse, grad):
    """Return the call that computes the log-sum-exp and exp(x - max) / sum."""
    exps = _exp_of_rows(x, -1, grad)

    def run():
        top, total = exps()
        np.divide(grad, total, out=grad)
        np.log(total, out=total)
        np.add(top[:, 0], total[:, 0], out=lse)
        return lse, grad

    return run


def softmax(x, y):
    """Return the call that computes exp(x - max) / sum."""
    exps = _exp_of_rows(x, -1, y)

    def run():
        _, total = exps()
        np.divide(y, total, out=y)
        return y

    return run


def log_softmax(x, y):
    """Return the call that computes x - (max + log(sum))."""
    exps = _exp_of_rows(x, -1, np.empty_like(x))

    def run():
        top, total = exps()
        np.log(total, out=total)
        np.add(top, total, out=top)
        np.subtract(x, top, out=y)
        return y

    return run


def _index_of(target, axis):
    """Return the fancy index of each row's target: `x[index]` is the targets' logits."""
    index = list(np.ogrid[tuple(slice(n) for n in target.shape)])
    index.insert(axis % (target.ndim + 1), target)
    return tuple(index)


def cross_entropy(x, target, axis=-1):
    """Return the call that computes mean(max + log(sum) - x[target])."""
    exps = _exp_of_rows(x, axis, np.empty_like(x))
    loss = _loss_of_rows(x, target, axis)

    def run():
        return loss(*exps())

    return run


def _loss_of_rows(x, target, axis):
    """Return the function from the maxima and sums to the mean loss; the sums are used up."""
    index = _index_of(target, axis)

    def run(top, total):
        np.log(total, out=total)
        np.add(top, total, out=total)
        lse = total.squeeze(axis)
        np.subtract(lse, x[index], out=lse)
        return lse.sum() / target.size

    return run


def cross_entropy_and_grad(x, target, grad, axis=-1):
    """Return the call that computes that mean and (softmax - [class = target]) / n."""
    exps = _exp_of_rows(x, axis, grad)
    loss = _loss_of_rows(x, target, axis)
    index = _index_of(target, axis)
    scaled = np.empty_like(x.max(axis=axis, keepdims=True))

    def run():
        top, total = exps()
        np.multiply(total, target.size, out=scaled)
        np.divide(grad, scaled, out=grad)
        grad[index] -= 1 / target.size
        return loss(top, total), grad

    return run


def cross_entropy_and_grad_of_soft_labels(x, target, grad):
    """Return the call that computes mean(log(sum) - sum(target (x - max))) and (softmax - target) / n."""
    rows = len(x)
    scratch = np.empty_like(x)
    top, total = np.empty_like(x[:, :1]), np.empty_like(x[:, :1])

    def run():
        x.max(axis=-1, keepdims=True, out=top)
        np.subtract(x, top, out=scratch)
        np.exp(scratch, out=grad)
        grad.sum(axis=-1, keepdims=True, out=total)
        np.divide(grad, total, out=grad)
        np.subtract(grad, target, out=grad)
        np.divide(grad, rows, out=grad)
        np.log(total, out=total)
        gain = np.einsum("ij,ij->i", target, scratch)
        return (total.sum() - gain.sum()) / rows, grad

    return run
