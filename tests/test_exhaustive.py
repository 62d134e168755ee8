"""Every float32 there is through every elementwise kernel: `pytest -m exhaustive -s`, some minutes."""

import numpy as np
import pytest
import sweep
from conftest import ISAS

import simdloss

BLOCK = 2**22  # bit patterns of one task, taken in pieces that stay in the cache
PIECE = 2**13
BLOCKS = 2**32 // BLOCK


def ulp_errors(found, exact):
    """As ulp.ulp_errors, in float64 alone: what is infinite or NaN must be just that."""
    power_of_two = (exact.view(np.int64) & 0x7FF0000000000000).view(np.float64)
    with np.errstate(invalid="ignore"):
        errors = np.abs(found - exact) / np.maximum(power_of_two * 2.0**-23, 2.0**-149)
    odd = ~np.isfinite(errors)
    if odd.any():
        rounded = exact.astype(np.float32)
        errors[odd] = np.where((found == rounded) | (np.isnan(found) & np.isnan(rounded)), 0, np.inf)[odd]
    return errors


def sweep_block(block):
    """float64 is wide enough to judge float32: its own rounding moves an error by less than 1e-8 ULP."""
    found = []
    for first in range(block * BLOCK, (block + 1) * BLOCK, PIECE):
        x = (np.arange(PIECE, dtype=np.uint32) + np.uint32(first)).view(np.float32)
        with np.errstate(all="ignore"):
            found.append(sweep.judge_elementwise(x, x.astype(np.float64), ulp_errors))
    return sweep.merged(found)


def every_float32():
    """One pass serves every routine and every instruction set: the reference is what takes the time."""
    return sweep.merged(sweep.in_processes(sweep_block, range(BLOCKS)))


@pytest.mark.exhaustive
def test_every_float32():
    sweep.check(every_float32(), np.float32)


def test_measure_of_the_sweep():
    """The sweep's own measure agrees with the one of the other tests, and it runs on every instruction set."""
    from ulp import ulp_errors as measured
    from ulp import wide

    exact = np.array([1.0, 1e-40, 3e-45, -0.7, np.inf, np.nan, 1e-60])
    found = np.array([1 + 2e-7, 1.1e-40, 0, -0.7, np.inf, np.nan, 1e-45], np.float32)
    np.testing.assert_allclose(ulp_errors(found, exact), measured(found, wide(exact)))
    assert BLOCK * BLOCKS == 2**32
    before = simdloss.get_isa()
    worst = sweep_block(256)
    simdloss.use_isa(before)
    assert list(dict.fromkeys(isa for isa, _ in worst)) == ISAS
    assert {name for _, name in worst} == set(sweep.NAMES)
    assert all(0 < error < 3 for error, _ in worst.values())
