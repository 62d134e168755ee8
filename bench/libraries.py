"""How each library computes what `accuracy.py` compares: arrays in, arrays out, loss and gradient of each row apart.

`load` returns, by library, functions by the names of the routines of `accuracy.py`: of what the library itself has, its
most accurate form.
"""

import numpy as np

import simdloss

from . import baseline, peers

SIMDLOSS, NUMPY = "simdloss", "numpy"


def load():
    """Return the functions of simdloss, NumPy and the libraries that are installed, and the names of those not."""
    found, missing = peers.load(1)
    made = {"torch": _torch, "jax": _jax, "scipy": _scipy, "scikit-learn": _sklearn}
    libraries = {SIMDLOSS: _simdloss(), NUMPY: _numpy()}
    libraries |= {peer.name: made[peer.name](peer.module) for peer in found if peer.name in made}
    return libraries, [name for name in missing if name in made]


def _simdloss():
    def losses(function):
        return lambda x, target: function(x, target, reduction="none")

    return {
        "sigmoid": simdloss.sigmoid,
        "softplus": simdloss.softplus,
        "log_sigmoid": simdloss.log_sigmoid,
        "log_sigmoid gradient": lambda x: simdloss.log_sigmoid_and_grad(x)[1],
        "logsumexp": lambda x: simdloss.logsumexp(x, axis=-1),
        "softmax": simdloss.softmax,
        "log_softmax": simdloss.log_softmax,
        "cross-entropy": losses(simdloss.cross_entropy_and_grad),
        "binary cross-entropy": losses(simdloss.binary_cross_entropy_with_logits_and_grad),
    }


def _numpy():
    def run(function, *shapes):
        """Call the baseline with outputs of the shape of the logits, or of the rows."""

        def call(x):
            outputs = [np.empty(x.shape if shape == "x" else x.shape[:-1], x.dtype) for shape in shapes]
            return function(x, *outputs)()

        return call

    def cross_entropy(x, target):
        index = (np.arange(len(x)), target)
        lse, grad = run(baseline.logsumexp_and_grad, "rows", "x")(x)
        grad[index] -= 1
        return lse - x[index], grad

    def binary_cross_entropy(x, target):
        loss = np.maximum(x, 0) - x * target + np.log1p(np.exp(-np.abs(x)))
        return loss, run(baseline.sigmoid, "x")(x) - target

    return {
        "sigmoid": run(baseline.sigmoid, "x"),
        "softplus": run(baseline.softplus, "x"),
        "log_sigmoid": run(baseline.log_sigmoid, "x"),
        "log_sigmoid gradient": lambda x: run(baseline.log_sigmoid_and_grad, "x", "x")(x)[1],
        "logsumexp": run(baseline.logsumexp, "rows"),
        "softmax": run(baseline.softmax, "x"),
        "log_softmax": run(baseline.log_softmax, "x"),
        "cross-entropy": cross_entropy,
        "binary cross-entropy": binary_cross_entropy,
    }


def _torch(module):
    torch, F = module.torch, module.F

    def plain(function):
        return lambda x: function(torch.from_numpy(x)).numpy()

    def with_grad(function):
        def call(x, *rest):
            x = torch.from_numpy(x).requires_grad_()
            values = function(x, *map(torch.from_numpy, rest))
            return values.detach().numpy(), torch.autograd.grad(values.sum(), x)[0].numpy()

        return call

    return {
        "sigmoid": plain(torch.sigmoid),
        "softplus": plain(F.softplus),
        "log_sigmoid": plain(F.logsigmoid),
        "log_sigmoid gradient": lambda x: with_grad(F.logsigmoid)(x)[1],
        "logsumexp": plain(lambda x: torch.logsumexp(x, -1)),
        "softmax": plain(lambda x: torch.softmax(x, -1)),
        "log_softmax": plain(lambda x: torch.log_softmax(x, -1)),
        "cross-entropy": with_grad(lambda x, target: F.cross_entropy(x, target, reduction="none")),
        "binary cross-entropy": with_grad(
            lambda x, target: F.binary_cross_entropy_with_logits(x, target, reduction="none")
        ),
    }


def _jax(module):
    jax, jnp = module.jax, module.jnp

    def jitted(function):
        fast = jax.jit(function)
        return lambda *arrays: jax.tree.map(np.asarray, fast(*arrays))

    def with_grad(function):
        def both(x, *rest):
            return function(x, *rest), jax.grad(lambda x: function(x, *rest).sum())(x)

        return jitted(both)

    def cross_entropy(x, target):
        shifted = x - jax.lax.stop_gradient(x.max(axis=-1, keepdims=True))
        chosen = jnp.take_along_axis(shifted, target[:, None], -1)[:, 0]
        return jnp.log(jnp.sum(jnp.exp(shifted), axis=-1)) - chosen

    def binary_cross_entropy(x, target):
        return -target * jax.nn.log_sigmoid(x) - (1 - target) * jax.nn.log_sigmoid(-x)

    return {
        "sigmoid": jitted(jax.nn.sigmoid),
        "softplus": jitted(jax.nn.softplus),
        "log_sigmoid": jitted(jax.nn.log_sigmoid),
        "log_sigmoid gradient": lambda x: with_grad(jax.nn.log_sigmoid)(x)[1],
        "logsumexp": jitted(lambda x: jax.nn.logsumexp(x, axis=-1)),
        "softmax": jitted(jax.nn.softmax),
        "log_softmax": jitted(jax.nn.log_softmax),
        "cross-entropy": with_grad(cross_entropy),
        "binary cross-entropy": with_grad(binary_cross_entropy),
    }


def _scipy(module):
    special = module.special
    return {
        "sigmoid": special.expit,
        "softplus": lambda x: -special.log_expit(-x),
        "log_sigmoid": special.log_expit,
        "log_sigmoid gradient": lambda x: special.expit(-x),
        "logsumexp": lambda x: special.logsumexp(x, axis=-1),
        "softmax": lambda x: special.softmax(x, axis=-1),
        "log_softmax": lambda x: special.log_softmax(x, axis=-1),
    }


def _sklearn(module):
    losses = module.losses
    return {
        "cross-entropy": lambda x, target: losses.HalfMultinomialLoss(n_classes=x.shape[1]).loss_gradient(
            target.astype(x.dtype), x
        ),
        "binary cross-entropy": lambda x, target: losses.HalfBinomialLoss().loss_gradient(target, x),
    }
