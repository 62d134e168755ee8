"""The truth that errors are counted from is the truth, by mpmath; and what is counted is what there is."""

import json

import mpmath  # type: ignore[import-untyped]
import numpy as np
import pytest

import simdloss

from . import accuracy, libraries, peers, reference
from .ulp import Exact, ulp_errors

# Far fewer bits lost than the least loss among the rows, e^-700, has below 1.
mpmath.mp.prec = 1200


def mp_losses(x, target):
    """Return the loss of each row and its gradient."""
    losses, grads = [], []
    for row, index in zip(x, target, strict=True):
        terms = [mpmath.exp(mpmath.mpf(float(a)) - float(row.max())) for a in row]
        total = mpmath.fsum(terms)
        losses.append(mpmath.log(total) + float(row.max()) - mpmath.mpf(float(row[index])))
        grads.append([term / total - (j == index) for j, term in enumerate(terms)])
    return losses, grads


def to_wide(values, wider):
    """Return mpmath numbers in the wider type."""
    return np.vectorize(lambda value: wider.type(mpmath.nstr(value, 30)), otypes=[wider])(
        np.array(values, dtype=object)
    )


DTYPES = pytest.mark.parametrize("dtype", [np.float32, np.float64], ids=["f32", "f64"])


@DTYPES
def test_reference_of_rows(dtype):
    """A few rows of each kind that the comparison uses."""
    wider = reference.WIDER[np.dtype(dtype)]
    rows = [*accuracy.few_classes(dtype, False), *accuracy.confident_rows(dtype, False)]
    for x, target in ((x[:3], target[:3]) for x, target in rows if x.shape[1] <= 1000):
        found = reference.row_losses(x.astype(wider), target)
        for own, true in zip(found, mp_losses(x, target), strict=True):
            true = to_wide(true, wider)
            assert ulp_errors(own, Exact(true, np.abs(true)), dtype).max() < 0.1


FUNCTIONS = {
    reference.sigmoid: lambda x: 1 / (1 + mpmath.exp(-x)),
    reference.softplus: lambda x: mpmath.log1p(mpmath.exp(x)),
}


@DTYPES
@pytest.mark.parametrize("function", FUNCTIONS, ids=lambda function: function.__name__)
def test_reference_of_elements(function, dtype, rng):
    wider = reference.WIDER[np.dtype(dtype)]
    for (x,) in accuracy.elements(dtype, False):
        x = rng.choice(x, 40)
        x = np.clip(x, -1e4, 1e4)
        true = to_wide([FUNCTIONS[function](mpmath.mpf(float(a))) for a in x], wider)
        assert ulp_errors(function(x.astype(wider)), Exact(true, np.abs(true)), dtype).max() < 0.1


@pytest.fixture
def rng():
    return np.random.default_rng(20240229)


def test_sample_goes_through_all_of_float32():
    """Every exponent of either sign, and a last place of every kind."""
    x = np.concatenate([chunk for (chunk,) in accuracy.elements(np.float32, False)])
    bits = x.view(np.uint32)
    assert len(x) > 4_000_000
    assert len(np.unique(bits >> 23)) == 2 * 255
    assert len(np.unique(bits & 0xFF)) == 256
    assert np.isfinite(x).all()


def test_all_is_all():
    """The chunks of every float32 follow each other without a gap; looked at where they meet."""
    chunks = accuracy.elements(np.float32, True)
    next(chunks)
    (first,), (second,) = next(chunks), next(chunks)
    assert len(first) == len(second) == accuracy._CHUNK
    assert first.view(np.uint32)[0] == 0
    assert second.view(np.uint32)[0] == first.view(np.uint32)[-1] + 1


def test_score():
    """An error, a flushed subnormal, a lost normal and a rightful 0 are told apart."""
    value = np.array([1, 1e-40, 1e-30, 1e-46])
    score = accuracy.Score("y", "float32", "own")
    result = np.array([1 + 2**-22, 0, 0, 0], np.float32)
    score.add(result, Exact(value, value), np.float32)
    assert (score.max_ulp, score.flushed, score.lost) == (2, 1, 1)


@DTYPES
@pytest.mark.parametrize("name", [libraries.SIMDLOSS, libraries.NUMPY, *peers.installed()[0]])
def test_libraries_compute_the_routines(name, dtype):
    """Each of their functions, on harmless inputs."""
    functions, _ = libraries.load()
    if name == "onnxruntime":
        assert name not in functions
        return
    wider = reference.WIDER[np.dtype(dtype)]
    for routine in accuracy.ROUTINES:
        if routine.name not in functions[name]:
            continue
        x = np.linspace(-4, 5, 12).astype(dtype)
        arrays = {
            accuracy.elements: (x,),
            accuracy.binary: (x, np.resize([0, 1], 12).astype(dtype)),
            accuracy.rows: (x.reshape(3, 4),),
            accuracy.few_classes: (x.reshape(3, 4), np.array([1, 3, 0])),
        }
        given = arrays.get(routine.inputs, arrays[accuracy.few_classes])
        exact = accuracy._tuple(routine.exact(*(a.astype(wider) if a.dtype.kind == "f" else a for a in given)))
        results = accuracy._tuple(functions[name][routine.name](*given))
        for result, value in zip(results, exact, strict=True):
            assert result.dtype == dtype
            value = value.value if isinstance(value, Exact) else value
            np.testing.assert_allclose(result, value, rtol=100 * np.finfo(dtype).eps)


def test_own_errors_are_small():
    """Of confident rows, through the whole of the comparison."""
    routine = accuracy.ROUTINES[-1]
    own = {"simdloss": libraries._simdloss(), "numpy": libraries._numpy()}
    scores = {(score.library, score.output): score for score in accuracy.measure(routine, np.float32, own)}
    mine, numpys = scores["simdloss", routine.outputs[0]], scores["numpy", routine.outputs[0]]
    assert mine.max_ulp < 1
    assert (mine.flushed, mine.lost) == (0, 0)
    assert numpys.lost > 0


def test_report(tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(accuracy, "ROUTINES", accuracy.ROUTINES[-1:])
    path = tmp_path / "found.json"
    assert accuracy.main(["--json", str(path)]) == 0
    assert "worst errors in ULP" in capsys.readouterr().out
    content = json.loads(path.read_text())
    assert content["isa"] == simdloss.get_isa()
    assert {score["output"] for score in content["scores"]} == set(accuracy.ROUTINES[-1].outputs)
