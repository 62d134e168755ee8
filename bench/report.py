"""The tables a reader sees, and the JSON file a program reads."""

import json
import math
from dataclasses import asdict
from itertools import groupby
from statistics import geometric_mean

from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table

from .limits import COPY, READ, STREAM
from .sizes import BEYOND
from .work import NUMPY

_WIDTH_OF_A_FILE = 120
_WRONG = "bold red"
_TEXTS = {"ISA", "routine", "dtype", "shape", "rival"}


def console():
    """Return the console of the tables, wide enough for them where the output is not a terminal."""
    found = Console(highlight=False)
    return found if found.is_terminal else Console(highlight=False, width=_WIDTH_OF_A_FILE)


def print_machine(out, machine, peers=(), missing=()):
    """Print what the figures belong to."""
    caches = ", ".join(f"L{level} {size_text(size)}" for level, size in sorted(machine.caches.items()))
    grid = Table(box=None, show_header=False, padding=(0, 2, 0, 0))
    grid.add_row("machine", f"{machine.cpu}, {machine.cores} cores, {machine.system}")
    grid.add_row("caches", caches + (" (assumed: the system does not tell)" if machine.caches_assumed else ""))
    grid.add_row("versions", f"Python {machine.python}, numpy {machine.numpy} (exp: {machine.numpy_exp})")
    grid.add_row("simdloss", f"{machine.simdloss}, instruction sets {', '.join(machine.isas)}")
    grid.add_row("threads", str(machine.threads))
    if peers:
        grid.add_row("peers", ", ".join(f"{peer.name} {peer.version}" for peer in peers))
    if missing:
        grid.add_row("not installed", ", ".join(missing) + ": pip install 'simdloss[peers]'")
    grid.add_row("truth", ", ".join(f"{dtype} against {wider}" for dtype, wider in machine.reference.items()))
    out.print(grid)


def print_limits(out, limits):
    """Print how fast the machine goes through memory and through exponentials."""
    out.print()
    out.print("the machine's own limits", style="bold")
    grid = table("", *limits.gb_per_s[READ])
    for kind, name in ((READ, "read, GB/s"), (COPY, "copy, GB/s"), (STREAM, "copy past the caches, GB/s")):
        grid.add_row(name, *(figure(value) for value in limits.gb_per_s[kind].values()))
    out.print(grid)
    for isa, by_dtype in limits.exp_ns.items():
        each = ", ".join(f"{dtype} {figure(ns)}" for dtype, ns in by_dtype.items())
        out.print(f"ns per exponential, {isa}: {each}")


def print_results(out, results, machine, limits):
    """Print one table per routine: a line for each dtype, shape and contender; without peers, 80 columns wide."""
    for routine, of_routine in groupby(results, key=lambda result: result.case.routine):
        of_routine = list(of_routine)
        out.print()
        out.print(routine.name, style="bold")
        out.print("timed:", routine.call)
        grid = table()
        for heading, width in (("dtype", 7), ("shape", 11), ("bytes", 7), ("in", 3), ("by", 8)):
            grid.add_column(heading, min_width=width)
        for heading, width in (("ns/elem", 7), ("% roof", 6), ("x numpy", 7), ("max ULP", 7)):
            grid.add_column(heading, justify="right", min_width=width)
        if any(result.peers for result in of_routine):
            grid.add_column("peer's best form", overflow="fold")
        for _, of_dtype in groupby(of_routine, key=lambda result: result.case.dtype):
            for result in of_dtype:
                _add_result(grid, result, machine, limits)
            grid.add_section()
        out.print(grid)


def _add_result(grid, result, machine, limits):
    case, level = result.case, machine.level(result.nbytes)
    columns = [str(case.dtype), "x".join(map(str, case.shape)), size_text(result.nbytes), level]
    for name, entry in result.entries.items():
        if result.timed(name):
            share = f"{100 * limits.share(result, name, level):.0f}" if name in result.isas else ""
            times_numpy = figure(result.ratio(name)) if name != NUMPY else ""
            cells = [figure(result.ns_per_element(name)), share, times_numpy]
        else:
            cells = ["wrong", "-", "-"]
        form = [] if name == NUMPY or name in result.isas else [entry.form]
        style = None if result.timed(name) else _WRONG
        grid.add_row(*columns, name, *cells, ulp_text(entry.ulps), *form, style=style)
        columns = [""] * len(columns)


def print_summary(out, results, machine):
    """Print, for each routine and instruction set, the ratios to NumPy by where the data is and the largest error."""
    levels = sorted({machine.level(result.nbytes) for result in results if result.right})
    out.print()
    out.print("times faster than numpy, by where the arrays fit", style="bold")
    out.print("geometric means over dtypes and shapes; each is the median of calls in turn")
    grid = table("routine", "ISA", *levels, "ULP f32", "ULP f64")
    for routine, isa, chosen in _by_routine_and_isa(results):
        ratios = [
            _mean(r.ratio(isa) for r in chosen if r.timed(isa) and machine.level(r.nbytes) == level) for level in levels
        ]
        errors = [_worst([r.entries[isa] for r in chosen if r.case.dtype.itemsize == size]) for size in (4, 8)]
        style = None if all(result.timed(isa) for result in chosen) else _WRONG
        grid.add_row(routine.name, isa, *ratios, *errors, style=style)
    out.print(grid)
    out.print()


