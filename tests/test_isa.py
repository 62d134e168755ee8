"""Which instruction sets run, and choosing one by call and by environment."""

import os
import subprocess
import sys

import numpy as np
import pytest
from conftest import ISAS

import simdloss

# What numpy's own detection must report for each of ours.
FEATURES = {
    "avx512": {"AVX512F", "AVX512DQ", "AVX512BW", "AVX512VL"},
    "avx2": {"AVX2", "FMA3", "F16C"},
    "neon": {"NEON"},
    "portable": set(),
}


def in_fresh_process(code, isa):
    environment = {name: value for name, value in os.environ.items() if name != "SIMDLOSS_ISA"}
    if isa is not None:
        environment["SIMDLOSS_ISA"] = isa
    return subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=False)


def test_isas_that_run():
    """Best first, ending with the portable one, and just those that numpy too finds in this CPU."""
    from numpy._core._multiarray_umath import __cpu_features__ as cpu

    want = [name for name, needs in FEATURES.items() if all(cpu.get(feature) for feature in needs)]
    assert list(simdloss.isas()) == want
    assert want[-1] == "portable"


def test_default_is_the_best():
    found = in_fresh_process("import simdloss; print(simdloss.get_isa())", None)
    assert found.stdout.strip() == simdloss.isas()[0]


def test_environment_forces(isa):
    code = "import simdloss, numpy; print(simdloss.get_isa(), simdloss.sigmoid(0.0)); simdloss.softmax(numpy.ones(3))"
    assert in_fresh_process(code, isa).stdout.split() == [isa, "0.5"]


@pytest.mark.parametrize("name", ["sse9", "AVX2", "neon" if "neon" not in simdloss.isas() else "avx2"])
def test_environment_with_an_unknown_name(name):
    found = in_fresh_process("import simdloss", name)
    assert found.returncode != 0
    last = found.stderr.strip().splitlines()[-1]
    assert "ValueError" in last
    assert "SIMDLOSS_ISA" in last
    assert name in last
    assert all(isa in last for isa in simdloss.isas())


def test_empty_environment_variable_means_the_best():
    found = in_fresh_process("import simdloss; print(simdloss.get_isa())", "")
    assert found.stdout.strip() == simdloss.isas()[0]


@pytest.mark.parametrize("name", ["sse9", "", "neon" if "neon" not in simdloss.isas() else "avx2"])
def test_unknown_name(name):
    before = simdloss.get_isa()
    with pytest.raises(ValueError, match="portable") as caught:
        simdloss.use_isa(name)
    assert repr(name) in str(caught.value)
    assert all(isa in str(caught.value) for isa in simdloss.isas())
    assert simdloss.get_isa() == before


@pytest.mark.parametrize("name", [None, 3, b"portable"])
def test_name_of_another_type(name):
    with pytest.raises((TypeError, ValueError), match=r"portable|str"):
        simdloss.use_isa(name)


def test_use_isa(isa):
    assert simdloss.get_isa() == isa


def test_instruction_sets_agree(dtype):
    """Within rounding: a kernel that is wrong alike everywhere is for the other tests to find."""
    before = simdloss.get_isa()
    x = np.linspace(-30, 30, 3000).astype(dtype).reshape(30, 100)
    found = []
    for name in ISAS:
        simdloss.use_isa(name)
        found.append((simdloss.log_sigmoid(x), simdloss.softmax(x), *simdloss.cross_entropy_and_grad(x, [1] * 30)))
    simdloss.use_isa(before)
    for results in found[1:]:
        for a, b in zip(results, found[0], strict=True):
            np.testing.assert_allclose(a, b, rtol=8 * np.finfo(dtype).eps)
