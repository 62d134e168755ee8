"""A case made ready: its arrays, its exact results, and the two calls that are checked and timed."""

import numpy as np

import simdloss

from . import baseline, data, reference
from .ulp import Exact, max_ulp_tiled, rough_error

# A baseline whose `rough_error` is larger computes something else.
_BASELINE_TOLERANCE = {np.dtype(np.float32): 1e-4, np.dtype(np.float64): 1e-10}


class Work:
    """The arrays of `case`, and what is computed on them.

    The baseline fills the same outputs as the routine, so that neither pushes the other's memory out of the caches.
    """

    def __init__(self, case):
        self.case = case
        routine = case.routine
        formula = routine.formula or routine.function
        block = data.make_block(routine.inputs, case.shape, case.dtype)
        inputs = data.repeat(block, case.shape[0])
        self._outputs = data.make_outputs(routine.outputs, inputs["x"], -1 if routine.axis is None else routine.axis)
        self._exact = _exact(getattr(reference, formula), block, case, case.shape[0] // len(block["x"]))
        arrays = inputs | self._outputs
        # What a perfect implementation reads and writes: every array once.
        self.nbytes = sum(array.nbytes for array in arrays.values())
        self.elements = inputs["x"].size
        self.names = arrays | {routine.function: getattr(simdloss, routine.function)}
        self.call = eval(f"lambda: {routine.call}", self.names)
        self.numpy = getattr(baseline, formula)(**arrays, **routine.options)

    def max_ulps(self):
        """Call the routine once and return the largest error of each of its results."""
        return self._max_ulps(self._results(self.call))

    def numpy_max_ulps(self):
        """Return the same of the baseline, after making sure that it computes the same function."""
        results = self._results(self.numpy)
        for result, exact in zip(results, self._exact, strict=True):
            error = rough_error(result, exact)
            if not error <= _BASELINE_TOLERANCE[self.case.dtype]:
                raise AssertionError(f"the baseline of {self.case.name} is wrong: error {error:.2g}")
        return self._max_ulps(results)

    def is_right(self, ulps):
        """Tell whether the errors of the routine are within its limits."""
        return all(ulp <= limit for ulp, limit in zip(ulps, self.case.routine.limits, strict=True))

    def _results(self, call):
        for output in self._outputs.values():
            # An element that the call forgets to write must not pass.
            output.fill(np.nan)
        results = call()
        return results if isinstance(results, tuple) else (results,)

    def _max_ulps(self, results):
        return tuple(max_ulp_tiled(*pair, self.case.dtype) for pair in zip(results, self._exact, strict=True))


def _exact(formula, block, case, repeats):
    wider = reference.WIDER[case.dtype]
    inputs = {name: array.astype(wider) if array.dtype.kind == "f" else array for name, array in block.items()}
    results = formula(**inputs, **case.routine.options)
    results = results if isinstance(results, tuple) else (results,)
    results = [result if isinstance(result, Exact) else Exact(result, np.abs(result)) for result in results]
    if np.ndim(results[0].value) == 0:
        # The gradient of a mean over all blocks is that of a mean over one, shared among them.
        results[1:] = [Exact(value / repeats, magnitude / repeats) for value, magnitude in results[1:]]
    return results
