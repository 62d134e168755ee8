"""The main job on real data: two logistic regressions and the perplexity of a language model's logits."""

import math

import numpy as np
import pytest
import scipy.optimize
from sklearn.datasets import load_breast_cancer, load_digits
from sklearn.linear_model import LogisticRegression
from sklearn.preprocessing import StandardScaler

from simdloss import binary_cross_entropy_with_logits_and_grad, cross_entropy, cross_entropy_and_grad

PENALTY = 1.0  # lambda of lambda/2 |w|^2, the inverse of scikit-learn's C; the intercepts are not penalised


def minimize(loss_and_grad, size):
    """L-BFGS until the gradient is below 1e-6, which with this penalty is within 3e-5 of the optimum."""
    options = {"maxiter": 20_000, "maxfun": 40_000, "ftol": 0, "gtol": 1e-6, "maxcor": 50}
    return scipy.optimize.minimize(loss_and_grad, np.zeros(size), jac=True, method="L-BFGS-B", options=options).x


def fit_multinomial(x, target, classes):
    """Coefficients (classes, features) and intercepts (classes,)."""

    def loss_and_grad(parameters):
        w = parameters.reshape(classes, -1)
        loss, grad = cross_entropy_and_grad(x @ w[:, :-1].T + w[:, -1], target, reduction="sum")
        slope = np.hstack([grad.T @ x + PENALTY * w[:, :-1], grad.sum(0)[:, None]])
        return loss + PENALTY / 2 * np.sum(w[:, :-1] ** 2), slope.ravel()

    w = minimize(loss_and_grad, classes * (x.shape[1] + 1)).reshape(classes, -1)
    return w[:, :-1], w[:, -1]


def fit_binary(x, target):
    """Coefficients (features,) and the intercept."""

    def loss_and_grad(w):
        loss, grad = binary_cross_entropy_with_logits_and_grad(x @ w[:-1] + w[-1], target, reduction="sum")
        return loss + PENALTY / 2 * w[:-1] @ w[:-1], np.append(grad @ x + PENALTY * w[:-1], grad.sum())

    w = minimize(loss_and_grad, x.shape[1] + 1)
    return w[:-1], w[-1]


def perplexity(logits, target, rows=64):
    """exp of the mean loss over kept tokens, reading `rows` of the logits at a time."""
    total = sum(
        cross_entropy(logits[i : i + rows], target[i : i + rows], reduction="sum") for i in range(0, len(logits), rows)
    )
    return math.exp(total / np.count_nonzero(target != -100))


@pytest.fixture(scope="module")
def digits():
    x, target = load_digits(return_X_y=True)
    x = x / 16
    return x, target, optimum(x, target)


@pytest.fixture(scope="module")
def breast_cancer():
    x, target = load_breast_cancer(return_X_y=True)
    x = StandardScaler().fit_transform(x)
    return x, target, optimum(x, target)


def optimum(x, target):
    return LogisticRegression(C=1 / PENALTY, solver="newton-cg", tol=1e-10, max_iter=10_000).fit(x, target)


def test_multinomial_regression_on_digits(isa, digits):
    x, target, want = digits
    coefficients, intercepts = fit_multinomial(x, target, 10)
    np.testing.assert_allclose(coefficients, want.coef_, rtol=0, atol=1e-4)
    # A constant added to all intercepts changes nothing, so only their differences are determined.
    found, wanted = intercepts - intercepts.mean(), want.intercept_ - want.intercept_.mean()
    np.testing.assert_allclose(found, wanted, rtol=0, atol=1e-4)


def test_binary_regression_on_breast_cancer(isa, breast_cancer):
    x, target, want = breast_cancer
    coefficients, intercept = fit_binary(x, target)
    np.testing.assert_allclose(coefficients, want.coef_[0], rtol=0, atol=1e-4)
    assert intercept == pytest.approx(want.intercept_[0], abs=1e-4)


TOKENS, VOCABULARY = 300, 50257


@pytest.fixture(scope="module")
def language_model(tmp_path_factory):
    """Logits on disk, targets with padding, and the perplexity by float64 arithmetic."""
    rng = np.random.default_rng(0)
    path = tmp_path_factory.mktemp("logits") / "logits.f32"
    written = np.memmap(path, np.float32, "w+", shape=(TOKENS, VOCABULARY))
    target = rng.integers(0, VOCABULARY, TOKENS)
    target[::7] = -100
    losses = []
    for i in range(TOKENS):
        written[i] = rng.standard_normal(VOCABULARY, np.float32) * 3
        if target[i] >= 0:
            written[i, target[i]] += 9
            x = written[i].astype(np.float64)
            losses.append(np.log(np.exp(x - x.max()).sum()) + x.max() - x[target[i]])
    written.flush()
    return (
        np.memmap(path, np.float32, "r", shape=(TOKENS, VOCABULARY)),
        target,
        math.exp(math.fsum(losses) / len(losses)),
    )


@pytest.mark.parametrize("rows", [1, 64, TOKENS])
def test_perplexity_of_a_memmap(isa, language_model, rows):
    logits, target, want = language_model
    assert perplexity(logits, target, rows) == pytest.approx(want, rel=1e-6)
