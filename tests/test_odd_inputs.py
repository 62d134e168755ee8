"""Infinities, NaN, empty and degenerate shapes: what every odd input gets, in every lane a kernel has for it."""

import math

import numpy as np
import pytest
from numpy import inf, nan
from numpy.testing import assert_array_equal

import simdloss
from simdloss import binary_cross_entropy_with_logits_and_grad as bce_and_grad
from simdloss import cross_entropy_and_grad

# (rows, classes): deinterleaved, tiled, overlapped tails, several chunks of a long row.
SHAPES = [(1, 1), (35, 2), (35, 3), (70, 10), (40, 24), (40, 25), (33, 33), (9, 100), (5, 1000), (3, 5000), (2, 9001)]


def places(classes):
    """Columns that fall into first and last lanes, bodies and tails."""
    return sorted({0, 1, classes // 3, classes // 2, classes - 2, classes - 1} & set(range(classes)))


def losses(logits, target, **options):
    return cross_entropy_and_grad(logits, target, reduction="none", return_lse=True, **options)


def labels(target, classes, dtype):
    return (np.asarray(target)[:, None] == np.arange(classes)).astype(dtype)


@pytest.fixture
def clean(request, rng, dtype):
    """Logits without anything odd and valid targets."""
    rows, classes = request.param
    logits = rng.normal(size=(rows, classes)).astype(dtype)
    target = rng.integers(0, classes, rows)
    return logits, target


every_shape = pytest.mark.parametrize("clean", SHAPES, indirect=True, ids=str)
two_classes_or_more = pytest.mark.parametrize("clean", SHAPES[1:], indirect=True, ids=str)


def assert_rows_unchanged(found, before, row):
    """No row but `row` differs, to the byte."""
    for a, b in zip(found, before, strict=True):
        assert_array_equal(np.delete(a, row, 0), np.delete(b, row, 0))


@pytest.mark.parametrize("kind", ["indices", "soft"])
@every_shape
def test_nan_logit_spoils_its_row_alone(isa, dtype, clean, kind):
    logits, target = clean
    if kind == "soft":
        target = labels(target, logits.shape[1], dtype)
    before = losses(logits, target)
    for row in {0, len(logits) // 2, len(logits) - 1}:
        for column in places(logits.shape[1]):
            odd = logits.copy()
            odd[row, column] = nan
            loss, grad, lse = losses(odd, target)
            assert np.isnan(loss[row])
            assert np.isnan(lse[row])
            assert np.isnan(grad[row]).all()
            assert_rows_unchanged((loss, grad, lse), before, row)
            lse, p = simdloss.logsumexp_and_grad(odd)
            assert np.isnan(lse[row])
            assert np.isnan(p[row]).all()
            assert np.isnan(simdloss.log_softmax(odd)[row]).all()
            assert np.isnan(simdloss.softmax(odd)[row]).all()
            assert np.isnan(simdloss.logsumexp(odd, axis=-1)[row])
            assert not np.isnan(np.delete(p, row, 0)).any()


@every_shape
def test_nan_logit_in_an_ignored_row(isa, dtype, clean):
    logits, target = clean
    for row in {0, len(logits) - 1}:
        for value in (nan, inf, -inf):
            odd, ignored = logits.copy(), target.copy()
            odd[row, places(logits.shape[1])] = value
            ignored[row] = -100
            loss, grad, _ = losses(odd, ignored)
            assert loss[row] == 0
            assert_array_equal(grad[row], 0)
            total, grad = cross_entropy_and_grad(odd, ignored, reduction="sum")
            assert math.isfinite(total)
            assert_array_equal(grad[row], 0)


@every_shape
def test_one_infinite_logit(isa, dtype, clean):
    logits, target = clean
    before = losses(logits, target)
    row = len(logits) // 2
    for column in places(logits.shape[1]):
        odd = logits.copy()
        odd[row, column] = inf
        loss, grad, lse = losses(odd, target)
        assert lse[row] == inf
        assert np.isnan(loss[row])
        assert np.isnan(grad[row]).all()
        assert_rows_unchanged((loss, grad, lse), before, row)
        assert simdloss.logsumexp(odd, axis=-1)[row] == inf
        assert np.isnan(simdloss.softmax(odd)[row]).all()
        assert np.isnan(simdloss.log_softmax(odd)[row]).all()
        lse, p = simdloss.logsumexp_and_grad(odd)
        assert lse[row] == inf
        assert np.isnan(p[row]).all()


@pytest.mark.parametrize("kind", ["indices", "soft"])
@two_classes_or_more
def test_minus_infinity_that_is_not_the_target(isa, dtype, clean, kind):
    """Also: a soft target of 0 at a -inf logit contributes 0."""
    logits, target = clean
    classes = logits.shape[1]
    for column in places(classes):
        chosen = np.where(target == column, (column + 1) % classes, target)
        odd, without = logits.copy(), np.delete(logits, column, 1)
        odd[:, column] = -inf
        given = chosen if kind == "indices" else labels(chosen, classes, dtype)
        loss, grad, lse = losses(odd, given)
        want, want_grad, want_lse = losses(without, chosen - (chosen > column))
        close = {"rtol": 1e-5 if dtype == np.float32 else 1e-13, "atol": 0}
        np.testing.assert_allclose(loss, want, **close)
        np.testing.assert_allclose(lse, want_lse, **close)
        near = close | {"atol": np.finfo(dtype).eps if kind == "soft" else 0}  # p - q may cancel
        np.testing.assert_allclose(np.delete(grad, column, 1), want_grad, **near)
        assert_array_equal(grad[:, column], 0)
        assert_array_equal(simdloss.softmax(odd)[:, column], 0)
        assert_array_equal(simdloss.log_softmax(odd)[:, column], -inf)
        assert_array_equal(simdloss.logsumexp_and_grad(odd)[1][:, column], 0)


@two_classes_or_more
def test_minus_infinity_beside_the_least_numbers(isa, dtype, clean):
    """As masks have both."""
    logits, target = clean
    classes = logits.shape[1]
    least = np.finfo(dtype).min
    for column in places(classes):
        odd = np.full_like(logits, least)
        odd[:, column] = -inf
        loss, grad, lse = losses(odd, np.where(target == column, (column + 1) % classes, target))
        want = np.log(dtype(classes - 1))
        close = {"rtol": 1e-6, "atol": 0}
        np.testing.assert_allclose(loss, np.full_like(loss, want), **close)
        np.testing.assert_allclose(np.delete(simdloss.log_softmax(odd), column, 1), -want, **close)
        np.testing.assert_allclose(np.delete(simdloss.softmax(odd), column, 1), dtype(1 / (classes - 1)), **close)
        assert_array_equal(lse, least)
        assert_array_equal(grad[:, column], 0)


@pytest.mark.parametrize("kind", ["indices", "soft"])
@two_classes_or_more
def test_target_at_minus_infinity(isa, dtype, clean, kind):
    logits, target = clean
    rows, classes = logits.shape
    odd = logits.copy()
    odd[np.arange(rows), target] = -inf
    loss, grad, _ = losses(odd, target if kind == "indices" else labels(target, classes, dtype))
    assert_array_equal(loss, inf)
    assert_array_equal(grad[np.arange(rows), target], -1)
    assert np.isfinite(grad).all()
    np.testing.assert_allclose(grad.sum(-1), 0, atol=1e-5)


@every_shape
def test_row_of_minus_infinities(isa, dtype, clean):
    logits, target = clean
    before = losses(logits, target)
    for row in {0, len(logits) // 2, len(logits) - 1}:
        odd = logits.copy()
        odd[row] = -inf
        found = losses(odd, target)
        loss, grad, lse = found
        assert lse[row] == -inf
        assert np.isnan(loss[row])
        assert np.isnan(grad[row]).all()
        assert_rows_unchanged(found, before, row)
        assert simdloss.logsumexp(odd, axis=-1)[row] == -inf
        assert np.isnan(simdloss.softmax(odd)[row]).all()
        assert np.isnan(simdloss.log_softmax(odd)[row]).all()
        assert simdloss.logsumexp_and_grad(odd)[0][row] == -inf


@two_classes_or_more
def test_smoothing_with_a_minus_infinite_logit(isa, dtype, clean):
    logits, target = clean
    odd = logits.copy()
    column = (target[0] + 1) % logits.shape[1]
    odd[0, column] = -inf
    loss, grad, _ = losses(odd, target, label_smoothing=0.1)
    assert loss[0] == inf
    assert np.isfinite(loss[1:]).all()
    assert np.isfinite(grad).all()


@every_shape
def test_ignored_rows(isa, dtype, clean):
    logits, target = clean
    rows = len(logits)
    ignored = np.where(np.arange(rows) % 3 == 0, -100, target)
    kept = ignored >= 0
    loss, grad, _ = losses(logits, ignored)
    before = losses(logits, target)
    assert_array_equal(loss, np.where(kept, before[0], 0))
    assert_array_equal(grad, np.where(kept[:, None], before[1], 0))
    if kept.any():
        mean, mean_grad = cross_entropy_and_grad(logits, ignored)
        want, want_grad = cross_entropy_and_grad(logits[kept], target[kept])
        assert mean == pytest.approx(want, rel=1e-6)
        assert_array_equal(mean_grad[kept], want_grad)
        assert_array_equal(mean_grad[~kept], 0)


@pytest.mark.parametrize("ignore_index", [0, 3, 255, -1, 2**40, -(2**63)])
def test_ignore_index_is_checked_before_the_range(isa, dtype, ignore_index):
    """A class in range can be ignored as well as a number that no class has."""
    logits = np.arange(12, dtype=dtype).reshape(3, 4)
    target = np.array([ignore_index, 1, ignore_index], np.int64)
    loss, grad, _ = losses(logits, target, ignore_index=ignore_index)
    assert loss[0] == loss[2] == 0
    assert loss[1] > 0
    assert_array_equal(grad[[0, 2]], 0)
    mean = cross_entropy_and_grad(logits, target, ignore_index=ignore_index)[0]
    assert mean == pytest.approx(float(loss[1]), rel=1e-6)


def test_every_row_ignored(isa, dtype):
    logits = np.ones((5, 7), dtype)
    target = np.full(5, -100)
    mean, grad = cross_entropy_and_grad(logits, target)
    assert math.isnan(mean)
    assert grad.shape == (5, 7)
    total, grad = cross_entropy_and_grad(logits, target, reduction="sum")
    assert total == 0.0
    assert_array_equal(grad, 0)
    loss, grad, _ = losses(logits, target)
    assert_array_equal(loss, 0)
    assert_array_equal(grad, 0)


@pytest.mark.parametrize("classes", [7, 7000])
@pytest.mark.parametrize("kind", ["indices", "soft"])
def test_no_rows(isa, dtype, kind, classes):
    logits = np.empty((0, classes), dtype)
    target = np.empty(0, int) if kind == "indices" else logits
    mean, grad = cross_entropy_and_grad(logits, target)
    assert math.isnan(mean)
    assert grad.shape == (0, classes)
    assert cross_entropy_and_grad(logits, target, reduction="sum")[0] == 0.0
    loss, grad, lse = losses(logits, target)
    assert loss.shape == lse.shape == (0,)
    assert grad.shape == (0, classes)
    assert simdloss.softmax(logits).shape == (0, classes)
    assert simdloss.log_softmax(logits).shape == (0, classes)
    assert simdloss.logsumexp(logits, axis=-1).shape == (0,)


def test_no_elements_of_binary_cross_entropy(isa, dtype):
    x = np.empty((0,), dtype)
    mean, grad = bce_and_grad(x, x)
    assert math.isnan(mean)
    assert grad.shape == (0,)
    assert bce_and_grad(x, x, reduction="sum")[0] == 0.0
    assert bce_and_grad(x, x, reduction="none")[0].shape == (0,)


def test_no_classes(isa, dtype):
    logits = np.empty((3, 0), dtype)
    assert_array_equal(simdloss.logsumexp(logits, axis=-1), np.full(3, -inf, dtype))
    assert_array_equal(simdloss.logsumexp_and_grad(logits)[0], np.full(3, -inf, dtype))
    assert simdloss.softmax(logits).shape == simdloss.log_softmax(logits).shape == (3, 0)
    with pytest.raises(IndexError):
        cross_entropy_and_grad(logits, np.zeros(3, int))


def test_one_class(isa, dtype, rng):
    for rows in (1, 7, 32, 70):
        logits = (rng.normal(size=(rows, 1)) * 100).astype(dtype)
        loss, grad, lse = losses(logits, np.zeros(rows, int))
        assert_array_equal(loss, 0)
        assert_array_equal(grad, 0)
        assert_array_equal(lse, logits[:, 0])
        assert_array_equal(simdloss.softmax(logits), 1)
        assert_array_equal(simdloss.log_softmax(logits), 0)


@pytest.mark.parametrize(
    ("x", "y", "loss", "grad"),
    [
        (inf, 1, 0, 0),
        (inf, 0, inf, 1),
        (-inf, 0, 0, 0),
        (-inf, 1, inf, -1),
        (inf, 0.5, inf, 0.5),
        (-inf, 0.5, inf, -0.5),
    ],
)
def test_infinite_logit_of_binary_cross_entropy(isa, dtype, x, y, loss, grad):
    """The limit, in every lane."""
    for n in (1, 3, 8, 16, 33, 100, 600):
        logits = np.zeros(n, dtype)
        target = np.zeros(n, dtype)
        for at in {0, n // 2, n - 1}:
            logits[:], target[:] = 0, 0
            logits[at], target[at] = x, y
            found, found_grad = bce_and_grad(logits, target, reduction="none")
            assert found[at] == loss
            assert found_grad[at] == grad
            np.testing.assert_allclose(np.delete(found, at), math.log(2), rtol=1e-6)
            assert_array_equal(np.delete(found_grad, at), 0.5)


def test_nan_of_binary_cross_entropy(isa, dtype):
    for n in (1, 3, 8, 16, 33, 100, 600):
        for at in {0, n // 2, n - 1}:
            logits, target = np.zeros(n, dtype), np.zeros(n, dtype)
            logits[at] = nan
            for found in bce_and_grad(logits, target, reduction="none"):
                assert np.isnan(found[at])
                assert np.isfinite(np.delete(found, at)).all()


ELEMENTWISE_LIMITS = {
    "sigmoid": [(inf, 1), (-inf, 0), (0.0, 0.5), (-0.0, 0.5), (1e30, 1), (-1e30, 0)],
    "log_sigmoid": [(inf, 0), (-inf, -inf), (1e30, 0), (-1e30, -1e30)],
    "softplus": [(inf, inf), (-inf, 0), (1e30, 1e30), (-1e30, 0)],
}


@pytest.mark.parametrize("name", ELEMENTWISE_LIMITS)
def test_elementwise_limits(isa, dtype, name):
    """Infinities and NaN in every lane, beside ordinary numbers that must not change."""
    function = getattr(simdloss, name)
    for n in (1, 2, 5, 8, 16, 31, 64, 513, 600):
        ordinary = np.linspace(-3, 3, n).astype(dtype)
        want = function(ordinary)
        for at in {0, n // 2, n - 1}:
            for value, limit in [*ELEMENTWISE_LIMITS[name], (nan, nan)]:
                x = ordinary.copy()
                x[at] = value
                found = function(x)
                assert_array_equal(found[at], dtype(limit))
                assert_array_equal(np.delete(found, at), np.delete(want, at))


def _bce_of_ones(x):
    return simdloss.binary_cross_entropy_with_logits(x, np.ones_like(x), reduction="none")


@pytest.mark.parametrize("name", [*ELEMENTWISE_LIMITS, "binary_cross_entropy_with_logits"])
@pytest.mark.parametrize("value", [inf, -inf, 1e30, -1e30, -88.0, 88.0])
def test_nan_hides_nothing(isa, dtype, name, value):
    """A NaN in one vector, and numbers that need care in the same and other lanes of those beside it."""
    function = getattr(simdloss, name, None) if name in ELEMENTWISE_LIMITS else _bce_of_ones
    limit = function(np.full(1, value, dtype))[0]
    n = 112  # more than the largest group of vectors
    for at in range(n):
        x = np.zeros((n, n), dtype)
        x[:, at] = nan
        np.fill_diagonal(x, value)
        for row, found in enumerate(x):
            assert function(found)[row] == limit


def test_zero_dimensional(isa, dtype):
    x = dtype(3.5)
    for found, want in [
        (simdloss.softmax(x), 1),
        (simdloss.log_softmax(x), 0),
        (simdloss.logsumexp(x), 3.5),
        (simdloss.logsumexp_and_grad(np.asarray(x), axis=None)[0], 3.5),
    ]:
        assert type(found) is dtype
        assert found == want
    assert type(simdloss.sigmoid(x)) is dtype
    assert type(simdloss.log_sigmoid_and_grad(np.asarray(x))[1]) is dtype
    loss, grad = bce_and_grad(x, 1.0, reduction="none")
    assert type(loss) is type(grad) is dtype


def test_one_dimensional_logits_take_a_scalar_target(isa, dtype):
    logits = np.array([1.0, 2.0, 4.0], dtype)
    loss, grad = cross_entropy_and_grad(logits, 2, reduction="none")
    assert type(loss) is dtype
    assert grad.shape == (3,)
    mean = simdloss.cross_entropy(logits, np.int32(2))
    assert type(mean) is float
    assert mean == pytest.approx(float(loss), rel=1e-6)
    assert simdloss.cross_entropy(logits, np.array([0, 0, 1.0])) == pytest.approx(mean, rel=1e-6)
