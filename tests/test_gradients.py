"""Gradients and reductions under every option: against the formulas, and against central differences in float64."""

import itertools

import numpy as np
import pytest
import reference

from simdloss import binary_cross_entropy_with_logits, cross_entropy, cross_entropy_and_grad, logsumexp_and_grad
from simdloss import binary_cross_entropy_with_logits_and_grad as bce_and_grad

REDUCTIONS = ["mean", "sum", "none"]
SHAPES = [(41, 2), (41, 3), (37, 10), (35, 24), (35, 25), (33, 64), (9, 300), (3, 5000)]
STEP = 1e-6


def tolerance(dtype):
    return {"rtol": 2e-6, "atol": 2e-7} if dtype == np.float32 else {"rtol": 1e-13, "atol": 1e-15}


def options(shape, dtype):
    """Every option alone, then all at once."""
    rng = np.random.default_rng(9)
    weight = rng.uniform(0.2, 3, shape[1]).astype(dtype)
    sample_weight = rng.uniform(0.2, 3, shape[0]).astype(dtype)
    sample_weight[::4] = 0
    single = [
        {"weight": weight},
        {"sample_weight": sample_weight},
        {"label_smoothing": 0.125},
        {"label_smoothing": 1.0},
        {"lse_square_scale": 0.25},
    ]
    return [
        {},
        *single,
        {"weight": weight, "sample_weight": sample_weight},
        single[0] | single[1] | single[2] | single[4],
    ]


def targets(shape, dtype, rng):
    indices = rng.integers(0, shape[1], shape[0])
    some_ignored = np.where(np.arange(shape[0]) % 3 == 1, -100, indices)
    return [indices, some_ignored, rng.uniform(-0.5, 1.5, shape).astype(dtype)]


@pytest.mark.parametrize("reduction", REDUCTIONS)
@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_cross_entropy_formula(isa, dtype, shape, reduction, rng):
    logits = (rng.normal(size=shape) * 3).astype(dtype)
    for target, chosen in itertools.product(targets(shape, dtype, rng), options(shape, dtype)):
        parts = reference.cross_entropy(logits, target, **chosen)
        want, want_grad = parts.reduced(reduction)
        loss, grad, lse = cross_entropy_and_grad(logits, target, reduction=reduction, return_lse=True, **chosen)
        what = f"target {target.dtype}{target.shape}, {sorted(chosen)}"
        # Terms that cancel keep the rounding of the largest of them, which atol alone would not allow for here.
        size = float(parts.loss_scale.max()) / (1 if reduction != "mean" else float(parts.denominator) / len(logits))
        loose = tolerance(dtype)
        np.testing.assert_allclose(loss, want, loose["rtol"], loose["atol"] * max(1, size), err_msg=what)
        scale = parts.grad_scale / (parts.denominator if reduction == "mean" else 1)
        assert (np.abs(grad - want_grad) <= loose["rtol"] * scale).all(), what
        np.testing.assert_allclose(lse, parts.lse, **loose, err_msg=what)
        assert cross_entropy(logits, target, reduction=reduction, **chosen) == pytest.approx(loss, rel=1e-6, abs=1e-12)


def differences(function, x):
    """The gradient of a scalar function by central differences, element by element."""
    grad = np.empty_like(x)
    for i in np.ndindex(x.shape):
        kept = x[i]
        x[i] = kept + STEP
        above = function(x)
        x[i] = kept - STEP
        grad[i] = (above - function(x)) / (2 * STEP)
        x[i] = kept
    return grad


@pytest.mark.parametrize("reduction", ["mean", "sum"])
def test_cross_entropy_differences(isa, reduction, rng):
    for shape in [(5, 2), (6, 3), (5, 10), (3, 33)]:
        logits = rng.normal(size=shape)
        for target, chosen in itertools.product(targets(shape, np.float64, rng), options(shape, np.float64)):
            grad = cross_entropy_and_grad(logits, target, reduction=reduction, **chosen)[1]
            found = differences(lambda x: cross_entropy(x, target, reduction=reduction, **chosen), logits)  # noqa: B023
            np.testing.assert_allclose(grad, found, rtol=1e-5, atol=1e-7, err_msg=f"{shape} {sorted(chosen)}")


def test_logsumexp_differences(isa, rng):
    x = rng.normal(size=(4, 6))
    grad = logsumexp_and_grad(x)[1]
    np.testing.assert_allclose(grad, differences(lambda x: logsumexp_and_grad(x)[0].sum(), x), rtol=1e-5, atol=1e-8)


