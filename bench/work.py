"""A case made ready: its arrays, its exact results, and every contender's way to compute them."""

from contextlib import contextmanager
from functools import partial

import numpy as np

import simdloss

from . import baseline, data, reference
from .form import Form
from .ulp import Exact, max_ulp_tiled, rough_error

NUMPY = "numpy"

# A contender whose `rough_error` is larger computes something else.
_TOLERANCE = {np.dtype(np.float32): 1e-4, np.dtype(np.float64): 1e-10}


class Work:
    """The arrays of `case`, and what is computed on them.

    All contenders that take outputs fill the same ones, so that none pushes the others' memory out of the caches.
    """

    def __init__(self, case):
        self.case = case
        routine = case.routine
        self._formula = routine.formula or routine.function
        block = data.make_block(routine.inputs, case.shape, case.dtype)
        inputs = data.repeat(block, case.shape[0])
        repeats = case.shape[0] // len(block["x"])
        self._outputs = data.make_outputs(routine.outputs, inputs["x"], routine.options.get("axis", -1))
        self._exact = _exact(getattr(reference, self._formula), block, case, repeats)
        self._arrays = {name: routine.layout(array) for name, array in (inputs | self._outputs).items()}
        self._outputs = {name: self._arrays[name] for name in self._outputs}
        # What a perfect implementation reads and writes: every array once.
        self.nbytes = sum(array.nbytes for array in self._arrays.values())
        self.written = sum(array.nbytes for array in self._outputs.values())
        self.elements = inputs["x"].size

    def forms(self, contender):
        """Return the ways in which `contender` computes the routine: NumPy, an instruction set or a `Peer`."""
        routine = self.case.routine
        if contender == NUMPY:
            # 1 / (1 + inf) is what the baseline of the sigmoid wants.
            within = partial(np.errstate, over="ignore")
            run = getattr(baseline, self._formula)(**self._arrays, **routine.options)
            return [Form("run()", {"run": run}, within=within, label="baseline.py")]
        if isinstance(contender, str):
            names = self._arrays | {routine.function: getattr(simdloss, routine.function)}
            return [Form(routine.call, names, within=partial(_isa, contender))]
        return contender.forms(self._formula, self._arrays, routine.options)

    def max_ulps(self, form):
        """Compute once; return the largest error of each result, and whether that is the routine at all."""
        for output in self._outputs.values():
            # An element that the call forgets to write must not pass.
            output.fill(np.nan)
        results = tuple(np.asarray(result) for result in form.results())
        ulps = tuple(max_ulp_tiled(*pair, self.case.dtype) for pair in zip(results, self._exact, strict=True))
        tolerance = _TOLERANCE[self.case.dtype]
        return ulps, all(rough_error(*pair) <= tolerance for pair in zip(results, self._exact, strict=True))

    def is_right(self, ulps):
        """Tell whether the errors are within the limits of simdloss."""
        return all(ulp <= limit for ulp, limit in zip(ulps, self.case.routine.limits, strict=True))


@contextmanager
def _isa(name):
    active = simdloss.get_isa()
    simdloss.use_isa(name)
    try:
        yield
    finally:
        simdloss.use_isa(active)


def _exact(formula, block, case, repeats):
    wider = reference.WIDER[case.dtype]
    inputs = {name: array.astype(wider) if array.dtype.kind == "f" else array for name, array in block.items()}
    results = formula(**inputs, **case.routine.options)
    # An Exact is a tuple too.
    results = results if type(results) is tuple else (results,)
    results = [result if isinstance(result, Exact) else Exact(result, np.abs(result)) for result in results]
    if np.ndim(results[0].value) == 0:
        # The gradient of a mean over all blocks is that of a mean over one, shared among them.
        results[1:] = [Exact(value / repeats, magnitude / repeats) for value, magnitude in results[1:]]
    return results
