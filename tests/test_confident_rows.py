"""Rows that are all but certain keep their small losses and gradients, among any number of classes."""

import mpmath
import numpy as np
import pytest

import simdloss

CLASSES = (2, 3, 10, 33, 100, 1000, 4097, 50257, 100_000)
GAPS = (20, 40, 80)


def others(kind, count, dtype):
    """Logits of all classes but the target."""
    if kind == "at 0":
        return np.zeros(count, dtype)
    if kind == "one at 0":
        return np.concatenate([np.zeros(1, dtype), np.full(count - 1, -np.inf, dtype)])
    # Few different values, so that mpmath need not take the exponential of every one.
    return np.resize(np.random.default_rng(count).uniform(-6, 0, 40).astype(dtype), count)


def exact_rest(values, top):
    """Sum of exp(x - top) over the classes that are not the target."""
    found, counts = np.unique(values[np.isfinite(values)], return_counts=True)
    pairs = zip(found.tolist(), counts.tolist(), strict=True)
    return mpmath.fsum(count * mpmath.exp(mpmath.mpf(value) - top) for value, count in pairs)


@pytest.mark.parametrize("kind", ["at 0", "random", "one at 0"])
@pytest.mark.parametrize("classes", CLASSES)
def test_confident_rows(isa, dtype, classes, kind):
    place = classes // 3
    rel = 1e-6 if dtype == np.float32 else 1e-14
    rest = others(kind, classes - 1, dtype)
    x = np.stack([np.insert(rest, place, gap) for gap in GAPS])
    target = np.full(len(GAPS), place)
    one_hot = np.zeros_like(x)
    one_hot[:, place] = 1

    loss, grad = simdloss.cross_entropy_and_grad(x, target, reduction="none")
    soft_loss, soft_grad = simdloss.cross_entropy_and_grad(x, one_hot, reduction="none")
    log_p = simdloss.log_softmax(x)
    for row, gap in enumerate(GAPS):
        with mpmath.workdps(60):
            ratio = exact_rest(rest, gap)
            want, want_grad = float(mpmath.log1p(ratio)), float(-ratio / (1 + ratio))
            want_other = float(mpmath.exp(mpmath.mpf(float(rest[0])) - gap) / (1 + ratio))
        assert 0 < want < 1
        near = {"rel": rel, "abs": 0}
        assert loss[row] == pytest.approx(want, **near)
        assert grad[row, place] == pytest.approx(want_grad, **near)
        assert log_p[row, place] == pytest.approx(-want, **near)
        assert soft_loss[row] == pytest.approx(want, **near)
        assert soft_grad[row, place] == pytest.approx(want_grad, **near)
        assert grad[row, 0 if place else 1] == pytest.approx(want_other, **near)
        alone = simdloss.cross_entropy(x[row], place, reduction="sum")
        assert alone == pytest.approx(want, **near)