@pytest.mark.parametrize("reduction", REDUCTIONS)
def test_binary_cross_entropy_formula(isa, dtype, reduction, rng):
    for shape in [(1,), (7,), (64,), (1000,), (37, 5), (3, 4, 5)]:
        logits = (rng.normal(size=shape) * 4).astype(dtype)
        target = rng.uniform(-1, 2, shape).astype(dtype)
        weights = [None, dtype(2), rng.uniform(0, 2, shape[-1]).astype(dtype), rng.uniform(0, 2, shape).astype(dtype)]
        if len(shape) > 1:
            weights.append(rng.uniform(0, 2, (shape[0],) + (1,) * (len(shape) - 1)).astype(dtype))
        for weight, pos_weight in itertools.product(weights, weights):
            parts = reference.binary_cross_entropy(logits, target, weight=weight, pos_weight=pos_weight)
            want, want_grad = parts.reduced(reduction)
            chosen = {"weight": weight, "pos_weight": pos_weight, "reduction": reduction}
            loss, grad = bce_and_grad(logits, target, **chosen)
            atol = tolerance(dtype)["atol"] * float(parts.loss_scale.max())
            np.testing.assert_allclose(loss, want, tolerance(dtype)["rtol"], atol)
            scale = parts.grad_scale / (parts.denominator if reduction == "mean" else 1)
            assert (np.abs(grad - want_grad) <= tolerance(dtype)["rtol"] * scale).all()
            alone = binary_cross_entropy_with_logits(logits, target, **chosen)
            np.testing.assert_array_equal(alone, loss)


def test_binary_cross_entropy_differences(isa, rng):
    x, y, w, q = rng.normal(size=(4, 9))
    for chosen in [{}, {"weight": w}, {"pos_weight": q}, {"weight": w, "pos_weight": q, "reduction": "sum"}]:
        grad = bce_and_grad(x, y, **chosen)[1]
        found = differences(lambda x: binary_cross_entropy_with_logits(x, y, **chosen), x)  # noqa: B023
        np.testing.assert_allclose(grad, found, rtol=1e-5, atol=1e-8)


def test_mean_of_weighted_indices_divides_by_their_weights(isa, dtype):
    """The rule of PyTorch and ONNX, worked out by hand: equal logits, so each kept row costs w[target] log 2."""
    logits = np.zeros((4, 2), dtype)
    weight = np.array([1, 5], dtype)
    assert cross_entropy(logits, [0, 1, 1, -100], weight=weight) == pytest.approx(np.log(2), rel=1e-6)
    found = cross_entropy(logits, [0, 1, 1, -100], weight=weight, reduction="sum")
    assert found == pytest.approx(11 * np.log(2), rel=1e-6)
    soft = np.array([[1, 0], [0, 1], [0, 1], [0, 1]], dtype)
    assert cross_entropy(logits, soft, weight=weight) == pytest.approx(16 * np.log(2) / 4, rel=1e-6)
    assert cross_entropy(logits, [0, 1, 1, 0], sample_weight=[1, 0, 0, 3]) == pytest.approx(np.log(2), rel=1e-6)


def test_weights_of_zero(isa, dtype):
    """A mean over nothing is NaN without a warning; a class or row of weight 0 has no gradient."""
    logits = np.array([[1, 2, 3], [3, 1, 1]], dtype)
    assert np.isnan(cross_entropy(logits, [0, 0], weight=[0, 1, 1]))
    assert np.isnan(cross_entropy(logits, [0, 0], sample_weight=[0, 0]))
    loss, grad = cross_entropy_and_grad(logits, [0, 1], weight=[0, 1, 1], reduction="none")
    assert loss[0] == 0
    np.testing.assert_array_equal(grad[0], 0)
    assert loss[1] > 0
    loss, grad = cross_entropy_and_grad(logits, [0, 1], sample_weight=[0, 2], reduction="none")
    assert loss[0] == 0
    np.testing.assert_array_equal(grad[0], 0)


@pytest.mark.parametrize("reduction", ["mean", "sum"])
def test_sum_of_many_rows(isa, dtype, reduction, rng):
    """mean and sum accumulate in float64 at least: no drift over many rows, however they are shaped."""
    logits = rng.normal(size=(200_000, 3)).astype(dtype)
    target = rng.integers(0, 3, len(logits))
    want = float(reference.cross_entropy(logits, target).reduced(reduction)[0])
    rel = 3e-9 if dtype == np.float32 else 1e-14
    assert cross_entropy(logits, target, reduction=reduction) == pytest.approx(want, rel=rel)
    shaped = logits.reshape(50, 4000, 3).swapaxes(0, 1)
    found = cross_entropy(shaped, target.reshape(50, 4000).T, reduction=reduction)
    assert found == pytest.approx(want, rel=rel)
    x, y = logits.ravel(), (target[:, None] == np.arange(3)).astype(dtype).ravel()
    want = float(reference.binary_cross_entropy(x, y).reduced(reduction)[0])
    assert binary_cross_entropy_with_logits(x, y, reduction=reduction) == pytest.approx(want, rel=rel)
