"""The bounds and the worst errors that the comments of csrc/kernels state, in lines of one form.

   softplus   f32 <= 0.76 (0.731 at 0x1.258c76p-7), f64 <= 0.80 (0.724 at 0x1.93e2482c75fe8p-10)

A name of tests/routines.py; for each dtype its bound on instruction sets with fma and, in parentheses, the largest
error that was found there and where: the input of an elementwise routine, of others what kind of row. `measure.py`
prints such lines.
"""

import re
from dataclasses import dataclass
from pathlib import Path

import mpmath
import numpy as np
import sweep

KERNELS = Path(__file__).parents[1] / "csrc" / "kernels"
DTYPES = {"f32": np.float32, "f64": np.float64}
_LINE = re.compile(r"^   ([a-z_.]+) +f32 <= (.*), f64 <= (.*?)( \*/)?$")
_CLAIM = re.compile(r"(\d\.\d\d) \((\d\.\d{3})(?: at (\S+)|, .*)\)")


@dataclass(frozen=True)
class Claim:
    """What is stated of one routine and dtype."""

    bound: float
    error: float
    at: float | None  # None where the input is a row


def claims() -> list:
    """(name, {dtype: claim}) of every line there is."""
    found = []
    for path in sorted(KERNELS.glob("*.c")):
        for line in path.read_text().splitlines():
            if "f32 <=" in line or "f64 <=" in line:
                parts = _LINE.match(line)
                assert parts, f"{path.name}: not of the form that stated.py describes: {line}"
                found.append((parts[1], dict(zip(DTYPES.values(), map(_claim, parts.group(2, 3)), strict=True))))
    return found


def _claim(text) -> Claim:
    parts = _CLAIM.fullmatch(text)
    assert parts, f"not of the form that stated.py describes: {text}"
    return Claim(float(parts[1]), float(parts[2]), parts[3] and float.fromhex(parts[3]))


def line(name, bounds, worst) -> str:
    """The line of one routine from its bounds and worst (error, place) for float32 and float64."""
    found = []
    for (label, dtype), bound, (error, place) in zip(DTYPES.items(), bounds, worst, strict=True):
        if name not in sweep.NAMES:
            place = f", logit {place:.4g}" if isinstance(place, float) else f", {place.split(';')[0]}"
        else:
            # The sweep's yardstick is good for three digits of float64.
            error = exact_error(name, dtype, place)
            place = f" at {re.sub(r'0+p', 'p', place.hex()).replace('.p', 'p')}"
        found.append(f"{label} <= {bound:.2f} ({error:.3f}{place})")
    return f"   {name:26} {', '.join(found)}"


def exact_error(name, dtype, x) -> float:
    """The error in ULP at x of an elementwise routine or a loss of targets 0 and 1, on the instruction set in use."""
    with mpmath.workdps(80):
        value = mpmath.mpf(x)
        exact = {
            "up": mpmath.log1p(mpmath.exp(value)),
            "down": mpmath.log1p(mpmath.exp(-value)),
            "rise": 1 / (1 + mpmath.exp(-value)),
            "fall": 1 / (1 + mpmath.exp(value)),
        }
        return max(
            float(mpmath.fabs(float(found[0]) - sign * exact[of]) / _ulp(exact[of], dtype))
            for call, outputs in sweep.CALLS
            if name in outputs
            for found, (other, (of, sign)) in zip(
                np.atleast_2d(call(np.array([x], dtype))), outputs.items(), strict=True
            )
            if other == name
        )


def _ulp(value, dtype):
    info = np.finfo(dtype)
    _, exponent = mpmath.frexp(value)
    return max(mpmath.ldexp(1, exponent - 1 - info.nmant), float(info.smallest_subnormal))
