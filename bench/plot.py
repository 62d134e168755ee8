"""The results as charts: how many times faster than each rival, and how close to the roofline."""

import matplotlib

matplotlib.use("agg")

import matplotlib.pyplot as plt

from .work import NUMPY

_INCHES_OF_A_PANEL = (6.0, 4.0)
_PANELS_IN_A_ROW = 3
# Ten colours, then the next marker.
_MARKERS = "os^"


def write(path, results, machine, best):
    """Draw the results of the best instruction set to `path`, in the format of its suffix."""
    isa = machine.isas[0]
    results = [result for result in results if result.timed(isa)]
    routines = list(dict.fromkeys(result.case.routine for result in results))
    count = len(routines) + 1
    across = min(count, _PANELS_IN_A_ROW)
    down = -(-count // across)
    width, height = _INCHES_OF_A_PANEL
    figure, axes = plt.subplots(
        down, across, figsize=(width * across, height * down), squeeze=False, layout="constrained"
    )
    panels = iter(axes.flat)
    rivals = dict.fromkeys(other for result in results for other in (NUMPY, *result.peers))
    colours = {rival: f"C{i}" for i, rival in enumerate(rivals)}
    for routine in routines:
        _speed_up(next(panels), routine.name, [r for r in results if r.case.routine == routine], isa, colours)
    _roofline(next(panels), results, isa, machine, best)
    for unused in panels:
        unused.set_axis_off()
    figure.suptitle(f"simdloss {machine.simdloss}, {isa}, {machine.threads} thread(s), {machine.cpu}")
    figure.savefig(path, dpi=120)
    plt.close(figure)


def _speed_up(axes, name, results, isa, colours):
    """Draw a point for each case and rival; above the line of 1, simdloss is faster."""
    for rival, colour in colours.items():
        places = [i for i, result in enumerate(results) if result.timed(rival)]
        if places:
            axes.plot(places, [results[i].ratio(isa, rival) for i in places], "o", color=colour, label=rival)
    axes.axhline(1, color="black", linewidth=1)
    axes.set_yscale("log")
    axes.set_title(name, fontsize="medium")
    axes.set_ylabel("times faster than")
    labels = [f"{result.case.dtype} {'x'.join(map(str, result.case.shape))}" for result in results]
    axes.set_xticks(range(len(results)), labels, rotation=60, ha="right", fontsize="small")
    axes.legend(fontsize="small")


def _roofline(axes, results, isa, machine, best):
    """Draw the share of the roofline over the bytes of each case, a colour for each routine."""
    routines = dict.fromkeys(result.case.routine for result in results)
    for i, routine in enumerate(routines):
        chosen = [result for result in results if result.case.routine == routine]
        shares = [100 * best.share(result, isa, machine.level(result.nbytes)) for result in chosen]
        axes.plot([result.nbytes for result in chosen], shares, _MARKERS[i // 10 % len(_MARKERS)], label=routine.name)
    axes.axhline(100, color="black", linewidth=1)
    for level, size in machine.caches.items():
        axes.axvline(size, color="grey", linestyle=":", linewidth=1)
        axes.text(size, 0, f"L{level} ", ha="right", va="bottom", color="grey")
    axes.set_xscale("log")
    axes.set_ylim(bottom=0)
    axes.set_title("share of the roofline", fontsize="medium")
    axes.set_xlabel("bytes of all arrays")
    axes.set_ylabel("%")
    axes.legend(fontsize="x-small", loc="center left", bbox_to_anchor=(1, 0.5))
