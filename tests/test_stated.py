"""The bounds and errors in the kernels' comments are those of the accuracy contract and of the kernels."""

import numpy as np
import pytest
from routines import HAVE_FMA, PORTABLE_MORE, ROUTINES
from stated import claims, exact_error


def test_every_routine_is_stated_once():
    assert sorted(name for name, _ in claims()) == sorted(routine.name for routine in ROUTINES)


@pytest.mark.parametrize("routine", ROUTINES, ids=lambda routine: routine.name)
def test_stated_bounds(dtype, routine):
    claim = dict(claims())[routine.name][dtype]
    assert claim.bound == (routine.f32 if dtype == np.float32 else routine.f64)
    assert claim.error <= claim.bound


ELEMENTWISE = [
    (name, dtype, claim) for name, found in claims() for dtype, claim in found.items() if claim.at is not None
]


@pytest.mark.parametrize(("name", "kind", "claim"), ELEMENTWISE, ids=[f"{d.__name__}-{n}" for n, d, _ in ELEMENTWISE])
def test_stated_errors(isa, name, kind, claim):
    """At the stated input the error is the stated one, to its last digit; without fma it is within the bound."""
    error = exact_error(name, kind, claim.at)
    if isa in HAVE_FMA:
        assert f"{error:.3f}" == f"{claim.error:.3f}"
    else:
        assert error <= claim.bound + PORTABLE_MORE
