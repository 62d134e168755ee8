"""The speeds that simdloss aims at, and whether it reaches them here: ``--peers --goals``.

A goal says how many times faster one case is to be than a rival: another library, NumPy, the same call on plainer data
or in one thread, or the roofline. `aims` is the table to change when the goals do; `reach.py` measures them.
"""

from dataclasses import dataclass, field, replace
from functools import partial
from math import prod

import numpy as np

from . import data
from .cases import BCE, DTYPES, GRADIENT, VALUE, Case, Routine
from .peers import COMPILED
from .sizes import rows_of, vectors_of
from .work import NUMPY

FLOAT32, FLOAT64 = DTYPES
BEST_PEER, ROOFLINE, NUMPY_EXP, ONE_THREAD = "best peer", "roofline", "np.exp", "one thread"

_CLASSES = (2, 3, 10, 100, 1000, 32_000, 262_144)
_MILLION, _BEYOND_L3 = 1 << 20, 64 << 20


@dataclass(frozen=True)
class Goal:
    """At least `factor` times faster than `rival`: a contender's name, a `Case`, or `ROOFLINE` with a share of it."""

    rival: object
    factor: float

    @property
    def rival_name(self):
        """What the report calls it."""
        return self.rival.routine.variant or "plain" if isinstance(self.rival, Case) else self.rival


@dataclass(frozen=True)
class Aim:
    """A case and the goals it has; the goals of a case are measured in one run."""

    title: str
    case: Case
    goals: tuple[Goal, ...] = field(hash=False)

    @property
    def name(self):
        """What the filter is matched with."""
        return f"{self.title}/{self.case.name}"


def aims(threads=1):
    """Return all of them; how threads pay is of interest where there are several."""
    found = [*_tiny(), *_elementwise(), *_rows(), *_beyond_l3(), *_layouts(), *_data(), *_options()]
    return found + list(_threads(threads)) if threads > 1 else found


def _elements(call, outputs, inputs=data.elements, variant=""):
    return Routine(call, outputs, (VALUE,) * max(len(outputs), 1 + ("target" in call)), inputs, None, variant)


CE_AND_GRAD = Routine(
    "cross_entropy_and_grad(x, target, grad_out=grad)", ("grad",), (VALUE, GRADIENT), data.indices, None
)
LOGSUMEXP = Routine("logsumexp(x, axis=-1, out=lse)", ("lse",), (VALUE,), data.rows, None)
SOFTMAX = Routine("softmax(x, out=y)", ("y",), (GRADIENT,), data.rows, None)
LOG_SOFTMAX = Routine("log_softmax(x, out=y)", ("y",), (GRADIENT,), data.rows, None)


def _goals(*pairs):
    return tuple(Goal(rival, factor) for rival, factor in pairs)


def _aims(title, routine, shape_of, goals, goals_of_float64=((BEST_PEER, 2),)):
    """Yield the aim for float32 and, against the best peer alone, for float64."""
    for dtype, pairs in ((FLOAT32, goals), (FLOAT64, goals_of_float64)):
        if pairs:
            yield Aim(title, Case(routine, dtype, "goal", shape_of(dtype)), _goals(*pairs))


def _tiny():
    for function in ("sigmoid", "log_sigmoid", "softplus"):
        for call, outputs, factor in ((f"{function}(x)", (), 2), (f"{function}(x, out=y)", ("y",), 4)):
            scipy = (("scipy", 3),) if function == "log_sigmoid" and outputs else ()
            goals = ((NUMPY_EXP, factor), *scipy)
            title = "8 elements, out=" if outputs else "8 elements"
            yield from _aims(title, _elements(call, outputs), lambda _: (8,), goals, ((NUMPY_EXP, factor),))
    goals = (("scikit-learn", 8), ("jax", 15), ("torch", 40))
    yield from _aims("cross-entropy, 32 x 10", CE_AND_GRAD, lambda _: (32, 10), goals)