def print_peers(out, results):
    """Print, for each routine and instruction set, the mean and the least ratio to each peer."""
    names = list(dict.fromkeys(name for result in results for name in result.peers))
    if not names:
        return
    out.print("times faster than each peer's best form", style="bold")
    out.print("geometric mean over dtypes and shapes (least of them)")
    grid = table("routine", "ISA", *names)
    for routine, isa, chosen in _by_routine_and_isa(results):
        cells = []
        for name in names:
            ratios = [r.ratio(isa, name) for r in chosen if r.timed(isa) and r.timed(name)]
            cells.append(f"{_mean(ratios)} ({figure(min(ratios))})" if ratios else "-")
        grid.add_row(routine.name, isa, *cells)
    out.print(grid)
    out.print()


def _by_routine_and_isa(results):
    for routine, of_routine in groupby(results, key=lambda result: result.case.routine):
        of_routine = list(of_routine)
        for isa in of_routine[0].isas:
            yield routine, isa, of_routine


def print_verdict(out, results, seconds, machine):
    """Print what was found, in a line, and the results that are wrong, if any."""
    wrong = 0
    for result in results:
        limits = _ulps(result.case.routine.limits)
        for name, entry in result.entries.items():
            if result.timed(name):
                continue
            wrong += name in result.isas
            allowed = f", at most {limits} allowed" if name in result.isas else ""
            out.print(f"wrong: {result.case.name} by {name}: {_ulps(entry.ulps)} ULP{allowed}", style=_WRONG)
    beyond = [result.nbytes for result in results if result.case.size == BEYOND]
    level, last = max(machine.caches.items())
    if beyond and max(beyond) <= last:
        out.print(f"No case here leaves L{level} ({size_text(last)}); --largest-mb makes the largest one larger.")
    count = sum(len(result.isas) for result in results)
    out.print(f"{count} results in {seconds:.0f} s, {wrong or 'none'} wrong", style=_WRONG if wrong else None)


def write_json(file, results, machine, limits, seconds, goals=()):
    """Write all that is known to the open text `file`."""
    content = {
        "machine": asdict(machine),
        "limits": asdict(limits),
        "seconds": seconds,
        "results": [_as_json(result, machine, limits) for result in results],
        "goals": [vars(goal) | {"reached": goal.verdicts} for goal in goals],
    }
    json.dump(content, file, indent=1, allow_nan=False)
    file.write("\n")


def _as_json(result, machine, limits):
    case, level = result.case, machine.level(result.nbytes)
    return {
        "case": case.name,
        "routine": case.routine.function,
        "variant": case.routine.variant,
        "call": case.routine.call,
        "dtype": str(case.dtype),
        "shape": case.shape,
        "bytes": result.nbytes,
        "fits_in": level,
        "max_ulp_allowed": case.routine.limits,
        "contenders": {name: _contender_as_json(result, name, level, limits) for name in result.entries},
    }


def _contender_as_json(result, name, level, limits):
    entry = result.entries[name]
    found = {"form": entry.form, "right": entry.right, "max_ulp": [_finite(ulp) for ulp in entry.ulps]}
    if entry.right:
        found["rounds"] = len(entry.seconds)
        found["ns_per_element"] = result.ns_per_element(name)
        found["gb_per_s"] = result.gb_per_s(name)
        found["times_faster_than"] = {
            other: result.ratio(name, other) for other in result.entries if other != name and result.timed(other)
        }
        if name in result.isas:
            found["share_of_roofline"] = limits.share(result, name, level)
    return found


def table(first="", *headings):
    """Return an empty table, the first column for text and the others for figures."""
    grid = Table(box=SIMPLE_HEAD, show_edge=False, padding=(0, 1, 0, 0))
    if headings:
        grid.add_column(first, overflow="fold")
    for heading in headings:
        grid.add_column(heading, justify="left" if heading in _TEXTS else "right", min_width=5)
    return grid


def _finite(value):
    # JSON has no infinity.
    return value if math.isfinite(value) else None


def size_text(nbytes):
    """Return a number of bytes as people write it."""
    for unit, size in (("GB", 1 << 30), ("MB", 1 << 20), ("KB", 1 << 10)):
        if nbytes >= size:
            return f"{nbytes / size:.3g} {unit}"
    return f"{nbytes} B"


def figure(value):
    """Return a number in three digits."""
    return f"{value:.3g}" if value < 1000 else f"{value:.0f}"


def ulp_text(ulps):
    """Return the largest of some errors."""
    worst = max(ulps)
    return f"{worst:.2f}" if worst < 1000 else f"{worst:.1e}"


def _ulps(ulps):
    return " and ".join(ulp_text([ulp]) for ulp in ulps)


def _mean(ratios):
    ratios = list(ratios)
    return f"{geometric_mean(ratios):.2f}" if ratios else "-"


def _worst(entries):
    return ulp_text([max(entry.ulps) for entry in entries]) if entries else "-"
