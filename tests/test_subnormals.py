"""Subnormal results are kept, and tails reach 0."""

import numpy as np
import pytest

import simdloss


@pytest.mark.parametrize("name", ["sigmoid", "softplus", "log_sigmoid_and_grad"])
def test_subnormal_results_of_elementwise(isa, dtype, name):
    """exp(x) far down: within half a step of the smallest subnormal and more of the truth, then exactly 0."""
    end = 103.2 if dtype == np.float32 else 744.4
    info = np.finfo(dtype)
    x = np.linspace(np.log(info.tiny), -end, 1000).astype(dtype)
    found = getattr(simdloss, name)(x) if name != "log_sigmoid_and_grad" else simdloss.log_sigmoid_and_grad(-x)[1]
    exact = np.exp(x.astype(np.longdouble))
    assert (found > 0).all()
    assert (np.abs(found - exact) <= 0.8 * info.smallest_subnormal + exact * info.eps).all()
    beyond = np.array([-104.5 if dtype == np.float32 else -746] * 33, dtype)
    assert (getattr(simdloss, name)(beyond if name != "log_sigmoid_and_grad" else -beyond)[-1] == 0).all()


@pytest.mark.parametrize("classes", [2, 3, 10, 24, 25, 100, 1000, 5000])
def test_softmax_tail_reaches_zero(isa, dtype, classes):
    """One class far ahead of the others by a growing distance: subnormal first, then exactly 0, never stuck."""
    limit = 103.97 if dtype == np.float32 else 745.13
    info = np.finfo(dtype)
    for distance in (87.0, 88.5, 95.0, 103.0, 104.5, 150.0, 700.0, 708.5, 740.0, 746.0, 1000.0, 1e4):
        x = np.full((5, classes), -distance, dtype)
        x[:, classes // 2] = 0
        exact = np.exp(np.longdouble(-distance))
        for p in (simdloss.softmax(x), simdloss.logsumexp_and_grad(x)[1]):
            tail = np.delete(p, classes // 2, 1)
            if distance > limit:
                assert (tail == 0).all()
            else:
                assert (tail > 0).all()
                assert (np.abs(tail - exact) <= 3 * exact * info.eps + 0.8 * info.smallest_subnormal).all()
        target = np.full(5, classes // 2)
        loss, grad = simdloss.cross_entropy_and_grad(x, target, reduction="none")
        assert (loss == 0).all() == (distance > limit + np.log(classes - 1))
        assert (np.delete(grad, classes // 2, 1) == 0).all() == (distance > limit)