def _elementwise():
    def shape(dtype):
        return vectors_of(_MILLION * dtype.itemsize, dtype.itemsize)

    for routine, goals in (
        (_elements("sigmoid(x, out=y)", ("y",)), (("torch", 1.3), ("onnxruntime", 1.3))),
        (_elements("log_sigmoid(x, out=y)", ("y",)), (("torch", 2.5), ("scipy", 25), (NUMPY, 4))),
        (
            _elements("log_sigmoid_and_grad(x, out=(y, dy))", ("y", "dy")),
            (("torch", 2.7), ("scipy", 25), (NUMPY, 4)),
        ),
        (
            _elements(f"{BCE}_and_grad(x, target, grad_out=grad)", ("grad",), data.binary),
            (("torch", 3.5), ("scipy", 25), (NUMPY, 4)),
        ),
    ):
        yield from _aims("1 M elements", routine, shape, goals)


def _rows():
    for routine, goals in (
        (LOGSUMEXP, ((BEST_PEER, 2),)),
        (CE_AND_GRAD, ((BEST_PEER, 2), ("torch", 4), (COMPILED, 5))),
        (SOFTMAX, (("torch", 1.3), ("onnxruntime", 1.15))),
        (LOG_SOFTMAX, (("torch", 1.3), ("onnxruntime", 1.15))),
    ):
        for classes in _CLASSES:
            yield from _aims("rows, 1 M elements", routine, partial(_shape, classes, _MILLION), goals)


def _shape(classes, elements, dtype):
    return rows_of(elements * dtype.itemsize, dtype.itemsize, classes)


def _beyond_l3():
    fresh = replace(CE_AND_GRAD, call="cross_entropy_and_grad(x, target)", variant="fresh gradient")
    for title, routine, goals in (
        ("64 M elements", CE_AND_GRAD, (("torch", 10), ("jax", 3), (ROOFLINE, 0.85))),
        ("64 M elements, fresh gradient", fresh, (("torch", 5),)),
        # 0.20 ns where 24 GB/s are read.
        ("64 M elements", LOGSUMEXP, ((ROOFLINE, 0.83),)),
    ):
        yield from _aims(title, routine, partial(_shape, 1000, _BEYOND_L3), goals, ())


def _threads(threads):
    """Yield what is asked of several: 3.2 times the speed of one with 4, or nine tenths of what memory allows."""
    log_sigmoid = _elements("log_sigmoid(x, out=y)", ("y",))
    binary = _elements(f"{BCE}_and_grad(x, target, grad_out=grad)", ("grad",), data.binary)
    for routine, shape in (
        *(
            (routine, lambda dtype: vectors_of(4 * _MILLION * dtype.itemsize, dtype.itemsize))
            for routine in (log_sigmoid, binary)
        ),
        *(
            (routine, partial(_shape, classes, 4 * _MILLION))
            for routine in (LOGSUMEXP, SOFTMAX, CE_AND_GRAD)
            for classes in (100, 1000, 4 * _MILLION)
        ),
    ):
        yield from _aims(f"{threads} threads", routine, shape, ((ONE_THREAD, 0.8 * threads),), ())
    for routine, shape in (
        (log_sigmoid, lambda dtype: vectors_of(_BEYOND_L3 * dtype.itemsize, dtype.itemsize)),
        (CE_AND_GRAD, partial(_shape, 1000, _BEYOND_L3)),
    ):
        yield from _aims(f"{threads} threads, 64 M elements", routine, shape, ((ROOFLINE, 0.9),), ())


def _alike(title, factor, variant, classes=(10, 1000), plain=CE_AND_GRAD):
    """Yield the aims of a variant that must not be `factor` times slower than the plain case of the same size."""
    for count in classes:
        shape = _shape(count, _MILLION, FLOAT32)
        goal = Goal(Case(plain, FLOAT32, "goal", shape), 1 / factor)
        yield Aim(title, Case(variant, FLOAT32, "goal", shape), (goal,))


