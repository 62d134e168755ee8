"""Every routine of the accuracy contract stays within its bound, on every instruction set."""

import numpy as np
import pytest
from routines import HAVE_FMA, ROUTINES
from stated import claims
from ulp import ulp_errors, wide

CLAIMS = dict(claims())


@pytest.mark.parametrize("routine", ROUTINES, ids=lambda routine: routine.name)
def test_ulp(isa, dtype, routine):
    error, _, detail = routine.worst(dtype)
    assert error <= routine.bound(dtype, isa), f"{routine.name}: {error:.4f} ULP, {detail}"
    if isa in HAVE_FMA:
        stated = CLAIMS[routine.name][dtype].error
        assert error <= stated + 0.0005, f"{routine.name}: {error:.4f} ULP, {detail}; the kernel's comment has {stated}"


def test_ulp_measure_sees_errors(dtype):
    """The measure itself: half an ULP, one ULP, a flushed subnormal, a missing infinity, a wrong NaN."""
    one, tiny = dtype(1), np.finfo(dtype).smallest_subnormal
    eps = np.finfo(dtype).eps
    assert ulp_errors([one], wide([one]) + wide(eps) / 2)[0] == 0.5
    assert ulp_errors(np.array([one + eps]), wide([one]))[0] == 1
    assert ulp_errors(np.array([dtype(0)]), wide([5 * tiny]))[0] == 5
    assert ulp_errors(np.array([np.finfo(dtype).max]), wide([np.inf]))[0] == np.inf
    assert ulp_errors(np.array([one]), wide([np.nan]))[0] == np.inf
    assert ulp_errors(np.array([np.nan], dtype), wide([np.nan]))[0] == 0
