"""What the machine can do at best, measured in the run: the roofline that each kernel is held against.

The memory is gone through by loops that do nothing else, in the instruction set in use (`csrc/kernels/probe.c`); the
exponential is our own, summed from L1, in each instruction set and dtype.
"""

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from time import perf_counter

import numpy as np

import simdloss
from simdloss import _probe

READ, COPY, STREAM, EXP = "read", "copy", "stream", "exp"

_PASS_SECONDS, _PASSES = 10e-3, 5
# Of each of two arrays; what is beyond the last cache need not be further beyond.
_MOST_BYTES = 512 << 20
# A server's last cache is shared with others, and too large to be filled by each.
_MOST_L3_BYTES = 16 << 20
# Few outputs do not slow a reader down.
_MERELY_READ = 0.1


@dataclass(frozen=True)
class Limits:
    """GB/s by kind and memory, copies counted twice, and ns per exponential by instruction set and dtype."""

    gb_per_s: dict[str, dict[str, float]]
    exp_ns: dict[str, dict[str, float]]

    def seconds(self, result, isa, level):
        """Return the least time in which the case could be done: that of its memory or of its exponentials."""
        reads_only = result.written <= _MERELY_READ * result.nbytes
        kinds = (READ,) if reads_only else (COPY, STREAM)
        gb_per_s = max(self.gb_per_s[kind][level] for kind in kinds)
        exp_ns = self.exp_ns[isa][str(result.case.dtype)]
        return max(result.nbytes / gb_per_s, result.elements * exp_ns) * 1e-9

    def share(self, result, isa, level):
        """Return that time as a share of what the call took: 1 on the roofline."""
        return self.seconds(result, isa, level) / result.seconds(isa)


def measure(machine, isas, levels, threads=1):
    """Return the `Limits` of `threads` threads at once, for memory of those `levels`."""
    active = simdloss.get_isa()
    with ThreadPoolExecutor(threads) as pool:
        bandwidth = {kind: {} for kind in (READ, COPY, STREAM)}
        for level in levels:
            x, y = _pairs(_array_bytes(machine.caches, level, threads), np.float32, threads)
            for kind, found in bandwidth.items():
                counted = 1 if kind == READ else 2
                found[level] = counted * sum(a.nbytes for a in x) / _seconds(pool, kind, x, y) * 1e-9
        exp_ns = {}
        try:
            for isa in isas:
                simdloss.use_isa(isa)
                exp_ns[isa] = {}
                for dtype in (np.float32, np.float64):
                    x, y = _pairs(_array_bytes(machine.caches, "L1", threads), dtype, threads)
                    elements = sum(a.size for a in x)
                    exp_ns[isa][np.dtype(dtype).name] = _seconds(pool, EXP, x, y) / elements * 1e9
        finally:
            simdloss.use_isa(active)
    return Limits(bandwidth, exp_ns)


def _array_bytes(caches, level, threads):
    """Return the bytes of each of two arrays that together lie well inside the cache, or outside of all."""
    last = max(caches)
    if level == "RAM":
        return min(caches[last], _MOST_BYTES)
    number = int(level[1:])
    if number == last:
        return min(caches[number] // 4, _MOST_L3_BYTES)
    return caches[number] // 4 * threads


def _pairs(nbytes, dtype, threads):
    """Return for each thread an array to read, of values that exp takes, and one to write."""
    share = nbytes // threads // np.dtype(dtype).itemsize
    share = max(share - share % _probe.STEP, _probe.STEP)
    inputs, outputs = ([_aligned(share, dtype) for _ in range(threads)] for _ in range(2))
    for x, y in zip(inputs, outputs, strict=True):
        x[:] = np.linspace(-10, 0, share)
        y[:] = 0
    return inputs, outputs


def _aligned(length, dtype):
    memory = np.empty(length * np.dtype(dtype).itemsize + _probe.ALIGNMENT, np.uint8)
    start = -memory.ctypes.data % _probe.ALIGNMENT
    return memory[start : start + length * np.dtype(dtype).itemsize].view(dtype)


def _seconds(pool, kind, inputs, outputs):
    """Return the seconds of going over the arrays once: the best of some, since what disturbs only ever adds."""
    times = 1
    while True:
        best = min(_pass(pool, kind, inputs, outputs, times) for _ in range(_PASSES))
        if best >= _PASS_SECONDS / 2:
            return best / times
        times = max(2 * times, int(times * _PASS_SECONDS / best))


def _pass(pool, kind, inputs, outputs, times):
    begin = perf_counter()
    list(pool.map(lambda pair: _probe.run(kind, *pair, times), zip(inputs, outputs, strict=True)))
    return perf_counter() - begin
