"""Every float32 there is through every elementwise kernel: `pytest -m exhaustive`, some minutes."""

import multiprocessing
import os
from functools import cache

import numpy as np
import pytest
from conftest import ISAS
from routines import BY_NAME

import simdloss

BLOCK = 2**22  # bit patterns of one task, taken in pieces that stay in the cache
PIECE = 2**16
BLOCKS = 2**32 // BLOCK


# float64 is wide enough to judge float32: its own rounding moves an error by less than 1e-8 ULP.
def sigmoid(x):
    e = np.exp(-np.abs(x))
    return np.where(x < 0, e, 1.0) / (1 + e)


def log_sigmoid(x):
    return np.minimum(x, 0) - np.log1p(np.exp(-np.abs(x)))


KERNELS = {
    "sigmoid": (simdloss.sigmoid, sigmoid),
    "log_sigmoid": (simdloss.log_sigmoid, log_sigmoid),
    "softplus": (simdloss.softplus, lambda x: -log_sigmoid(-x)),
    "log_sigmoid_and_grad.grad": (lambda x: simdloss.log_sigmoid_and_grad(x)[1], lambda x: sigmoid(-x)),
}


def ulp_errors(found, exact):
    """As ulp.ulp_errors, in float64 alone: what is infinite or NaN must be just that."""
    power_of_two = (exact.view(np.int64) & 0x7FF0000000000000).view(np.float64)
    with np.errstate(invalid="ignore"):
        errors = np.abs(found - exact) / np.maximum(power_of_two * 2.0**-23, 2.0**-149)
    odd = ~np.isfinite(exact) | ~np.isfinite(found)
    rounded = exact.astype(np.float32)
    errors[odd] = np.where((found == rounded) | (np.isnan(found) & np.isnan(rounded)), 0, np.inf)[odd]
    return errors


def sweep_block(work):
    """The largest error of one block of bit patterns on every instruction set, and the input that has it."""
    name, block = work
    run, exactly = KERNELS[name]
    worst = dict.fromkeys(ISAS, (0.0, 0.0))
    for first in range(block * BLOCK, (block + 1) * BLOCK, PIECE):
        x = (np.arange(PIECE, dtype=np.uint32) + np.uint32(first)).view(np.float32)
        with np.errstate(all="ignore"):
            exact = exactly(x.astype(np.float64))
            for isa in ISAS:
                simdloss.use_isa(isa)
                errors = ulp_errors(run(x), exact)
                at = int(np.argmax(errors))
                worst[isa] = max(worst[isa], (float(errors[at]), float(x[at])))
    return worst


@cache
def sweep(name):
    """One pass over all inputs serves every instruction set: the reference is what takes the time."""
    worst = dict.fromkeys(ISAS, (0.0, 0.0))
    context = multiprocessing.get_context("spawn")
    with context.Pool(len(os.sched_getaffinity(0))) as pool:
        for found in pool.imap_unordered(sweep_block, [(name, block) for block in range(BLOCKS)], chunksize=4):
            worst = {isa: max(worst[isa], found[isa]) for isa in ISAS}
    return worst


@pytest.mark.exhaustive
@pytest.mark.parametrize("routine", KERNELS)
def test_every_float32(isa, routine, record_property):
    error, at = sweep(routine)[isa]
    record_property("max_ulp", error)
    bound = BY_NAME[routine].bound(np.float32, isa)
    assert error <= bound, f"{routine} on {isa}: {error:.4f} ULP at {np.float32(at)!r} ({at.hex()}), allowed {bound}"
    print(f"{routine} on {isa}: at most {error:.4f} ULP, at {np.float32(at)!r}")


def test_measure_of_the_sweep():
    """The sweep's own measure agrees with the one of the other tests, and it runs on every instruction set."""
    from ulp import ulp_errors as measured
    from ulp import wide

    exact = np.array([1.0, 1e-40, 3e-45, -0.7, np.inf, np.nan, 1e-60])
    found = np.array([1 + 2e-7, 1.1e-40, 0, -0.7, np.inf, np.nan, 1e-45], np.float32)
    np.testing.assert_allclose(ulp_errors(found, exact), measured(found, wide(exact)))
    assert BLOCK * BLOCKS == 2**32
    before = simdloss.get_isa()
    worst = sweep_block(("sigmoid", 256))
    simdloss.use_isa(before)
    assert list(worst) == ISAS
    assert all(0 < error < 3 for error, _ in worst.values())
