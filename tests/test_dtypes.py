"""What dtype comes out for what goes in, and array_likes of every kind."""

import array

import numpy as np
import pytest
from layouts import LAYOUTS

import simdloss
from simdloss import binary_cross_entropy_with_logits_and_grad as bce_and_grad
from simdloss import cross_entropy_and_grad

SHAPE = (9, 12)
INTEGERS = [np.dtype(f"{order}{kind}{size}") for kind in "iu" for size in (1, 2, 4, 8) for order in "<>"]


def results(x, target=None):
    """Every array that the routines return for logits `x`."""
    target = np.arange(len(x)) % x.shape[-1] if target is None else target
    loss, grad, lse = cross_entropy_and_grad(x, target, reduction="none", return_lse=True)
    found = {"loss": loss, "grad": grad, "lse": lse}
    found["softmax"], found["log_softmax"] = simdloss.softmax(x), simdloss.log_softmax(x)
    found["lse2"], found["p"] = simdloss.logsumexp_and_grad(x)
    found["logsumexp"] = simdloss.logsumexp(x, axis=-1)
    found["bce"], found["bce_grad"] = bce_and_grad(x, np.ones(x.shape), reduction="none")
    found["sigmoid"], found["log_sigmoid"], found["softplus"] = (
        f(x) for f in (simdloss.sigmoid, simdloss.log_sigmoid, simdloss.softplus)
    )
    found["both"], found["both_grad"] = simdloss.log_sigmoid_and_grad(x)
    return found


@pytest.mark.parametrize("kind", [np.bool_, *INTEGERS], ids=str)
def test_integers_go_to_float64(isa, kind, rng):
    x = rng.integers(0, 5, SHAPE).astype(kind)
    for (name, found), want in zip(results(x).items(), results(x.astype(np.float64)).values(), strict=True):
        assert found.dtype == np.float64, name
        np.testing.assert_array_equal(found, want, err_msg=name)


@pytest.mark.parametrize("order", "<>")
def test_float16_is_computed_in_float32(isa, order, rng):
    x = (rng.normal(size=SHAPE) * 20).astype(np.float16)
    x[0, :5] = [np.inf, -np.inf, np.nan, 6e-8, -65504]
    x[1, :3] = [65504, -6e-8, -np.inf]
    want = results(x.astype(np.float32))
    for name, found in results(x.astype(f"{order}f2")).items():
        assert found.dtype == np.float16, name
        assert found.dtype.isnative, name
        with np.errstate(over="ignore"):
            np.testing.assert_array_equal(found, want[name].astype(np.float16), err_msg=name)
    total = cross_entropy_and_grad(x[2:], np.zeros(len(x) - 2, int), reduction="sum")[0]
    assert total == cross_entropy_and_grad(x[2:].astype(np.float32), np.zeros(len(x) - 2, int), reduction="sum")[0]


@pytest.mark.parametrize("width", [1, 16, 256])
def test_every_float16(isa, width):
    """Each of them in, and what is rounded to them out, in rows of any length and in gaps."""
    x = np.arange(2**16, dtype=np.uint16).view(np.float16).reshape(-1, width)
    with np.errstate(all="ignore"):
        wide = x.astype(np.float32)
        wide[np.isnan(wide)] = np.nan
        for function in (simdloss.sigmoid, simdloss.log_sigmoid, simdloss.softplus, simdloss.log_softmax):
            want = function(wide).astype(np.float16)
            for given in (x, np.repeat(x, 2, axis=1)[:, ::2]):
                np.testing.assert_array_equal(function(given).view(np.uint16) & 0x7FFF, want.view(np.uint16) & 0x7FFF)
                np.testing.assert_array_equal(np.signbit(function(given)), np.signbit(want) & ~np.isnan(want))


