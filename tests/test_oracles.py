"""The same answers as SciPy and scikit-learn, with every argument that they take."""

import itertools

import mpmath
import numpy as np
import pytest
import scipy.special
import sklearn.metrics

import simdloss

TIGHT = {"rtol": 1e-13, "atol": 1e-15}


def values(shape, seed=0):
    return np.random.default_rng(seed).normal(size=shape) * 5


AXES = [None, 0, 1, -1, (0, 1), (2, 0), (0, 1, 2), ()]


def same_logsumexp(a, **options):
    """Values, signs, dtypes, shapes and whether the result is a scalar."""
    with np.errstate(all="ignore"):
        want = scipy.special.logsumexp(a, **options)
    found = simdloss.logsumexp(a, **options)
    pairs = zip(found, want, strict=True) if options.get("return_sign") else [(found, want)]
    for f, w in pairs:
        np.testing.assert_allclose(f, w, **TIGHT, err_msg=str(options))
        assert np.shape(f) == np.shape(w), options
        assert np.ndim(f) or isinstance(f, np.float64), options
        assert np.asarray(f).dtype == np.asarray(w).dtype, options


@pytest.mark.parametrize("keepdims", [False, True])
@pytest.mark.parametrize("axis", AXES, ids=str)
def test_logsumexp_axes(isa, axis, keepdims):
    for shape in [(3, 4, 5), (40, 2, 3), (1, 1, 700), (2, 33, 33)]:
        for order in "CF":
            same_logsumexp(np.array(values(shape), order=order), axis=axis, keepdims=keepdims)


@pytest.mark.parametrize("return_sign", [False, True])
@pytest.mark.parametrize("axis", AXES, ids=str)
def test_logsumexp_b(isa, axis, return_sign):
    """Factors of the exponentials of any sign and zero, of the same shape, broadcast and enlarging."""
    a = values((3, 4, 5))
    signed = np.random.default_rng(1).normal(size=(3, 4, 5))
    signed[0, 0], signed[1] = 0, np.abs(signed[1])
    factors = [
        signed,
        np.abs(signed),
        2.0,
        -2.0,
        0.0,
        signed[0],
        signed[:, :1],
        signed[:, :, :1],
        np.array([1, -1, 2, 0, 3]),
    ]
    for b in factors:
        same_logsumexp(a, axis=axis, b=b, return_sign=return_sign)
        same_logsumexp(a[:1, :, :1], axis=axis, b=b, return_sign=return_sign, keepdims=True)
    same_logsumexp(a[0, 0, 0], b=2.0, return_sign=return_sign)


def test_logsumexp_b_of_any_size(isa, dtype):
    """Factors and exponentials far beyond what either could hold, and what is subnormal."""
    rng = np.random.default_rng(3)
    powers = (-44, 38) if dtype == np.float32 else (-320, 308)
    for classes in (1, 2, 7, 40):
        a = rng.uniform(-1000, 1000, (25, classes)).astype(dtype)
        a[::3] = rng.normal(size=a[::3].shape)
        a[1::5, ::2] = -np.inf
        b = (10 ** rng.uniform(*powers, a.shape)).astype(dtype)
        b[::2] *= rng.choice([-1, 1], b[::2].shape)
        found, sign = simdloss.logsumexp(a, axis=1, b=b, return_sign=True)
        for i in range(len(a)):
            with mpmath.workdps(500):
                terms = [mpmath.mpf(float(f)) * mpmath.exp(float(x)) for x, f in zip(a[i], b[i], strict=True)]
                total, size = mpmath.fsum(terms), mpmath.fsum(terms, absolute=True)
                exact = mpmath.log(abs(total)) if total else -mpmath.inf
                lost = size / abs(total) if total else mpmath.mpf(1)
            assert sign[i] == mpmath.sign(total)
            if not total:
                assert found[i] == -np.inf
                continue
            largest = max(abs(float(exact)), abs(float(a[i].max())), 1)
            allowed = 4 * 2.0**-52 * (largest + float(lost)) + 0.5 * float(np.spacing(abs(found[i])))
            assert abs(float(exact - float(found[i]))) <= allowed, (a[i], b[i], found[i], exact)


ODD_FACTORS = [
    ([np.inf, np.inf], [1, -1]),
    ([np.inf, 0], [-1, 1]),
    ([np.inf, 1], [0, 1]),
    ([np.inf, 0], [1, np.inf]),
    ([-np.inf, -np.inf], [1, 2]),
    ([-np.inf, 0], [1e30, 1e-30]),
    ([-np.inf, 0], [1, -1]),
    ([-np.inf, 1], [np.inf, 1]),
    ([-1e4, 0], [1e30, 1e-30]),
    ([np.nan, 1], [0, 1]),
    ([np.nan, 1], [1, 1]),
    ([0, 1], [np.inf, 1]),
    ([0, 1], [-np.inf, 1]),
    ([0, 5000], [np.inf, 1]),
    ([0, 0], [np.inf, -np.inf]),
    ([0, 1], [np.nan, 1]),
    ([0, 0], [0, 0]),
    ([0, 0], [1, -1]),
    ([1e20, 1], [1, 2]),
]


@pytest.mark.parametrize(("row", "factors"), ODD_FACTORS, ids=str)
@pytest.mark.parametrize("return_sign", [False, True])
def test_logsumexp_odd_factors(isa, row, factors, return_sign):
    same_logsumexp(np.array(row, float), b=np.array(factors, float), return_sign=return_sign)


ODD_ROWS = [
    [np.inf, 1],
    [-np.inf, 1],
    [-np.inf, -np.inf],
    [np.nan, 1],
    [np.inf, np.nan],
    [np.inf, -np.inf],
    [1e308, 1e308],
]


