"""The two parameters of most tests, instruction set and dtype, and a line that says which sets were run."""

import os

import numpy as np
import pytest

import simdloss

# SIMDLOSS_ISA forces one instruction set on the library, so the suite then claims nothing about the others.
ISAS = [os.environ["SIMDLOSS_ISA"]] if os.environ.get("SIMDLOSS_ISA") else list(simdloss.isas())


def _ran() -> str:
    others = [name for name in simdloss.isas() if name not in ISAS]
    return f"simdloss {simdloss.__version__}: run on {', '.join(ISAS)}" + (
        f"; not on {', '.join(others)}" * bool(others)
    )


def pytest_report_header(config):
    return _ran()


def pytest_terminal_summary(terminalreporter):
    terminalreporter.write_line(_ran())


def pytest_generate_tests(metafunc):
    """Here, not as marks, so that a test's name always begins with instruction set and dtype."""
    if "isa" in metafunc.fixturenames:
        metafunc.parametrize("isa", ISAS, indirect=True)
    if "dtype" in metafunc.fixturenames:
        metafunc.parametrize("dtype", [np.float32, np.float64], ids=["f32", "f64"])


def pytest_collection_modifyitems(items):
    """Instruction sets innermost: the high-precision results they share are computed once and soon forgotten."""
    first = {}
    for item in items:
        isa = getattr(item, "callspec", None) and item.callspec.params.get("isa")
        item.shared = item.nodeid.replace(f"[{isa}", "[")
        first.setdefault(item.shared, len(first))
    items.sort(key=lambda item: first[item.shared])


@pytest.fixture
def isa(request):
    before = simdloss.get_isa()
    simdloss.use_isa(request.param)
    yield request.param
    simdloss.use_isa(before)


@pytest.fixture
def rng():
    return np.random.default_rng(20240607)
