"""The stubs say what the module does, and say it usefully."""

import subprocess
import sys

USE = """
import numpy as np
import numpy.typing as npt
import simdloss

logits: npt.NDArray[np.float32] = np.zeros((3, 4), np.float32)
target = np.zeros(3, np.int64)
mean: float = simdloss.cross_entropy(logits, target)
total: float = simdloss.cross_entropy(logits, target, reduction="sum", weight=[1, 2, 3, 4])
loss, grad = simdloss.cross_entropy_and_grad(logits, target, label_smoothing=0.1)
scaled = loss * grad
loss2, grad2, lse = simdloss.cross_entropy_and_grad(logits, target, return_lse=True)
both, lse2 = simdloss.cross_entropy(logits, target, return_lse=True)
bce: float = simdloss.binary_cross_entropy_with_logits(logits, logits, pos_weight=2.0)
loss3, grad3 = simdloss.binary_cross_entropy_with_logits_and_grad(logits, logits, grad_out=logits)
p = simdloss.softmax([[1.0, 2.0]], axis=None)
q = simdloss.log_softmax(logits, axis=(0, 1), out=logits)
value, sign = simdloss.logsumexp(logits, axis=0, return_sign=True)
value2, p2 = simdloss.logsumexp_and_grad(logits, keepdims=True)
s = simdloss.sigmoid(logits, out=logits)
a, b = simdloss.log_sigmoid_and_grad(logits)
names: tuple[str, ...] = tuple(simdloss.isas())
simdloss.use_isa(names[0])
current: str = simdloss.get_isa()
"""
MISUSE = [
    'simdloss.cross_entropy(logits, target, reduction="avg")',
    "simdloss.cross_entropy(logits)",
    "simdloss.cross_entropy(logits, target, None)",
    "simdloss.softmax(logits, 0.5)",
    "simdloss.use_isa(3)",
    "simdloss.nothing",
]


def mypy(code, directory):
    (directory / "use.py").write_text(code)
    command = [sys.executable, "-m", "mypy", "--strict", "--no-error-summary", "use.py"]
    return subprocess.run(command, capture_output=True, text=True, cwd=directory, check=False)


def test_stubtest(tmp_path):
    """Every name, argument and default of the stubs is that of the module."""
    command = [sys.executable, "-m", "mypy.stubtest", "simdloss"]
    found = subprocess.run(command, capture_output=True, text=True, cwd=tmp_path, check=False)
    assert found.returncode == 0, found.stdout + found.stderr


def test_ordinary_use_is_typed(tmp_path):
    found = mypy(USE, tmp_path)
    assert found.returncode == 0, found.stdout + found.stderr


def test_misuse_is_found(tmp_path):
    found = mypy(USE + "\n".join(MISUSE) + "\n", tmp_path)
    missed = [
        line for i, line in enumerate(MISUSE, len(USE.splitlines()) + 1) if f"use.py:{i}: error" not in found.stdout
    ]
    assert not missed, found.stdout