def _with_gap(array):
    """Return the same rows with as much unused memory after each as half a row."""
    if array.ndim < 2:
        return array
    wide = np.zeros((len(array), array.shape[1] + array.shape[1] // 2), array.dtype)
    wide[:, : array.shape[1]] = array
    return wide[:, : array.shape[1]]


def _every_second(array):
    """Return the same elements, every second one in memory."""
    wide = np.zeros((*array.shape[:-1], 2 * array.shape[-1]), array.dtype)
    wide[..., ::2] = array
    return wide[..., ::2]


def _one_off(array):
    """Return the same array one element past an address that suits every vector."""
    memory = np.empty(array.size + 1 + 64 // array.itemsize, array.dtype)
    start = -memory.ctypes.data % 64 // array.itemsize + 1
    found = memory[start : start + array.size].reshape(array.shape)
    found[...] = array
    return found


def _window(array):
    """Return the same images as a window of larger ones."""
    if array.ndim < 4:
        return array
    height, width = array.shape[-2:]
    wide = np.zeros((*array.shape[:-2], height + height // 2, width + width // 2), array.dtype)
    wide[..., :height, :width] = array
    return wide[..., :height, :width]


def _flipped(array):
    """Return the same images with their columns of pixels in reverse in memory."""
    return array[..., ::-1].copy()[..., ::-1] if array.ndim == 4 else array


def _layouts():
    for title, factor, layout in (
        ("class axis first", 1.25, np.asfortranarray),
        ("rows apart", 1.5, _with_gap),
        ("every second element", 1.5, _every_second),
        ("misaligned", 1.5, _one_off),
    ):
        variant = replace(CE_AND_GRAD, variant=title, layout=layout)
        yield from _alike(title, factor, variant)
    for title, factor, layout, shape in (
        ("class axis 1", 1.25, np.ascontiguousarray, (48, 21, 32, 32)),
        ("class axis 1, large images", 1.25, np.ascontiguousarray, (4, 21, 512, 512)),
        ("windows of images", 1.5, _window, (54, 21, 30, 30)),
        ("flipped images", 1.5, _flipped, (54, 21, 30, 30)),
    ):
        image = replace(
            CE_AND_GRAD,
            call="cross_entropy_and_grad(x, target, axis=1, grad_out=grad)",
            inputs=data.indices_of_axis_1,
            options={"axis": 1},
            variant=title,
            layout=layout,
        )
        plain = Case(CE_AND_GRAD, FLOAT32, "goal", _shape(21, prod(shape), FLOAT32))
        yield Aim(title, Case(image, FLOAT32, "goal", shape), (Goal(plain, 1 / factor),))


def _data():
    for title, inputs in (("logits up to 1e4", data.wide_indices), ("half of them -inf", data.masked_indices)):
        yield from _alike(title, 1.5, replace(CE_AND_GRAD, inputs=inputs, variant=title))
    for call, outputs in (("sigmoid(x, out=y)", ("y",)), ("log_sigmoid(x, out=y)", ("y",))):
        shape = vectors_of(_MILLION * 4, 4)
        plain = Case(_elements(call, outputs), FLOAT32, "goal", shape)
        wide = Case(_elements(call, outputs, data.wide_elements, "large logits"), FLOAT32, "goal", shape)
        yield Aim("large logits", wide, (Goal(plain, 1 / 1.5),))


def _options():
    formula = "cross_entropy_and_grad_with_options"
    for title, argument, inputs, options in (
        ("weight", ", weight=weight", data.weighted_indices, {}),
        ("label_smoothing", ", label_smoothing=0.1", data.indices, {"label_smoothing": 0.1}),
        ("ignore_index", "", data.few_ignored, {}),
        ("int32 target", "", data.indices_of_int32, {}),
        ("nine tenths ignored", "", data.most_ignored, {}),
    ):
        call = f"cross_entropy_and_grad(x, target{argument}, grad_out=grad)"
        variant = replace(CE_AND_GRAD, call=call, inputs=inputs, variant=title, formula=formula, options=options)
        yield from _alike(title, 0.2 if inputs is data.most_ignored else 1.15, variant)
    soft = replace(
        CE_AND_GRAD, inputs=data.soft_labels, variant="soft labels", formula="cross_entropy_and_grad_of_soft_labels"
    )
    yield from _alike("soft labels", 1.15, soft)
