"""Measures which of the goals of `goals.py` are reached: ``--peers --goals``."""

import time
from contextlib import contextmanager
from dataclasses import dataclass, replace

import numpy as np

import simdloss

from . import limits, measure, report
from .cases import Case
from .form import Form
from .goals import BEST_PEER, NUMPY_EXP, ONE_THREAD, ROOFLINE, aims
from .progress import run
from .work import NUMPY, Work

# A goal holds for the best instruction set; another may be this many times slower beside the same rival.
_ALLOWANCE = 1.5
_SECONDS_OF_A_GOAL = 1.0


@dataclass(frozen=True)
class Found:
    """What was measured of a goal: ratios by instruction set, best first; None where one of the two was not timed."""

    title: str
    case: str
    rival: str
    goal: float
    allowance: float
    ratios: dict[str, float | None]

    @property
    def verdicts(self):
        """Tell by instruction set whether the goal was reached; None where that was not measured."""
        best, *_ = self.ratios
        return {
            isa: ratio and ratio >= self.goal / (1 if isa == best else self.allowance)
            for isa, ratio in self.ratios.items()
        }


def main(out, options, machine, peers):
    """Measure the goals that the filter chooses, print them, and return the exit status: 1 where a result is wrong."""
    begin = time.monotonic()
    chosen = [aim for aim in aims(options.threads) if options.filter.search(aim.name)]
    isas = [isa for isa in machine.isas if isa != "portable"] or machine.isas
    best = limits.measure(machine, isas, [f"L{level}" for level in machine.caches] + ["RAM"], options.threads)
    report.print_limits(out, best)
    seconds = _SECONDS_OF_A_GOAL * len(chosen)
    found = run(chosen, lambda aim, share: _measure(aim, isas, share, peers, machine, best), seconds)
    goals = [one for _, of_aim in found for one in of_aim]
    results = [result for result, _ in found]
    _print(out, goals, isas)
    report.print_verdict(out, results, time.monotonic() - begin, machine)
    if options.json:
        with open(options.json, "w") as file:
            report.write_json(file, results, machine, best, time.monotonic() - begin, goals)
    return 0 if all(result.right for result in results) else 1


def _measure(aim, isas, seconds, peers, machine, best):
    """Return the `Result` of the aim's case and a `Found` for each goal."""
    rivals = {goal.rival for goal in aim.goals}
    needed = peers if BEST_PEER in rivals else [peer for peer in peers if peer.name in rivals]
    result = measure.measure(aim.case, isas, seconds, needed, numpy=NUMPY in rivals)
    return result, [
        Found(
            aim.title,
            aim.case.name,
            goal.rival_name,
            goal.factor,
            1.0 if isinstance(goal.rival, Case) else _ALLOWANCE,
            _ratios(goal, aim.case, result, isas, seconds, machine, best),
        )
        for goal in aim.goals
    ]


def _ratios(goal, case, result, isas, seconds, machine, best):
    """Return by instruction set how many times faster than the rival the case is, None where that was not timed."""
    timed = [isa for isa in isas if result.timed(isa)]
    if isinstance(goal.rival, Case) or goal.rival in (NUMPY_EXP, ONE_THREAD):
        found = _ratios_of_works(goal, case, timed, seconds)
    elif goal.rival == ROOFLINE:
        found = {isa: best.share(result, isa, machine.level(result.nbytes)) for isa in timed}
    else:
        names = result.peers if goal.rival == BEST_PEER else [goal.rival]
        names = [name for name in names if result.timed(name)]
        found = {isa: min(result.ratio(isa, name) for name in names) for isa in timed if names}
    return {isa: found.get(isa) for isa in isas}


def _ratios_of_works(goal, case, isas, seconds):
    work = Work(case)
    forms = {isa: work.forms(isa) for isa in isas}
    if goal.rival == NUMPY_EXP:
        x = work.forms(isas[0])[0].names["x"]
        text = "exp(x, out=y)" if case.routine.outputs else "exp(x)"
        rivals = dict.fromkeys(isas, NUMPY_EXP)
        forms[NUMPY_EXP] = [Form(text, {"exp": np.exp, "x": x, "y": np.empty_like(x)})]
        share = 1
    elif goal.rival == ONE_THREAD:
        rivals = {isa: f"{isa}, {ONE_THREAD}" for isa in isas}
        forms |= {rivals[isa]: [replace(form, within=_in_one_thread(form)) for form in forms[isa]] for isa in isas}
        share = 1
    else:
        other = Work(goal.rival)
        rivals = {isa: f"{isa}, plain" for isa in isas}
        forms |= {rivals[isa]: other.forms(isa) for isa in isas}
        share = work.elements / other.elements
    samples = measure.alternate(forms, seconds)
    return {isa: measure.ratio(samples[isa][1], samples[rivals[isa]][1]) * share for isa in isas}


def _in_one_thread(form):
    @contextmanager
    def within():
        with form.within(), simdloss.num_threads(1):
            yield

    return within


def _print(out, goals, isas):
    out.print()
    out.print("goals: how many times faster than the rival, or which share of the roofline", style="bold")
    grid = report.table("work", "routine", "dtype", "shape", "rival", "goal", *isas)
    for goal in goals:
        routine, dtype, _, shape = goal.case.split("/")
        cells = [_verdict(ratio, goal.verdicts[isa]) for isa, ratio in goal.ratios.items()]
        grid.add_row(goal.title, routine.split(":")[0], dtype, shape, goal.rival, report.figure(goal.goal), *cells)
    out.print(grid)
    for isa in isas:
        verdicts = [goal.verdicts[isa] for goal in goals]
        unknown = sum(verdict is None for verdict in verdicts)
        out.print(f"{isa}: {sum(map(bool, verdicts))} of {len(goals)} reached, {unknown} not timed")


def _verdict(ratio, reached):
    if ratio is None:
        return "not timed"
    return f"[green]{report.figure(ratio)} yes" if reached else f"[bold red]{report.figure(ratio)} no"