def test_float16_outputs(isa, rng):
    x = rng.normal(size=SHAPE).astype(np.float16)
    target = np.zeros(len(x), int)
    want = cross_entropy_and_grad(x, target, reduction="none")
    for order in "CF":
        loss, grad = np.zeros(len(x), np.float16), np.zeros(SHAPE, np.float16, order)
        cross_entropy_and_grad(x, target, reduction="none", out=loss, grad_out=grad)
        np.testing.assert_array_equal(loss, want[0])
        np.testing.assert_array_equal(grad, want[1])
    in_place = x.copy()
    assert cross_entropy_and_grad(in_place, target, reduction="none", grad_out=in_place)[1] is in_place
    np.testing.assert_array_equal(in_place, want[1])
    p = x.copy()
    np.testing.assert_array_equal(simdloss.softmax(p, out=p), simdloss.softmax(x))


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("reduction", ["mean", "none"])
def test_binary_cross_entropy_of_float16(isa, layout, reduction, rng):
    """Alone and with other types; the gradients of a mean are subnormal numbers of float16."""
    x, weight = (rng.normal(size=(300, 70)) * 3).astype(np.float16), rng.uniform(size=70).astype(np.float16)
    for kind in (np.float16, np.float32, np.bool_):
        target = rng.integers(0, 2, x.shape).astype(kind)
        for options in ({}, {"weight": weight, "pos_weight": weight.astype(float)}):
            loss, grad = bce_and_grad(LAYOUTS[layout](x), LAYOUTS[layout](target), reduction=reduction, **options)
            want, want_grad = bce_and_grad(x.astype(np.float32), target, reduction=reduction, **options)
            assert grad.dtype == np.float16
            np.testing.assert_array_equal(grad, want_grad.astype(np.float16))
            if reduction == "none":
                np.testing.assert_array_equal(loss, want.astype(np.float16))
            else:
                assert loss == pytest.approx(want, rel=1e-7)
    in_place = x.copy()
    assert bce_and_grad(in_place, target, reduction=reduction, grad_out=in_place)[1] is in_place
    np.testing.assert_array_equal(in_place, bce_and_grad(x, target, reduction=reduction)[1])


@pytest.mark.parametrize("kind", INTEGERS, ids=str)
def test_target_of_every_integer_type(isa, dtype, kind, rng):
    logits = rng.normal(size=SHAPE).astype(dtype)
    target = rng.integers(0, SHAPE[1], SHAPE[0])
    want = cross_entropy_and_grad(logits, target, reduction="none")
    for given in (target.astype(kind), np.repeat(target, 2).astype(kind)[::2]):
        found = cross_entropy_and_grad(logits, given, reduction="none")
        np.testing.assert_array_equal(found[0], want[0])
        np.testing.assert_array_equal(found[1], want[1])


@pytest.mark.parametrize("kind", ["f2", "f4", "f8", ">f4", ">f8"])
def test_soft_labels_of_another_dtype(isa, dtype, kind, rng):
    logits = rng.normal(size=SHAPE).astype(dtype)
    labels = rng.integers(0, 5, SHAPE).astype(kind) / np.dtype(kind).type(4)
    found = cross_entropy_and_grad(logits, labels.astype(kind), reduction="none")
    want = cross_entropy_and_grad(logits, labels.astype(dtype), reduction="none")
    for a, b in zip(found, want, strict=True):
        assert a.dtype == dtype
        np.testing.assert_array_equal(a, b)


@pytest.mark.parametrize("kind", ["?", "i1", "u2", "i4", "i8", "f2", "f4", "f8", ">f4", ">i2"])
def test_binary_target_of_any_real_type(isa, dtype, kind, rng):
    logits = rng.normal(size=SHAPE).astype(dtype)
    target = rng.integers(0, 2, SHAPE).astype(kind)
    found = bce_and_grad(logits, target, reduction="none")
    want = bce_and_grad(logits, target.astype(dtype), reduction="none")
    for a, b in zip(found, want, strict=True):
        assert a.dtype == dtype
        np.testing.assert_array_equal(a, b)


