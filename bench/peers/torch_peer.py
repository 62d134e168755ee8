"""PyTorch: `out=` variants under `inference_mode`, and autograd."""

import importlib

import numpy as np

from ..form import Form


def start(threads):
    """Import the library and set its threads."""
    global torch, F, aten
    torch = importlib.import_module("torch")
    F = torch.nn.functional
    aten = torch.ops.aten
    torch.set_num_threads(threads)


def _form(text, **names):
    """Return a form without autograd; arrays among the names become tensors on the same memory."""
    return Form(text, {"torch": torch, "F": F, "aten": aten} | tensors(names), within=torch.inference_mode)


def tensors(names):
    """Return the same with tensors for arrays, on the same memory."""
    return {name: torch.from_numpy(v) if isinstance(v, np.ndarray) else v for name, v in names.items()}


def autograd(loss, x, *rest, label="autograd"):
    """Return the form of a loss and its gradient by autograd."""
    x, *rest = (torch.from_numpy(array) for array in (x, *rest))
    x = x.clone().requires_grad_()

    def run():
        found = loss(x, *rest)
        return found, torch.autograd.grad(found, x)[0]

    return Form("run()", {"run": run}, finish=lambda found: (found[0].detach(), found[1]), label=label)


def sigmoid(x, y):
    """Return the forms of 1 / (1 + exp(-x))."""
    return [_form("torch.sigmoid(x, out=y)", x=x, y=y)]


def softplus(x, y):
    """Return the forms of log(1 + exp(x)); beyond its threshold of 20 PyTorch returns x itself."""
    return [_form("aten.softplus.out(x, out=y)", x=x, y=y)]


def log_sigmoid(x, y):
    """Return the forms of log(sigmoid(x))."""
    return [
        _form("F.logsigmoid(x)", x=x),
        _form("aten.log_sigmoid_forward.output(x, output=y, buffer=buffer)[0]", x=x, y=y, buffer=y.copy()),
    ]


def log_sigmoid_and_grad(x, y, dy):
    """Return the forms of the log-sigmoid and sigmoid(-x)."""
    given = {"x": x, "y": y, "dy": dy, "buffer": y.copy()}
    forward = "aten.log_sigmoid_forward.output(x, output=y, buffer=buffer)[0]"
    backward = "aten.log_sigmoid_backward.grad_input(ones, x, buffer, grad_input=dy)"
    return [
        _form(f"{forward}, {backward}", **given, ones=np.ones_like(x)),
        _form(f"{forward}, torch.sigmoid(torch.neg(x, out=dy), out=dy)", **given),
    ]


def binary_cross_entropy_with_logits(x, target):
    """Return the forms of the mean binary cross-entropy."""
    return [_form("F.binary_cross_entropy_with_logits(x, target)", x=x, target=target)]


def binary_cross_entropy_with_logits_and_grad(x, target, grad):
    """Return the forms of that mean and its gradient, derived and written out."""
    written_out = "torch.sub(torch.sigmoid(x, out=grad), target, out=grad).div_(x.numel())"
    loss = F.binary_cross_entropy_with_logits
    return [
        autograd(loss, x, target),
        _form(f"F.binary_cross_entropy_with_logits(x, target), {written_out}", x=x, target=target, grad=grad),
    ]


def logsumexp(x, lse):
    """Return the forms of log(sum(exp(x)))."""
    return [_form("torch.logsumexp(x, -1, out=lse)", x=x, lse=lse)]


def logsumexp_and_grad(x, lse, grad):
    """Return the forms of the log-sum-exp and its gradient."""
    text = "torch.logsumexp(x, -1, out=lse), torch.softmax(x, -1, out=grad)"
    return [_form(text, x=x, lse=lse, grad=grad)]


def softmax(x, y):
    """Return the forms of exp(x) / sum(exp(x))."""
    return [_form("torch.softmax(x, -1, out=y)", x=x, y=y)]


def log_softmax(x, y):
    """Return the forms of x - log(sum(exp(x)))."""
    return [_form("torch.log_softmax(x, -1, out=y)", x=x, y=y)]


def mean_loss(x, axis):
    """Return the mean cross-entropy of arrays like `x`; PyTorch has the classes in axis 1."""
    if axis % x.ndim == 1:
        return F.cross_entropy
    return lambda x, target: F.cross_entropy(x.movedim(axis, 1), target)


def cross_entropy(x, target, axis=-1):
    """Return the forms of the mean cross-entropy."""
    forms = [_form("loss(x, target)", loss=mean_loss(x, axis), x=x, target=target)]
    if x.ndim == 2 and axis == -1:
        text = "(torch.logsumexp(x, 1) - x.gather(1, index)[:, 0]).mean()"
        forms.append(_form(text, x=x, index=target[:, None]))
    return forms


def cross_entropy_and_grad(x, target, grad, axis=-1):
    """Return the forms of that mean and its gradient, derived and written out."""
    loss = mean_loss(x, axis)

    index = np.expand_dims(target, axis)
    text = (
        "loss(x, target), torch.softmax(x, axis, out=grad).scatter_add_(axis, index, minus_ones).div_(target.numel())"
    )
    given = {"x": x, "target": target, "grad": grad, "index": index, "minus_ones": -np.ones(index.shape, x.dtype)}
    return [
        autograd(loss, x, target),
        _form(text, loss=loss, axis=axis, **given),
    ]


def cross_entropy_and_grad_of_soft_labels(x, target, grad):
    """Return the forms of the mean cross-entropy of class probabilities and its gradient."""
    return [autograd(F.cross_entropy, x, target)]
