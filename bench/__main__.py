"""The command line: ``python -m simdloss.bench``."""

import argparse
import importlib.util
import re
import sys
import time

try:
    import rich  # noqa: F401 - the report needs it
except ImportError:
    raise SystemExit("The benchmark needs its own dependencies: pip install 'simdloss[bench]'") from None

from . import cases, limits, machine, measure, peers, reach, report, sizes
from .progress import run

# What a run should take. Slow machines need longer, as every case has its fewest rounds; fast ones are done earlier.
_SECONDS, _QUICK_SECONDS = 25.0, 12.0


def main(arguments=None):
    """Run the benchmark and return the exit status: 1 where a result is wrong."""
    options = _parse(arguments)
    machine.use_threads(options.threads)
    others, missing = peers.load(options.threads, compiled=options.compile) if options.peers else ([], [])
    found = machine.describe(options.threads)
    out = report.console()
    report.print_machine(out, found, others, missing)
    if options.goals:
        return reach.main(out, options, found, others)
    beyond = options.largest_mb and options.largest_mb << 20
    chosen = cases.all_cases(sizes.sizes(found.caches, quick=options.quick, beyond=beyond))
    chosen = [case for case in chosen if options.filter.search(case.name)]
    if not chosen:
        print(f"--filter {options.filter.pattern!r} matches no case", file=sys.stderr)
        return 2
    begin = time.monotonic()
    seconds = (_QUICK_SECONDS if options.quick else _SECONDS) * (1 + len(others))
    results = run(chosen, lambda case, share: measure.measure(case, found.isas, share, others), seconds)
    levels = sorted({found.level(result.nbytes) for result in results})
    best = limits.measure(found, found.isas, levels, options.threads)
    seconds = time.monotonic() - begin
    report.print_results(out, results, found, best)
    report.print_limits(out, best)
    report.print_summary(out, results, found)
    report.print_peers(out, results)
    report.print_verdict(out, results, seconds, found)
    if options.json:
        with open(options.json, "w") as file:
            report.write_json(file, results, found, best, seconds)
    if options.plot:
        from . import plot  # only now: it needs matplotlib

        plot.write(options.plot, results, found, best)
    return 0 if all(result.right for result in results) else 1


def _parse(arguments):
    parser = argparse.ArgumentParser(
        prog="python -m simdloss.bench", description="Check and time simdloss against NumPy and other libraries."
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
        type=_positive,
        metavar="MB",
        help="size of the largest logits, in float32 (default: 5/4 of the last cache, but 32 to 64)",
    )
    parser.add_argument(
        "--threads", type=_positive, default=1, metavar="N", help="threads of every library (default: 1)"
    )
    parser.add_argument(
        "--peers",
        action="store_true",
        help="also time those of torch, jax, scipy, scikit-learn, onnxruntime found here",
    )
    parser.add_argument("--compile", action="store_true", help="also torch.compile, which takes minutes; with --peers")
    parser.add_argument("--goals", action="store_true", help="measure the speeds that simdloss aims at; with --peers")
    parser.add_argument("--plot", type=_picture, metavar="FILE", help="also draw the results there (.png, .svg, .pdf)")
    options = parser.parse_args(arguments)
    if not options.peers and (options.compile or options.goals):
        parser.error("--compile and --goals compare with other libraries: they need --peers")
    if options.goals and options.plot:
        parser.error("--plot draws the results of a run without --goals")
    if options.plot and not importlib.util.find_spec("matplotlib"):
        parser.error("--plot needs matplotlib: pip install 'simdloss[plot]'")
    return options


def _pattern(text):
    try:
        return re.compile(text)
    except re.error as error:
        raise argparse.ArgumentTypeError(f"{text!r} is not a regular expression: {error}") from None


def _picture(path):
    if not path.endswith((".png", ".svg", ".pdf")):
        raise argparse.ArgumentTypeError(f"the name of a picture ends in .png, .svg or .pdf, got {path!r}")
    return _writable(path)


def _positive(text):
    if not text.isdecimal() or int(text) == 0:
        raise argparse.ArgumentTypeError(f"{text!r} is not a whole number above 0")
    return int(text)


def _writable(path):
    # Now, not after a minute of measuring.
    try:
        open(path, "a").close()
    except OSError as error:
        raise argparse.ArgumentTypeError(f"cannot write {path!r}: {error.strerror}") from None
    return path


if __name__ == "__main__":
    sys.exit(main())