@pytest.mark.parametrize("kind", ["f2", "f4", "f8", ">f8", "i4"])
def test_weights_of_any_real_type(isa, dtype, kind, rng):
    logits = rng.normal(size=SHAPE).astype(dtype)
    target = rng.integers(0, SHAPE[1], SHAPE[0])
    weight, sample_weight = rng.integers(1, 5, SHAPE[1]), rng.integers(1, 5, SHAPE[0])
    cast = {"weight": weight.astype(kind), "sample_weight": sample_weight.astype(kind)}
    same = {"weight": weight.astype(dtype), "sample_weight": sample_weight.astype(dtype)}
    for reduction in ("mean", "none"):
        found = cross_entropy_and_grad(logits, target, reduction=reduction, **cast)
        want = cross_entropy_and_grad(logits, target, reduction=reduction, **same)
        for a, b in zip(found, want, strict=True):
            np.testing.assert_array_equal(a, b)
    y = np.ones(SHAPE)
    found = bce_and_grad(logits, y, weight=sample_weight[:, None].astype(kind), pos_weight=weight.astype(kind))
    want = bce_and_grad(logits, y, weight=sample_weight[:, None].astype(dtype), pos_weight=weight.astype(dtype))
    for a, b in zip(found, want, strict=True):
        np.testing.assert_array_equal(a, b)


def test_reduced_losses_are_python_floats(dtype):
    """Weak under NEP 50: a float32 gradient times the loss stays float32."""
    logits = np.ones((3, 4), dtype)
    for reduction in ("mean", "sum"):
        for function in (simdloss.cross_entropy, simdloss.binary_cross_entropy_with_logits):
            target = np.zeros(3, int) if function is simdloss.cross_entropy else np.zeros((3, 4))
            assert type(function(logits, target, reduction=reduction)) is float
        loss, grad = cross_entropy_and_grad(logits, np.zeros(3, int), reduction=reduction)
        assert type(loss) is float
        assert (loss * grad).dtype == dtype
        assert type(bce_and_grad(logits, np.zeros((3, 4)), reduction=reduction)[0]) is float


class Wrapped:
    """Anything with __array__."""

    def __init__(self, value):
        self.value = np.asarray(value)

    def __array__(self, dtype=None, copy=None):
        return self.value.astype(dtype) if dtype else self.value


class Subclass(np.ndarray):
    pass


ARRAY_LIKES = {
    "list": lambda a: a.tolist(),
    "tuple": lambda a: tuple(map(tuple, a.tolist())) if a.ndim == 2 else tuple(a.tolist()),
    "__array__": Wrapped,
    "subclass": lambda a: a.view(Subclass),
    "memoryview": memoryview,
    "masked": np.ma.asarray,
}


@pytest.mark.parametrize("kind", ARRAY_LIKES)
def test_array_likes(kind, rng):
    """Row functions and losses take them for what numpy.asarray says they are."""
    make = ARRAY_LIKES[kind]
    x, target, soft = rng.normal(size=SHAPE), rng.integers(0, SHAPE[1], SHAPE[0]), rng.uniform(size=SHAPE)
    weight, sample_weight = rng.uniform(size=SHAPE[1]), rng.uniform(size=SHAPE[0])
    calls = [
        lambda f: simdloss.softmax(f(x)),
        lambda f: simdloss.log_softmax(f(x)),
        lambda f: simdloss.logsumexp(f(x), axis=1, b=f(soft)),
        lambda f: simdloss.logsumexp_and_grad(f(x))[1],
        lambda f: cross_entropy_and_grad(f(x), f(target), weight=f(weight), sample_weight=f(sample_weight))[1],
        lambda f: cross_entropy_and_grad(f(x), f(soft))[1],
        lambda f: bce_and_grad(f(x), f(soft), weight=f(soft), pos_weight=f(weight))[1],
    ]
    for call in calls:
        found = call(make)
        assert type(found) is np.ndarray
        np.testing.assert_array_equal(found, call(np.asarray))


def test_python_array(rng):
    x = array.array("f", [1, 2, 3])
    assert simdloss.softmax(x).dtype == np.float32
    assert simdloss.log_sigmoid(x).dtype == np.float32
    assert simdloss.cross_entropy([1, 2, 3], 2) == pytest.approx(0.4076059644443804)
