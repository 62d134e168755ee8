"""The worst errors of simdloss and other libraries on the same inputs: ``python -m simdloss.bench.accuracy``.

Errors are in ULP of the exact result, against `reference.py`. Results of exactly 0 where the exact one is not are
counted apart: those flushed, of which the exact one is subnormal, and those lost, of which it is a normal number.
"""

import argparse
import json
import math
import sys
from collections.abc import Callable
from dataclasses import asdict, dataclass

import numpy as np

import simdloss

from . import libraries, machine, reference, report
from .ulp import Exact, ulp_errors

_SEED = 20240229
# Every float32 is one of 2^32 bit patterns; this step, a prime, goes through all exponents and last places alike.
_STEP = 1009
_CHUNK = 1 << 22

# Where exp or log1p change their ways: results become subnormal, vanish, or end to matter beside 1.
_TURNS = {
    np.float32: (0, 2**-24, 2**-12, 0.3466, 1, 8, 16.64, 17.33, 20, 69, 87.34, 88.03, 88.73, 103.28, 103.98),
    np.float64: (0, 2**-53, 2**-26, 0.3466, 1, 20, 36.05, 36.74, 620, 708.4, 709.09, 709.79, 744.44, 745.14),
}
_NEIGHBOURS = 512

_FEW_CLASSES, _MANY_CLASSES = (2, 3, 10, 100), (1000, 32_000)
_SPREADS = (0.01, 1, 3, 10, 100)
_ELEMENTS_OF_A_SPREAD = 100_000
_MARGINS = (10, 20, 40, 80)


@dataclass(frozen=True)
class Routine:
    """A routine, of one or two outputs, and its inputs: `exact` is computed in the wider type."""

    name: str
    outputs: tuple[str, ...]
    exact: Callable
    inputs: Callable


@dataclass
class Score:
    """What was found of one output of one library: the largest error of what is not counted in the other two."""

    output: str
    dtype: str
    library: str
    max_ulp: float = 0.0
    flushed: int = 0
    lost: int = 0

    def add(self, result, exact, dtype):
        """Count in some results."""
        magnitude, limits = np.abs(exact.value), np.finfo(dtype)
        # Below half the least subnormal, 0 is the rounded result; up to the whole of it, nearly so.
        is_zero = (np.asarray(result) == 0) & (magnitude > limits.smallest_subnormal)
        normal = magnitude >= limits.tiny
        self.flushed += int(np.count_nonzero(is_zero & ~normal))
        self.lost += int(np.count_nonzero(is_zero & normal))
        self.max_ulp = max(self.max_ulp, float(np.where(is_zero, 0, ulp_errors(result, exact, dtype)).max()))


