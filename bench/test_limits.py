"""The probes go over all of the memory they are given, and the rooflines follow from what they find."""

import numpy as np
import pytest

import simdloss
from simdloss import _probe

from . import cases, limits, machine
from .measure import Entry, Result

LENGTH = 8 * _probe.STEP


@pytest.fixture(params=simdloss.isas())
def isa(request):
    """Use each instruction set."""
    active = simdloss.get_isa()
    simdloss.use_isa(request.param)
    yield request.param
    simdloss.use_isa(active)


@pytest.fixture(params=[np.float32, np.float64], ids=["f32", "f64"])
def arrays(request):
    """Return an input of every size of exponential and an output, aligned."""
    x, y = limits._aligned(LENGTH, request.param), limits._aligned(LENGTH, request.param)
    x[:] = np.linspace(-20, 3, LENGTH)
    y[:] = np.nan
    return x, y


@pytest.mark.parametrize("what", [limits.COPY, limits.STREAM])
def test_probe_copies(isa, arrays, what):
    x, y = arrays
    _probe.run(what, x, y, 2)
    np.testing.assert_array_equal(x, y)


@pytest.mark.parametrize(("what", "function"), [(limits.READ, np.positive), (limits.EXP, np.exp)])
def test_probe_sums(isa, arrays, what, function):
    x, y = arrays
    _probe.run(what, x, y, 3)
    assert y[0] == pytest.approx(3 * function(x.astype(np.float64)).sum(), rel=1e-5)
    assert np.isnan(y[1:]).all()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda x, y: (x, y[:-1]), "^y must be .* got float32 of shape"),
        (lambda x, y: (x[1:], y[1:]), "^x must be"),
        (lambda x, y: (x, y.astype(np.float64)), "^y must be .* got float64"),
        (lambda x, y: (x[::2], y[::2]), "^x must be"),
    ],
)
def test_probe_refuses(change, message):
    """Before a byte of the output is written."""
    x, y = limits._aligned(LENGTH, np.float32), limits._aligned(LENGTH, np.float32)
    x[:], y[:] = 1, 7
    x, y = change(x, y)
    with pytest.raises(ValueError, match=message):
        _probe.run("copy", x, y, 1)
    assert (y == 7).all()


def test_probe_refuses_what_it_does_not_know():
    x = limits._aligned(LENGTH, np.float32)
    with pytest.raises(ValueError, match=r"^what must be .* got 'write'"):
        _probe.run("write", x, limits._aligned(LENGTH, np.float32), 1)


@pytest.mark.parametrize("threads", [1, 2])
def test_limits_of_this_machine(threads):
    found = limits.measure(machine.describe(threads), simdloss.isas(), ["L1", "L2"], threads)
    assert set(found.exp_ns) == set(simdloss.isas())
    for by_level in found.gb_per_s.values():
        assert list(by_level) == ["L1", "L2"]
        assert all(0.1 < value < 1e5 for value in by_level.values())
    for by_dtype in found.exp_ns.values():
        assert all(1e-3 < ns < 100 for ns in by_dtype.values())


def result(written, seconds, elements=100):
    """Return a result of 1000 bytes in all."""
    case = cases.Case(cases.ROUTINES[0], np.dtype(np.float32), "test", (elements,))
    return Result(case, 1000, written, elements, ("isa",), {"isa": Entry("", (0.0,), True, (seconds,))})


LIMITS = limits.Limits(
    {limits.READ: {"L1": 10.0}, limits.COPY: {"L1": 4.0}, limits.STREAM: {"L1": 5.0}}, {"isa": {"float32": 0.5}}
)


@pytest.mark.parametrize(
    ("written", "elements", "nanoseconds"),
    [
        (0, 100, 100),  # 1000 bytes at 10 GB/s
        (500, 100, 200),  # at the better of two copies
        (0, 600, 300),  # 600 exponentials
    ],
)
def test_roofline_is_the_slower_of_memory_and_exponentials(written, elements, nanoseconds):
    found = result(written, 1e-6, elements)
    assert LIMITS.seconds(found, "isa", "L1") == pytest.approx(nanoseconds * 1e-9)
    assert LIMITS.share(found, "isa", "L1") == pytest.approx(nanoseconds / 1000)
