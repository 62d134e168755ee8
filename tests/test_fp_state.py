"""What the caller's floating-point state does to results, and what a call does to that state: nothing."""

import gc
import os
import subprocess
import sys

import calls
import fpstate
import numpy as np
import pytest
from calls import CALLS, assert_same_bytes
from fpstate import FLUSH, TOWARD_ZERO, UPWARD

import simdloss

MODES = {"flush": FLUSH, "toward_zero": TOWARD_ZERO, "upward": UPWARD, "flush_toward_zero": FLUSH | TOWARD_ZERO}
SHAPES = [(37, 1), (3, 2), (37, 10), (5, 200), (2, 5000)]

every_call = pytest.mark.parametrize("call", CALLS, ids=lambda call: call.name)


def extremes(dtype):
    """Logits of every size, so that intermediate results overflow, underflow, are inexact and invalid."""
    info = np.finfo(dtype)
    x = np.zeros((40, 19), dtype)
    odd = [info.max, info.min, info.tiny, info.smallest_subnormal, np.inf, -np.inf, np.nan, -104, 104, 1e4, -1e4, -746]
    x.ravel()[::5] = np.resize(np.array(odd, dtype), x.ravel()[::5].shape)
    return x


@every_call
def test_no_floating_point_error_leaks(isa, dtype, call):
    """Neither numpy's error state nor its warnings hear of what happens inside a kernel."""
    x = extremes(dtype)
    for logits in (x, x[:1, :1], x[:, :2], x[:, :10], np.tile(x, (1, 300))):
        given = calls.arguments(logits)
        with np.errstate(all="raise"):
            call.run(given)


def test_no_floating_point_error_leaks_from_float16(isa):
    """Results are rounded to float16 in whole vectors, with underflow and NaN; and in any mode alike."""
    x = np.tile(extremes(np.float16), (1, 10))
    x[1::2] = np.linspace(-30, 30, x.shape[1])
    target = np.argmin(np.nan_to_num(x), axis=1)
    for function in (
        simdloss.sigmoid,
        simdloss.ufuncs.log_sigmoid,
        simdloss.softmax,
        simdloss.log_softmax,
        lambda x: simdloss.logsumexp(x, axis=0),
        lambda x: simdloss.cross_entropy_and_grad(x, target, reduction="none")[1],
    ):
        with np.errstate(all="raise"):
            want = function(x)
        for bits in MODES.values():
            with fpstate.state(bits, 0):
                found = function(x)
                assert fpstate.modes() == bits
                assert fpstate.flags() == 0
            assert_same_bytes((found,), (want,), f"{function}")


def test_state_takes_effect():
    """The helper of these tests: in its modes, sums round otherwise and subnormals are lost; flags are seen."""
    one, ulp, tiny = np.ones(1), np.full(1, 2.0**-52), np.full(1, 5e-324)
    with fpstate.state(UPWARD):
        assert fpstate.modes() == UPWARD
        assert (one + ulp / 4)[0] > 1
    with fpstate.state(FLUSH):
        assert (tiny + tiny)[0] == 0
    with fpstate.state(0, 0):
        assert fpstate.flags() == 0
        assert 1.0 / len(SHAPES) < 1
        assert fpstate.flags() != 0
    assert fpstate.modes() == 0
    assert (tiny + tiny)[0] > 0


@every_call
def test_modes_are_kept(isa, dtype, call):
    for shape in SHAPES:
        given = calls.data(shape, dtype, "odd")
        for mode, bits in MODES.items():
            with fpstate.state(bits):
                call.run(given)
                assert fpstate.modes() == bits, f"{shape}, {mode}"


@every_call
def test_flush_to_zero_changes_nothing(isa, dtype, call):
    """A caller that flushes subnormals gets the bytes that any other gets, subnormal results among them."""
    for shape in SHAPES:
        given = calls.data(shape, dtype, "odd")
        wanted = call.run(given)
        with fpstate.state(FLUSH):
            found = call.run(given)
        assert_same_bytes(found, wanted, f"{shape}")


def test_import_leaves_the_floating_point_mode():
    """In a fresh process, where nothing else can have set or cleared flush-to-zero."""
    code = "import fpstate, simdloss; assert fpstate.modes() == 0; assert 5e-324 * 3.0 > 5e-324"
    subprocess.run([sys.executable, "-c", code], check=True, env=os.environ, cwd=os.path.dirname(__file__))


@every_call
def test_modes_change_nothing(isa, dtype, call):
    """Results are rounded to nearest, and subnormal ones kept, whatever the caller's own arithmetic does."""
    for shape in SHAPES:
        given = calls.data(shape, dtype, "odd")
        wanted = call.run(given)
        for mode, bits in MODES.items():
            with fpstate.state(bits):
                found = call.run(given)
            assert_same_bytes(found, wanted, f"{shape}, {mode}")


@pytest.mark.parametrize("reduction", ["mean", "sum"])
def test_subnormal_reductions_survive_flush_to_zero(isa, reduction):
    """What is done with a kernel's sum, too, is done in the standard modes."""
    x = np.array([[740.0, 0.0], [742.0, 0.0]])
    for call in (
        lambda: simdloss.cross_entropy(x, [0, 0], reduction=reduction),
        lambda: simdloss.binary_cross_entropy_with_logits(-x[:, 0], [0, 0], reduction=reduction),
    ):
        wanted = call()
        assert 0 < wanted < np.finfo(np.float64).tiny
        with fpstate.state(FLUSH):
            found = call()
        assert found == wanted


@pytest.fixture
def no_collection():
    """Keep the garbage collector away: what hypothesis does when it runs is arithmetic on times, which raises flags."""
    gc.disable()
    yield
    gc.enable()


# numpy itself clears the flags around the loop of any ufunc.
@pytest.mark.usefixtures("no_collection")
@pytest.mark.parametrize("raised", [0, fpstate.FLAGS], ids=["none", "all"])
@pytest.mark.parametrize("call", [c for c in CALLS if not c.name.startswith("ufuncs")], ids=lambda call: call.name)
def test_flags_are_kept(isa, dtype, call, raised):
    for shape in SHAPES:
        given = calls.data(shape, dtype, "odd")
        with fpstate.state(0, raised):
            call.run(given)
            found = fpstate.flags()
        assert found == raised, f"{shape}: flags {found:#x}, before {raised:#x}"
