"""The same cases through pytest-benchmark: ``pytest bench/ --benchmark-only``."""

from functools import lru_cache

import pytest

import simdloss

from . import cases, machine, sizes
from .work import NUMPY, Work

CASES = cases.all_cases(sizes.sizes(machine.describe().caches))

# The contenders vary fastest: a case is made ready once for all of them, and only one is in memory.
ready = lru_cache(maxsize=1)(Work)


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
@pytest.mark.parametrize("contender", [NUMPY, *simdloss.isas()])
# A wrong result is not timed.
@pytest.mark.filterwarnings("ignore:Benchmark fixture was not used")
@pytest.mark.benchmark(min_rounds=3, max_time=0.05)
def test_speed(benchmark, case, contender):
    """Check the result, then time the call."""
    work = ready(case)
    (form,) = work.forms(contender)
    ulps, same = work.max_ulps(form)
    assert same if contender == NUMPY else work.is_right(ulps), f"{ulps} ULP, at most {case.routine.limits} allowed"
    benchmark.group = case.name
    benchmark.extra_info["max ULP"] = ulps
    benchmark.extra_info["bytes"] = work.nbytes
    call = eval(f"lambda: {form.text}", form.names)
    with form.within():
        benchmark(call)
    if benchmark.stats:
        benchmark.extra_info["GB/s"] = work.nbytes / benchmark.stats["median"] / 1e9
