"""Goes through cases, showing on the terminal how far it is."""

import time

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

import simdloss

_MOST_SECONDS_OF_A_CASE = 1.0


def run(chosen, measured, seconds):
    """Return `measured(item, its seconds)` for each of `chosen`, items with a name, showing how far it is."""
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
            for done, item in enumerate(chosen):
                progress.update(task, description=item.name, refresh=True)
                share = (end - time.monotonic()) / (len(chosen) - done)
                results.append(_noting(measured, item, min(share, _MOST_SECONDS_OF_A_CASE)))
                progress.advance(task)
        finally:
            simdloss.use_isa(active)
    return results


def _noting(measured, item, seconds):
    try:
        return measured(item, seconds)
    except Exception as error:
        error.add_note(f"in the benchmark's case {item.name}")
        raise
