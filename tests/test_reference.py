"""The reference itself against mpmath at 40 digits: a wrong yardstick would bless wrong kernels."""

import mpmath
import numpy as np
import pytest
import reference
from mpmath import mpf
from ulp import WIDE

VALUES = [-745.0, -104.0, -87.3, -40.0, -17.5, -1.0, -1e-3, -1e-30, 0.0, 1e-30, 0.3, 1.0, 16.6, 36.7, 88.0, 700.0]


@pytest.fixture(autouse=True)
def forty_digits():
    with mpmath.workdps(40):
        yield


def exactly(value) -> mpf:
    """A wide number as an mpf, all its bits kept."""
    fraction, exponent = np.frexp(WIDE(value))
    head = float(fraction)
    return mpmath.ldexp(mpf(head) + mpf(float(fraction - WIDE(head))), int(exponent))


def close(found, exact):
    assert mpmath.fabs(exactly(found) - exact) <= mpf(2) ** -61 * mpmath.fabs(exact), (found, exact)


@pytest.mark.parametrize("x", VALUES)
def test_elementwise_reference(x):
    s = 1 / (1 + mpmath.exp(-mpf(x)))
    close(reference.sigmoid(x), s)
    with mpmath.workdps(400):
        close(reference.log_sigmoid(x), -mpmath.log1p(mpmath.exp(-mpf(x))))
        close(reference.softplus(x), mpmath.log1p(mpmath.exp(mpf(x))))


@pytest.mark.parametrize("row", [[20.0, 0.0], [40.0, 0.0, -3.0], [1e8, 1e8], [-0.7, -0.69], [0.1, 0.2, 300.0]], ids=str)
def test_row_reference(row):
    parts = reference.rows(row)
    terms = [mpmath.exp(mpf(v)) for v in row]
    for j, term in enumerate(terms):
        others = mpmath.fsum(terms[:j] + terms[j + 1 :])
        close(parts.softmax[j], term / (term + others))
        close(parts.one_minus_softmax[j], others / (term + others))
        close(parts.log_softmax[j], -mpmath.log1p(others / term))
    close(reference.logsumexp(np.array([row]))[0], mpmath.log(mpmath.fsum(terms)))


def test_cross_entropy_reference():
    x, q = [0.5, -1.25, 3.0], [mpf(2) * (mpf("0.875") * t + mpf("0.125") / 3) for t in (0, 1, 0)]
    terms = [mpmath.exp(mpf(v)) for v in x]
    lse = mpmath.log(mpmath.fsum(terms))
    loss = mpmath.fsum(c * (lse - mpf(v)) for c, v in zip(q, x, strict=True)) + lse**2 / 4
    options = {"weight": np.array([2.0, 2.0, 2.0]), "label_smoothing": 0.125, "lse_square_scale": 0.25}
    found = reference.cross_entropy(np.array([x]), np.array([1]), **options)
    soft = reference.cross_entropy(np.array([x]), np.array([[0.0, 1.0, 0.0]]), **options)
    for part in (found, soft):
        close(part.loss[0], loss)
        for j, term in enumerate(terms):
            p = term / mpmath.fsum(terms)
            close(part.grad[0, j], 2 * p - q[j] + lse / 2 * p)
    close(found.denominator, mpf(2))
    close(soft.denominator, mpf(1))


@pytest.mark.parametrize("y", [0.0, 0.25, 1.0, -1.0])
@pytest.mark.parametrize("x", [-30.0, -0.5, 0.0, 2.0, 30.0])
def test_binary_cross_entropy_reference(x, y):
    up, down = mpmath.log1p(mpmath.exp(mpf(x))), mpmath.log1p(mpmath.exp(-mpf(x)))
    s = 1 / (1 + mpmath.exp(-mpf(x)))
    found = reference.binary_cross_entropy(np.array([x]), np.array([y]), weight=0.5, pos_weight=3.0)
    close(found.loss[0], ((1 - y) * up + 3 * y * down) / 2)
    grad = ((1 - y) * s - 3 * y * (1 - s)) / 2
    assert mpmath.fabs(exactly(found.grad[0]) - grad) <= mpf(2) ** -61 * exactly(found.grad_scale[0])
