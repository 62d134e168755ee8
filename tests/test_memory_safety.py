"""No kernel reads or writes outside its buffers: every operand is put against a page that faults on any access."""

import mmap
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import rowwise

GUARDED = Path(__file__).with_name("guarded.py")
ROUTINES = ["sigmoid", "log_sigmoid", "softplus", "log_sigmoid_and_grad", "binary_cross_entropy", *rowwise.BY_NAME]


def run(isa, dtype, routine, directory):
    """In a process of its own, so that a fault there is a failure here."""
    case = directory / "case"
    case.write_bytes(bytes(mmap.PAGESIZE))
    command = [sys.executable, GUARDED, isa, np.dtype(dtype).name, routine, case]
    found = subprocess.run(command, capture_output=True, text=True, check=False, cwd=directory)
    return found, case.read_bytes().split(b"\n")[0].decode()


@pytest.mark.parametrize("routine", ROUTINES)
def test_memory_safety(isa, dtype, routine, tmp_path):
    found, case = run(isa, dtype, routine, tmp_path)
    died = signal.Signals(-found.returncode).name if found.returncode < 0 else f"status {found.returncode}"
    assert found.returncode == 0, f"{died} at {case}\n{found.stderr[-2000:]}"


def test_the_fence_holds(isa, tmp_path):
    assert run(isa, np.float64, "out_of_bounds", tmp_path)[0].returncode == -signal.SIGSEGV