def elements(dtype, every):
    """Yield chunks of logits: of float32 a sample of all there are, or all; and what surrounds the turns."""
    yield (_around_turns(dtype),)
    if dtype == np.float32:
        step = 1 if every else _STEP
        for start in range(0, 1 << 32, _CHUNK * step):
            patterns = np.arange(start, min(start + _CHUNK * step, 1 << 32), step, np.uint64).astype(np.uint32)
            x = _finite(patterns.view(np.float32))
            if len(x):  # some ranges hold nothing but NaN
                yield (x,)
    else:
        rng = np.random.default_rng(_SEED)
        yield (_finite(rng.integers(0, 1 << 64, _CHUNK // 4, np.uint64).view(np.float64)),)
        yield (rng.uniform(-750, 750, _CHUNK // 4),)
        yield (10 * rng.standard_normal(_CHUNK // 4),)


def _around_turns(dtype):
    turns = np.array([sign * turn for turn in _TURNS[dtype] for sign in (1, -1)], dtype)
    return (turns[:, None] + np.arange(-_NEIGHBOURS, _NEIGHBOURS) * np.spacing(turns)[:, None]).ravel().astype(dtype)


def _finite(x):
    return x[np.isfinite(x)]


def binary(dtype, every):
    """Yield logits with the targets 0 and 1."""
    for (x,) in elements(dtype, every):
        for target in (0, 1):
            yield x, np.full_like(x, target)


def few_classes(dtype, every):
    """Yield rows of few classes with class indices."""
    return _random_and_equal(_FEW_CLASSES, dtype)


def many_classes(dtype, every):
    """Yield rows of many classes with class indices."""
    return _random_and_equal(_MANY_CLASSES, dtype)


def _random_and_equal(numbers_of_classes, dtype):
    """Yield random rows of every spread and rows of equal logits."""
    rng = np.random.default_rng(_SEED)
    for classes in numbers_of_classes:
        for spread in _SPREADS:
            count = max(_ELEMENTS_OF_A_SPREAD // classes, 1)
            x = (spread * rng.standard_normal((count, classes))).astype(dtype)
            yield x, rng.integers(0, classes, count)
        yield np.repeat(np.array([[0], [5.5], [1000]], dtype), classes, axis=1), np.full(3, classes - 1)


def confident_rows(dtype, every):
    """Yield rows whose target is far above all others."""
    for classes in (*_FEW_CLASSES, *_MANY_CLASSES):
        x = np.zeros((len(_MARGINS), classes), dtype)
        x[:, 0] = _MARGINS
        yield x, np.zeros(len(_MARGINS), int)


def rows(dtype, every):
    """Yield all of those rows without the indices."""
    for kind in (few_classes, many_classes, confident_rows):
        for x, _ in kind(dtype, every):
            yield (x,)


def _cross_entropy(title, inputs):
    outputs = (f"cross-entropy, {title}", f"its gradient, {title}")
    return Routine("cross-entropy", outputs, reference.row_losses, inputs)


ROUTINES = (
    Routine("sigmoid", ("sigmoid",), reference.sigmoid, elements),
    Routine("softplus", ("softplus",), reference.softplus, elements),
    Routine("log_sigmoid", ("log_sigmoid",), reference.log_sigmoid, elements),
    Routine("log_sigmoid gradient", ("its gradient",), lambda x: reference.sigmoid(-x), elements),
    Routine("binary cross-entropy", ("binary cross-entropy", "its gradient"), reference.binary_losses, binary),
    Routine("logsumexp", ("logsumexp",), reference.logsumexp, rows),
    Routine("softmax", ("softmax",), reference.softmax, rows),
    Routine("log_softmax", ("log_softmax",), reference.log_softmax, rows),
    _cross_entropy(f"C = {_FEW_CLASSES[0]} to {_FEW_CLASSES[-1]}", few_classes),
    _cross_entropy(f"C = {_MANY_CLASSES[0]} to {_MANY_CLASSES[-1]}", many_classes),
    _cross_entropy("confident rows", confident_rows),
)


def measure(routine, dtype, functions, *, every=False):
    """Return the `Score` of each output of each library that has the routine."""
    own = {library: table[routine.name] for library, table in functions.items() if routine.name in table}
    scores = {name: [Score(output, np.dtype(dtype).name, name) for output in routine.outputs] for name in own}
    wider = reference.WIDER[np.dtype(dtype)]
    with np.errstate(all="ignore"):
        for arrays in routine.inputs(dtype, every):
            exact = _tuple(routine.exact(*(a.astype(wider) if a.dtype.kind == "f" else a for a in arrays)))
            exact = [value if isinstance(value, Exact) else Exact(value, np.abs(value)) for value in exact]
            for name, function in own.items():
                for score, result, value in zip(scores[name], _tuple(function(*arrays)), exact, strict=True):
                    score.add(result, value, dtype)
    return [score for of_library in scores.values() for score in of_library]


def _tuple(results):
    # An Exact is a tuple too.
    return tuple(results) if type(results) in (tuple, list) else (results,)


def main(arguments=None):
    """Measure and print; return the exit status."""
    parser = argparse.ArgumentParser(prog="python -m simdloss.bench.accuracy", description=__doc__.split("\n")[0])
    parser.add_argument("--all", action="store_true", help="every float32 in the elementwise routines, for hours")
    parser.add_argument("--json", type=argparse.FileType("w"), metavar="FILE", help="also write the results there")
    options = parser.parse_args(arguments)
    functions, missing = libraries.load()
    out = report.console()
    report.print_machine(out, machine.describe())
    if missing:
        out.print(f"not installed: {', '.join(missing)}: pip install 'simdloss[peers]'")
    found = {}
    for routine in ROUTINES:
        for dtype in (np.float32, np.float64):
            found[routine, dtype] = measure(routine, dtype, functions, every=options.all)
    _print(out, found, list(functions))
    if options.json:
        scores = [{"routine": routine.name, **asdict(score)} for (routine, _), of in found.items() for score in of]
        for score in scores:
            score["max_ulp"] = score["max_ulp"] if math.isfinite(score["max_ulp"]) else None
        json.dump({"isa": simdloss.get_isa(), "scores": scores}, options.json, indent=1, allow_nan=False)
        options.json.close()
    return 0


def _print(out, found, names):
    out.print()
    out.print(f"worst errors in ULP; simdloss by {simdloss.get_isa()}", style="bold")
    out.print("of results that are not 0; s: some subnormal ones are flushed to 0; 0: some normal ones are 0")
    grid = report.table("routine", "dtype", *names)
    for (routine, _), scores in found.items():
        for output in routine.outputs:
            own = {score.library: score for score in scores if score.output == output}
            dtype = next(iter(own.values())).dtype
            grid.add_row(output, dtype, *(_text(own[name]) if name in own else "-" for name in names))
    out.print(grid)


def _text(score):
    return report.ulp_text([score.max_ulp]) + " s" * (score.flushed > 0) + " 0" * (score.lost > 0)


if __name__ == "__main__":
    sys.exit(main())
