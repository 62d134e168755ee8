"""The table of what is benchmarked: every public routine, at every size.

To add a routine, write its NumPy in `baseline.py` and its exact value in `reference.py`, both under the routine's name,
and one entry in `ROUTINES`.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from . import data, sizes

DTYPES = (np.dtype(np.float32), np.dtype(np.float64))

# Limits in ULP. They tell a wrong result from a right one: how accurate a routine is exactly, tests/routines.py says.
VALUE = 2.0
GRADIENT = 5.0


@dataclass(frozen=True)
class Routine:
    """One entry of the table.

    `call` is timed as it stands, in the names of its arrays, of which `outputs` are allocated once, before. `limits`
    has the largest error allowed for each value returned. A `variant` has other inputs than the usual ones, and maybe
    another `formula` in `baseline.py` and `reference.py`, which take its `options`. `layout` brings each array
    into the memory it is to have.
    """

    call: str
    outputs: tuple[str, ...]
    limits: tuple[float, ...]
    inputs: Callable
    shapes: Callable | None
    variant: str = ""
    formula: str = ""
    options: Mapping[str, Any] = field(default_factory=dict, hash=False)
    layout: Callable = field(default=lambda array: array)

    @property
    def function(self):
        """The public function that is called."""
        return self.call.partition("(")[0]

    @property
    def name(self):
        """The function, with the variant if it is one."""
        return f"{self.function}:{self.variant}" if self.variant else self.function


BCE = "binary_cross_entropy_with_logits"

ROUTINES = (
    Routine("sigmoid(x, out=y)", ("y",), (VALUE,), data.elements, sizes.vectors),
    Routine("log_sigmoid(x, out=y)", ("y",), (VALUE,), data.elements, sizes.vectors),
    Routine("softplus(x, out=y)", ("y",), (VALUE,), data.elements, sizes.vectors),
    Routine("log_sigmoid_and_grad(x, out=(y, dy))", ("y", "dy"), (VALUE, VALUE), data.elements, sizes.vectors),
    Routine(f"{BCE}(x, target)", (), (VALUE,), data.binary, sizes.vectors),
    Routine(f"{BCE}_and_grad(x, target, grad_out=grad)", ("grad",), (VALUE, GRADIENT), data.binary, sizes.vectors),
    Routine("logsumexp(x, axis=-1, out=lse)", ("lse",), (VALUE,), data.rows, sizes.rows),
    Routine("logsumexp_and_grad(x, out=lse, grad_out=grad)", ("lse", "grad"), (VALUE, GRADIENT), data.rows, sizes.rows),
    Routine("softmax(x, out=y)", ("y",), (GRADIENT,), data.rows, sizes.rows),
    Routine("log_softmax(x, out=y)", ("y",), (GRADIENT,), data.rows, sizes.rows),
    Routine("cross_entropy(x, target)", (), (VALUE,), data.indices, sizes.rows),
    Routine("cross_entropy_and_grad(x, target, grad_out=grad)", ("grad",), (VALUE, GRADIENT), data.indices, sizes.rows),
    # Variants: other code runs, or the same at another speed.
    Routine("sigmoid(x, out=y)", ("y",), (VALUE,), data.wide_elements, sizes.vectors_in_l2, "large_logits"),
    Routine("log_sigmoid(x, out=y)", ("y",), (VALUE,), data.wide_elements, sizes.vectors_in_l2, "large_logits"),
    Routine(
        f"{BCE}_and_grad(x, target, grad_out=grad)",
        ("grad",),
        (VALUE, GRADIENT),
        data.wide_binary,
        sizes.vectors_in_l2,
        "large_logits",
    ),
    Routine(
        "cross_entropy_and_grad(x, target, grad_out=grad)",
        ("grad",),
        (VALUE, GRADIENT),
        data.soft_labels,
        sizes.rows_of_many,
        "soft_labels",
        formula="cross_entropy_and_grad_of_soft_labels",
    ),
    Routine(
        "cross_entropy_and_grad(x, target, axis=1, grad_out=grad)",
        ("grad",),
        (VALUE, GRADIENT),
        data.indices_of_axis_1,
        sizes.images,
        "class_axis_1",
        options={"axis": 1},
    ),
)


@dataclass(frozen=True)
class Case:
    """A routine at one dtype and shape."""

    routine: Routine
    dtype: np.dtype
    size: str
    shape: tuple[int, ...]

    @property
    def name(self):
        """What the filter is matched with and pytest calls the case."""
        return f"{self.routine.name}/{self.dtype}/{self.size}/{'x'.join(map(str, self.shape))}"


def all_cases(chosen_sizes):
    """Return every case of those sizes (`sizes.sizes`); of the largest, which take longest, in float32 alone."""
    return [
        Case(routine, dtype, size.name, shape)
        for routine in ROUTINES
        for dtype in DTYPES
        for size in chosen_sizes
        if size.name != sizes.BEYOND or dtype == np.float32
        for shape in routine.shapes(size, dtype.itemsize)
    ]
