"""Checks a case and times it: NumPy and every instruction set in turn, again and again.

Taking turns lets a change of the machine's speed hit all contenders alike; the ratio of each round is of calls made
within moments of each other, and the median of the ratios is reported.
"""

from dataclasses import dataclass
from statistics import median
from timeit import Timer

import numpy as np

import simdloss

from .work import Work

NUMPY = "numpy"

# A sample repeats short calls until it is far longer than the clock's step and a switch of frequency is noise.
_SAMPLE_SECONDS = 200e-6
_FEWEST_ROUNDS, _MOST_ROUNDS = 3, 51


@dataclass(frozen=True)
class Result:
    """What was found about one case with one instruction set; no times of a wrong result.

    `ulps` are the largest errors of each value that the routine returns.
    """

    case: object
    isa: str
    nbytes: int
    ulps: tuple[float, ...]
    right: bool
    numpy_ulps: tuple[float, ...]
    rounds: int
    ns_per_element: float | None
    gb_per_s: float | None
    numpy_ns_per_element: float
    numpy_gb_per_s: float
    ratio: float | None


def measure(case, isas, seconds):
    """Return the `Result` of `case` for each of `isas`, in about `seconds` of timing."""
    work = Work(case)
    # 1 / (1 + inf) is what the baseline of the sigmoid wants, and a switch inside the timing would be charged to it.
    with np.errstate(over="ignore"):
        numpy_ulps = work.numpy_max_ulps()
        ulps = {isa: _checked(work, isa) for isa in isas}
        timers = {NUMPY: Timer("numpy()", globals={"numpy": work.numpy})}
        for isa in isas:
            if work.is_right(ulps[isa]):
                timers[isa] = Timer(case.routine.call, globals=work.names)
        samples = _alternate(timers, seconds)

    numpy_times = samples[NUMPY]

    def result(isa):
        times = samples.get(isa)
        return Result(
            case=case,
            isa=isa,
            nbytes=work.nbytes,
            ulps=ulps[isa],
            right=isa in timers,
            numpy_ulps=numpy_ulps,
            rounds=len(numpy_times),
            ns_per_element=times and median(times) / work.elements * 1e9,
            gb_per_s=times and work.nbytes / median(times) / 1e9,
            numpy_ns_per_element=median(numpy_times) / work.elements * 1e9,
            numpy_gb_per_s=work.nbytes / median(numpy_times) / 1e9,
            ratio=times and median(n / t for n, t in zip(numpy_times, times, strict=True)),
        )

    return [result(isa) for isa in isas]


def select(contender):
    """Make the next calls run with the instruction set `contender`; nothing to do for NumPy."""
    if contender != NUMPY:
        simdloss.use_isa(contender)


def _checked(work, isa):
    select(isa)
    return work.max_ulps()


def _alternate(timers, seconds):
    """Return the seconds of one call, in as many rounds as fit, for each of `timers`."""
    loops, round_seconds = {}, 0.0
    for name, timer in timers.items():
        select(name)
        loops[name], sample_seconds = _loops(timer)
        round_seconds += sample_seconds
    rounds = min(max(int(seconds / round_seconds), _FEWEST_ROUNDS), _MOST_ROUNDS)
    samples = {name: [] for name in timers}
    for _ in range(rounds):
        for name, timer in timers.items():
            select(name)
            samples[name].append(timer.timeit(loops[name]) / loops[name])
    return samples


def _loops(timer):
    """Return how many calls make a sample, and its seconds; the calls it takes to find out are the warm-up."""
    loops = 1
    while (seconds := timer.timeit(loops)) < _SAMPLE_SECONDS / 2:
        loops *= 2
    factor = max(1.0, _SAMPLE_SECONDS / seconds)
    return round(loops * factor), seconds * factor
