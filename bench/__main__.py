"""The command line: ``python -m simdloss.bench``."""

import argparse
import re
import sys
import time

try:
    import rich  # noqa: F401 - the report needs it
except ImportError:
    raise SystemExit("The benchmark needs its own dependencies: pip install 'simdloss[bench]'") from None

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

import simdloss

from . import cases, machine, measure, report, sizes

# What a run should take. Slow machines need longer, as every case has its fewest rounds; fast ones are done earlier.
_SECONDS, _QUICK_SECONDS = 75.0, 12.0
_MOST_SECONDS_OF_A_CASE = 1.0


def main(arguments=None):
    """Run the benchmark and return the exit status: 1 where a result is wrong."""
    options = _parse(arguments)
    found = machine.describe()
    beyond = options.largest_mb and options.largest_mb << 20
    chosen = cases.all_cases(sizes.sizes(found.caches, quick=options.quick, beyond=beyond))
    chosen = [case for case in chosen if options.filter.search(case.name)]
    if not chosen:
        print(f"--filter {options.filter.pattern!r} matches no case", file=sys.stderr)
        return 2
    out = report.console()
    report.print_machine(out, found)
    begin = time.monotonic()
    results = _run(chosen, found.isas, _QUICK_SECONDS if options.quick else _SECONDS)
    seconds = time.monotonic() - begin
    report.print_results(out, results, found)
    report.print_summary(out, results, found)
    report.print_verdict(out, results, seconds, found)
    if options.json:
        with open(options.json, "w") as file:
            report.write_json(file, results, found, seconds)
    return 0 if all(result.right for result in results) else 1


def _parse(arguments):
    parser = argparse.ArgumentParser(
        prog="python -m simdloss.bench", description="Check and time simdloss against NumPy."
    )
    parser.add_argument("--quick", action="store_true", help="only 8 elements and arrays in L2, for a few seconds")
    parser.add_argument(
        "--filter",
        type=_pattern,
        default=re.compile(""),
        metavar="REGEX",
        help="only the cases whose name it is found in, such as softmax/float32/L3/209x1000",
    )
    parser.add_argument("--json", type=_writable, metavar="FILE", help="also write the results there")
    parser.add_argument(
        "--largest-mb",
        type=_megabytes,
        metavar="MB",
        help="size of the largest logits (default: twice the last cache, but 32 to 64)",
    )
    return parser.parse_args(arguments)


def _pattern(text):
    try:
        return re.compile(text)
    except re.error as error:
        raise argparse.ArgumentTypeError(f"{text!r} is not a regular expression: {error}") from None


def _megabytes(text):
    if not text.isdecimal() or int(text) == 0:
        raise argparse.ArgumentTypeError(f"{text!r} is not a number of megabytes")
    return int(text)


def _writable(path):
    # Now, not after two minutes of measuring.
    try:
        open(path, "a").close()
    except OSError as error:
        raise argparse.ArgumentTypeError(f"cannot write {path!r}: {error.strerror}") from None
    return path


def _run(chosen, isas, seconds):
    end = time.monotonic() + seconds
    active = simdloss.get_isa()
    results = []
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TimeRemainingColumn(),
    )
    # Refreshing on its own would take turns with what is timed.
    with Progress(*columns, console=Console(stderr=True), transient=True, auto_refresh=False) as progress:
        task = progress.add_task("", total=len(chosen))
        try:
            for done, case in enumerate(chosen):
                progress.update(task, description=case.name, refresh=True)
                share = (end - time.monotonic()) / (len(chosen) - done)
                results += _measured(case, isas, min(share, _MOST_SECONDS_OF_A_CASE))
                progress.advance(task)
        finally:
            simdloss.use_isa(active)
    return results


def _measured(case, isas, seconds):
    try:
        return measure.measure(case, isas, seconds)
    except Exception as error:
        error.add_note(f"in the benchmark's case {case.name}")
        raise


if __name__ == "__main__":
    sys.exit(main())
