"""The other libraries that compute the same: what ``--peers`` times beside NumPy.

One module a peer, none imported before it is asked for. Each has `start(threads)`, which imports its library by name,
as type checkers need not have it, and functions by the names of those in `baseline.py`. These take the same arrays and
return the peer's forms (`bench/form.py`), of which the fastest is timed: what a user of that library could write at
best. A routine that a peer lacks has no function there, or no form for the arrays given.
"""

import importlib
import importlib.metadata
import os
from dataclasses import dataclass
from types import ModuleType

# torch as it is, and compiled in a run that has minutes to spare.
COMPILED = "torch.compile"

# By the name of the distribution, or of that one.
_MODULES = {
    "torch": "torch_peer",
    "jax": "jax_peer",
    "scipy": "scipy_peer",
    "scikit-learn": "sklearn_peer",
    "onnxruntime": "onnxruntime_peer",
    COMPILED: "torch_compile_peer",
}


@dataclass(frozen=True)
class Peer:
    """An installed library and the module that knows how to call it."""

    name: str
    version: str
    module: ModuleType

    def forms(self, formula, arrays, options):
        """Return the ways in which this peer computes `formula`; none if it does not."""
        make = getattr(self.module, formula, None)
        return make(**arrays, **options) if make else []


def installed(*, compiled=False):
    """Return the versions of the peers that are installed and the names of the others; nothing is imported."""
    found, missing = {}, []
    for name in _MODULES:
        if name == COMPILED and not compiled:
            continue
        try:
            found[name] = importlib.metadata.version(name.removesuffix(".compile"))
        except importlib.metadata.PackageNotFoundError:
            missing.append(name)
    return found, missing


def load(threads, *, compiled=False):
    """Import the peers that are installed, each to use `threads` threads; return them and the names of the others."""
    for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
        os.environ[name] = str(threads)
    versions, missing = installed(compiled=compiled)
    found = []
    for name, version in versions.items():
        peer = Peer(name, version, importlib.import_module(f".{_MODULES[name]}", __package__))
        peer.module.start(threads)
        found.append(peer)
    return found, missing
