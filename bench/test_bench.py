"""The same cases through pytest-benchmark: ``pytest bench/ --benchmark-only``."""

from functools import lru_cache

import numpy as np
import pytest

import simdloss

from . import cases, machine, measure, sizes
from .work import Work

CASES = cases.all_cases(sizes.sizes(machine.describe().caches))

# The contenders vary fastest: a case is made ready once for all of them, and only one is in memory.
ready = lru_cache(maxsize=1)(Work)


@pytest.fixture
def contender(request):
    """Select NumPy or an instruction set for one test."""
    active = simdloss.get_isa()
    measure.select(request.param)
    yield request.param
    simdloss.use_isa(active)


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
@pytest.mark.parametrize("contender", [measure.NUMPY, *simdloss.isas()], indirect=True)
# A wrong result is not timed.
@pytest.mark.filterwarnings("ignore:Benchmark fixture was not used")
@pytest.mark.benchmark(min_rounds=3, max_time=0.05)
def test_speed(benchmark, case, contender):
    """Check the result, then time the call."""
    work = ready(case)
    with np.errstate(over="ignore"):
        ulps = work.numpy_max_ulps() if contender == measure.NUMPY else work.max_ulps()
        assert contender == measure.NUMPY or work.is_right(ulps), f"{ulps} ULP, at most {case.routine.limits} allowed"
        benchmark.group = case.name
        benchmark.extra_info["max ULP"] = ulps
        benchmark.extra_info["bytes"] = work.nbytes
        benchmark(work.numpy if contender == measure.NUMPY else work.call)
    if benchmark.stats:
        benchmark.extra_info["GB/s"] = work.nbytes / benchmark.stats["median"] / 1e9
