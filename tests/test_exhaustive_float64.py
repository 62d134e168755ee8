"""1e8 float64 inputs and more, random and chosen to be hard, through every elementwise kernel, against longdouble."""

import numpy as np
import pytest
import sweep
from inputs import every_kind_of_float
from routines import BY_NAME
from ulp import ulp_errors, wide

import simdloss

PIECE = 2**14
PIECES = 48  # of one kind in one task
TASKS = 16  # of every kind
NEIGHBOURS = 2**16  # on both sides of the worst inputs
SOME = 40  # of the worst inputs of single pieces


def near(points, rng):
    """The given points and up to 30 numbers away on both sides, of either sign."""
    points = np.asarray(points, np.float64) * rng.choice([-1, 1], len(points))
    return (points.view(np.int64) + rng.integers(-30, 31, len(points))).view(np.float64)


def signed(magnitudes, rng):
    return magnitudes * rng.choice([-1, 1], len(magnitudes))


KINDS = {
    "every exponent": lambda rng: every_kind_of_float(np.float64, PIECE, rng),
    "where results vary": lambda rng: rng.uniform(-40, 40, PIECE),
    "near 0": lambda rng: rng.uniform(-2, 2, PIECE),
    "towards 0": lambda rng: signed(np.exp2(rng.uniform(-70, 1, PIECE)), rng),
    "subnormal results": lambda rng: signed(rng.uniform(708, 746, PIECE), rng),
    "far": lambda rng: signed(rng.uniform(600, 710, PIECE), rng),
    "end of the fast path": lambda rng: near(620 + rng.integers(-3, 4, PIECE), rng),
    "ends of reductions": lambda rng: near(rng.integers(1, 17_250, PIECE) * (np.log(2) / 16), rng),
    "ends of tables of log": lambda rng: near(-np.log(rng.integers(1, 256, PIECE) / 256), rng),
}


def judged(x):
    with np.errstate(all="ignore"):
        return sweep.judge_elementwise(x, wide(x), ulp_errors)


def sweep_task(work):
    kind, seed = work
    rng = np.random.default_rng([seed, list(KINDS).index(kind)])
    return sweep.merged(judged(KINDS[kind](rng)) for _ in range(PIECES))


def neighbours(x):
    """The error of a kernel has a slow part that depends on where x is: around the worst inputs are bad ones."""
    bits = np.float64(x).view(np.int64)
    around = (bits + np.arange(-NEIGHBOURS, NEIGHBOURS)).view(np.float64)
    return sweep.merged(judged(piece) for piece in np.split(around, 2 * NEIGHBOURS // PIECE))


def many_float64():
    """The worst errors of all pieces, and then of what lies around the worst inputs and their negatives."""
    assert PIECE * PIECES * TASKS * len(KINDS) > 1e8
    work = [(kind, seed) for seed in range(TASKS) for kind in KINDS]
    found = sweep.in_processes(sweep_task, work, chunk=1)
    worst = sorted({error: abs(at) for piece in found for error, at in piece.values()}.items())
    starts = {abs(at) for _, at in sweep.merged(found).values()}.union(at for _, at in worst[-SOME:])
    found += sweep.in_processes(neighbours, [sign * at for at in starts for sign in (-1, 1)], chunk=1)
    return sweep.merged(found)


@pytest.mark.exhaustive
def test_many_float64():
    sweep.check(many_float64(), np.float64)


def test_kinds(rng):
    """Every kind of input of the sweep, a piece each: within the bounds, on every instruction set."""
    before = simdloss.get_isa()
    worst = sweep.merged(judged(make(rng)) for make in KINDS.values())
    simdloss.use_isa(before)
    sweep.check(worst, np.float64)
    assert all(0.5 < error <= BY_NAME[name].bound(np.float64, isa) for (isa, name), (error, _) in worst.items())
