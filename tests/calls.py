"""Every public routine under every option as one list: named arrays in, a tuple of outputs out.

The tests of properties that hold for all routines alike walk it: the same bytes, the caller's floating-point state.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import lru_cache

import numpy as np

import simdloss


@dataclass(frozen=True)
class Call:
    name: str
    function: Callable
    arrays: tuple[str, ...]  # its positional arguments, by the names of `data`
    results: tuple[str | None, ...]  # the output argument of each result, None where there is none
    options: dict = field(default_factory=dict)  # keyword arguments; those in `named` are arrays of `data`
    named: dict = field(default_factory=dict)
    has_axis: bool = True

    def run(self, given, axis=-1, **outputs) -> tuple:
        """The results as arrays, whatever the routine returns them as."""
        keywords = self.options | {name: given[array] for name, array in self.named.items()} | outputs
        if self.has_axis:
            keywords["axis"] = axis
        results = self.function(*(given[name] for name in self.arrays), **keywords)
        return tuple(map(np.asarray, results if isinstance(results, tuple) else (results,)))

    @property
    def uses(self) -> set:
        """The arrays of `data` that it reads."""
        return {*self.arrays, *self.named.values()}

    @property
    def by_row(self) -> bool:
        """Whether every number of its results belongs to one row."""
        return self.has_axis and self.options.get("reduction", "none") == "none"

    @property
    def by_element(self) -> bool:
        return not self.has_axis and self.options.get("reduction", "none") == "none"


def _log_sigmoid_and_grad(x, out=None, grad_out=None):
    return simdloss.log_sigmoid_and_grad(x, out=(out, grad_out))


def _elementwise():
    for function in (simdloss.sigmoid, simdloss.log_sigmoid, simdloss.softplus):
        yield Call(function.__name__, function, ("logits",), ("out",), has_axis=False)
        ufunc = getattr(simdloss.ufuncs, function.__name__)
        yield Call(f"ufuncs.{function.__name__}", ufunc, ("logits",), ("out",), has_axis=False)
    yield Call("log_sigmoid_and_grad", _log_sigmoid_and_grad, ("logits",), ("out", "grad_out"), has_axis=False)


def _rows():
    yield Call("logsumexp", simdloss.logsumexp, ("logits",), ("out",))
    yield Call("logsumexp.b", simdloss.logsumexp, ("logits",), ("out", None), {"return_sign": True}, {"b": "factors"})
    yield Call("logsumexp_and_grad", simdloss.logsumexp_and_grad, ("logits",), ("out", "grad_out"))
    yield Call("softmax", simdloss.softmax, ("logits",), ("out",))
    yield Call("log_softmax", simdloss.log_softmax, ("logits",), ("out",))


def _losses(prefix, plain, with_grad, target, variants, **more):
    """Every variant of the options, each with every reduction, without the gradient and with it."""
    for label, (options, named) in variants.items():
        for reduction in ("none", "mean", "sum"):
            chosen = options | {"reduction": reduction}
            loss = "out" if reduction == "none" else None
            rest = (None,) * options.get("return_lse", False)
            name = f"{prefix}.{label}.{reduction}"
            yield Call(name, plain, ("logits", target), (loss, *rest), chosen, named, **more)
            results = (loss, "grad_out", *rest)
            yield Call(f"{name}.grad", with_grad, ("logits", target), results, chosen, named, **more)


def _cross_entropy():
    variants = {
        "plain": ({}, {}),
        "lse": ({"return_lse": True}, {}),
        "weight": ({}, {"weight": "weight"}),
        "sample_weight": ({}, {"sample_weight": "sample_weight"}),
        "smoothing": ({"label_smoothing": 0.1}, {}),
        "square": ({"lse_square_scale": 1e-3}, {}),
        "all": (
            {"label_smoothing": 0.1, "lse_square_scale": 1e-3, "return_lse": True},
            {"weight": "weight", "sample_weight": "sample_weight"},
        ),
    }
    functions = simdloss.cross_entropy, simdloss.cross_entropy_and_grad
    yield from _losses("cross_entropy", *functions, "target", variants)
    yield from _losses("cross_entropy.soft", *functions, "soft", variants)


def _binary():
    variants = {
        "plain": ({}, {}),
        "weight": ({}, {"weight": "element_weight"}),
        "pos_weight": ({"pos_weight": 2.5}, {}),
        "both": ({}, {"weight": "element_weight", "pos_weight": "soft"}),
    }
    functions = simdloss.binary_cross_entropy_with_logits, simdloss.binary_cross_entropy_with_logits_and_grad
    yield from _losses("binary_cross_entropy", *functions, "hard", variants, has_axis=False)
    yield from _losses("binary_cross_entropy.soft", *functions, "soft", variants, has_axis=False)


CALLS = [*_elementwise(), *_rows(), *_cross_entropy(), *_binary()]


def _odd(logits, rng):
    """Rows of which each has something that ordinary logits have not, beside ordinary rows."""
    info = np.finfo(logits.dtype)
    for row, values in enumerate(logits):
        some = rng.random(values.shape) < 0.3
        match row % 8:
            case 0:
                values[some] = -np.inf
            case 1:
                values[rng.integers(len(values))] = np.nan
            case 2:
                values *= info.tiny
            case 3:
                values[...] = -np.inf
            case 4:
                values[some] += 95 if logits.dtype == np.float32 else 720
            case 5:
                values[rng.integers(len(values))] = np.inf
            case 6:
                values -= np.log(np.exp(values.astype(float)).sum())


def arguments(logits, seed=0) -> dict:
    """Arguments of all calls for these logits, rows along the last axis."""
    rng = np.random.default_rng([seed, *logits.shape])
    dtype, shape = logits.dtype, logits.shape
    *rows, classes = shape
    target = rng.integers(0, classes, rows)
    target[rng.random(rows) < 0.1] = -100
    return {
        "logits": logits,
        "target": target,
        "soft": rng.gamma(0.5, size=shape).astype(dtype),
        "hard": rng.integers(0, 2, shape).astype(dtype),
        "factors": rng.normal(size=shape).astype(dtype),
        "element_weight": rng.uniform(0.5, 2, shape).astype(dtype),
        "weight": rng.uniform(0.5, 2, classes).astype(dtype),
        "sample_weight": rng.uniform(0.5, 2, rows).astype(dtype),
    }


@lru_cache(maxsize=256)
def data(shape, dtype, kind="plain") -> dict:
    """Arguments for logits of one shape and kind: plain, large, odd."""
    rng = np.random.default_rng(shape)
    logits = (rng.uniform(-1e4, 1e4, shape) if kind == "large" else rng.normal(size=shape) * 4).astype(dtype)
    if kind == "odd":
        _odd(logits.reshape(-1, shape[-1]), rng)
    arrays = arguments(logits)
    for array in arrays.values():
        array.flags.writeable = False
    return arrays


def with_axis(given, axis) -> dict:
    """The same arguments in memory that has the class axis of the logits at `axis`."""
    ndim = given["logits"].ndim
    return {
        name: np.ascontiguousarray(np.moveaxis(array, -1, axis)) if array.ndim == ndim else array
        for name, array in given.items()
    }


def assert_same_bytes(found, wanted, what):
    """
    Says where two results of one call differ first.

    Zeros count by their sign, too. Any NaN is as good as another: which one an operation gives depends on the order in
    which a compiler takes its operands, and whether it turns signs.
    """
    assert len(found) == len(wanted), what
    for place, (a, b) in enumerate(zip(found, wanted, strict=True)):
        assert a.shape == b.shape, what
        assert a.dtype == b.dtype, what
        if a.tobytes() == b.tobytes():
            continue
        bits = np.dtype(f"u{a.dtype.itemsize}")
        a, b = np.ascontiguousarray(a), np.ascontiguousarray(b)
        differ = np.argwhere((a.view(bits) != b.view(bits)) & ~(np.isnan(a) & np.isnan(b)))
        if len(differ):
            at = tuple(map(int, differ[0]))
            raise AssertionError(
                f"{what}: result {place} of shape {a.shape} differs in {len(differ)} elements, first at {at}: "
                f"{a[at]!r} and {b[at]!r}"
            )
