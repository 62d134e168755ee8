# Private: for simdloss.bench.
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

__test__: dict[str, str]

ALIGNMENT: int
STEP: int

def run(
    what: Literal["read", "copy", "stream", "exp"],
    x: NDArray[np.floating[Any]],
    y: NDArray[np.floating[Any]],
    times: int,
) -> None: ...
