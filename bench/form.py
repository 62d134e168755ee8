"""One way to compute a routine: a statement to time, and what is not to be timed with it."""

from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field
from timeit import Timer
from typing import Any


@dataclass(frozen=True)
class Form:
    """`text` is timed as it stands, in `names`; `within` is entered before and `finish` makes the routine's results.

    `label` tells a reader what the text does, where it does not say so itself.

    A peer that returns, say, the losses of all rows and not their mean is spared the difference.
    """

    text: str
    names: dict[str, Any]
    finish: Callable = field(default=lambda result: result)
    within: Callable[[], AbstractContextManager] = nullcontext
    label: str = ""

    def results(self):
        """Compute once and return the routine's results, as a tuple."""
        with self.within():
            results = self.finish(eval(self.text, self.names))
        return results if isinstance(results, tuple) else (results,)

    def timer(self):
        """Return what times the statement, not `within`."""
        return Timer(self.text, globals=self.names)
