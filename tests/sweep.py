"""What the exhaustive tests share: all outputs of one piece of inputs judged at once, in many processes."""

import multiprocessing
import os

import numpy as np
from conftest import ISAS
from routines import BY_NAME

import simdloss


def _binary(x, y):
    return simdloss.binary_cross_entropy_with_logits_and_grad(x, np.full_like(x, y), reduction="none")


# A call, its outputs by their names in the accuracy contract, and which part of Elementwise each is, of which sign.
CALLS = [
    (simdloss.sigmoid, {"sigmoid": ("rise", 1)}),
    (simdloss.log_sigmoid, {"log_sigmoid": ("down", -1)}),
    (simdloss.softplus, {"softplus": ("up", 1)}),
    (
        simdloss.log_sigmoid_and_grad,
        {"log_sigmoid_and_grad.value": ("down", -1), "log_sigmoid_and_grad.grad": ("fall", 1)},
    ),
    (
        lambda x: _binary(x, 0),
        {"binary_cross_entropy": ("up", 1), "binary_cross_entropy_and_grad.grad": ("rise", 1)},
    ),
    (
        lambda x: _binary(x, 1),
        {"binary_cross_entropy": ("down", 1), "binary_cross_entropy_and_grad.grad": ("fall", -1)},
    ),
]
NAMES = list(dict.fromkeys(name for _, outputs in CALLS for name in outputs))


class Elementwise:
    """The functions that all outputs are made of, in the precision of x, which must be wider than what they judge."""

    def __init__(self, x):
        e = np.exp(-np.abs(x))
        log = np.log1p(e)
        small, large = e / (1 + e), 1 / (1 + e)
        self.up = np.maximum(x, 0) + log  # log(1 + exp(x))
        self.down = np.maximum(-x, 0) + log
        self.rise = np.where(x < 0, small, large)  # sigmoid(x)
        self.fall = np.where(x < 0, large, small)


def worst_errors(calls, arguments, exact, measure, place) -> dict:
    """{(isa, name): (largest error, where)} of the outputs of all calls.

    `measure(found, exact value)` gives errors in ULP, `place(index)` says where an element of them is from.
    """
    worst, judged = {}, {}
    for isa in ISAS:
        simdloss.use_isa(isa)
        for run, outputs in calls:
            results = run(*arguments)
            for found, (name, (of, sign)) in zip(
                results if len(outputs) > 1 else [results], outputs.items(), strict=True
            ):
                found = found if sign > 0 else -found
                known = judged.setdefault(of, [])
                # Most results are the same from several calls and instruction sets, and are measured once.
                here = next((largest for other, largest in known if np.array_equal(found, other)), None)
                if here is None:
                    errors = measure(found, getattr(exact, of))
                    at = np.unravel_index(np.argmax(errors), errors.shape)
                    here = float(errors[at]), place(at)
                    known.append((found, here))
                worst[isa, name] = max(worst.get((isa, name), here), here)
    return worst


def judge_elementwise(x, exact, measure) -> dict:
    return worst_errors(CALLS, (x,), Elementwise(exact), measure, lambda at: float(x[at]))


def merged(all_found) -> dict:
    """The largest of several results of worst_errors."""
    worst = {}
    for found in all_found:
        for key, value in found.items():
            worst[key] = max(worst.get(key, value), value)
    return worst


def in_processes(function, work, chunk=4) -> list:
    """[function(item) for item in work] on all cores that this process may use."""
    context = multiprocessing.get_context("spawn")
    with context.Pool(len(os.sched_getaffinity(0))) as pool:
        return pool.map(function, work, chunksize=chunk)


def check(worst, dtype):
    """Prints what was found and where, and fails where a bound is missed."""
    over = []
    for (isa, name), (error, at) in sorted(worst.items()):
        bound = BY_NAME[name].bound(dtype, isa)
        place = at.hex() if isinstance(at, float) else at
        line = f"{isa:9} {name:36} {np.dtype(dtype).name} <= {bound:.2f} ({error:.4f} at {place})"
        print(line)
        if not error <= bound:
            over.append(line)
    assert not over, "over the bound:\n" + "\n".join(over)
