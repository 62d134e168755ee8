"""Rows of logits that are hard to get right, of any class count: random ones of every spread, and chosen ones."""

import numpy as np
import reference

CLASS_COUNTS = (1, 2, 3, 5, 10, 31, 32, 33, 34, 64, 100, 128, 129, 200, 256, 300, 1000, 4096, 4097, 50257, 1_000_000)


def _spread(size):
    return lambda shape, rng: rng.normal(size=shape) * size


def _two_valued(shape, rng):
    low, gap = rng.normal(size=(2, shape[0], 1)) * 10
    return low + np.abs(gap) * (rng.random(shape) < rng.random((shape[0], 1)))


def _all_equal(shape, rng):
    value = np.exp2(rng.uniform(-20, 13, (shape[0], 1))) * rng.choice([-1, 1], (shape[0], 1))
    return np.broadcast_to(value, shape)


def _dominated(shape, rng):
    """One to three classes ahead of the others by up to 100."""
    x = rng.normal(size=shape)
    for _ in range(rng.integers(1, 4)):
        x[np.arange(shape[0]), rng.integers(0, shape[1], shape[0])] += rng.uniform(0, 100, shape[0])
    return x


def _ascending(shape, rng):
    return np.sort(rng.normal(size=shape) * rng.choice([1, 30], (shape[0], 1)), axis=1)


def _with_holes(shape, rng):
    x = rng.normal(size=shape) * 5
    x[rng.random(shape) < rng.random((shape[0], 1))] = -np.inf
    x[:, shape[1] // 2] = 1
    return x


def _moved(shape, rng, to):
    """Ordinary rows, moved until their logsumexp is about `to`."""
    x = rng.normal(size=shape) * np.exp2(rng.uniform(-7, 4, (shape[0], 1)))
    return x - reference.rows(x).lse[:, None].astype(np.float64) + to


def _near_zero(shape, rng):
    return _moved(shape, rng, 0)


def _near_the_others(shape, rng):
    """A logsumexp about as large as the share of all but the maximum, or 2^-11 of that.

    Below that, float32 rows of many or of few classes are summed again.
    """
    parts = reference.rows(rng.normal(size=shape) * np.exp2(rng.uniform(-3, 2, (shape[0], 1))))
    share = parts.rest / (1 + parts.rest)
    size = share * rng.uniform(0.7, 1.1, (shape[0], 1)) * rng.choice([-1, 1, -(2**-11), 2**-11], (shape[0], 1))
    return (parts.log_softmax + size).astype(np.float64)


def _near_powers(shape, rng):
    """A logsumexp just above a power of two has the smallest step for its size."""
    power = np.exp2(rng.integers(-6, 7, (shape[0], 1)))
    return _moved(shape, rng, power * (1 + np.exp2(rng.uniform(-24, -10, (shape[0], 1)))) * rng.choice([-1, 1]))


def _losses_near_powers(shape, rng):
    """Likewise the loss of the first class: all others equal, below it or above it."""
    loss = np.exp2(rng.integers(-20, 7, (shape[0], 1))) * (1 + np.exp2(rng.uniform(-20, -6, (shape[0], 1))))
    x = np.zeros(shape)
    x[:, :1] = -np.log(np.expm1(loss) / max(1, shape[1] - 1))
    return x + rng.choice([0, 1, -3.7], (shape[0], 1))


def _two_ahead(shape, rng):
    """Two classes far ahead of all others, the second near 2^-8 of the first: below, the top is left out of the sum."""
    x = rng.normal(size=shape) - rng.uniform(5, 60, (shape[0], 1))
    row, top = np.arange(shape[0]), rng.integers(0, shape[1], shape[0])
    x[row, (top + rng.integers(1, shape[1] + 1, shape[0])) % shape[1]] = -rng.uniform(3, 7, shape[0])
    x[row, top] = 0
    return x + rng.normal(size=(shape[0], 1)) * 10


KINDS = {
    **{f"spread {size}": _spread(size) for size in (0.01, 0.1, 1, 3, 10, 100)},
    "two values": _two_valued,
    "all equal": _all_equal,
    "dominated": _dominated,
    "ascending": _ascending,
    "descending": lambda shape, rng: -_ascending(shape, rng),
    "holes": _with_holes,
    "to 1e4": lambda shape, rng: rng.uniform(-1e4, 1e4, shape),
    "about 9000": lambda shape, rng: 9000 + rng.normal(size=shape) * 5,
    "logsumexp near 0": _near_zero,
    "logsumexp near powers": _near_powers,
    "loss near powers": _losses_near_powers,
    "logsumexp near S'/S": _near_the_others,
    "two ahead": _two_ahead,
}


def targets(x, rng):
    """The likeliest class, the unlikeliest, and any, in turn."""
    turn = np.arange(len(x)) % 3
    return np.where(turn == 0, x.argmax(1), np.where(turn == 1, x.argmin(1), rng.integers(0, x.shape[1], len(x))))


def make(kind, rows, classes, dtype, rng):
    """Logits and class indices of one kind."""
    x = _limited(KINDS[kind]((rows, classes), rng)).astype(dtype)
    return x, targets(x, rng)


def _limited(x):
    """As large as the contract goes."""
    return np.where(np.isinf(x), x, np.clip(x, -1e4, 1e4))


def neighbours(x, target, count, rng):
    """For every row `count` others that differ from it a little: in the last bits of all logits, or in one logit."""
    x, target = np.repeat(x, count, 0), np.repeat(target, count)
    with np.errstate(invalid="ignore"):
        x = x * (1 + np.finfo(x.dtype).eps * rng.integers(-100, 101, x.shape)).astype(x.dtype)
        moved = np.arange(0, len(x), 2)
        x[moved, rng.integers(0, x.shape[1], len(moved))] += rng.normal(size=len(moved)).astype(x.dtype)
    return _limited(x), target
