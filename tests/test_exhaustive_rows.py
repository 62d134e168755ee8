"""Millions of hard rows through the row kernels: logsumexp, softmax and cross-entropy with their gradients."""

import hard_rows
import mpmath
import numpy as np
import pytest
import reference
import sweep
from routines import logsumexp_scale
from ulp import ulp_errors

import simdloss

ELEMENTS = 10 * 2**20  # of each class count and dtype, and at least
ROWS = 2**20  # rows, and of the largest class counts
FEW_ROWS = 2
PIECE = 2**17  # elements judged at once
GENERATIONS, FAMILY = 3, 64


def _cross_entropy(x, target):
    return simdloss.cross_entropy_and_grad(x, target, reduction="none", return_lse=True)


# A call, its outputs by their names in the accuracy contract, and which attribute of Rows each is, of which sign.
CALLS = [
    (lambda x, _: simdloss.logsumexp(x, axis=-1), {"logsumexp": ("lse", 1)}),
    (
        lambda x, _: simdloss.logsumexp_and_grad(x),
        {"logsumexp_and_grad.value": ("lse", 1), "logsumexp_and_grad.grad": ("softmax", 1)},
    ),
    (lambda x, _: simdloss.softmax(x), {"softmax": ("softmax", 1)}),
    (lambda x, _: simdloss.log_softmax(x), {"log_softmax": ("log_softmax", 1)}),
    (
        _cross_entropy,
        {"cross_entropy": ("loss", 1), "cross_entropy_and_grad.grad": ("grad", 1), "cross_entropy.lse": ("lse", 1)},
    ),
]


class Rows:
    """The exact outputs, each with the size whose ULP counts, or None for its own."""

    def __init__(self, x, target):
        parts = reference.rows(x)
        at = target[:, None]
        self.lse = parts.lse, logsumexp_scale(parts.lse, parts.top[:, 0], x.dtype)
        self.softmax = parts.softmax, None
        self.log_softmax = parts.log_softmax, None
        self.loss = -np.take_along_axis(parts.log_softmax, at, 1)[:, 0], None
        grad = parts.softmax.copy()
        np.put_along_axis(grad, at, -np.take_along_axis(parts.one_minus_softmax, at, 1), 1)
        self.grad = grad, None


def judged(x, target, label):
    """The worst errors of these rows, each with the number of its row."""
    with np.errstate(all="ignore"):
        exact = Rows(x, target)
        return sweep.worst_errors(
            CALLS, (x, target), exact, lambda found, value: ulp_errors(found, *value), lambda at: (int(at[0]), label)
        )


def named(worst, x, target):
    """With what tells the row instead of its number."""
    return {
        key: (
            error,
            f"{label.partition(';')[0]}, {x.shape[1]} classes;{label.partition(';')[2]} target {target[row]} of "
            f"{[float(v).hex() for v in x[row, :4]]}",
        )
        for key, (error, (row, label)) in worst.items()
    }


def sweep_rows(work):
    """One piece of one kind, and then some generations of rows near the worst of it."""
    kind, classes, rows, dtype, seed = work
    rng = np.random.default_rng([seed, classes, list(hard_rows.KINDS).index(kind)])
    x, target = hard_rows.make(kind, rows, classes, dtype, rng)
    label = f"{kind}; seed {seed}, "
    found = []
    for _ in range(GENERATIONS if classes <= 128 else 1):
        worst = judged(x, target, label)
        found.append(named(worst, x, target))
        chosen = sorted({row for _, (row, _) in worst.values()})
        x, target = hard_rows.neighbours(x[chosen], target[chosen], FAMILY, rng)
        label = f"{kind}; near the worst of seed {seed}, "
    return sweep.merged(found)


def work_of(dtype):
    """Every kind and class count in pieces, those of many classes first, as they take longest."""
    for classes in reversed(hard_rows.CLASS_COUNTS):
        total = max(FEW_ROWS, min(ROWS, ELEMENTS // classes)) // len(hard_rows.KINDS) + 1
        rows = max(1, min(total, PIECE // classes))
        for seed in range(-(-total // rows)):
            yield from ((kind, classes, rows, dtype, seed) for kind in hard_rows.KINDS)


def many_rows(dtype):
    return sweep.merged(sweep.in_processes(sweep_rows, list(work_of(dtype)), chunk=1))


@pytest.mark.exhaustive
def test_many_rows(dtype):
    sweep.check(many_rows(dtype), dtype)


@pytest.mark.parametrize("kind", hard_rows.KINDS)
def test_some_rows(dtype, kind):
    """A few rows of every kind and class count, on every instruction set."""
    before = simdloss.get_isa()
    counts = [classes for classes in hard_rows.CLASS_COUNTS if classes < 1e5]
    found = [sweep_rows((kind, classes, 1 + min(100, 3000 // classes), dtype, 0)) for classes in counts]
    simdloss.use_isa(before)
    sweep.check(sweep.merged(found), dtype)


@pytest.mark.parametrize("kind", hard_rows.KINDS)
def test_yardstick(kind, rng):
    """What judges the rows is itself right to a small part of a float64 ULP, by mpmath."""
    x, target = hard_rows.make(kind, 3, 33, np.float64, rng)
    exact = Rows(x, target)
    for row in range(3):
        with mpmath.workdps(60):
            terms = [mpmath.exp(mpmath.mpf(float(v))) for v in x[row]]
            total = mpmath.fsum(terms)
            others = mpmath.fsum(terms[: target[row]] + terms[target[row] + 1 :])
            true = {
                "lse": mpmath.log(total),
                "loss": mpmath.log1p(others / terms[target[row]]) if terms[target[row]] else mpmath.inf,
            }
            for name, value in true.items():
                found, scale = getattr(exact, name)
                if mpmath.isinf(value):
                    assert np.isinf(found[row])
                    continue
                head = float(value)
                off = abs((found[row] - np.longdouble(head)) - np.longdouble(float(value - head)))
                size = abs(head) if scale is None else float(scale[row])
                assert off <= np.spacing(size) * 0.005, name
