"""Inputs that the accuracy table and the length tests run on: many ranges, and the places where kernels change path."""

from functools import lru_cache

import numpy as np
import reference

# Around every vector length, tile of classes and chunk that a kernel may cut a row into.
CLASS_COUNTS = (
    *range(1, 12),
    *(15, 16, 17, 23, 24, 25, 26, 31, 32, 33, 48, 63, 64, 65, 72, 73, 100, 102, 103, 127, 128, 129, 200, 201, 255),
    *(256, 257, 511, 512, 513, 1000, 1023, 1024, 1025, 2047, 2048, 2049, 4095, 4096, 4097, 5000, 8191, 8192, 8193),
)
SPREADS = (0.01, 1.0, 10.0, 100.0)


def random(seed) -> np.random.Generator:
    return np.random.default_rng(seed)


def every_kind_of_float(dtype, count, rng):
    """Bit patterns spread evenly over all there are: every exponent, subnormals, infinities, NaN."""
    bits = np.uint32 if dtype == np.float32 else np.uint64
    step = 2 ** (np.dtype(bits).itemsize * 8) // count
    patterns = np.arange(count, dtype=bits) * bits(step) + rng.integers(0, step, count, dtype=bits)
    return patterns.view(dtype)


@lru_cache
def elementwise(dtype, count=2**17):
    """One array: every kind of number, the range where results are neither 0 nor x, and the corners of a reduction."""
    rng = random(1)
    end = 120.0 if dtype == np.float32 else 760.0
    grid = np.arange(-count // 2, count // 2) * (np.log(2) / 16)
    corners = grid[np.abs(grid) < end].astype(dtype)
    limits = np.array([0.0, -0.0, 16.6, 17.0, 36.7, 37.0, 60, 64, 87, 87.33, 88.72, 103.28, 103.97, 104])
    limits = np.concatenate([limits, [600, 640, 708.4, 709.8, 744.4, 745.13, 746, np.inf]]).astype(dtype)
    steps = [(np.nextafter(v, dtype(-np.inf)), v, np.nextafter(v, dtype(np.inf))) for v in (corners, limits)]
    parts = [
        every_kind_of_float(dtype, count, rng),
        rng.uniform(-end, end, count).astype(dtype),
        rng.uniform(-2, 2, count).astype(dtype),
        (np.exp2(rng.uniform(-40, 10, count)) * rng.choice([-1, 1], count)).astype(dtype),
        *(part for triple in steps for part in triple),
        -limits,
        [np.nan],
    ]
    return np.concatenate([np.asarray(part, dtype) for part in parts])


def _row_count(classes):
    return max(2, min(70, 3000 // classes))


@lru_cache
def rows(dtype):
    """Logits of every class count and spread, far from 0 and near it, and up to 1e4 in size."""
    rng = random(2)
    found = []
    for classes in CLASS_COUNTS:
        for spread in SPREADS if classes < 4000 else SPREADS[::3]:
            found.append((rng.normal(size=(_row_count(classes), classes)) * spread).astype(dtype))
    for classes in (2, 10, 24, 100, 1000):
        found.append(rng.uniform(-1e4, 1e4, (20, classes)).astype(dtype))
        found.append((9000 + rng.normal(size=(20, classes)) * 5).astype(dtype))
    for classes, spread in ((50257, 3.0), (200_003, 1.0), (1_000_000, 0.01)):
        found.append((rng.normal(size=(1, classes)) * spread).astype(dtype))
    return found


@lru_cache
def rows_that_cancel(dtype):
    """Rows whose logsumexp is nearly 0, so that the maximum and log1p of the rest cancel."""
    rng = random(3)
    found = []
    for classes in (2, 3, 7, 10, 24, 25, 40, 100, 1000):
        x = rng.normal(size=(12, classes))
        found.append((x - reference.rows(x).lse[:, None].astype(np.float64)).astype(dtype))
    return found


@lru_cache
def rows_with_targets(dtype):
    """Pairs of logits and class indices: any class, the most likely one, and a target that the row is sure of."""
    rng = random(4)
    found = []
    for logits in rows(dtype):
        anything = rng.integers(0, logits.shape[1], len(logits))
        found.append((logits, np.where(np.arange(len(logits)) % 2, logits.argmax(1), anything)))
    for classes in (2, 3, 10, 24, 25, 100, 1000, 5000, 100_000):
        logits = rng.normal(size=(6, classes))
        target = rng.integers(0, classes, 6)
        logits[np.arange(6), target] += [20, 30, 40, 60, 80, 95]
        found.append((logits.astype(dtype), target))
    return found


@lru_cache
def rows_with_soft_labels(dtype):
    rng = random(5)
    found = []
    for logits in rows(dtype):
        if logits.size < 50_000 and np.abs(logits).max() < 1000:
            labels = rng.gamma(0.3, size=logits.shape)
            found.append((logits, (labels / labels.sum(-1, keepdims=True)).astype(dtype)))
    return found


@lru_cache
def binary(dtype):
    """Logits with targets of 0 and 1, then with targets in between, so that both kinds can be judged apart."""
    rng = random(6)
    x = elementwise(dtype, 2**15)
    x = x[np.isfinite(x) & (np.abs(x) < 1e30)]
    return [
        (x, rng.integers(0, 2, x.shape).astype(dtype)),
        (x, rng.uniform(0, 1, x.shape).astype(dtype)),
        (rng.normal(size=4097).astype(dtype), rng.uniform(-2, 3, 4097).astype(dtype)),
    ]
