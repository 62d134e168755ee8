"""The elementwise functions take all that a numpy ufunc takes, and agree with their ufunc on every path."""

import numpy as np
import pytest
import reference
from ulp import Expected

import simdloss

UNARY = ["sigmoid", "log_sigmoid", "softplus"]
ALL = [*UNARY, "log_sigmoid_and_grad"]


def both(name):
    """The public function and its ufunc."""
    return [getattr(simdloss, name), getattr(simdloss.ufuncs, name)]


@pytest.mark.parametrize("name", ALL)
def test_is_a_ufunc(name):
    ufunc = getattr(simdloss.ufuncs, name)
    assert isinstance(ufunc, np.ufunc)
    assert ufunc.__name__ == name
    assert (ufunc.nin, ufunc.nout) == (1, 2 if name.endswith("grad") else 1)
    loops = {signature.split("->")[0]: set(signature.split("->")[1]) for signature in ufunc.types}
    assert {kind: loops[kind] for kind in "efd"} == {"e": {"e"}, "f": {"f"}, "d": {"d"}}
    assert all(results == {"d"} for kind, results in loops.items() if kind in "?bBhHiIlLqQ")
    assert not set(loops) & set("gFDGO")


@pytest.mark.parametrize("name", UNARY)
def test_direct_path_and_ufunc_agree(isa, dtype, name):
    """To the byte, so that nobody's results change with a stride."""
    function, ufunc = both(name)
    for n in (*range(70), 511, 512, 513, 5000):
        x = np.linspace(-90, 90, n).astype(dtype)
        strided = np.repeat(x, 2)[::2]
        np.testing.assert_array_equal(function(x), ufunc(x))
        np.testing.assert_array_equal(function(strided), ufunc(x))
        np.testing.assert_array_equal(ufunc(strided), ufunc(x))


@pytest.mark.parametrize("name", UNARY)
def test_two_outputs_agree_with_one(isa, dtype, name):
    x = np.linspace(-90, 90, 5001).astype(dtype)
    if name == "log_sigmoid":
        np.testing.assert_array_equal(simdloss.log_sigmoid_and_grad(x)[0], simdloss.log_sigmoid(x))
    elif name == "softplus":
        np.testing.assert_array_equal(simdloss.softplus(x), -simdloss.log_sigmoid(-x))
    else:
        Expected(reference.sigmoid(-x), 3, dtype).check(simdloss.log_sigmoid_and_grad(x)[1], name)


@pytest.mark.parametrize("name", UNARY)
def test_out(dtype, name):
    x = np.linspace(-3, 3, 12).astype(dtype).reshape(3, 4)
    for function in both(name):
        want = function(x)
        out = np.zeros_like(x)
        assert function(x, out=out) is out
        np.testing.assert_array_equal(out, want)
        assert function(x, out=(out,)) is out
        assert function(x, out) is out
        assert function(x, out=None) is not out
        wide = np.zeros((2, 3, 4), dtype)
        np.testing.assert_array_equal(function(x, out=wide)[1], want)
        double = np.zeros(x.shape)
        np.testing.assert_array_equal(function(x, out=double), want)


@pytest.mark.parametrize("name", UNARY)
def test_out_errors(dtype, name):
    x = np.zeros((3, 4), dtype)
    frozen = np.zeros((3, 4), dtype)
    frozen.flags.writeable = False
    for function in both(name):
        for out, exception in [
            (frozen, ValueError),
            (np.zeros((4, 3), dtype), ValueError),
            (np.zeros(4, dtype), ValueError),
            (np.zeros((3, 4), int), TypeError),
            ([0.0] * 12, TypeError),
        ]:
            with pytest.raises(exception):
                function(x, out=out)
        with pytest.raises(TypeError):
            function()
        with pytest.raises(TypeError):
            function(x, x, x)
        with pytest.raises(TypeError):
            function(x, unknown=1)


