"""Subnormal results are kept, tails reach 0, and the floating-point state of the caller stays as it was."""

import os
import subprocess
import sys

import numpy as np
import pytest

import simdloss

CALLS = {
    "sigmoid": lambda x: simdloss.sigmoid(x),
    "log_sigmoid": lambda x: simdloss.log_sigmoid(x),
    "softplus": lambda x: simdloss.softplus(x),
    "log_sigmoid_and_grad": lambda x: simdloss.log_sigmoid_and_grad(x),
    "ufunc": lambda x: simdloss.sigmoid(x[:, ::2]),
    "logsumexp": lambda x: simdloss.logsumexp(x, axis=-1),
    "logsumexp_b": lambda x: simdloss.logsumexp(x, axis=-1, b=np.full_like(x, -1), return_sign=True),
    "logsumexp_and_grad": lambda x: simdloss.logsumexp_and_grad(x),
    "softmax": lambda x: simdloss.softmax(x),
    "log_softmax": lambda x: simdloss.log_softmax(x),
    "cross_entropy": lambda x: simdloss.cross_entropy(x, np.arange(len(x)) % x.shape[1]),
    "cross_entropy_and_grad": lambda x: simdloss.cross_entropy_and_grad(x, np.arange(len(x)) % x.shape[1]),
    "cross_entropy.soft": lambda x: simdloss.cross_entropy_and_grad(x, np.zeros_like(x)),
    "binary_cross_entropy": lambda x: simdloss.binary_cross_entropy_with_logits_and_grad(x, np.zeros_like(x)),
}


def extremes(dtype):
    """Logits of every size, so that intermediate results overflow, underflow, are inexact and invalid."""
    info = np.finfo(dtype)
    x = np.zeros((40, 19), dtype)
    odd = [info.max, info.min, info.tiny, info.smallest_subnormal, np.inf, -np.inf, np.nan, -104, 104, 1e4, -1e4, -746]
    x.ravel()[::5] = np.resize(np.array(odd, dtype), x.ravel()[::5].shape)
    return x


@pytest.mark.parametrize("call", CALLS)
def test_no_floating_point_error_leaks(isa, dtype, call):
    """Neither numpy's error state nor its warnings hear of what happens inside a kernel."""
    x = extremes(dtype)
    with np.errstate(all="raise"):
        CALLS[call](x)
        for rows in (x[:1, :1], x[:, :2], x[:, :10], np.tile(x, (1, 300))):
            CALLS[call](rows)


@pytest.mark.parametrize("call", CALLS)
def test_subnormals_survive_a_call(isa, dtype, call):
    """No kernel leaves flush-to-zero behind: subnormals still work in numpy and in Python."""
    CALLS[call](extremes(dtype))
    tiny = np.full(64, np.finfo(dtype).smallest_subnormal)
    assert (tiny + tiny > tiny).all()
    assert 5e-324 * 2.0 > 5e-324


def test_import_leaves_the_floating_point_mode():
    """In a fresh process, where nothing else can have set or cleared flush-to-zero."""
    code = "tiny = 5e-324; import simdloss; assert tiny * 3.0 > tiny; assert tiny * 1.0 == tiny"
    subprocess.run([sys.executable, "-c", code], check=True, env=os.environ)


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