@pytest.mark.parametrize("row", ODD_ROWS, ids=str)
@pytest.mark.parametrize("return_sign", [False, True])
def test_logsumexp_odd_rows(isa, row, return_sign):
    a = np.array([row, [0.5, 0.25]])
    same_logsumexp(a, axis=1, return_sign=return_sign)
    # Beside an infinite or cancelling sum SciPy evaluates b * exp(a) as it stands, and 0 * nan or inf - inf shows.
    if not np.isnan(row).any() and row[0] != 1e308:
        same_logsumexp(a, axis=1, b=[1, 0], return_sign=return_sign)
        same_logsumexp(a, axis=1, b=[1, -1], return_sign=return_sign)


@pytest.mark.parametrize("shape", [(0,), (0, 3), (3, 0), (0, 0)], ids=str)
def test_logsumexp_of_nothing(isa, shape):
    a = np.empty(shape)
    assert simdloss.logsumexp(a) == -np.inf  # SciPy itself fails here in more than one dimension
    for axis in range(len(shape)):
        same_logsumexp(a, axis=axis)
        same_logsumexp(a, axis=axis, keepdims=True)


@pytest.mark.parametrize("a", [3, 2.5, [1, 2, 3], [[True, False]], np.arange(6, dtype=np.int8).reshape(2, 3)], ids=str)
def test_logsumexp_array_likes(isa, a):
    same_logsumexp(a)
    same_logsumexp(a, return_sign=True)


@pytest.mark.parametrize("name", ["softmax", "log_softmax"])
@pytest.mark.parametrize("axis", AXES[:-1], ids=str)
def test_softmax_axes(isa, name, axis):
    for shape in [(3, 4, 5), (40, 2, 3), (2, 33, 33)]:
        for order in "CF":
            x = np.array(values(shape), order=order)
            want = getattr(scipy.special, name)(x, axis=axis)
            np.testing.assert_allclose(getattr(simdloss, name)(x, axis=axis), want, **TIGHT)
            out = np.empty_like(x)
            assert getattr(simdloss, name)(x, axis=axis, out=out) is out
            np.testing.assert_allclose(out, want, **TIGHT)


@pytest.mark.parametrize("axis", [None, 0, (0, 2)], ids=str)
@pytest.mark.parametrize("keepdims", [False, True])
def test_logsumexp_and_grad_axes(isa, axis, keepdims):
    x = values((3, 4, 5))
    lse, p = simdloss.logsumexp_and_grad(x, axis=axis, keepdims=keepdims)
    want = scipy.special.logsumexp(x, axis=axis, keepdims=keepdims)
    np.testing.assert_allclose(lse, want, **TIGHT)
    assert np.shape(lse) == np.shape(want)
    np.testing.assert_allclose(p, scipy.special.softmax(x, axis=axis), **TIGHT)


def test_elementwise_functions(isa):
    x = np.linspace(-40, 40, 4001)
    np.testing.assert_allclose(simdloss.sigmoid(x), scipy.special.expit(x), **TIGHT)
    np.testing.assert_allclose(simdloss.log_sigmoid(x), scipy.special.log_expit(x), **TIGHT)
    np.testing.assert_allclose(simdloss.softplus(x), np.logaddexp(x, 0), **TIGHT)


@pytest.mark.parametrize("weighted", [False, True])
def test_log_loss(isa, weighted):
    """scikit-learn's metric takes probabilities and clips them, so only moderate logits can be compared."""
    rng = np.random.default_rng(3)
    logits, target = rng.normal(size=(200, 7)), rng.integers(0, 7, 200)
    sample_weight = rng.uniform(0.5, 2, 200) if weighted else None
    p = scipy.special.softmax(logits, axis=1)
    want = sklearn.metrics.log_loss(target, p / p.sum(1, keepdims=True), sample_weight=sample_weight, labels=range(7))
    assert simdloss.cross_entropy(logits, target, sample_weight=sample_weight) == pytest.approx(want, rel=1e-12)
    x, y = logits[:, 0], target % 2
    want = sklearn.metrics.log_loss(y, scipy.special.expit(x), sample_weight=sample_weight)
    if weighted:
        total = simdloss.binary_cross_entropy_with_logits(x, y, weight=sample_weight, reduction="sum")
        assert total / sample_weight.sum() == pytest.approx(want, rel=1e-12)
    else:
        assert simdloss.binary_cross_entropy_with_logits(x, y) == pytest.approx(want, rel=1e-12)


def test_logsumexp_with_b_in_float32(isa):
    """float32 with factors: within a few ULP of the largest term, of the float64 answer of SciPy."""
    for classes, rows in itertools.product([1, 2, 3, 10, 24, 25, 100, 1000, 5000], [1, 33]):
        a = values((rows, classes), classes).astype(np.float32)
        b = np.random.default_rng(classes).normal(size=(rows, classes)).astype(np.float32)
        want, want_sign = scipy.special.logsumexp(a.astype(float), axis=1, b=b, return_sign=True)
        size = scipy.special.logsumexp(a.astype(float), axis=1, b=np.abs(b))
        found, sign = simdloss.logsumexp(a, axis=1, b=b, return_sign=True)
        assert found.dtype == sign.dtype == np.float32
        np.testing.assert_array_equal(sign, want_sign)
        lost = np.exp(size - want)
        assert (np.abs(found - want) <= 4e-7 * (lost + np.abs(want))).all(), (rows, classes)
        for layout in (np.asfortranarray(b), b[:1], b[:, :1]):
            want = scipy.special.logsumexp(a.astype(float), axis=1, b=np.abs(layout))
            np.testing.assert_allclose(simdloss.logsumexp(a, axis=1, b=np.abs(layout)), want, rtol=1e-6, atol=1e-6)