@pytest.mark.parametrize("name", UNARY)
def test_where_and_dtype_and_casting(dtype, name):
    x = np.linspace(-3, 3, 12).astype(dtype)
    mask = np.arange(12) % 3 == 0
    for function in both(name):
        want = function(x)
        out = np.full(12, 7, dtype)
        function(x, out=out, where=mask)
        np.testing.assert_array_equal(out, np.where(mask, want, 7))
        assert function(x, dtype=np.float64).dtype == np.float64
        np.testing.assert_array_equal(function(x, dtype=np.float64), function(x.astype(np.float64)))
        single = function(x, dtype=np.float32, casting="same_kind")
        np.testing.assert_array_equal(single, function(x.astype(np.float32)))
        assert function(x.reshape(3, 4), order="F").flags.f_contiguous
        with pytest.raises(TypeError):
            function(np.arange(3), dtype=np.float32, casting="safe")


@pytest.mark.parametrize("name", ALL)
def test_unsupported_dtypes(name):
    for function in both(name):
        for dtype in (np.longdouble, complex, np.complex64, "U3", "M8[s]"):
            with pytest.raises(TypeError):
                function(np.zeros(3).astype(dtype) if dtype != "M8[s]" else np.zeros(3, dtype))
        with pytest.raises(TypeError):
            function("text")


class Recorder:
    """Takes part in __array_ufunc__ as dask and xarray do."""

    def __array_ufunc__(self, ufunc, method, *inputs, **kwargs):
        return ufunc, method, inputs, kwargs


class Tagged(np.ndarray):
    """A subclass that only wants to be kept."""


@pytest.mark.parametrize("name", ALL)
def test_array_ufunc_protocol(name):
    function, ufunc = both(name)
    recorder = Recorder()
    assert function(recorder) == (ufunc, "__call__", (recorder,), {})
    assert function(recorder, where=True)[3] in ({}, {"where": True})
    x = np.linspace(-3, 3, 12)
    outs = tuple(Recorder() for _ in range(ufunc.nout))
    found = function(x, out=outs if ufunc.nout > 1 else outs[0])
    assert found[0] is ufunc
    assert found[3]["out"] == outs
    tagged = function(x.view(Tagged))
    for array in tagged if isinstance(tagged, tuple) else [tagged]:
        assert type(array) is Tagged
    masked = function(np.ma.array(x, mask=x > 0))
    for array in masked if isinstance(masked, tuple) else [masked]:
        assert array.mask.sum() == (x > 0).sum()


@pytest.mark.parametrize("name", ALL)
def test_scalars_and_lists(isa, name):
    for function in both(name):
        for x, kind in [
            (1.5, np.float64),
            (2, np.float64),
            (True, np.float64),
            ([1, 2], np.float64),
            (np.float32(1), np.float32),
        ]:
            found = function(x)
            for value in found if isinstance(found, tuple) else [found]:
                assert value.dtype == kind
                assert isinstance(value, np.generic) == np.isscalar(x)
        assert np.asarray(function(np.float16(1))).dtype == np.float16


def test_log_sigmoid_and_grad_outputs(dtype):
    x = np.linspace(-3, 3, 12).astype(dtype)
    for function in both("log_sigmoid_and_grad"):
        want = function(x)
        outs = np.zeros_like(x), np.zeros_like(x)
        found = function(x, out=outs)
        assert found[0] is outs[0]
        assert found[1] is outs[1]
        np.testing.assert_array_equal(outs, want)
        partial = function(x, out=(None, outs[1]))
        assert partial[1] is outs[1]
        np.testing.assert_array_equal(partial[0], want[0])
        positional = function(x, *outs)
        assert positional[0] is outs[0]
        with pytest.raises((TypeError, ValueError)):
            function(x, out=outs[0])
        with pytest.raises(ValueError, match="out"):
            function(x, out=(outs[0],))


def test_buffered_casting_over_many_elements(isa):
    """Integers and float16 through the ufunc's own small buffers, strided and not, over more than one of them."""
    for n in (1, 63, 64, 65, 8191, 8192, 8193, 30_001):
        x = (np.arange(n) % 41 - 20).astype(np.int16)
        want = simdloss.sigmoid(x.astype(np.float64))
        np.testing.assert_array_equal(simdloss.sigmoid(x), want)
        np.testing.assert_array_equal(simdloss.sigmoid(np.repeat(x, 3)[::3]), want)
        half = x.astype(np.float16)
        want = simdloss.sigmoid(half.astype(np.float32)).astype(np.float16)
        np.testing.assert_array_equal(simdloss.sigmoid(half), want)
        np.testing.assert_array_equal(simdloss.sigmoid(half[::-1]), want[::-1])
