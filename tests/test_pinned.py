"""Values worked out by hand or with mpmath, to every digit a dtype holds."""

import math

import numpy as np
import pytest

import simdloss
from simdloss import binary_cross_entropy_with_logits as bce
from simdloss import cross_entropy, cross_entropy_and_grad


def accurate(dtype):
    return {"rel": 1e-6 if dtype == np.float32 else 1e-14, "abs": 0}


@pytest.mark.parametrize(
    ("y", "loss"), [(1.0, 0.006715348489118069), (0.0, 5.00671534848912), (-1.0, 10.0067153484891)], ids=str
)
def test_binary_cross_entropy_value(isa, dtype, y, loss):
    x = np.array([5.0], dtype)
    assert bce(x, [y]) == pytest.approx(loss, **accurate(dtype))
    assert bce(x, [y], reduction="none")[0] == pytest.approx(loss, **accurate(dtype))


def test_three_events(isa, dtype):
    p = np.array([0.8, 0.7, 0.1])
    logits = np.log(p / (1 - p)).astype(dtype)
    assert bce(logits, [1, 1, 0], reduction="sum") == pytest.approx(0.6851790, abs=1e-6)
    assert bce(logits, [1, 1, 0]) == pytest.approx(0.6851790 / 3, abs=1e-6)


def test_soft_label_value(isa, dtype):
    logits = np.array([[-1.0, 1.0]], dtype)
    assert cross_entropy(logits, np.array([[1.0, 0.0]], dtype)) == pytest.approx(2.12692801104297, **accurate(dtype))


def test_soft_labels_need_not_sum_to_one(isa, dtype):
    loss, grad = cross_entropy_and_grad(np.array([[-1.0, 1.0]], dtype), np.array([[1.0, -1.0]], dtype))
    assert loss == pytest.approx(2, **accurate(dtype))
    np.testing.assert_allclose(grad, [[-1, 1]], rtol=1e-6)


CONFIDENT = [
    ([10.0, -10.0], 2.06115362031438070e-9),
    ([20.0, 0.0], 2.06115362031438070e-9),
    ([40.0, 0.0], 4.24835425529158899e-18),
    ([80.0, 0.0], 1.80485138784541517e-35),
    ([100.0, 0.0], 3.72007597602083596e-44),
]


@pytest.mark.parametrize(("row", "loss"), CONFIDENT, ids=str)
def test_confident_row(isa, dtype, row, loss):
    """The loss of a row that is nearly certain is tiny but not 0, and so is its gradient."""
    logits = np.array([row], dtype)
    tolerance = accurate(dtype)
    if dtype == np.float32:
        tolerance["abs"] = float(np.finfo(dtype).smallest_subnormal) / 2
    found, grad = cross_entropy_and_grad(logits, [0], reduction="none")
    assert found[0] == pytest.approx(loss, **tolerance)
    slope = math.expm1(-loss)
    assert grad[0, 0] == pytest.approx(slope, **tolerance)
    assert grad[0, 1] == pytest.approx(-slope, **tolerance)
    assert simdloss.log_softmax(logits)[0, 0] == pytest.approx(-loss, **tolerance)
    assert found[0] != 0
    mean, mean_grad = cross_entropy_and_grad(logits, [0])
    assert mean == pytest.approx(loss, **tolerance)
    assert mean_grad[0, 0] == pytest.approx(slope, **tolerance)


@pytest.mark.parametrize("classes", [3, 10, 24, 25, 100, 1000, 5000, 100_000])
@pytest.mark.parametrize("confidence", [20.0, 40.0, 80.0])
def test_confident_row_among_many(isa, dtype, classes, confidence):
    logits = np.zeros((3, classes), dtype)
    target = np.array([0, classes // 2, classes - 1])
    logits[np.arange(3), target] = confidence
    want = math.log1p((classes - 1) * math.exp(-confidence))
    found, grad = cross_entropy_and_grad(logits, target, reduction="none")
    np.testing.assert_allclose(found, want, rtol=accurate(dtype)["rel"])
    np.testing.assert_allclose(grad[np.arange(3), target], math.expm1(-want), rtol=accurate(dtype)["rel"])
    log_p = simdloss.log_softmax(logits)[np.arange(3), target]
    np.testing.assert_allclose(log_p, -want, rtol=accurate(dtype)["rel"])


@pytest.mark.parametrize("classes", [2, 3, 7, 10, 33, 73, 103, 129, 1000, 5000, 100_000])
@pytest.mark.parametrize("apart", [1, 8, 32, 37, 64, 4096])
def test_maximum_several_times(isa, dtype, classes, apart):
    """In neighbouring lanes, in one lane, in different tiles: all but one of them are terms like the others."""
    logits = np.full((3, classes), -6.5, dtype)
    for row, count in enumerate((2, 3, 9)):
        logits[row, np.arange(count) * apart % classes] = 3.5
    tops = (logits == 3.5).sum(axis=1)
    loss = np.log1p(tops - 1 + (classes - tops) * math.exp(-10))
    found, grad = cross_entropy_and_grad(logits, np.zeros(3, int), reduction="none")
    np.testing.assert_allclose(found, loss, rtol=accurate(dtype)["rel"])
    np.testing.assert_allclose(grad[:, 0], np.expm1(-loss), rtol=accurate(dtype)["rel"])
    np.testing.assert_allclose(simdloss.logsumexp(logits, axis=1), 3.5 + loss, rtol=accurate(dtype)["rel"])
    np.testing.assert_allclose(simdloss.log_softmax(logits)[:, 0], -loss, rtol=accurate(dtype)["rel"])


@pytest.mark.parametrize("x", [1e8, -1e8, 1e4, 0.0])
def test_equal_logits(isa, dtype, x):
    """log 2 exactly rounded, whatever the size of the two logits."""
    logits = np.array([[x, x]], dtype)
    log_two = dtype(math.log(2))
    assert cross_entropy(logits, [1], reduction="none")[0] == log_two
    assert simdloss.log_softmax(logits)[0].tolist() == [-log_two, -log_two]
    np.testing.assert_allclose(simdloss.softmax(logits), 0.5, rtol=2 * np.finfo(dtype).eps)
    grad = cross_entropy_and_grad(logits, [1], reduction="none")[1]
    np.testing.assert_allclose(grad, [[0.5, -0.5]], rtol=2 * np.finfo(dtype).eps)
