"""Every peer that is installed computes what simdloss computes, in each of its forms; wrong ones are not timed."""

import time
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest

import simdloss

from . import cases, goals, measure, peers
from .form import Form
from .peers import Peer
from .work import NUMPY, Work

ISA = simdloss.isas()[0]

# Enough rows for every code path of a form, few enough for a test.
_ROWS = 6


@pytest.fixture(scope="module")
def loaded():
    """Return the installed peers by name, imported once."""
    found, _ = peers.load(1)
    return {peer.name: peer for peer in found}


def small(case):
    """Return the same case with few rows, or few elements."""
    first = 200 if len(case.shape) == 1 else _ROWS
    return replace(case, shape=(min(first, case.shape[0]), *case.shape[1:]))


SHAPES = {1: (200,), 2: (_ROWS, 17), 4: (2, 5, 3, 4)}


def shape_of(routine):
    """Return a small shape that suits the routine's inputs."""
    if routine.options.get("axis") == 1:
        return SHAPES[4]
    return SHAPES[1] if routine.inputs in (cases.data.elements, cases.data.binary) else SHAPES[2]


ROUTINES = [routine for routine in cases.ROUTINES if not routine.variant.startswith("large")]


@pytest.mark.parametrize("dtype", cases.DTYPES, ids=str)
@pytest.mark.parametrize("routine", ROUTINES, ids=lambda routine: routine.name)
@pytest.mark.parametrize("name", peers.installed()[0])
def test_forms_compute_the_routine(loaded, name, routine, dtype):
    """All of them, not just the fastest."""
    work = Work(cases.Case(routine, dtype, "test", shape_of(routine)))
    for form in work.forms(loaded[name]):
        ulps, same = work.max_ulps(form)
        assert same, f"{form.label or form.text}: errors of {ulps} ULP"


def test_peers_have_what_they_are_compared_in(loaded):
    """A misspelt function would otherwise be a routine that the peer lacks."""
    formulas = {routine.formula or routine.function for routine in cases.ROUTINES}
    helpers = {"start", "tensors", "autograd", "mean_loss"}
    for peer in loaded.values():
        module = peer.module
        own = {name for name, value in vars(module).items() if getattr(value, "__module__", "") == module.__name__}
        routines = {name for name in own if not name.startswith("_")} - helpers
        assert routines
        assert routines <= formulas, f"{peer.name} has functions that are no routine's"


def fake(name, forms):
    """Return a peer whose sigmoid has these forms."""
    return Peer(name, "0", SimpleNamespace(sigmoid=lambda x, y: forms(x)))


CASE = cases.Case(cases.ROUTINES[0], np.dtype(np.float32), "test", (64,))


def test_wrong_peer_is_not_timed():
    """What computes something else has no time, and simdloss no ratio to it."""
    wrong = fake("wrong", lambda x: [Form("x", {"x": x})])
    result = measure.measure(CASE, [ISA], 0.01, [wrong])
    assert result.timed(ISA)
    assert result.timed(NUMPY)
    assert not result.timed("wrong")
    assert result.entries["wrong"].seconds == ()
    assert result.peers == []


def test_fastest_form_counts():
    """Of two right forms the slow one is left out."""

    def slow(x):
        time.sleep(1e-3)
        return simdloss.sigmoid(x)

    forms = {"slow": slow, "fast": simdloss.sigmoid}
    peer = fake("two", lambda x: [Form("f(x)", {"f": f, "x": x}, label=label) for label, f in forms.items()])
    result = measure.measure(CASE, [ISA], 0.01, [peer])
    assert result.entries["two"].form == "fast"
    assert result.seconds("two") < 1e-3


def test_ratio_is_of_calls_in_turn():
    """The median over rounds, not the ratio of two medians."""
    assert measure.ratio([1, 2, 4], [3, 2, 40]) == 3


AIMS = goals.aims(threads=4)


@pytest.mark.parametrize("aim", AIMS, ids=[f"{i}-{aim.name}" for i, aim in enumerate(AIMS)])
def test_goals_are_of_right_results(aim):
    """Each case of the table of goals, made small, is computed right and in the layout that it names."""
    work = Work(small(aim.case))
    (form,) = work.forms(ISA)
    ulps, _ = work.max_ulps(form)
    assert work.is_right(ulps), ulps
