"""The tables a reader sees, and the JSON file a program reads."""

import json
import math
from dataclasses import asdict
from itertools import groupby
from statistics import geometric_mean

from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table

from .measure import NUMPY
from .sizes import BEYOND

_WIDTH_OF_A_FILE = 120
_WRONG = "bold red"


def console():
    """Return the console of the tables, wide enough for them where the output is not a terminal."""
    found = Console(highlight=False)
    return found if found.is_terminal else Console(highlight=False, width=_WIDTH_OF_A_FILE)


def print_machine(out, machine):
    """Print what the figures belong to."""
    caches = ", ".join(f"L{level} {size_text(size)}" for level, size in sorted(machine.caches.items()))
    table = Table(box=None, show_header=False, padding=(0, 2, 0, 0))
    table.add_row("machine", f"{machine.cpu}, {machine.cores} cores, {machine.system}")
    table.add_row("caches", caches + (" (assumed: the system does not tell)" if machine.caches_assumed else ""))
    table.add_row("versions", f"Python {machine.python}, numpy {machine.numpy} (exp: {machine.numpy_exp})")
    table.add_row("simdloss", f"{machine.simdloss}, instruction sets {', '.join(machine.isas)}")
    table.add_row("truth", ", ".join(f"{dtype} against {wider}" for dtype, wider in machine.reference.items()))
    out.print(table)


def print_results(out, results, machine):
    """Print one table per routine: a line for each dtype, shape and contender. It fits a terminal of 80 columns."""
    for routine, of_routine in groupby(results, key=lambda result: result.case.routine):
        out.print()
        out.print(routine.name, style="bold")
        out.print("timed:", routine.call)
        table = _table()
        for heading, width in (("dtype", 7), ("shape", 11), ("bytes", 7), ("in", 3), ("by", 8)):
            table.add_column(heading, min_width=width)
        for heading, width in (("ns/elem", 7), ("GB/s", 6), ("x numpy", 7), ("max ULP", 7)):
            table.add_column(heading, justify="right", min_width=width)
        for _, of_dtype in groupby(of_routine, key=lambda result: result.case.dtype):
            for case, of_case in groupby(of_dtype, key=lambda result: result.case):
                _add_case(table, case, list(of_case), machine)
            table.add_section()
        out.print(table)


def _add_case(table, case, results, machine):
    first = results[0]
    shape = "x".join(map(str, case.shape))
    columns = [str(case.dtype), shape, size_text(first.nbytes), machine.level(first.nbytes)]
    ns = first.numpy_ns_per_element
    table.add_row(*columns, NUMPY, _figure(ns), _figure(first.numpy_gb_per_s), "", _ulp(first.numpy_ulps))
    for result in results:
        times = ["wrong", "-", "-"]
        if result.right:
            times = [_figure(result.ns_per_element), _figure(result.gb_per_s), _figure(result.ratio)]
        style = None if result.right else _WRONG
        table.add_row(*[""] * len(columns), result.isa, *times, _ulp(result.ulps), style=style)


def print_summary(out, results, machine):
    """Print, for each routine and instruction set, the ratios to NumPy by where the data is and the largest error."""
    levels = sorted({machine.level(result.nbytes) for result in results if result.right})
    out.print()
    out.print("times faster than numpy, by where the arrays fit", style="bold")
    out.print("geometric means over dtypes and shapes; each is the median of calls in turn")
    table = _table()
    table.add_column("routine", overflow="fold")
    table.add_column("ISA", min_width=8)
    for heading in (*levels, "ULP f32", "ULP f64"):
        table.add_column(heading, justify="right", min_width=5)
    for routine, of_routine in groupby(results, key=lambda result: result.case.routine):
        of_routine = list(of_routine)
        name = routine.name
        for isa in dict.fromkeys(result.isa for result in of_routine):
            chosen = [result for result in of_routine if result.isa == isa]
            ratios = [_mean_ratio([r for r in chosen if machine.level(r.nbytes) == level]) for level in levels]
            errors = [_worst([r for r in chosen if r.case.dtype.itemsize == itemsize]) for itemsize in (4, 8)]
            style = None if all(result.right for result in chosen) else _WRONG
            table.add_row(name, isa, *ratios, *errors, style=style)
            name = ""
    out.print(table)
    out.print()


def print_verdict(out, results, seconds, machine):
    """Print what was found, in a line, and the results that are wrong, if any."""
    wrong = [result for result in results if not result.right]
    for result in wrong:
        found = _ulps(result.ulps)
        limits = _ulps(result.case.routine.limits)
        out.print(
            f"wrong: {result.case.name} on {result.isa}: {found} ULP, at most {limits} allowed",
            style=_WRONG,
            soft_wrap=True,
        )
    beyond = [result.nbytes for result in results if result.case.size == BEYOND]
    level, last = max(machine.caches.items())
    if beyond and max(beyond) <= last:
        out.print(f"No case here leaves L{level} ({size_text(last)}); --largest-mb makes the largest one larger.")
    out.print(
        f"{len(results)} results in {seconds:.0f} s, {len(wrong) or 'none'} wrong", style=_WRONG if wrong else None
    )


def write_json(file, results, machine, seconds):
    """Write all that is known to the open text `file`."""
    content = {"machine": asdict(machine), "seconds": seconds, "results": [_as_json(r, machine) for r in results]}
    json.dump(content, file, indent=1, allow_nan=False)
    file.write("\n")


def _as_json(result, machine):
    case = result.case
    fields = {name: value for name, value in vars(result).items() if name not in ("case", "ulps", "numpy_ulps")}
    return {
        "case": case.name,
        "routine": case.routine.function,
        "variant": case.routine.variant,
        "call": case.routine.call,
        "dtype": str(case.dtype),
        "shape": case.shape,
        "fits_in": machine.level(result.nbytes),
        "max_ulp": [_finite(ulp) for ulp in result.ulps],
        "max_ulp_allowed": case.routine.limits,
        "numpy_max_ulp": [_finite(ulp) for ulp in result.numpy_ulps],
        **fields,
    }


def _table():
    return Table(box=SIMPLE_HEAD, show_edge=False, padding=(0, 1, 0, 0))


def _finite(value):
    # JSON has no infinity.
    return value if math.isfinite(value) else None


def size_text(nbytes):
    """Return a number of bytes as people write it."""
    for unit, size in (("GB", 1 << 30), ("MB", 1 << 20), ("KB", 1 << 10)):
        if nbytes >= size:
            return f"{nbytes / size:.3g} {unit}"
    return f"{nbytes} B"


def _figure(value):
    return f"{value:.3g}" if value < 1000 else f"{value:.0f}"


def _ulp(ulps):
    worst = max(ulps)
    return f"{worst:.2f}" if worst < 1000 else f"{worst:.1e}"


def _ulps(ulps):
    return " and ".join(_ulp([ulp]) for ulp in ulps)


def _mean_ratio(results):
    ratios = [result.ratio for result in results if result.right]
    return f"{geometric_mean(ratios):.2f}" if ratios else "-"


def _worst(results):
    return _ulp([max(result.ulps) for result in results]) if results else "-"
