"""The coefficients of exp and log in the kernels are what mpmath derives."""

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[1]


def test_constants_are_what_the_derivation_gives():
    script = ROOT / "csrc" / "tools" / "derive_constants.py"
    checked = subprocess.run([sys.executable, script, "--check"], capture_output=True, text=True, check=False)
    assert checked.returncode == 0, checked.stderr
