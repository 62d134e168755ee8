"""PyTorch's compiler: each function compiled for the shape at hand, in seconds or, the first time, minutes."""

from ..form import Form
from . import torch_peer
from .torch_peer import autograd, mean_loss


def start(threads):
    """Import the library; its compiled code uses the threads of `torch_peer`, so that comes first."""
    global torch, F
    torch_peer.start(threads)
    torch, F = torch_peer.torch, torch_peer.F
    # By default a function is compiled for eight shapes and then no more.
    torch._dynamo.config.recompile_limit = torch._dynamo.config.accumulated_recompile_limit = 1 << 20


def _compile(function):
    return torch.compile(function, dynamic=False, fullgraph=True)


def _form(function, *inputs):
    tensors = {f"a{i}": torch.from_numpy(array) for i, array in enumerate(inputs)}
    text = f"f({', '.join(tensors)})"
    return Form(text, {"f": _compile(function), **tensors}, within=torch.inference_mode, label="compile")


def sigmoid(x, y):
    """Return the forms of 1 / (1 + exp(-x))."""
    return [_form(torch.sigmoid, x)]


def softplus(x, y):
    """Return the forms of log(1 + exp(x))."""
    return [_form(F.softplus, x)]


def log_sigmoid(x, y):
    """Return the forms of log(sigmoid(x))."""
    return [_form(F.logsigmoid, x)]


def log_sigmoid_and_grad(x, y, dy):
    """Return the forms of the log-sigmoid and sigmoid(-x)."""
    return [_form(lambda x: (F.logsigmoid(x), torch.sigmoid(-x)), x)]


def binary_cross_entropy_with_logits(x, target):
    """Return the forms of the mean binary cross-entropy."""
    return [_form(F.binary_cross_entropy_with_logits, x, target)]


def binary_cross_entropy_with_logits_and_grad(x, target, grad):
    """Return the forms of that mean and its gradient, derived and written out."""
    loss = F.binary_cross_entropy_with_logits
    return [
        autograd(_compile(loss), x, target, label="compile, autograd"),
        _form(lambda x, target: (loss(x, target), (torch.sigmoid(x) - target) / x.numel()), x, target),
    ]


def logsumexp(x, lse):
    """Return the forms of log(sum(exp(x)))."""
    return [_form(lambda x: torch.logsumexp(x, -1), x)]


def logsumexp_and_grad(x, lse, grad):
    """Return the forms of the log-sum-exp and its gradient."""
    return [_form(lambda x: (torch.logsumexp(x, -1), torch.softmax(x, -1)), x)]


def softmax(x, y):
    """Return the forms of exp(x) / sum(exp(x))."""
    return [_form(lambda x: torch.softmax(x, -1), x)]


def log_softmax(x, y):
    """Return the forms of x - log(sum(exp(x)))."""
    return [_form(lambda x: torch.log_softmax(x, -1), x)]


def cross_entropy(x, target, axis=-1):
    """Return the forms of the mean cross-entropy."""
    return [_form(mean_loss(x, axis), x, target)]


def cross_entropy_and_grad(x, target, grad, axis=-1):
    """Return the forms of that mean and its gradient, derived and written out."""
    loss = mean_loss(x, axis)

    def written_out(x, target):
        is_target = F.one_hot(target, x.shape[axis]).movedim(-1, axis)
        return loss(x, target), (torch.softmax(x, axis) - is_target) / target.numel()

    return [autograd(_compile(loss), x, target, label="compile, autograd"), _form(written_out, x, target)]


def cross_entropy_and_grad_of_soft_labels(x, target, grad):
    """Return the forms of the mean cross-entropy of class probabilities and its gradient."""
    return [autograd(_compile(F.cross_entropy), x, target, label="compile, autograd")]
