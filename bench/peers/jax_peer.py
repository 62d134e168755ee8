"""JAX: jitted functions, each call waited for; with results new each time, and with a donated buffer for them."""

import importlib
import os

from ..form import Form


def start(threads):
    """Import the library and set its threads; dispatch in the calling thread, which is faster when one waits."""
    global jax, jnp
    os.environ["NPROC"] = str(threads)
    flag = f"--xla_cpu_multi_thread_eigen={'true' if threads > 1 else 'false'}"
    os.environ["XLA_FLAGS"] = f"{os.environ.get('XLA_FLAGS', '')} {flag}"
    os.environ["JAX_PLATFORMS"] = "cpu"
    jax = importlib.import_module("jax")
    jnp = importlib.import_module("jax.numpy")
    jax.config.update("jax_enable_x64", True)
    jax.config.update("jax_cpu_enable_async_dispatch", False)


def _forms(function, *inputs, spare=None, label="jit"):
    """Return the forms of a jitted function; `spare` is which of its results is as large as the first input."""
    inputs = [jnp.asarray(array) for array in inputs]
    names = {"wait": jax.block_until_ready, "f": jax.jit(function)}
    names |= {f"a{i}": array for i, array in enumerate(inputs)}
    arguments = ", ".join(f"a{i}" for i in range(len(inputs)))
    forms = [Form(f"wait(f({arguments}))", names, label=label)]
    if spare is not None:
        # XLA writes a result over an argument that it was given for good: JAX's way to write to memory that is there.
        donating = jax.jit(lambda s, *inputs: function(*inputs), donate_argnums=0, keep_unused=True)
        place = [jnp.zeros_like(inputs[0])]

        def run():
            found = wait(donating(place[0], *inputs))
            place[0] = found[spare] if isinstance(found, tuple) else found
            return found

        wait = jax.block_until_ready
        forms.append(Form("donating()", {"donating": run}, label=f"{label}, donated buffer"))
    return forms


def _mean_binary_loss(x, target):
    return jnp.mean(jnp.maximum(x, 0) - x * target + jnp.log1p(jnp.exp(-jnp.abs(x))))


def _mean_loss(axis):
    def loss(x, target):
        chosen = jnp.take_along_axis(x, jnp.expand_dims(target, axis), axis)
        return jnp.mean(jax.nn.logsumexp(x, axis=axis) - chosen.squeeze(axis))

    return loss


def _mean_soft_loss(x, target):
    return -jnp.mean(jnp.sum(target * jax.nn.log_softmax(x), axis=-1))


def sigmoid(x, y):
    """Return the forms of 1 / (1 + exp(-x))."""
    return _forms(jax.nn.sigmoid, x, spare=0)


def softplus(x, y):
    """Return the forms of log(1 + exp(x))."""
    return _forms(jax.nn.softplus, x, spare=0)


def log_sigmoid(x, y):
    """Return the forms of log(sigmoid(x))."""
    return _forms(jax.nn.log_sigmoid, x, spare=0)


def log_sigmoid_and_grad(x, y, dy):
    """Return the forms of the log-sigmoid and sigmoid(-x)."""
    return _forms(lambda x: (jax.nn.log_sigmoid(x), jax.nn.sigmoid(-x)), x, spare=0)


def binary_cross_entropy_with_logits(x, target):
    """Return the forms of the mean binary cross-entropy."""
    return _forms(_mean_binary_loss, x, target)


def binary_cross_entropy_with_logits_and_grad(x, target, grad):
    """Return the forms of that mean and its gradient, derived and written out."""

    def written_out(x, target):
        return _mean_binary_loss(x, target), (jax.nn.sigmoid(x) - target) / x.size

    return [
        *_forms(jax.value_and_grad(_mean_binary_loss), x, target, spare=1, label="jit(value_and_grad)"),
        *_forms(written_out, x, target, spare=1),
    ]


def logsumexp(x, lse):
    """Return the forms of log(sum(exp(x)))."""
    return _forms(lambda x: jax.nn.logsumexp(x, axis=-1), x)


def logsumexp_and_grad(x, lse, grad):
    """Return the forms of the log-sum-exp and its gradient."""
    return _forms(lambda x: (jax.nn.logsumexp(x, axis=-1), jax.nn.softmax(x)), x, spare=1)


def softmax(x, y):
    """Return the forms of exp(x) / sum(exp(x))."""
    return _forms(jax.nn.softmax, x, spare=0)


def log_softmax(x, y):
    """Return the forms of x - log(sum(exp(x)))."""
    return _forms(jax.nn.log_softmax, x, spare=0)


def cross_entropy(x, target, axis=-1):
    """Return the forms of the mean cross-entropy."""
    return _forms(_mean_loss(axis), x, target)


def cross_entropy_and_grad(x, target, grad, axis=-1):
    """Return the forms of that mean and its gradient, derived and written out."""
    loss = _mean_loss(axis)

    def written_out(x, target):
        top = jnp.max(x, axis=axis, keepdims=True)
        exp = jnp.exp(x - top)
        total = jnp.sum(exp, axis=axis, keepdims=True)
        is_target = jax.nn.one_hot(target, x.shape[axis], dtype=x.dtype, axis=axis)
        chosen = jnp.take_along_axis(x, jnp.expand_dims(target, axis), axis)
        return jnp.mean(top + jnp.log(total) - chosen), (exp / total - is_target) / target.size

    return [
        *_forms(jax.value_and_grad(loss), x, target, spare=1, label="jit(value_and_grad)"),
        *_forms(written_out, x, target, spare=1),
    ]


def cross_entropy_and_grad_of_soft_labels(x, target, grad):
    """Return the forms of the mean cross-entropy of class probabilities and its gradient."""
    return _forms(jax.value_and_grad(_mean_soft_loss), x, target, spare=1, label="jit(value_and_grad)")
