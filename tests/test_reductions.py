"""mean and sum over many rows are right to 1e-12, whatever sizes the losses have and however the rows are cut."""

import math
from functools import lru_cache

import numpy as np
import pytest
import reference
from routines import HAVE_FMA

import simdloss

MANY = 10_000_000
FEW = 100_003
RIGHT = 1e-12


def _even(n, rng):
    return rng.normal(size=n) * 3


def _one_huge(n, rng):
    """One loss so large that a running sum in float64 would lose all of the others."""
    x = rng.uniform(-25, -15, n)
    x[n // 3] = 1e9
    return x


def _growing(n, rng):
    return np.sort(rng.uniform(-20, 20, n))


KINDS = {"even": _even, "one huge": _one_huge, "growing": _growing}


@lru_cache(maxsize=1)
def case(kind, n, dtype):
    """Logits whose softplus is the loss of all the routines below, and the exact sum of it."""
    x = KINDS[kind](n, np.random.default_rng(n)).astype(dtype)
    return x, sum(reference.softplus(x[i : i + 2**18]).sum() for i in range(0, n, 2**18))


def _pairs(x):
    return np.stack([np.zeros_like(x), x], axis=1)


LOSSES = {
    "cross_entropy": lambda x, **options: simdloss.cross_entropy(_pairs(x), np.zeros(len(x), np.int32), **options),
    "cross_entropy_and_grad": lambda x, **options: simdloss.cross_entropy_and_grad(
        _pairs(x), np.zeros(len(x), np.int32), **options
    )[0],
    "cross_entropy.soft": lambda x, **options: simdloss.cross_entropy(
        _pairs(x), _pairs(x * 0)[:, ::-1] + [1, 0], **options
    ),
    "binary_cross_entropy": lambda x, **options: simdloss.binary_cross_entropy_with_logits(x, x * 0, **options),
}


def check(isa, loss, kind, n, dtype):
    x, exact = case(kind, n, dtype)
    right = RIGHT
    if dtype == np.float32 and loss == "binary_cross_entropy":
        # Its losses are rounded to float32 before they are added, by design: they are made in float32.
        exact = np.longdouble(math.fsum(LOSSES[loss](x, reduction="none")))
    elif dtype == np.float32 and isa not in HAVE_FMA:
        right = 1e-9  # the rows themselves are summed in float32
    total, mean = LOSSES[loss](x, reduction="sum"), LOSSES[loss](x, reduction="mean")
    assert total == pytest.approx(float(exact), rel=right, abs=0)
    assert mean == pytest.approx(float(exact / n), rel=right, abs=0)


every_kind = pytest.mark.parametrize("kind", KINDS)
every_loss = pytest.mark.parametrize("loss", LOSSES)


@every_loss
@every_kind
def test_sum_and_mean(isa, dtype, kind, loss):
    check(isa, loss, kind, FEW, dtype)


@pytest.mark.exhaustive
@every_loss
@every_kind
def test_sum_and_mean_of_ten_million(isa, dtype, kind, loss):
    check(isa, loss, kind, MANY, dtype)


@every_loss
@every_kind
def test_sum_is_that_of_the_losses(isa, kind, loss):
    """In float64, to the last bit but one, and so is the sum of sums of any parts, of which each is rounded itself."""
    x, _ = case(kind, FEW, np.float64)
    losses = LOSSES[loss](x, reduction="none")
    wanted = math.fsum(losses)
    assert abs(LOSSES[loss](x, reduction="sum") - wanted) <= np.spacing(wanted)
    for step in (1000, 4099, 33_333):
        parts = math.fsum(LOSSES[loss](x[i : i + step], reduction="sum") for i in range(0, FEW, step))
        assert abs(parts - wanted) <= 2 * np.spacing(wanted)


@every_kind
def test_sum_does_not_depend_on_the_shape(isa, dtype, kind):
    """The same rows in a block, across one another and along: to 1 ULP, as the sum is rounded once."""
    x, _ = case(kind, FEW, dtype)
    pairs, target = _pairs(x[:100_000]), np.zeros(100_000, int)
    wanted = simdloss.cross_entropy(pairs, target, reduction="sum")
    block = pairs.reshape(100, 1000, 2)
    for logits, axis in [
        (block, 2),
        (np.asfortranarray(pairs), 1),
        (np.ascontiguousarray(pairs.T), 0),
        (np.ascontiguousarray(block.transpose(0, 2, 1)), 1),
        (block[::-1], 2),
    ]:
        shape = [n for i, n in enumerate(logits.shape) if i != axis]
        found = simdloss.cross_entropy(logits, target.reshape(shape), axis=axis, reduction="sum")
        assert abs(found - wanted) <= np.spacing(wanted)
